// Failure class: a message that its peer signed, and that says what no honest one does: a number that nobody counts to,
// another's name, no contents. Every kind, at every moment of a round, at both ends: each is refused for a reason, and
// nothing has changed. What the programs do with them is in tests/adversary.
#include <map>
#include <set>
#include <utility>

#include "tests/support/message_samples.h"
#include "tests/unit/round/scene.h"

namespace fovea::test {
namespace {

using federation::messages::MessageHeader;
using federation::messages::MessageKindInfo;
using federation::messages::SignedMessage;

constexpr RosterIndex kSite = 1;

class HeaderExtremes : public ::testing::Test {
 protected:
  const TestFederation& federation() const { return scene.world.federation(); }

  // Of a kind, as this side would say it; of those of the round, the honest contents once they were seen.
  std::vector<ExtremeMessage> extremes(MessageKind kind, Direction direction) {
    const auto found = seen_.find(kind);
    const Bytes payload = found == seen_.end() ? sample_payload(kind) : found->second;
    const SiteId last = federation().id(static_cast<RosterIndex>(federation().size() - 1));
    const SiteId stranger = SiteId::create("stranger").value();
    const bool at_site = direction == Direction::to_site;
    std::vector<federation::messages::Sender> others{last, stranger};
    if (!at_site) others.emplace_back(std::nullopt);
    else others.emplace_back(federation().id(kSite));
    const MessageHeader header{kind, federation().run(),
                               at_site ? std::nullopt : federation::messages::Sender(federation().id(kSite)),
                               federation().roster().epoch};
    return extremes_of(header, payload, others,
                       at_site ? federation().coordinator_key() : federation().identity(kSite));
  }

  void expect_nothing_at_site(MessageKind kind) {
    node::round::SiteMachine& site = scene.world.site(kSite);
    for (ExtremeMessage& extreme : extremes(kind, Direction::to_site)) {
      SCOPED_TRACE(extreme.name + ", in phase " + std::string(to_string(site.phase())));
      auto opened = federation().open_at_site(std::move(extreme.wire));
      ASSERT_EQ(opened.has_value(), extreme.reads_as_its_senders && !federation::messages::is_from_site(kind));
      ++tried_;
      if (!opened) continue;
      const auto before = std::tuple(site.phase(), site.round(), site.attempt(), site.last_round());
      const auto effects = site.step(node::round::MessageReceived{std::move(*opened), seed_of("extreme", ++seeds_)});
      ASSERT_TRUE(effects.refusal.has_value());
      EXPECT_FALSE(to_string(effects.refusal->reason).empty());
      EXPECT_EQ(std::tuple(site.phase(), site.round(), site.attempt(), site.last_round()), before);
      EXPECT_TRUE(effects.journal.empty() && effects.site_register.empty());
      EXPECT_FALSE(effects.abandoned || effects.joined || effects.start_training || effects.verified_sum);
      EXPECT_FALSE(effects.cancel_training || effects.more);
      for (const node::round::SiteOutbound& message : effects.outbound)
        EXPECT_TRUE(message.kind == MessageKind::attempt_failure || message.kind == MessageKind::hello)
            << to_string(message.kind);
    }
  }

  void expect_nothing_at_coordinator(MessageKind kind) {
    coordinator::round::RoundMachine& coordinator = scene.world.coordinator();
    for (ExtremeMessage& extreme : extremes(kind, Direction::to_coordinator)) {
      SCOPED_TRACE(extreme.name + ", in phase " + std::string(to_string(coordinator.phase())));
      auto opened = federation().open_at_coordinator(kSite, std::move(extreme.wire));
      ASSERT_EQ(opened.has_value(), extreme.reads_as_its_senders && federation::messages::is_from_site(kind));
      ++tried_;
      if (!opened) continue;
      const auto before = coordinator.progress();
      expect_no_effect(coordinator.step(coordinator::round::MessageReceived{std::move(*opened)}));
      const auto after = coordinator.progress();
      EXPECT_EQ(after.phase, before.phase);
      EXPECT_EQ(after.attempt, before.attempt);
      EXPECT_EQ(after.answered, before.answered);
      EXPECT_EQ(after.waiting_for, before.waiting_for);
    }
  }
  static void expect_no_effect(const coordinator::round::RoundEffects& effects) {
    ASSERT_TRUE(effects.refusal.has_value());
    EXPECT_FALSE(to_string(effects.refusal->reason).empty());
    EXPECT_TRUE(effects.journal.empty() && effects.blamed.empty());
    EXPECT_FALSE(effects.beacon || effects.finished || effects.opened || effects.unmask || effects.aborted ||
                 effects.verify_each_tag);
    for (const coordinator::round::RoundOutbound& message : effects.outbound)
      EXPECT_EQ(message.kind, MessageKind::refusal) << to_string(message.kind);
  }

