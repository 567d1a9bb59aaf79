// The fixture of attacks by a malicious coordinator on one honest site.
#pragma once

#include "tests/unit/round/scene.h"

namespace fovea::test {

inline constexpr RosterIndex kSite = 1;

class CoordinatorAttack : public ::testing::Test {
 protected:
  Scene scene;

  federation::RoundParameters parameters() {
    return federation::RoundParameters::decode(scene.hold_to_site(kSite, MessageKind::parameters).payload()).value();
  }
  node::SiteEffects tell(MessageKind kind, ByteView payload) { return scene.tell(kSite, kind, payload); }
  node::SiteEffects tell(const federation::RoundParameters& p) { return tell(MessageKind::parameters, p.encode()); }
  node::SiteEffects tell(const federation::KeyList& m) { return tell(MessageKind::key_list, m.encode()); }
  node::SiteEffects tell(const federation::RoutedShares& m) { return tell(MessageKind::routed_shares, m.encode()); }
  node::SiteEffects tell(const federation::ConsistencyRequest& m) {
    return tell(MessageKind::consistency_request, m.encode());
  }
  node::SiteEffects tell(const federation::UnmaskRequest& m) { return tell(MessageKind::unmask_request, m.encode()); }
};

}  // namespace fovea::test
