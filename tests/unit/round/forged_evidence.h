// Evidence in which everything is signed as it must be, by sites that made a round of their own with the coordinator.
#pragma once

#include "federation/secagg/round_evidence.h"
#include "federation/secagg/statements.h"
#include "tests/simulation/test_federation.h"

namespace fovea::test {

inline federation::secagg::RoundEvidence signed_by_all(const TestFederation& f,
                                                       const federation::secagg::RoundParameters& p) {
  const Digest hash = p.hash();
  federation::secagg::RoundEvidence out;
  out.parameters = p;
  out.survivors = p.candidates;
  const Digest survivors = federation::secagg::survivors_hash(hash, out.survivors);
  for (const RosterIndex site : p.candidates) {
    federation::messages::AdvertisedKeys keys{
        .channel = crypto::AgreementKey::from_private(seed_of("forged-c", site)).public_key(),
        .mask = crypto::AgreementKey::from_private(seed_of("forged-s", site)).public_key()};
    keys.signature = f.identity(site).sign(federation::secagg::keys_statement(hash, site, keys));
    out.keys.push_back({site, keys});
    federation::secagg::OpenedSecret opened{.site = site, .kind = federation::messages::RevealedSecret::self_seed};
    opened.value.fill(static_cast<std::uint8_t>(site + 1));
    out.opened.push_back(opened);
    federation::messages::CommittedVector vector{.site = site};
    vector.self_seed_commitment = federation::secagg::self_seed_commitment(hash, site, opened.value);
    vector.signature = f.identity(site).sign(federation::secagg::masked_statement(
        hash, {site, vector.vector_hash, survivors, vector.self_seed_commitment, vector.tag_hash}));
    out.committed.push_back(vector);
  }
  const Digest statement = out.consistency();
  for (const RosterIndex site : p.candidates) out.signatures.push_back({site, f.identity(site).sign(statement)});
  return out;
}

}  // namespace fovea::test
