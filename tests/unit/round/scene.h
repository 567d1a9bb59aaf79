// A stage for attacks: a federation without faults runs up to the moment that a given message is on its way,
// and the test then says what arrives instead.
#pragma once

#include <gtest/gtest.h>

#include "federation/messages/vector_chunk.h"
#include "federation/secagg/statements.h"
#include "tests/simulation/world.h"

namespace fovea::test {

using federation::messages::MessageKind;
using federation::messages::RefusalReason;

class Scene {
 public:
  explicit Scene(const WorldOptions& options) : world(options) {}
  explicit Scene(std::size_t sites = 4, RoundNumber rounds = 2)
      : world({.sites = sites, .seed = 7, .rounds = rounds, .faults = {}}) {}

  // Runs until the coordinator sends `kind` to `site`; that message and its repetitions are held back, the first is
  // returned.
  federation::messages::SignedMessage hold_to_site(RosterIndex site, MessageKind kind) {
    return hold(Direction::to_site, site, kind);
  }
  federation::messages::SignedMessage hold_to_coordinator(RosterIndex site, MessageKind kind) {
    return hold(Direction::to_coordinator, site, kind);
  }

  // A site that lies: each of its messages of `kind` is replaced by what `forge` makes of the payload, under its own
  // key.
  template <class Message>
  void corrupt(RosterIndex site, MessageKind kind, std::function<void(Message&)> forge) {
    world.intercept = [this, site, kind, forge](Delivery& delivery) {
      if (delivery.direction != Direction::to_coordinator || delivery.site != site) return true;
      const auto opened = world.federation().open_at_coordinator(site, delivery.wire);
      if (opened->kind() != kind) return true;
      auto message = Message::decode(opened->payload()).value();
      forge(message);
      delivery.wire = world.federation().from_site(site, kind, message.encode()).wire();
      return true;
    };
  }

  // What the site says to a message that the coordinator signed.
  node::round::SiteEffects tell(RosterIndex site, MessageKind kind, ByteView payload) {
    node::round::MessageReceived event{world.federation().from_coordinator(kind, payload), std::nullopt};
    if (kind == MessageKind::parameters) event.seed = seed_of("scene", ++seeds_);
    return world.site(site).step(std::move(event));
  }

  World world;

 private:
  federation::messages::SignedMessage hold(Direction direction, RosterIndex site, MessageKind kind) {
    held_.reset();
    world.intercept = [this, direction, site, kind](Delivery& delivery) {
      if (delivery.direction != direction || delivery.site != site) return true;
      auto opened = direction == Direction::to_site ? world.federation().open_at_site(delivery.wire)
                                                    : world.federation().open_at_coordinator(site, delivery.wire);
      if (opened->kind() != kind) return true;
      if (!held_) held_ = std::move(*opened);
      return false;
    };
    world.run([this] { return held_.has_value(); });
    EXPECT_TRUE(held_.has_value()) << federation::messages::to_string(kind) << " was never sent";
    FOVEA_CHECK(held_.has_value());
    return *held_;
  }

  std::uint64_t seeds_ = 0;
  std::optional<federation::messages::SignedMessage> held_;
};

// The event was refused for this reason, and nothing that could reveal anything left the site.
inline void expect_refused(const node::round::SiteEffects& effects, RefusalReason reason) {
  ASSERT_TRUE(effects.refusal.has_value()) << "not refused";
  EXPECT_EQ(effects.refusal->reason, reason)
      << federation::messages::to_string(effects.refusal->reason) << ": " << effects.refusal->detail;
  EXPECT_TRUE(effects.journal.empty());
  for (const node::round::SiteOutbound& message : effects.outbound)
    EXPECT_TRUE(message.kind == MessageKind::attempt_failure || message.kind == MessageKind::hello)
        << federation::messages::to_string(message.kind);
}

inline void expect_sends(const node::round::SiteEffects& effects, MessageKind kind) {
  EXPECT_FALSE(effects.refusal.has_value()) << effects.refusal->detail;
  ASSERT_FALSE(effects.outbound.empty());
  EXPECT_EQ(effects.outbound.back().kind, kind) << federation::messages::to_string(effects.outbound.back().kind);
}

}  // namespace fovea::test
