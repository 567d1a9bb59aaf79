#include "federation/secagg/epoch_beacon.h"

#include <string>

#include "common/bytes.h"
#include "common/ids.h"
#include "crypto/hash.h"

namespace fovea::federation::secagg {
namespace {

using crypto::TaggedHash;

Digest commitment_to(const Digest& roster, RosterIndex site, const messages::BeaconNonce& nonce) {
  return TaggedHash("FOVEA/1/beacon-commitment").add(roster).add_u64(site).add(nonce).finish();
}

Digest commitment_statement(const Digest& roster, RosterIndex site, const Digest& commitment) {
  return TaggedHash("FOVEA/1/beacon-statement").add(roster).add_u64(site).add(commitment).finish();
}

}  // namespace

messages::BeaconNonce beacon_nonce(const crypto::SigningKey& identity, const Digest& roster) {
  // Ed25519 signatures are deterministic; this one is never shown.
  const crypto::Signature secret = identity.sign(TaggedHash("FOVEA/1/beacon-secret").add(roster).finish());
  return TaggedHash("FOVEA/1/beacon-nonce").add(secret).finish();
}

messages::BeaconCommitment commit_to_beacon(const crypto::SigningKey& identity, const Digest& roster,
                                            RosterIndex site) {
  const Digest commitment = commitment_to(roster, site, beacon_nonce(identity, roster));
  return {commitment, identity.sign(commitment_statement(roster, site, commitment))};
}

bool is_commitment_of(const messages::BeaconCommitment& commitment, const membership::Roster& roster,
                      RosterIndex site) {
  const Digest statement = commitment_statement(roster.hash, site, commitment.commitment);
  return crypto::check_signature(roster.sites[site].identity_key, statement, commitment.signature) ==
         crypto::SignatureVerdict::valid;
}

Digest beacon_list_hash(const messages::BeaconCommitments& commitments) {
  TaggedHash hash("FOVEA/1/beacon-list");
  hash.add(commitments.roster).add_u64(commitments.sites.size());
  for (const messages::BeaconCommitment& entry : commitments.sites) hash.add(entry.commitment);
  return hash.finish();
}

std::optional<messages::Refusal> check_commitments(const messages::BeaconCommitments& commitments,
                                                   const membership::Roster& roster) {
  if (commitments.roster != roster.hash)
    return messages::Refusal{messages::RefusalReason::roster_differs, "a beacon of another roster"};
  if (commitments.sites.size() != roster.sites.size())
    return messages::Refusal{messages::RefusalReason::beacon_differs,
                             std::to_string(commitments.sites.size()) + " commitments, the roster has " +
                                 std::to_string(roster.sites.size()) + " sites"};
  for (RosterIndex site = 0; site < roster.sites.size(); ++site)
    if (!is_commitment_of(commitments.sites[site], roster, site))
      return messages::Refusal{messages::RefusalReason::bad_signature,
                               "beacon commitment of " + roster.sites[site].id.text()};
  return std::nullopt;
}

bool is_committed_nonce(const messages::BeaconCommitments& commitments, RosterIndex site,
                        const messages::BeaconNonce& nonce) {
  return site < commitments.sites.size() &&
         commitment_to(commitments.roster, site, nonce) == commitments.sites[site].commitment;
}

std::optional<messages::Refusal> check_nonces(const messages::BeaconTranscript& transcript) {
  if (transcript.nonces.size() != transcript.commitments.sites.size())
    return messages::Refusal{messages::RefusalReason::beacon_differs, "nonces are missing"};
  for (RosterIndex site = 0; site < transcript.nonces.size(); ++site)
    if (!is_committed_nonce(transcript.commitments, site, transcript.nonces[site]))
      return messages::Refusal{messages::RefusalReason::beacon_differs,
                               "another nonce than site " + std::to_string(site) + " committed to"};
  return std::nullopt;
}

Digest beacon_of(const messages::BeaconTranscript& transcript) {
  TaggedHash hash("FOVEA/1/beacon");
  hash.add(beacon_list_hash(transcript.commitments));
  for (const messages::BeaconNonce& nonce : transcript.nonces) hash.add(nonce);
  return hash.finish();
}

}  // namespace fovea::federation::secagg
