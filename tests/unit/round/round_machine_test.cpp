// The coordinator's machine: quorum and deadlines, drop-outs at each step, retries, restarts, bounded staging.
#include "coordinator/round/round_marks.h"
#include "federation/membership/plan.h"
#include "tests/unit/round/scene.h"

namespace fovea::test {
namespace {

using coordinator::round::RoundPhase;

coordinator::round::RoundSetup setup_of(const TestFederation& f) {
  return {.run = f.run(),
          .roster = f.roster(),
          .key = f.coordinator_key().copy(),
          .task = {.round = 1},
          .invited = {0, 1, 2, 3},
          .quiet = {},
          .thresholds = {1, 3, 2},
          .cohort_smallest = 3,
          .cohort_largest = 4,
          .delta_size = 10,
          .delta_max = 1,
          .weight_max = 10,
          .limits = {}};
}

// Kills `site` for good when it has sent its message of this kind.
void die_after(Scene& scene, RosterIndex site, MessageKind kind) {
  scene.world.intercept = [&scene, site, kind, dead = false](Delivery& delivery) mutable {
    if (delivery.site != site) return true;
    if (dead) return false;
    if (delivery.direction == Direction::to_coordinator &&
        federation::messages::claimed_kind(delivery.wire).value() == kind)
      dead = true;
    return true;
  };
  scene.world.run([&] { return !scene.world.results().empty(); });
}

struct DropOut {
  MessageKind after;
  std::size_t in_sum;
};

class DropOutTest : public ::testing::TestWithParam<DropOut> {};

TEST_P(DropOutTest, TheRoundCompletesWithoutTheSite) {
  Scene scene(5, 1);
  die_after(scene, 4, GetParam().after);
  ASSERT_EQ(scene.world.results().size(), 1U);
  EXPECT_TRUE(scene.world.violations().empty());
  EXPECT_EQ(scene.world.results()[0].contributors.size(), GetParam().in_sum);
  EXPECT_EQ(scene.world.results()[0].sum.sites, GetParam().in_sum);
}

INSTANTIATE_TEST_SUITE_P(EachStep, DropOutTest,
                         ::testing::Values(DropOut{MessageKind::training_ready, 4}, DropOut{MessageKind::keys, 4},
                                           DropOut{MessageKind::shares, 4}, DropOut{MessageKind::masked_statement, 5},
                                           DropOut{MessageKind::consistency_signature, 5},
                                           DropOut{MessageKind::unmask_shares, 5}),
                         [](const auto& row) {
                           std::string name(federation::messages::to_string(row.param.after));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(RoundMachine, BelowTheThresholdTheAttemptIsRepeatedAndNothingIsPublished) {
  Scene scene(4, 1);
  bool healed = false;
  scene.world.intercept = [&](Delivery& delivery) {
    if (healed || delivery.direction == Direction::to_site || delivery.site < 2) return true;
    const auto kind = federation::messages::claimed_kind(delivery.wire).value();
    return kind != MessageKind::masked_chunk && kind != MessageKind::masked_statement;
  };
  scene.world.run([&] { return scene.world.now_ms() > 8000; });
  EXPECT_TRUE(scene.world.results().empty());
  healed = true;
  EXPECT_TRUE(scene.world.run());
  EXPECT_GT(scene.world.results().at(0).attempt, 1U);
  EXPECT_EQ(scene.world.results()[0].contributors.size(), 4U);
  EXPECT_TRUE(scene.world.violations().empty());
}

TEST(RoundMachine, ARestartInEveryPhaseStillEndsInOneExactSum) {
  for (const RoundPhase at :
       {RoundPhase::announced, RoundPhase::collecting_keys, RoundPhase::collecting_shares,
        RoundPhase::collecting_masked, RoundPhase::collecting_consistency, RoundPhase::collecting_unmask}) {
    Scene scene(4, 1);
    bool killed = false;
    scene.world.run([&] {
      if (!killed && scene.world.coordinator().phase() == at) {
        killed = true;
        return true;
      }
      return false;
    });
    ASSERT_TRUE(killed) << coordinator::round::to_string(at);
    scene.world.kill_coordinator(100);
    EXPECT_TRUE(scene.world.run()) << coordinator::round::to_string(at);
    EXPECT_TRUE(scene.world.violations().empty())
        << coordinator::round::to_string(at) << scene.world.violations().front();
    ASSERT_EQ(scene.world.results().size(), 1U);
    EXPECT_EQ(scene.world.results()[0].attempt,
              at == RoundPhase::announced || at == RoundPhase::collecting_unmask ? 1U : 2U);
  }
}

// The driver's ledger entry rests on it.
TEST(RoundMachine, AnAttemptIsReportedOpenedOnceHoweverOftenItsParametersAreSent) {
  const TestFederation f(4);
  auto machine = coordinator::round::RoundMachine::create(setup_of(f), {}).value();
  EXPECT_FALSE(machine.step(coordinator::round::Begin{{0}}).opened.has_value());
  std::optional<federation::secagg::RoundParameters> opened;
  for (RosterIndex site = 0; site < 4; ++site) {
    const federation::messages::TrainingReady ready{.round = 1, .model_hash = {}};
    auto effects = machine.step(
        coordinator::round::MessageReceived{f.from_site(site, MessageKind::training_ready, ready.encode())});
    ASSERT_EQ(effects.opened.has_value(), site == 3);
    opened = std::move(effects.opened);
  }
  EXPECT_EQ(opened->attempt, 1U);
  EXPECT_EQ(opened->candidates.size(), 4U);
  const auto again = machine.step(coordinator::round::Tick{{5'000}});
  ASSERT_EQ(again.outbound.size(), 4U);
  EXPECT_EQ(again.outbound[0].kind, MessageKind::parameters);
  EXPECT_FALSE(again.opened.has_value());
}

TEST(RoundMachine, StagingIsBoundedAndStillTakesEverySite) {
  // Three slots for six sites: the rest are told to send theirs as slots come free.
  World world({.sites = 6, .seed = 5, .rounds = 1, .faults = {}, .staging_bytes = 1});
  std::set<RosterIndex> sending;
  std::size_t most = 0;
  world.intercept = [&](Delivery& delivery) {
    const auto kind = federation::messages::claimed_kind(delivery.wire).value();
    if (kind == MessageKind::routed_shares) sending.insert(delivery.site);
    if (kind == MessageKind::masked_statement) sending.erase(delivery.site);
    most = std::max(most, sending.size());
    return true;
  };
  EXPECT_TRUE(world.run());
  EXPECT_LE(most, 3U);
  EXPECT_EQ(world.results().at(0).contributors.size(), 6U);
}

TEST(RoundMachine, AVectorThatStopsHalfwayIsNotInTheSum) {
  World world(
      {.sites = 4, .seed = 9, .rounds = 1, .extra_floats = 2 * federation::messages::kChunkWords, .faults = {}});
  world.intercept = [&](Delivery& delivery) {
    if (delivery.direction == Direction::to_site || delivery.site != 2) return true;
    if (federation::messages::claimed_kind(delivery.wire).value() != MessageKind::masked_chunk) return true;
    const auto opened = world.federation().open_at_coordinator(2, delivery.wire);
    return federation::messages::decode_chunk(opened->payload())->index == 0;
  };
  world.run([&] { return !world.results().empty(); });
  ASSERT_EQ(world.results().size(), 1U);
  EXPECT_TRUE(world.violations().empty());
  EXPECT_EQ(world.results()[0].contributors.size(), 3U);
  EXPECT_EQ(world.results()[0].dropouts.at(0), world.federation().id(2));
}

// Site 2 has a slow link: its chunk takes several deadlines of a phase, and meanwhile bytes of it arrive.
class SlowLink : public ::testing::Test {
 protected:
  static constexpr RosterIndex kSlow = 2;
  static constexpr std::int64_t kPhaseMs = 2'000;  // World's
  void SetUp() override {
    scene_.world.intercept = [this](Delivery& delivery) {
      if (delivery.site != kSlow || delivery.direction == Direction::to_site) return true;
      const auto kind = federation::messages::claimed_kind(delivery.wire).value();
      return kind != MessageKind::masked_chunk || scene_.world.now_ms() > chunk_from_ms_;
    };
  }
  // Until there is a sum; `bytes` arrive at each step while the chunk has not come.
  void run(std::uint64_t bytes) {
    scene_.world.run([&] {
      const std::int64_t now = scene_.world.now_ms();
      if (scene_.world.coordinator().phase() == RoundPhase::collecting_masked && now < chunk_from_ms_)
        scene_.world.coordinator().step(
            coordinator::round::BytesArriving{scene_.world.federation().id(kSlow), bytes, MonotonicMs{now}});
      return !scene_.world.results().empty();
    });
  }
  Scene scene_{4, 1};
  std::int64_t chunk_from_ms_ = 3 * kPhaseMs;
};

TEST_F(SlowLink, AVectorOfWhichBytesArriveIsWaitedFor) {
  run(federation::membership::kVectorProgressBytes / 8);
  ASSERT_EQ(scene_.world.results().size(), 1U);
  EXPECT_EQ(scene_.world.results()[0].contributors.size(), 4U);
  EXPECT_EQ(scene_.world.results()[0].attempt, 1U);
  EXPECT_TRUE(scene_.world.violations().empty());
}

TEST_F(SlowLink, OneOfWhichNoneArriveIsNot) {
  run(0);
  ASSERT_EQ(scene_.world.results().size(), 1U);
  EXPECT_EQ(scene_.world.results()[0].contributors.size(), 3U);
}

TEST_F(SlowLink, BytesWithoutEndAndWithoutAChunkHoldUpARoundOnlyForAsLongAsAVectorWould) {
  chunk_from_ms_ = 1'000'000'000;
  run(federation::membership::kVectorProgressBytes);
  ASSERT_EQ(scene_.world.results().size(), 1U);
  EXPECT_EQ(scene_.world.results()[0].contributors.size(), 3U);
  EXPECT_LT(scene_.world.now_ms(), 100 * kPhaseMs);
}

TEST(RoundMachine, ASiteThatRestartsAfterItsSharesIsLeftOutAtOnceAndIsBackInTheNextRound) {
  Scene scene(4, 2);
  scene.world.run([&] { return scene.world.coordinator().phase() == RoundPhase::collecting_masked; });
  scene.world.kill_site(2, 5);
  scene.world.run([&] { return scene.world.results().size() == 1; });
  EXPECT_EQ(scene.world.results().at(0).contributors.size(), 3U);
  EXPECT_EQ(scene.world.results().at(0).attempt, 1U) << "a second failure of the same site counted against the others";
  EXPECT_LT(scene.world.now_ms(), 1000) << "waited for a deadline, though the site had said that it forgot";
  EXPECT_TRUE(scene.world.run());
  EXPECT_EQ(scene.world.results().at(1).contributors.size(), 4U);
  EXPECT_TRUE(scene.world.violations().empty());
}

TEST(RoundMachine, AStragglerIsWaitedForOnlySoLong) {
  Scene scene(4, 1);
  scene.world.intercept = [](Delivery& delivery) { return delivery.site != 3; };
  scene.world.run([&] { return !scene.world.results().empty(); });
  ASSERT_EQ(scene.world.results().size(), 1U);
  EXPECT_LT(scene.world.now_ms(), 3000);
  EXPECT_EQ(scene.world.results()[0].contributors.size(), 3U);
}

TEST(RoundMachine, WithoutAQuorumTheRoundIsAborted) {
  Scene scene(4, 1);
  scene.world.intercept = [](Delivery& delivery) { return delivery.site < 2; };
  scene.world.run([&] { return !scene.world.aborted().empty(); });
  ASSERT_FALSE(scene.world.aborted().empty());
  EXPECT_EQ(scene.world.aborted()[0].reason, RefusalReason::deadline_passed);
  EXPECT_EQ(scene.world.aborted()[0].next_round, 2U);
}

// More than n − t sites are gone for good after R4. The others have released, and may not do so again on this model.
TEST(RoundMachine, AModelOnWhichSharesWereReleasedWithoutASumIsNotUsedAgain) {
  Scene scene(4, 1);
  scene.world.intercept = [&](Delivery& delivery) {
    if (delivery.direction != Direction::to_coordinator || delivery.site > 1) return true;
    return scene.world.federation().open_at_coordinator(delivery.site, delivery.wire)->kind() !=
           MessageKind::unmask_shares;
  };
  scene.world.run([&] { return scene.world.aborted().size() == 2; });
  ASSERT_EQ(scene.world.aborted().size(), 2U);
  EXPECT_EQ(scene.world.aborted()[0].reason, RefusalReason::deadline_passed);
  EXPECT_EQ(scene.world.aborted()[1].reason, RefusalReason::model_already_released);
  EXPECT_NE(scene.world.aborted()[1].detail.find("another seed"), std::string::npos) << scene.world.aborted()[1].detail;
  EXPECT_TRUE(scene.world.results().empty());
  EXPECT_TRUE(scene.world.violations().empty());
}

TEST(RoundMachine, ASiteAwayForRoundsCatchesUpAndTakesPartAgain) {
  Scene scene(4, 200);
  bool away = false;
  scene.world.intercept = [&](Delivery& delivery) { return !(away && delivery.site == 1); };
  scene.world.run([&] { return scene.world.results().size() == 1; });
  away = true;
  scene.world.run([&] { return scene.world.results().size() == 3; });
  EXPECT_EQ(scene.world.results()[2].contributors.size(), 3U);
  away = false;
  scene.world.run([&] { return scene.world.results().back().contributors.size() == 4; });
  EXPECT_EQ(scene.world.results().back().contributors.size(), 4U);
  EXPECT_LT(scene.world.now_ms(), 15'000);
  EXPECT_TRUE(scene.world.violations().empty());
}

// Of version 0.1, past R4: there are no tags, so no site would take the sum.
TEST(RoundMarks, AJournalOfARoundWithoutTagsIsRefusedByNumberWithWhatToDo) {
  for (const std::uint8_t type : {std::uint8_t{2}, std::uint8_t{3}}) {
    Bytes mark = coordinator::round::encode_attempt_mark(7, 1);
    mark[0] = type;
    const auto refused = coordinator::round::restore_round(7, std::vector<Bytes>{mark});
    ASSERT_FALSE(refused);
    for (const std::string& part : {"number " + std::to_string(type), std::string("new run")})
      EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
    EXPECT_TRUE(coordinator::round::restore_round(8, std::vector<Bytes>{mark}));  // a round that is over
  }
}

// Sites seal their shares under the roster of the round: under another one it cannot end.
TEST(RoundMachine, AReleaseIsResumedUnderItsOwnRosterOnly) {
  Scene scene(4, 1);
  scene.world.run([&] { return scene.world.coordinator().phase() == RoundPhase::collecting_consistency; });
  EXPECT_FALSE(coordinator::round::roster_of_release(1, scene.world.coordinator_journal())->has_value());
  scene.world.run([&] { return scene.world.coordinator().phase() == RoundPhase::collecting_unmask; });
  const auto& journal = scene.world.coordinator_journal();
  const TestFederation& f = scene.world.federation();
  EXPECT_EQ(coordinator::round::roster_of_release(1, journal).value(), f.roster().hash);
  EXPECT_FALSE(coordinator::round::roster_of_release(2, journal)->has_value());
  EXPECT_FALSE(coordinator::round::roster_of_release(1, std::vector<Bytes>{{9}}).has_value());

  EXPECT_EQ(coordinator::round::RoundMachine::create(setup_of(f), journal)->phase(), RoundPhase::collecting_unmask);
  auto renewed = setup_of(f);
  renewed.roster.hash[0] ^= 1;
  EXPECT_EQ(coordinator::round::RoundMachine::create(std::move(renewed), journal)->phase(), RoundPhase::announced);
}

TEST(RoundMachine, ASetupThatNoRoundCouldMeetIsRefused) {
  const TestFederation f(4);
  const auto with = [&](auto change) {
    coordinator::round::RoundSetup setup = setup_of(f);
    change(setup);
    return coordinator::round::RoundMachine::create(std::move(setup), {}).has_value();
  };
  EXPECT_TRUE(with([](auto&) {}));
  EXPECT_FALSE(with([&](auto& s) { s.key = f.identity(0).copy(); }));
  EXPECT_FALSE(with([](auto& s) { s.thresholds = {1, 2, 2}; }));
  EXPECT_FALSE(with([](auto& s) { s.thresholds.threshold = 4; }));
  EXPECT_FALSE(with([](auto& s) { s.invited = {0, 1}; }));
  EXPECT_FALSE(with([](auto& s) { s.invited = {0, 1, 9}; }));
  EXPECT_FALSE(with([](auto& s) { s.cohort_largest = 200; }));
  EXPECT_FALSE(with([](auto& s) { s.delta_max = 0; }));
  EXPECT_FALSE(with([](auto& s) { s.weight_max = 0; }));
  EXPECT_FALSE(with([](auto& s) { s.delta_size = 0; }));
}

TEST(RoundMachine, ACohortIsLimitedToTheRosterAndToWhatANeighbourGraphAllows) {
  EXPECT_EQ(coordinator::round::cohort_limit(4, {1, 3, 2}, 1024), 4U);
  EXPECT_EQ(coordinator::round::cohort_limit(100, {33, 67, 2}, 1024), 100U);
  EXPECT_EQ(coordinator::round::cohort_limit(1000, {50, 950, 2}, 1024), 1000U);
  EXPECT_EQ(coordinator::round::cohort_limit(1000, {50, 950, 2}, 200), 200U);
  EXPECT_EQ(coordinator::round::cohort_limit(1000, {50, 950, 2}, 100), 100U);
  EXPECT_EQ(coordinator::round::cohort_limit(140, {60, 101, 2}, 1024), 128U);  // no k below 139 withstands so many
  EXPECT_EQ(coordinator::round::cohort_limit(129, {128, 129, 1}, 129), 128U);
}

// A rejection or a stricter policy that is taken back a moment later costs no round; what cannot pass is not waited
// for.
TEST(RoundMachine, ASiteWhosePeopleThinkAgainIsAskedAgain) {
  const std::map<RefusalReason, bool> kPasses = {
      {RefusalReason::plan_not_approved, true},  {RefusalReason::plan_rejected, true},
      {RefusalReason::local_policy, true},       {RefusalReason::roster_expired, false},
      {RefusalReason::dimension_differs, false}, {RefusalReason::model_already_released, false}};
  for (const auto& [reason, passes] : kPasses) {
    const TestFederation f(4);
    auto machine = coordinator::round::RoundMachine::create(setup_of(f), {}).value();
    machine.step(coordinator::round::Begin{MonotonicMs{1}});
    const auto tell = [&](MessageKind kind, const Bytes& payload) {
      return machine.step(coordinator::round::MessageReceived{f.from_site(1, kind, payload)});
    };
    tell(MessageKind::attempt_failure, federation::messages::AttemptFailure{1, 0, reason, std::nullopt}.encode());
    const auto greeted = tell(MessageKind::hello, federation::messages::Hello{0, {}, {}, "test"}.encode());
    const bool asked = std::any_of(greeted.outbound.begin(), greeted.outbound.end(), [](const auto& message) {
      return federation::messages::claimed_kind(message.wire).value() == MessageKind::train_task;
    });
    EXPECT_EQ(asked, passes) << to_string(reason);
  }
}

// By its clock the roster has run out, and every few seconds it says hello: it would be in each further attempt, and
// refuse it.
TEST(RoundMachine, ASiteForWhichTheRosterHasRunOutIsInNoFurtherAttemptOfTheRound) {
  const TestFederation f(4);
  auto machine = coordinator::round::RoundMachine::create(setup_of(f), {}).value();
  machine.step(coordinator::round::Begin{MonotonicMs{1}});
  const std::vector<RosterIndex> kOthers = {0, 2, 3};
  std::vector<std::vector<RosterIndex>> attempts;
  const auto tell = [&](RosterIndex site, MessageKind kind, const Bytes& payload) {
    auto effects = machine.step(coordinator::round::MessageReceived{f.from_site(site, kind, payload)});
    if (effects.opened) attempts.push_back(effects.opened->candidates);
    return effects;
  };
  const auto fail = [&](RosterIndex site, RefusalReason reason) {
    tell(site, MessageKind::attempt_failure, federation::messages::AttemptFailure{1, 1, reason, {}}.encode());
  };
  const Bytes ready = federation::messages::TrainingReady{.round = 1, .model_hash = {}}.encode();
  for (RosterIndex site = 0; site < 4; ++site) tell(site, MessageKind::training_ready, ready);
  ASSERT_EQ(attempts.size(), 1U);
  fail(1, RefusalReason::roster_expired);
  for (const RosterIndex site : kOthers) fail(site, RefusalReason::not_ready);
  ASSERT_EQ(machine.phase(), RoundPhase::announced);
  const auto greeted = tell(1, MessageKind::hello, federation::messages::Hello{0, {}, {}, "test"}.encode());
  EXPECT_TRUE(greeted.outbound.empty());
  for (const RosterIndex site : kOthers) tell(site, MessageKind::training_ready, ready);
  if (attempts.size() == 1)
    if (auto later = machine.step(coordinator::round::Tick{MonotonicMs{40'000}}); later.opened)
      attempts.push_back(later.opened->candidates);
  ASSERT_EQ(attempts.size(), 2U);
  EXPECT_EQ(attempts[1], kOthers);
}

TEST(RoundMachine, ProgressNamesWhoIsWaitedFor) {
  Scene scene(4, 1);
  scene.hold_to_coordinator(3, MessageKind::masked_statement);
  scene.world.run([n = 0]() mutable { return ++n > 30; });
  const auto progress = scene.world.coordinator().progress();
  EXPECT_EQ(progress.phase, RoundPhase::collecting_masked);
  EXPECT_EQ(progress.answered, 3U);
  EXPECT_EQ(progress.expected, 4U);
  ASSERT_EQ(progress.waiting_for.size(), 1U);
  EXPECT_EQ(progress.waiting_for[0], scene.world.federation().id(3));
  EXPECT_GT(progress.left_ms, 0);
}

// Two of four wait for a person: no time is left for anybody, and the progress says of how many a round could be made.
TEST(RoundMachine, ProgressSaysHowManyAreNeededWhileTooFewCanTakePart) {
  Scene scene(4, 1);
  scene.world.intercept = [](Delivery& delivery) {  // nobody gets ready
    return federation::messages::claimed_kind(delivery.wire).value() != MessageKind::training_ready;
  };
  scene.world.run([n = 0]() mutable { return ++n > 10; });
  EXPECT_EQ(scene.world.coordinator().progress().possible, 4U);
  for (const RosterIndex site : {RosterIndex{1}, RosterIndex{2}}) {
    const federation::messages::AttemptFailure no{1, 0, RefusalReason::plan_rejected, std::nullopt};
    static_cast<void>(scene.world.coordinator().step(coordinator::round::MessageReceived{
        scene.world.federation().from_site(site, MessageKind::attempt_failure, no.encode())}));
  }
  const auto progress = scene.world.coordinator().progress();
  EXPECT_EQ(progress.phase, RoundPhase::announced);
  EXPECT_EQ(progress.possible, 2U);
  EXPECT_EQ(progress.needed, 3U);
  EXPECT_EQ(progress.refused.size(), 2U);
  EXPECT_GT(progress.left_ms, 0);
}

TEST(RoundMachine, MalformedMessagesOfEveryKindAreRefusedAndAnswered) {
  Scene scene(4, 1);
  const TestFederation& f = scene.world.federation();
  for (const federation::messages::MessageKindInfo& info : federation::messages::kMessageKinds) {
    if (!federation::messages::is_sent_by_site(info)) continue;
    SCOPED_TRACE(info.name);
    const auto effects =
        scene.world.coordinator().step(coordinator::round::MessageReceived{f.from_site(1, info.kind, Bytes{1})});
    ASSERT_TRUE(effects.refusal.has_value());
    EXPECT_EQ(effects.refusal->reason, RefusalReason::malformed);
    ASSERT_EQ(effects.outbound.size(), 1U);
    EXPECT_EQ(effects.outbound[0].kind, MessageKind::refusal);
  }
}

TEST(RoundMachine, ThePublishedEvidenceRecomputesTheExactSum) {
  // An auditor with the masked vectors: Σ y minus the masks of the opened secrets is the published sum.
  Scene scene(5, 1);
  die_after(scene, 4, MessageKind::shares);
  const auto& result = scene.world.results().at(0);
  const federation::secagg::RoundEvidence& e = result.evidence;
  ASSERT_FALSE(federation::secagg::check_evidence(e, scene.world.federation().roster()).has_value());
  std::vector<std::uint32_t> sum(e.parameters.dimension);
  for (const Delivery& delivery : scene.world.trace()) {
    if (delivery.direction == Direction::to_site) continue;
    const auto opened = scene.world.federation().open_at_coordinator(delivery.site, delivery.wire);
    if (opened->kind() != MessageKind::masked_chunk) continue;
    std::vector<std::uint32_t> words(sum.size());
    federation::messages::copy_words(federation::messages::decode_chunk(opened->payload())->words, words);
    crypto::add_words(sum, words);
  }
  federation::secagg::AttemptContext context{
      .parameters = e.parameters, .parameters_hash = e.parameters.hash(), .keys = e.keys, .key_list = {}};
  std::vector<crypto::MaskKey> masks;
  for (const federation::secagg::OpenedSecret& opened : e.opened) {
    auto secret = crypto::SecretKey::from(opened.value, "opened").value();
    if (opened.kind == federation::messages::RevealedSecret::self_seed) {
      masks.push_back({federation::secagg::self_mask_seed(context, opened.site, secret), crypto::MaskSign::subtract});
      continue;
    }
    const auto key = crypto::AgreementKey::from_private(secret);
    for (const auto& entry : e.committed)
      masks.push_back({federation::secagg::pair_seed(context, key, opened.site, entry.site).value(),
                       entry.site < opened.site ? crypto::MaskSign::subtract : crypto::MaskSign::add});
  }
  crypto::apply_masks(sum, 0, masks);
  EXPECT_EQ(sum.back(), 4U);
  for (std::size_t i = 0; i < result.sum.words.size(); ++i) EXPECT_EQ(sum[i], result.sum.words[i]);
}

}  // namespace
}  // namespace fovea::test
