// Failure class: a statement that one roster's sites signed is opened by the signatures of another roster's.
#include "tests/unit/round/coordinator_attack.h"

namespace fovea::test {
namespace {

class RosterSwap : public ::testing::Test {
 protected:
  // What the victim signed in R4, from what went over the wire.
  Digest statement(const Digest& parameters) {
    federation::messages::KeyList list;
    federation::messages::ConsistencyRequest request;
    for (const auto& delivery : scene.world.trace()) {
      if (delivery.direction != Direction::to_site || delivery.site != kSite) continue;
      const auto opened = scene.world.federation().open_at_site(delivery.wire).value();
      if (opened.kind() == MessageKind::key_list)
        list = federation::messages::KeyList::decode(opened.payload()).value();
      if (opened.kind() == MessageKind::consistency_request)
        request = federation::messages::ConsistencyRequest::decode(opened.payload()).value();
    }
    return federation::secagg::consistency_statement(
        parameters, {federation::secagg::key_list_hash(parameters, list.keys), request.survivors, request.committed});
  }

  Scene scene{4};
};

// After R4 every administrator signs a newer roster whose places are invented sites, and these sign for R5.
TEST_F(RosterSwap, InventedSitesOfANewerRosterDoNotOpenTheStatementOfTheOlderOne) {
  const auto unmask = scene.hold_to_site(kSite, MessageKind::unmask_request);
  const auto honest = federation::messages::UnmaskRequest::decode(unmask.payload()).value();
  const Digest signed_statement = statement(honest.ref.parameters);
  auto roster = scene.world.federation().roster();
  roster.epoch += 1;
  roster.hash[0] ^= 1U;
  federation::messages::UnmaskRequest forged{.ref = honest.ref, .signatures = {}};
  for (const auto& entry : honest.signatures) {
    const auto invented = crypto::SigningKey::from_seed(seed_of("invented", entry.site));
    if (entry.site != kSite) roster.sites[entry.site].identity_key = invented.verify_key();
    const auto& key = entry.site == kSite ? scene.world.federation().identity(kSite) : invented;
    forged.signatures.push_back({entry.site, key.sign(signed_statement)});
  }
  const auto adopted = scene.world.site(kSite).step(node::round::RosterAdopted{roster});
  EXPECT_TRUE(adopted.abandoned.has_value());
  auto wire = federation::messages::seal_message(
      {MessageKind::unmask_request, scene.world.federation().run(), std::nullopt, roster.epoch}, forged.encode(),
      scene.world.federation().coordinator_key());
  const auto effects = scene.world.site(kSite).step(
      node::round::MessageReceived{scene.world.federation().open_at_site(std::move(wire)).value(), std::nullopt});
  EXPECT_TRUE(effects.refusal.has_value());
  for (const auto& message : effects.outbound) EXPECT_NE(message.kind, MessageKind::unmask_shares);
}

// The plan's threshold holds where the coordinator's is lower, though the site's own policy would allow it.
TEST_F(RosterSwap, AThresholdBelowThePlansIsRefused) {
  auto parameters =
      federation::secagg::RoundParameters::decode(scene.hold_to_site(kSite, MessageKind::parameters).payload()).value();
  auto policy = scene.world.policy();
  policy.threshold_min = parameters.thresholds.threshold + 1U;
  scene.world.site(kSite).step(node::round::PolicyChanged{policy});
  expect_refused(scene.tell(kSite, MessageKind::parameters, parameters.encode()), RefusalReason::threshold_too_low);
  policy.threshold_min = parameters.thresholds.threshold;
  scene.world.site(kSite).step(node::round::PolicyChanged{policy});
  expect_sends(scene.tell(kSite, MessageKind::parameters, parameters.encode()), MessageKind::keys);
}

}  // namespace
}  // namespace fovea::test
