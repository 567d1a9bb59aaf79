// A statistic that no model changes ("intensity") and a malicious coordinator that wants it twice: once over a cohort
// with a site and once without. The sums differ by that site's own value, whatever models they begin from.
#include <array>

#include "tests/unit/round/coordinator_attack.h"

namespace fovea::test {
namespace {

using federation::model::StudyTag;

constexpr StudyTag study(std::uint8_t number) { return StudyTag{number}; }

class MeasuredTwice : public CoordinatorAttack {
 protected:
  const RunId other_run{.bytes = {9}};

  // A site with a run of its own; `model` is the initial model, which follows from the plan's seed.
  node::round::SiteMachine site(const RunId& run, const Digest& model, const std::vector<Bytes>& site_register,
                                const std::vector<Bytes>& journal = {}) const {
    auto config = scene.world.federation().site_config(kSite, scene.world.policy());
    config.run = run;
    auto machine = node::round::SiteMachine::create(std::move(config), journal, site_register).value();
    auto adopted = scene.world.initial_model();
    adopted.model_hash = model;
    machine.step(std::move(adopted));
    return machine;
  }
  // Trains in the site's first round: its update is the statistic of these studies.
  node::round::SiteEffects measure(node::round::SiteMachine& machine, const RunId& run, const Digest& model,
                                   std::vector<StudyTag> studies) const {
    const federation::messages::TrainTask task{
        .round = 1, .stage_round = 1, .seed = 7, .plan_hash = plan(), .model_hash = model};
    const Bytes payload = task.encode();
    const federation::messages::MessageHeader header{
        .kind = MessageKind::train_task, .run = run, .sender = std::nullopt, .epoch = 1};
    const auto opened = scene.world.federation().open_at_site(
        federation::messages::seal_message(header, payload, scene.world.federation().coordinator_key()));
    EXPECT_TRUE(machine.step(node::round::MessageReceived{*opened, std::nullopt}).start_training.has_value());
    return machine.step(node::round::TrainingFinished{1, scene.world.update(kSite), std::move(studies)});
  }
  const Digest& plan() const { return scene.world.federation().plan(); }
  const RunId& run() const { return scene.world.federation().run(); }

