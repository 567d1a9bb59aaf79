// The fixture of attacks by a malicious coordinator on one honest site.
#pragma once

#include "federation/messages/sum_check.h"
#include "tests/unit/round/scene.h"

namespace fovea::test {

inline constexpr RosterIndex kSite = 1;

class CoordinatorAttack : public ::testing::Test {
 protected:
  Scene scene;

  federation::secagg::RoundParameters parameters() {
    return federation::secagg::RoundParameters::decode(scene.hold_to_site(kSite, MessageKind::parameters).payload())
        .value();
  }
  node::round::SiteEffects tell(MessageKind kind, ByteView payload) { return scene.tell(kSite, kind, payload); }
  node::round::SiteEffects tell(const federation::secagg::RoundParameters& p) {
    return tell(MessageKind::parameters, p.encode());
  }
  node::round::SiteEffects tell(const federation::messages::KeyList& m) {
    return tell(MessageKind::key_list, m.encode());
  }
  node::round::SiteEffects tell(const federation::messages::RoutedShares& m) {
    return tell(MessageKind::routed_shares, m.encode());
  }
  node::round::SiteEffects tell(const federation::messages::ConsistencyRequest& m) {
    return tell(MessageKind::consistency_request, m.encode());
  }
  node::round::SiteEffects tell(const federation::messages::UnmaskRequest& m) {
    return tell(MessageKind::unmask_request, m.encode());
  }
};

}  // namespace fovea::test
