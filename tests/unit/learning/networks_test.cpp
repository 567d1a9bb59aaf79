// The networks learn, and a round has the same outcome each time. Small volumes: some seconds each.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "federation/model/initial_weights.h"
#include "federation/model/layout.h"
#include "federation/model/state.h"
#include "node/embedding/region_network.h"
#include "node/evaluation/evaluate.h"
#include "node/evaluation/metrics.h"
#include "node/network/network_blocks.h"
#include "node/network/random_draws.h"
#include "node/saliency/proposer.h"
#include "node/saliency/regions.h"
#include "node/scan_view/coarse_view.h"
#include "node/scan_view/scan_source.h"
#include "node/training/augmentation.h"
#include "node/training/probe_trainer.h"
#include "node/training/torch_trainer.h"
#include "node/training/trainer.h"
#include "node/training/training_set.h"
#include "tests/unit/learning/memory_scan.h"

namespace fovea::node {
namespace {

using federation::model::ModelState;

std::vector<store::Finding> two_findings() {
  return {{.center_mm = {24, 30, 28}, .diameter_mm = 9}, {.center_mm = {42, 36, 40}, .diameter_mm = 7}};
}

training::LearningSet small_set() {
  training::LearningSet set;
  set.studies.push_back(memory_study("s-1", two_findings(), 1));
  set.studies.push_back(memory_study("s-2", {}, 2));
  return set;
}

training::TorchTrainerSettings small_settings() {
  training::TorchTrainerSettings settings;
  settings.look.regions = 16;
  settings.proposer.crops = 2;
  settings.proposer.edge = 32;
  settings.proposed_regions = 24;
  settings.validation_studies = 0;
  return settings;
}

training::TorchTrainer small_trainer() {
  return training::TorchTrainer(federation::model::make_layout("fovea-1").value(), small_settings(), small_set(), {},
                                std::nullopt);
}

struct TestStage {
  const char* name;
  std::vector<std::string> trains;
  std::uint32_t steps;
  double learning_rate;
};

Result<training::TrainingOutcome> train_stage(training::Trainer& trainer, const ModelState& model,
                                              const TestStage& stage, std::uint32_t sum = 1) {
  training::TrainingTask task;
  task.sum = sum;
  task.stage = stage.name;
  task.local_steps = stage.steps;
  task.learning_rate = stage.learning_rate;
  task.seed = 11;
  task.model = model.values();
  task.trains = stage.trains;
  return trainer.train(task, {});
}

ModelState applied(const ModelState& model, const std::vector<std::string>& trains,
                   const training::TrainingOutcome& outcome) {
  std::vector<float> values(model.values().begin(), model.values().end());
  const auto ranges = model.layout().ranges(trains).value();
  std::size_t next = 0;
  for (const federation::model::FlatRange& range : ranges)
    for (std::size_t i = 0; i < range.size; ++i) values[range.offset + i] += outcome.delta[next++];
  return ModelState::create(model.layout(), std::move(values)).value();
}

ModelState first_model() {
  return federation::model::initial_model(federation::model::make_layout("fovea-1").value(), 7).value();
}

// Two tissues with half the voxels each, in air: what a stage "intensity" must measure is known.
training::LearningStudy two_tissues(const char* code, float one, float other) {
  class Scan final : public scan_view::ScanSource {
   public:
    Scan(float first, float second) {
      volume::Volume volume;
      volume.geometry.size = {32, 32, 32};
      volume.geometry.spacing_mm = {2, 2, 2};
      volume.voxels.assign(volume.geometry.voxel_count(), -2.0F);
      for (std::size_t v = 0; v < 8000; ++v) volume.voxels[v] = v % 2 == 0 ? first : second;
      coarse_ = scan_view::CoarseView(volume, -2);
    }
    const scan_view::CoarseView& coarse() const override { return coarse_; }
    scan_view::IntensityLevels levels() const override { return {.air = -2, .body = -1.9F}; }
    Result<void> read_region(const volume::Point3&, std::span<float> out) override {
      std::fill(out.begin(), out.end(), 0.0F);
      return {};
    }
    double fraction_read() const override { return 0; }
    void begin_session() override {}

   private:
    scan_view::CoarseView coarse_;
  };
  return training::make_learning_study(code, std::make_unique<Scan>(one, other), std::nullopt, false, {});
}

double moment(const ModelState& model, std::string_view name) {
  return static_cast<double>(model.values()[model.layout().find(name).value().offset]);
}

TEST(IntensityStage, GivesMomentsOverAllSitesWeightedByTheirStudies) {
  training::LearningSet small, large;
  small.studies.push_back(two_tissues("s-1", 0.5F, 1.5F));
  for (const char* code : {"s-2", "s-3", "s-4"}) large.studies.push_back(two_tissues(code, -1, 0));
  const federation::model::ModelLayout layout = federation::model::make_layout("fovea-1").value();
  training::TorchTrainer a(layout, small_settings(), std::move(small), {}, std::nullopt),
      b(layout, small_settings(), std::move(large), {}, std::nullopt);
  const TestStage stage{"intensity", {"intensity."}, 1, 1};
  const ModelState model = first_model();
  const training::TrainingOutcome from_a = train_stage(a, model, stage).value(),
                                  from_b = train_stage(b, model, stage).value();
  EXPECT_EQ(from_a.weight, 1U);
  EXPECT_EQ(from_b.weight, 3U);
  // Which studies it is a statistic of, so that the site releases each once.
  ASSERT_EQ(from_a.measured.size(), 1U);
  ASSERT_EQ(from_b.measured.size(), 3U);
  EXPECT_TRUE(std::is_sorted(from_b.measured.begin(), from_b.measured.end()));
  EXPECT_FALSE(std::binary_search(from_b.measured.begin(), from_b.measured.end(), from_a.measured[0]));
  EXPECT_EQ(train_stage(b, model, stage)->measured, from_b.measured);
  training::TrainingOutcome mean = from_a;
  for (std::size_t i = 0; i < mean.delta.size(); ++i) mean.delta[i] = (from_a.delta[i] + 3 * from_b.delta[i]) / 4;
  const ModelState measured = applied(model, stage.trains, mean);
  EXPECT_NEAR(4 * moment(measured, "intensity.mean"), (1.0 + 3 * -0.5) / 4, 1e-3);
  EXPECT_NEAR(8 * moment(measured, "intensity.square"), (1.25 + 3 * 0.5) / 4, 1e-3);
  // Measured again from there, the result is the same: the stage sets values, it makes no steps.
  EXPECT_NEAR(4 * moment(applied(measured, stage.trains, train_stage(a, measured, stage).value()), "intensity.mean"),
              1.0, 1e-3);

  training::LearningSet nobody;
  training::TorchTrainer empty(layout, small_settings(), std::move(nobody), {}, std::nullopt);
  EXPECT_EQ(train_stage(empty, model, stage).error().code, ErrorCode::failed_precondition);
}

TEST(IntensityStage, NetworksSeeStandardisedVoxels) {
  const training::LearningStudy study = memory_study("s-1", two_findings(), 3);
  const ModelState model = first_model();
  network::NetworkParameters plain(model.layout()), moved(model.layout());
  ASSERT_TRUE(plain.load(model.values()));
  std::vector<float> values(model.values().begin(), model.values().end());
  values[model.layout().find("intensity.mean").value().offset] = 0.25F / 4;
  values[model.layout().find("intensity.square").value().offset] = (4 + 0.0625F) / 8;  // deviation 2
  ASSERT_TRUE(moved.load(values));
  // The same crop, standardised by hand.
  std::vector<float> crop(scan_view::kRegionVoxels), by_hand(scan_view::kRegionVoxels);
  ASSERT_TRUE(study.scan->read_region({24, 30, 28}, crop));
  std::transform(crop.begin(), crop.end(), by_hand.begin(), [](float v) { return (v - 0.25F) / 2; });
  const auto expected = embedding::embed_regions(plain, by_hand).value(),
             found = embedding::embed_regions(moved, crop).value(),
             other = embedding::embed_regions(plain, crop).value();
  double far = 0;
  for (std::size_t i = 0; i < embedding::kEmbeddingSize; ++i) {
    EXPECT_NEAR(found[0][i], expected[0][i], 1e-4);
    far = std::max(far, static_cast<double>(std::abs(found[0][i] - other[0][i])));
  }
  EXPECT_GT(far, 1e-3);
  const saliency::HeatMap heat = saliency::find_heat(moved, study.scan->coarse(), study.prior).value(),
                          heat_plain = saliency::find_heat(plain, study.scan->coarse(), study.prior).value();
  EXPECT_NE(heat.logits, heat_plain.logits);
}

TEST(Augmentation, FlipsACubeAlongEachAxis) {
  constexpr std::int64_t kEdge = 5;
  const auto at = [](std::int64_t i, std::int64_t j, std::int64_t k) {
    return static_cast<std::size_t>((k * kEdge + j) * kEdge + i);
  };
  for (unsigned chosen = 0; chosen < 8; ++chosen) {
    const training::Flips flips{(chosen & 1U) != 0, (chosen & 2U) != 0, (chosen & 4U) != 0};
    std::vector<float> cube(static_cast<std::size_t>(kEdge * kEdge * kEdge));
    for (std::size_t v = 0; v < cube.size(); ++v) cube[v] = static_cast<float>(v);
    const std::vector<float> before = cube;
    training::flip_cube(cube, kEdge, flips);
    const auto mirrored = [&](std::size_t axis, std::int64_t c) { return flips[axis] ? kEdge - 1 - c : c; };
    for (std::int64_t k = 0; k < kEdge; ++k)
      for (std::int64_t j = 0; j < kEdge; ++j)
        for (std::int64_t i = 0; i < kEdge; ++i)
          ASSERT_EQ(cube[at(i, j, k)], before[at(mirrored(0, i), mirrored(1, j), mirrored(2, k))])
              << "flips " << chosen << ", at " << i << ' ' << j << ' ' << k;
  }
}

TEST(Networks, OverfitOneVolume) {
  training::TorchTrainer trainer = small_trainer();
  ModelState model = first_model();
  const TestStage stages[] = {{"proposer", {"proposer."}, 150, 5e-3},
                              {"encoder", {"encoder.", "region.", "study."}, 25, 2e-3},
                              {"study", {"study."}, 60, 5e-3}};
  for (std::uint32_t s = 0; s < 3; ++s) {
    const auto outcome = train_stage(trainer, model, stages[s], s + 1);
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->weight, 2U);
    model = applied(model, stages[s].trains, *outcome);
  }
  network::NetworkParameters parameters(model.layout());
  ASSERT_TRUE(parameters.load(model.values()));
  training::LearningStudy with = memory_study("s-1", two_findings(), 1), without = memory_study("s-2", {}, 2);
  const saliency::LookSettings look{.regions = 16, .exploration = 0.125, .nms_mm = 10};
  const evaluation::StudyResult found = evaluation::evaluate_study(parameters, with, "p-1", look, 1).value();
  for (const evaluation::FindingResult& finding : found.findings) {
    ASSERT_TRUE(finding.rank);
    EXPECT_LE(*finding.rank, 2U);
    ASSERT_TRUE(finding.rank_reordered);
    EXPECT_LE(*finding.rank_reordered, 3U);
  }
  EXPECT_GT(found.fraction_read, 0.0);
  const evaluation::StudyResult empty = evaluation::evaluate_study(parameters, without, "p-2", look, 1).value();
  EXPECT_GT(found.logit, empty.logit);
}

// Gradients of one batch of the proposer and one bag of regions, all random.
std::vector<float> random_gradients(bool bfloat16) {
  network::RandomDraws random(5);
  const auto numbers = [&](std::size_t count) {
    std::vector<float> out(count);
    for (float& value : out) value = static_cast<float>(random.uniform(-1, 1));
    return out;
  };
  saliency::ProposerBatch batch;
  batch.count = 2;
  batch.edge = 32;
  batch.images = numbers(2 * 32 * 32 * 32);
  batch.heat.assign(2 * 16 * 16 * 16, 0);
  batch.heat[1000] = 1;
  batch.log_radius.assign(batch.heat.size(), 1);
  batch.radius_weight = batch.heat;
  embedding::RegionBag bag;
  bag.count = 8;
  bag.crops = numbers(8 * scan_view::kRegionVoxels);
  bag.traits.resize(8);
  bag.objectness = bag.geometry_weight = {1, 0, 0, 1, 0, 0, 1, 0};
  bag.weight.assign(8, 1);
  bag.log_radius.assign(8, 1);
  bag.offset_mm.assign(8, volume::Point3{1, 2, 3});
  bag.label = 1;

  network::prepare_torch(1);
  network::use_bfloat16(bfloat16);
  const ModelState model = first_model();
  network::NetworkParameters parameters(model.layout());
  EXPECT_TRUE(parameters.load(model.values()));
  EXPECT_TRUE(saliency::accumulate_proposer_gradient(parameters, batch));
  EXPECT_TRUE(embedding::accumulate_bag_gradient(parameters, bag));
  network::use_bfloat16(true);
  return {parameters.gradients().begin(), parameters.gradients().end()};
}

// Where the processor has no bfloat16, the two are equal.
TEST(Networks, GradientsInBfloat16AreThoseInFloat32ButForRounding) {
  const std::vector<float> exact = random_gradients(false), rounded = random_gradients(true);
  const federation::model::ModelLayout layout = federation::model::make_layout("fovea-1").value();
  for (std::size_t t = 0; t < layout.tensors().size(); ++t) {
    double difference = 0, square = 0;
    for (std::size_t i = layout.offset(t); i < layout.offset(t) + layout.tensors()[t].size(); ++i) {
      difference += std::pow(static_cast<double>(rounded[i]) - static_cast<double>(exact[i]), 2);
      square += std::pow(static_cast<double>(exact[i]), 2);
    }
    EXPECT_LE(std::sqrt(difference), 0.5 * std::sqrt(square) + 1e-6) << layout.tensors()[t].name;
  }
}

TEST(Networks, ARoundIsReproducible) {
  const ModelState model = first_model();
  const TestStage stages[] = {{"proposer", {"proposer."}, 3, 3e-3},
                              {"encoder", {"encoder.", "region."}, 2, 2e-3},
                              {"study", {"study."}, 3, 2e-3}};
  for (const TestStage& stage : stages) {
    training::TorchTrainer first = small_trainer(), second = small_trainer();
    const training::TrainingOutcome a = train_stage(first, model, stage).value(),
                                    b = train_stage(second, model, stage).value();
    EXPECT_EQ(a.delta, b.delta) << stage.name;
    EXPECT_EQ(a.metric_sums, b.metric_sums) << stage.name;
    EXPECT_GT(*std::max_element(a.delta.begin(), a.delta.end()), 0) << stage.name;
    // Another training towards the same sum starts from the same optimiser.
    EXPECT_EQ(train_stage(first, model, stage).value().delta, a.delta) << stage.name;
  }
}

TEST(Networks, SitesDrawDifferentCrops) {
  const TestStage stage{"proposer", {"proposer."}, 2, 0.005};
  const ModelState model = first_model();
  std::vector<std::vector<float>> deltas;
  for (const std::uint64_t site : {1U, 2U}) {
    training::TorchTrainerSettings settings = small_settings();
    settings.site_seed = site;
    training::TorchTrainer trainer(federation::model::make_layout("fovea-1").value(), settings, small_set(), {},
                                   std::nullopt);
    deltas.push_back(train_stage(trainer, model, stage).value().delta);
  }
  EXPECT_NE(deltas[0], deltas[1]) << "the same studies, but not the same crops";
}

TEST(Networks, TrainOnlyTheTensorsThatThePlanNames) {
  training::TorchTrainer trainer = small_trainer();
  const ModelState model = first_model();
  const training::TrainingOutcome outcome =
      train_stage(trainer, model, {"proposer", {"proposer.heat"}, 1, 1e-3}).value();
  const std::string prefixes[] = {"proposer.heat"};
  EXPECT_EQ(outcome.delta.size(), federation::model::total_size(model.layout().ranges(prefixes).value()));
}

TEST(Networks, RefuseTasksThatDoNotFit) {
  training::TorchTrainer trainer = small_trainer();
  const ModelState model = first_model();
  EXPECT_EQ(train_stage(trainer, model, {"nothing", {"proposer."}, 1, 1e-3}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(train_stage(trainer, model, {"proposer", {"none."}, 1, 1e-3}).error().code, ErrorCode::invalid_argument);
  training::TrainingTask task;
  task.stage = "proposer";
  task.local_steps = 1;
  task.trains = {"proposer."};
  EXPECT_EQ(trainer.train(task, {}).error().code, ErrorCode::invalid_argument);  // no model
  task.model = model.values();
  EXPECT_EQ(trainer.train(task, [](double) { return false; }).error().code, ErrorCode::deadline_exceeded);
  training::TorchTrainer nothing(model.layout(), small_settings(), {}, {}, std::nullopt);
  EXPECT_EQ(train_stage(nothing, model, {"proposer", {"proposer."}, 1, 1e-3}).error().code,
            ErrorCode::failed_precondition);
  EXPECT_EQ(train_stage(nothing, model, {"study", {"study."}, 1, 1e-3}).error().code, ErrorCode::failed_precondition);
}

TEST(Proposer, HeatCoversExactlyThePrior) {
  network::prepare_torch(1);
  network::NetworkParameters parameters(federation::model::make_layout("fovea-1").value());
  const ModelState model = first_model();
  ASSERT_TRUE(parameters.load(model.values()));
  const training::LearningStudy study = memory_study("s-1", two_findings(), 1);
  const saliency::HeatMap heat = saliency::find_heat(parameters, study.scan->coarse(), study.prior).value();
  ASSERT_EQ(heat.logits.size(), study.prior.weights.size());
  for (std::size_t cell = 0; cell < heat.logits.size(); ++cell) {
    EXPECT_TRUE(std::isfinite(heat.logits[cell]));
    EXPECT_EQ(heat.logits[cell] == saliency::kNoHeat, study.prior.weights[cell] <= 0);
  }
}

TEST(ProbeTrainer, MakesForeseeableDeltas) {
  const auto layout = federation::model::make_layout("probe-5").value();
  training::ProbeTrainer trainer(layout, {.site_seed = 3, .studies = 9});
  const std::vector<float> model(5);
  training::TrainingTask task;
  task.sum = 4;
  task.model = model;
  task.trains = {"probe."};
  const training::TrainingOutcome outcome = trainer.train(task, {}).value();
  ASSERT_EQ(outcome.delta.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(outcome.delta[i], training::probe_delta(3, 4, i));
  EXPECT_EQ(outcome.weight, 9U);
  EXPECT_EQ(outcome.metric_sums.size(), federation::model::kMetricCount);
  EXPECT_EQ(trainer.train(task, [](double) { return false; }).error().code, ErrorCode::deadline_exceeded);
  task.model = std::span(model).first(4);
  EXPECT_FALSE(trainer.train(task, {}));
}

}  // namespace
}  // namespace fovea::node
