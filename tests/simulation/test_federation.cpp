#include "tests/simulation/test_federation.h"

#include <algorithm>

#include "crypto/hash.h"

namespace fovea::test {
namespace {

std::string site_name(std::size_t index) {
  std::string digits = std::to_string(index);
  return "site-" + std::string(3 - digits.size(), '0') + digits;
}

}  // namespace

crypto::SecretKey seed_of(std::string_view purpose, std::uint64_t number) {
  const Digest digest = crypto::TaggedHash("FOVEA/test/seed").add(purpose).add_u64(number).finish();
  return crypto::SecretKey::from(digest, "seed").value();
}

TestFederation::TestFederation(std::size_t sites, std::uint64_t seed)
    : coordinator_key_(crypto::SigningKey::from_seed(seed_of("coordinator", seed))) {
  roster_.federation = "test";
  roster_.epoch = 1;
  roster_.coordinator_signing_key = coordinator_key_.verify_key();
  roster_.hash = crypto::TaggedHash("FOVEA/test/roster").add_u64(seed).add_u64(sites).finish();
  for (std::size_t i = 0; i < sites; ++i) {
    identities_.push_back(crypto::SigningKey::from_seed(seed_of("identity", seed * 1000 + i)));
    federation::membership::RosterSite site{.id = SiteId::create(site_name(i)).value()};
    site.identity_key = identities_.back().verify_key();
    roster_.sites.push_back(std::move(site));
  }
  plan_ = crypto::TaggedHash("FOVEA/test/plan").add_u64(seed).finish();
  const Digest run = crypto::TaggedHash("FOVEA/test/run").add_u64(seed).finish();
  std::copy_n(run.begin(), run_.bytes.size(), run_.bytes.begin());
}

federation::messages::SignedMessage TestFederation::from_coordinator(federation::messages::MessageKind kind,
                                                                     ByteView payload) const {
  return open_at_site(
             federation::messages::seal_message({kind, run_, std::nullopt, roster_.epoch}, payload, coordinator_key_))
      .value();
}

federation::messages::SignedMessage TestFederation::from_site(RosterIndex site, federation::messages::MessageKind kind,
                                                              ByteView payload) const {
  return open_at_coordinator(
             site, federation::messages::seal_message({kind, run_, id(site), roster_.epoch}, payload, identity(site)))
      .value();
}

Result<federation::messages::SignedMessage> TestFederation::open_at_site(Bytes wire) const {
  return federation::messages::SignedMessage::open(std::move(wire), {std::nullopt, coordinator_key_.verify_key()});
}

Result<federation::messages::SignedMessage> TestFederation::open_at_coordinator(RosterIndex site, Bytes wire) const {
  return federation::messages::SignedMessage::open(std::move(wire), {id(site), identity(site).verify_key()});
}

std::set<Digest> TestFederation::everybody() const {
  std::set<Digest> out;
  for (const federation::membership::RosterSite& site : roster_.sites)
    out.insert(federation::membership::entry_digest(site));
  return out;
}

node::round::SiteConfig TestFederation::site_config(RosterIndex site, const node::round::SitePolicy& policy) const {
  return {.self = id(site),
          .run = run_,
          .roster = roster_,
          .identity = identity(site).copy(),
          .policy = policy,
          .software = "test",
          .rosters_past = {}};
}

federation::secagg::Thresholds table_thresholds(std::size_t sites) {
  const std::size_t colluders = sites < 4 ? 0 : (sites == 4 ? 1 : (sites - 1) / 3);
  const auto m = static_cast<std::uint16_t>(sites == 5 ? 1 : colluders);
  return {
      .colluders_max = m,
      .threshold = static_cast<std::uint16_t>(federation::secagg::threshold_min(static_cast<std::uint32_t>(sites), m)),
      .honest_min = 2};
}

}  // namespace fovea::test
