// The networks learn, and a round is the same each time. Small volumes: some seconds each.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "federation/model/initial_weights.h"
#include "node/evaluation/evaluate.h"
#include "node/saliency/proposer.h"
#include "node/training/probe_trainer.h"
#include "node/training/torch_trainer.h"
#include "tests/unit/learning/memory_scan.h"

namespace fovea::node {
namespace {

using federation::ModelState;

std::vector<Finding> two_findings() {
  return {{.center_mm = {24, 30, 28}, .diameter_mm = 9}, {.center_mm = {42, 36, 40}, .diameter_mm = 7}};
}

LearningSet small_set() {
  LearningSet set;
  set.studies.push_back(memory_study("s-1", two_findings(), 1));
  set.studies.push_back(memory_study("s-2", {}, 2));
  return set;
}

TorchTrainerSettings small_settings() {
  TorchTrainerSettings settings;
  settings.look.regions = 16;
  settings.proposer.crops = 2;
  settings.proposer.edge = 32;
  settings.candidates = 24;
  settings.validation_studies = 0;
  return settings;
}

TorchTrainer small_trainer() {
  return TorchTrainer(federation::make_layout("fovea-1").value(), small_settings(), small_set(), {}, std::nullopt);
}

struct StageOfTest {
  const char* name;
  std::vector<std::string> trains;
  std::uint32_t steps;
  double learning_rate;
};

Result<TrainingOutcome> train_stage(Trainer& trainer, const ModelState& model, const StageOfTest& stage, std::uint32_t round = 1) {
  TrainingTask task;
  task.round = round;
  task.stage = stage.name;
  task.local_steps = stage.steps;
  task.learning_rate = stage.learning_rate;
  task.seed = 11;
  task.model = model.values();
  task.trains = stage.trains;
  return trainer.train(task, {});
}

ModelState applied(const ModelState& model, const std::vector<std::string>& trains, const TrainingOutcome& outcome) {
  std::vector<float> values(model.values().begin(), model.values().end());
  const auto ranges = model.layout().ranges(trains).value();
  std::size_t next = 0;
  for (const federation::FlatRange& range : ranges)
    for (std::size_t i = 0; i < range.size; ++i) values[range.offset + i] += outcome.delta[next++];
  return ModelState::create(model.layout(), std::move(values)).value();
}

ModelState first_model() { return federation::initial_model(federation::make_layout("fovea-1").value(), 7).value(); }

TEST(Networks, LearnOneVolumeByHeart) {
  TorchTrainer trainer = small_trainer();
  ModelState model = first_model();
  const StageOfTest stages[] = {{"proposer", {"proposer."}, 150, 5e-3},
                                {"encoder", {"encoder.", "region.", "study."}, 25, 2e-3},
                                {"study", {"study."}, 60, 5e-3}};
  for (std::uint32_t s = 0; s < 3; ++s) {
    const auto outcome = train_stage(trainer, model, stages[s], s + 1);
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->weight, 2U);
    model = applied(model, stages[s].trains, *outcome);
  }
  NetworkParameters parameters(model.layout());
  ASSERT_TRUE(parameters.load(model.values()));
  LearningStudy with = memory_study("s-1", two_findings(), 1), without = memory_study("s-2", {}, 2);
  const LookSettings look{.regions = 16, .exploration = 0.125, .nms_mm = 10};
  const StudyResult found = evaluate_study(parameters, with, "p-1", look, 1).value();
  for (const FindingResult& finding : found.findings) {
    ASSERT_TRUE(finding.rank);
    EXPECT_LE(*finding.rank, 2U);
    ASSERT_TRUE(finding.rank_reordered);
    EXPECT_LE(*finding.rank_reordered, 3U);
  }
  EXPECT_GT(found.fraction_read, 0.0);
  const StudyResult empty = evaluate_study(parameters, without, "p-2", look, 1).value();
  EXPECT_GT(found.logit, empty.logit);
}

TEST(Networks, ARoundIsTheSameEachTime) {
  const ModelState model = first_model();
  const StageOfTest stages[] = {{"proposer", {"proposer."}, 3, 3e-3}, {"encoder", {"encoder.", "region."}, 2, 2e-3}, {"study", {"study."}, 3, 2e-3}};
  for (const StageOfTest& stage : stages) {
    TorchTrainer first = small_trainer(), second = small_trainer();
    const TrainingOutcome a = train_stage(first, model, stage).value(), b = train_stage(second, model, stage).value();
    EXPECT_EQ(a.delta, b.delta) << stage.name;
    EXPECT_EQ(a.metric_sums, b.metric_sums) << stage.name;
    EXPECT_GT(*std::max_element(a.delta.begin(), a.delta.end()), 0) << stage.name;
    // Another attempt at the same round starts from the same optimiser.
    EXPECT_EQ(train_stage(first, model, stage).value().delta, a.delta) << stage.name;
  }
}

TEST(Networks, TrainOnlyWhatThePlanNames) {
  TorchTrainer trainer = small_trainer();
  const ModelState model = first_model();
  const TrainingOutcome outcome = train_stage(trainer, model, {"proposer", {"proposer.heat"}, 1, 1e-3}).value();
  const std::string prefixes[] = {"proposer.heat"};
  EXPECT_EQ(outcome.delta.size(), federation::total_size(model.layout().ranges(prefixes).value()));
}

TEST(Networks, RefuseTasksThatDoNotFit) {
  TorchTrainer trainer = small_trainer();
  const ModelState model = first_model();
  EXPECT_EQ(train_stage(trainer, model, {"nothing", {"proposer."}, 1, 1e-3}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(train_stage(trainer, model, {"proposer", {"none."}, 1, 1e-3}).error().code, ErrorCode::invalid_argument);
  TrainingTask task;
  task.stage = "proposer";
  task.local_steps = 1;
  task.trains = {"proposer."};
  EXPECT_EQ(trainer.train(task, {}).error().code, ErrorCode::invalid_argument);  // no model
  task.model = model.values();
  EXPECT_EQ(trainer.train(task, [](double) { return false; }).error().code, ErrorCode::deadline_exceeded);
  TorchTrainer nothing(model.layout(), small_settings(), {}, {}, std::nullopt);
  EXPECT_EQ(train_stage(nothing, model, {"proposer", {"proposer."}, 1, 1e-3}).error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(train_stage(nothing, model, {"study", {"study."}, 1, 1e-3}).error().code, ErrorCode::failed_precondition);
}

TEST(Proposer, HeatCoversThePriorAndNothingElse) {
  prepare_torch(1);
  NetworkParameters parameters(federation::make_layout("fovea-1").value());
  const ModelState model = first_model();
  ASSERT_TRUE(parameters.load(model.values()));
  const LearningStudy study = memory_study("s-1", two_findings(), 1);
  const HeatMap heat = find_heat(parameters, *study.scan, study.prior).value();
  ASSERT_EQ(heat.logits.size(), study.prior.weights.size());
  for (std::size_t cell = 0; cell < heat.logits.size(); ++cell) {
    EXPECT_TRUE(std::isfinite(heat.logits[cell]));
    EXPECT_EQ(heat.logits[cell] == kNoHeat, study.prior.weights[cell] <= 0);
  }
}

TEST(ProbeTrainer, UpdatesCanBeForeseen) {
  const auto layout = federation::make_layout("probe-5").value();
  ProbeTrainer trainer(layout, {.site_seed = 3, .studies = 9});
  const std::vector<float> model(5);
  TrainingTask task;
  task.round = 4;
  task.model = model;
  task.trains = {"probe."};
  const TrainingOutcome outcome = trainer.train(task, {}).value();
  ASSERT_EQ(outcome.delta.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(outcome.delta[i], probe_delta(3, 4, i));
  EXPECT_EQ(outcome.weight, 9U);
  EXPECT_EQ(outcome.metric_sums.size(), kMetricCount);
  EXPECT_EQ(trainer.train(task, [](double) { return false; }).error().code, ErrorCode::deadline_exceeded);
  task.model = std::span(model).first(4);
  EXPECT_FALSE(trainer.train(task, {}));
}

}  // namespace
}  // namespace fovea::node