  // The register of the site after it released, in this run, the sum of a stage that measured these studies; with
  // `crash`, only the journal says so.
  std::vector<Bytes> released_register(const std::vector<StudyTag>& studies, std::vector<Bytes>* journal = nullptr) {
    auto first = site(run(), plan(), {});
    const auto trained = measure(first, run(), plan(), studies);
    EXPECT_EQ(trained.journal.size(), 1U);  // which studies: durable before anything leaves
    const auto request = scene.hold_to_site(kSite, MessageKind::unmask_request);
    std::vector<Bytes> records = trained.journal;
    const auto& rest = scene.world.site_journal(kSite);
    records.insert(records.end(), rest.begin(), rest.end());
    auto signer = site(run(), plan(), {}, records);
    const auto effects = signer.step(node::round::MessageReceived{
        scene.world.federation().from_coordinator(MessageKind::unmask_request, request.payload()), std::nullopt});
    expect_sends(effects, MessageKind::unmask_shares);
    EXPECT_EQ(effects.site_register.size(), 2U);  // the model, and the studies: before the shares leave
    if (journal != nullptr) {
      *journal = records;
      journal->insert(journal->end(), effects.journal.begin(), effects.journal.end());
    }
    return effects.site_register;
  }
};

// The attack, in numbers: two plans with two seeds, cohorts {0, 1, 2, 3} and {0, 1, 2}, and the published means.
TEST_F(MeasuredTwice, TwoPlansWithTwoSeedsDoNotShowASitesOwnMean) {
  constexpr std::array own = {0.31, 0.27, 0.4, 0.22};  // what each site's scanners give
  const double with = (own[0] + own[1] + own[2] + own[3]) / 4;
  const double without = (own[0] + own[1] + own[2]) / 3;
  EXPECT_NEAR(4 * with - 3 * without, own[3], 1e-12);  // so the second sum must not be

  const std::vector<Bytes> site_register = released_register({study(1), study(2)});
  const Digest other_seed{0x55};
  auto second = site(other_run, other_seed, site_register);
  const auto refused = measure(second, other_run, other_seed, {study(1), study(2)});
  expect_refused(refused, RefusalReason::local_policy);
  EXPECT_NE(refused.refusal->detail.find(run().text()), std::string::npos) << refused.refusal->detail;
  EXPECT_NE(refused.refusal->detail.find("take a plan without that stage"), std::string::npos);
  ASSERT_EQ(refused.outbound.size(), 1U);  // the coordinator learns why this site does not take part
  EXPECT_EQ(refused.outbound[0].kind, MessageKind::attempt_failure);
  EXPECT_EQ(second.phase(), node::round::SitePhase::idle);
  // Training that depends on the model goes on.
  EXPECT_FALSE(measure(second, other_run, other_seed, {}).refusal.has_value());
}

TEST_F(MeasuredTwice, OneStudyInCommonIsEnoughToRefuse) {
  const std::vector<Bytes> site_register = released_register({study(1), study(2)});
  const Digest seed{0x55};
  auto grown = site(other_run, seed, site_register);
  expect_refused(measure(grown, other_run, seed, {study(2), study(3)}), RefusalReason::local_policy);
  auto disjoint = site(other_run, seed, site_register);
  EXPECT_FALSE(measure(disjoint, other_run, seed, {study(3), study(4)}).refusal.has_value());
}

TEST_F(MeasuredTwice, AStatisticThatWasNeverReleasedMayBeMeasuredAgain) {
  auto first = site(run(), plan(), {});
  EXPECT_TRUE(measure(first, run(), plan(), {study(1)}).site_register.empty());
  auto second = site(other_run, Digest{0x55}, {});
  EXPECT_FALSE(measure(second, other_run, Digest{0x55}, {study(1)}).refusal.has_value());
}

// The site fell over between its journal and its register, or the register was deleted.
TEST_F(MeasuredTwice, ARegisterThatLacksTheStatisticIsCompletedFromTheJournal) {
  std::vector<Bytes> journal;
  const std::vector<Bytes> site_register = released_register({study(1), study(2)}, &journal);
  auto memory = node::round::SiteMemory::restore(run(), journal).value();
  ASSERT_EQ(memory.unregistered_statistics.size(), 1U);
  EXPECT_EQ(node::round::encode_mark(run(), memory.unregistered_statistics[0]), site_register[1]);
  EXPECT_TRUE(node::round::SiteMemory::restore(run(), journal, site_register)->unregistered_statistics.empty());
}

// R4 was signed in this run; then the site took part in another, and the coordinator comes back for R5 of the first.
TEST_F(MeasuredTwice, ASignedStatementIsNotOpenedAfterAnotherRunTookTheStudies) {
  auto first = site(run(), plan(), {});
  std::vector<Bytes> records = measure(first, run(), plan(), {study(1), study(2)}).journal;
  const auto request = scene.hold_to_site(kSite, MessageKind::unmask_request);
  const auto& rest = scene.world.site_journal(kSite);
  records.insert(records.end(), rest.begin(), rest.end());
  const std::vector<Bytes> elsewhere = {
      node::round::encode_mark(other_run, node::round::StatisticMark{Digest{0x55}, true, {study(2)}})};
  auto back = site(run(), plan(), elsewhere, records);
  expect_refused(
      back.step(node::round::MessageReceived{
          scene.world.federation().from_coordinator(MessageKind::unmask_request, request.payload()), std::nullopt}),
      RefusalReason::local_policy);
}

// After a restart the data may be other, while what R4 signed is of the studies before: both count as released.
TEST_F(MeasuredTwice, AllStudiesThatWereMeasuredForASumCountAsReleased) {
  const RunId& own = run();
  const federation::messages::AttemptRef ref{1, 1, Digest{3}};
  const std::vector<Bytes> journal = {
      node::round::encode_mark(own, node::round::StatisticMark{plan(), false, {study(1), study(3)}}),
      node::round::encode_mark(own, node::round::JoinedMark{ref, Digest{7}}),
      node::round::encode_mark(own, node::round::StatisticMark{plan(), false, {study(2), study(3)}}),
      node::round::encode_mark(own, node::round::UnmaskedMark{ref, plan(), Bytes{1}})};
  const auto memory = node::round::SiteMemory::restore(own, journal).value();
  for (const std::uint8_t number : std::to_array<std::uint8_t>({1, 2, 3}))
    EXPECT_TRUE(memory.statistics.contains(study(number)));
  ASSERT_EQ(memory.unregistered_statistics.size(), 1U);
  EXPECT_EQ(memory.unregistered_statistics[0].studies, (std::vector<StudyTag>{study(1), study(2), study(3)}));
}

TEST_F(MeasuredTwice, AMarkWhoseStudiesDoNotAscendIsRefused) {
  for (const std::vector<StudyTag>& bad :
       {std::vector<StudyTag>{}, {study(2), study(1)}, std::vector<StudyTag>{study(1), study(1)}}) {
    const std::vector<Bytes> records = {node::round::encode_mark(run(), node::round::StatisticMark{plan(), true, bad})};
    EXPECT_EQ(node::round::SiteMemory::restore(run(), {}, records).error().code, ErrorCode::corruption);
  }
}

}  // namespace
}  // namespace fovea::test