  // Before the first message of each kind, and again behind it on the way, so that each phase meets all of them.
  void try_everything_at_every_message() {
    scene.world.intercept = [this](Delivery& delivery) {
      if (delivery.site != kSite) return true;
      const bool at_site = delivery.direction == Direction::to_site;
      const auto opened = at_site ? federation().open_at_site(delivery.wire)
                                  : federation().open_at_coordinator(delivery.site, delivery.wire);
      if (!opened || !moments_.insert(opened->kind()).second) return true;
      for (const MessageKindInfo& info : federation::messages::kMessageKinds)
        at_site ? expect_nothing_at_site(info.kind) : expect_nothing_at_coordinator(info.kind);
      seen_[opened->kind()] = Bytes(opened->payload().begin(), opened->payload().end());
      at_site ? expect_nothing_at_site(opened->kind()) : expect_nothing_at_coordinator(opened->kind());
      return !::testing::Test::HasFatalFailure();
    };
  }

  Scene scene{4, 2};
  std::map<MessageKind, Bytes> seen_;
  std::set<MessageKind> moments_;
  std::size_t tried_ = 0;

 private:
  std::uint64_t seeds_ = 0;
};

TEST_F(HeaderExtremes, OfEveryKindAtEveryMomentAreRefusedAndChangeNothing) {
  try_everything_at_every_message();
  EXPECT_TRUE(scene.world.run());
  EXPECT_TRUE(scene.world.violations().empty());
  EXPECT_TRUE(scene.world.blamed().empty());
  EXPECT_TRUE(scene.world.aborted().empty());
  ASSERT_EQ(scene.world.results().size(), 2U);
  for (const auto& result : scene.world.results()) EXPECT_EQ(result.contributors.size(), 4U);
  // Those of a round without losses, of both sides.
  for (const MessageKind kind :
       {MessageKind::train_task, MessageKind::parameters, MessageKind::key_list, MessageKind::routed_shares,
        MessageKind::consistency_request, MessageKind::unmask_request, MessageKind::round_evidence,
        MessageKind::training_ready, MessageKind::keys, MessageKind::shares, MessageKind::masked_chunk,
        MessageKind::masked_statement, MessageKind::consistency_signature, MessageKind::unmask_shares,
        MessageKind::hello})
    EXPECT_TRUE(moments_.contains(kind)) << to_string(kind);
  EXPECT_GT(tried_, 15U * 10 * federation::messages::kMessageKinds.size());
}

// Its own key, and its own name, on no roster.
TEST_F(HeaderExtremes, AStrangersMessagesOfEveryKindAreRefused) {
  scene.hold_to_coordinator(kSite, MessageKind::keys);
  const SiteId id = SiteId::create("stranger").value();
  const crypto::SigningKey key = crypto::SigningKey::from_seed(seed_of("stranger", 1));
  for (const MessageKindInfo& info : federation::messages::kMessageKinds) {
    SCOPED_TRACE(info.name);
    const MessageHeader header{info.kind, federation().run(), id, federation().roster().epoch};
    auto opened = SignedMessage::open(federation::messages::seal_message(header, sample_payload(info.kind), key),
                                      {.sender = id, .key = key.verify_key()});
    ASSERT_EQ(opened.has_value(), federation::messages::is_sent_by_site(info));
    if (!opened) continue;
    const auto effects = scene.world.coordinator().step(coordinator::round::MessageReceived{std::move(*opened)});
    expect_no_effect(effects);
    EXPECT_EQ(effects.refusal->reason, RefusalReason::unknown_sender);
    EXPECT_TRUE(effects.outbound.empty());
  }
}

TEST(MessageSamples, EachIsReadByItsOwnKind) {
  using namespace federation::messages;
  const auto reads = [](MessageKind kind, auto decode) { return decode(sample_payload(kind)).has_value(); };
  EXPECT_TRUE(reads(MessageKind::parameters, federation::secagg::RoundParameters::decode));
  EXPECT_TRUE(reads(MessageKind::dealer_fault, federation::secagg::DealerFault::decode));
  EXPECT_TRUE(reads(MessageKind::beacon, BeaconTranscript::decode));
  EXPECT_TRUE(reads(MessageKind::site_blame, federation::membership::Blame::decode));
  EXPECT_TRUE(reads(MessageKind::consistency_request, ConsistencyRequest::decode));
  EXPECT_TRUE(reads(MessageKind::shares, SharesMessage::decode));
}

}  // namespace
}  // namespace fovea::test
