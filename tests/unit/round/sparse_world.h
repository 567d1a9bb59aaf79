// 130 sites, which are too many for the complete graph, of which 7 may be corrupt and 14 lost.
#pragma once

#include <set>

#include "tests/unit/round/scene.h"

namespace fovea::test {

inline constexpr std::size_t kSites = 130;
inline constexpr std::size_t kLost = 14;
inline constexpr RosterIndex kSite = 5;

inline WorldOptions sparse_options(RoundNumber rounds = 1) {
  return {
      .sites = kSites,
      .seed = 21,
      .rounds = rounds,
      .faults = {},
      .thresholds = federation::secagg::Thresholds{.colluders_max = 7, .threshold = kSites - kLost, .honest_min = 3}};
}

// Loses each message of `kind` from these sites to the coordinator.
inline void lose(World& world, MessageKind kind, std::set<RosterIndex> sites) {
  const auto before = world.intercept;
  world.intercept = [&world, kind, sites = std::move(sites), before](Delivery& delivery) {
    if (before && !before(delivery)) return false;
    if (delivery.direction != Direction::to_coordinator || !sites.contains(delivery.site)) return true;
    return world.federation().open_at_coordinator(delivery.site, delivery.wire)->kind() != kind;
  };
}

}  // namespace fovea::test
