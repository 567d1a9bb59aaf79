// fovea-baselines: the same training without a federation's secrecy, to compare with it. Each hospital alone, all
// data pooled, or the federation's own averaging inside one process; the same plan, steps and evaluation.
// docs/phantom.md describes the hospitals.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/mask_stream.h"
#include "federation/membership/plan.h"
#include "federation/model/counted_update.h"
#include "federation/model/federated_averaging.h"
#include "federation/model/initial_weights.h"
#include "federation/model/layout.h"
#include "federation/model/local_update.h"
#include "federation/model/model_use.h"
#include "federation/model/round_sum.h"
#include "federation/model/safetensors.h"
#include "federation/model/state.h"
#include "federation/secagg/fixed_point.h"
#include "federation/secagg/parameters.h"
#include "node/evaluation/evaluate.h"
#include "node/evaluation/loaded_model.h"
#include "node/evaluation/metrics.h"
#include "node/evaluation/report.h"
#include "node/network/network_blocks.h"
#include "node/store/study_catalogue.h"
#include "node/training/torch_trainer.h"
#include "node/training/trainer.h"
#include "node/training/training_set.h"

namespace fovea::demo {
namespace {

namespace fs = std::filesystem;
using federation::model::ModelState;
using nlohmann::json;

const std::string kSingle = "single", kPooled = "pooled", kFederated = "federated-in-process";

struct Options {
  std::string mode;
  fs::path plan;
  std::vector<fs::path> train_sites;
  std::vector<fs::path> test_sites;
  std::string split = "test";
  fs::path out;
  fs::path model_out;
  double steps_scale = 1;
  bool each_round = false;  // evaluate after each round too
};

Result<std::vector<node::store::StudyRecord>> records_of(const fs::path& site, node::store::Split split) {
  FOVEA_TRY_ASSIGN(const auto catalogue, node::store::StudyCatalogue::open(site / "data", false));
  return catalogue.list_usable(split);
}

// One trainer per hospital, or one for all: pooled training sees the hospitals' studies as one set.
Result<std::vector<std::unique_ptr<node::training::TorchTrainer>>> make_trainers(
    const Options& options, const federation::membership::Plan& plan, const federation::model::ModelLayout& layout) {
  FOVEA_TRY_ASSIGN(const node::evaluation::EvaluationSettings wanted,
                   node::evaluation::evaluation_settings(federation::model::model_use_of(plan)));
  node::training::TorchTrainerSettings settings;
  settings.look = wanted.look;
  settings.validation_studies = 0;
  std::vector<std::vector<node::store::StudyRecord>> groups;
  for (const fs::path& site : options.train_sites) {
    FOVEA_TRY_ASSIGN(std::vector<node::store::StudyRecord> records, records_of(site, node::store::Split::train));
    if (groups.empty() || options.mode == kFederated) groups.emplace_back();
    groups.back().insert(groups.back().end(), records.begin(), records.end());
  }
  std::vector<std::unique_ptr<node::training::TorchTrainer>> trainers;
  for (const auto& records : groups) {
    FOVEA_TRY_ASSIGN(node::training::LearningSet set, node::training::open_learning_set(records, wanted.voxels));
    ++settings.site_seed;
    trainers.push_back(std::make_unique<node::training::TorchTrainer>(layout, settings, std::move(set),
                                                                      node::training::LearningSet{}, std::nullopt));
  }
  return trainers;
}

// A federation's sum without its masks: each update is clipped, weighted and rounded to ring words, and these are
// added.
class Sum {
 public:
  static Result<Sum> create(std::size_t values, const federation::membership::PlanStrategy& strategy,
                            std::size_t sites) {
    Sum out;
    out.strategy_ = strategy;
    FOVEA_TRY_ASSIGN(out.parameters_.encoding,
                     federation::secagg::make_encoding(sites, strategy.delta_max, strategy.weight_max));
    out.parameters_.candidates.resize(sites);
    out.parameters_.dimension = static_cast<std::uint32_t>(federation::secagg::vector_words(values));
    out.words_.resize(out.parameters_.dimension);
    return out;
  }

  Result<void> add(node::training::TrainingOutcome outcome) {
    const auto is_clipped = [limit = parameters_.encoding.delta_max](float delta) {
      return std::abs(static_cast<double>(delta)) > limit;
    };
    clipped_ += static_cast<std::size_t>(std::count_if(outcome.delta.begin(), outcome.delta.end(), is_clipped));
    const federation::model::LocalUpdate update = federation::model::counted_update(std::move(outcome), strategy_);
    FOVEA_TRY_ASSIGN(const auto encoder, federation::secagg::UpdateEncoder::create(parameters_, update));
    std::vector<std::uint32_t> vector(words_.size());
    encoder.fill(0, vector);
    crypto::add_words(words_, vector);
    return {};
  }

  std::size_t clipped() const noexcept { return clipped_; }  // values so far

  Result<ModelState> apply(const ModelState& model, std::span<const federation::model::FlatRange> ranges,
                           double server_learning_rate) && {
    FOVEA_TRY_ASSIGN(const federation::model::RoundSum sum,
                     federation::secagg::decode_sum(parameters_, std::move(words_), parameters_.candidates.size()));
    return federation::model::apply_federated_averaging(model, ranges, sum, server_learning_rate);
  }

 private:
  Sum() = default;
  federation::membership::PlanStrategy strategy_;
  federation::secagg::RoundParameters parameters_;
  std::vector<std::uint32_t> words_;
  std::size_t clipped_ = 0;
};

Result<std::vector<node::evaluation::StudyResult>> evaluate(const Options& options,
                                                            const federation::membership::Plan& plan,
                                                            const ModelState& model) {
  FOVEA_TRY_ASSIGN(const node::store::Split split, node::store::parse_split(options.split));
  FOVEA_TRY_ASSIGN(const node::evaluation::EvaluationSettings settings,
                   node::evaluation::evaluation_settings(federation::model::model_use_of(plan)));
  node::network::NetworkParameters parameters(model.layout());
  FOVEA_TRY(parameters.load(model.values()));
  std::vector<node::evaluation::StudyResult> results;
  for (const fs::path& site : options.test_sites) {
    FOVEA_TRY_ASSIGN(const std::vector<node::store::StudyRecord> records, records_of(site, split));
    FOVEA_TRY_ASSIGN(node::evaluation::Evaluation evaluation,
                     node::evaluation::evaluate_studies(parameters, records, settings, {}));
    std::move(evaluation.studies.begin(), evaluation.studies.end(), std::back_inserter(results));
  }
  return results;
}

class Run {
 public:
  Run(const Options& options, const federation::membership::Plan& plan, ModelState model)
      : options_(options), plan_(plan), model_(std::move(model)) {}

  Result<ModelState> train(std::vector<std::unique_ptr<node::training::TorchTrainer>>& trainers) {
    for (RoundNumber round = 1; round <= plan_.rounds_total(); ++round) {
      FOVEA_TRY_ASSIGN(const federation::membership::PlanPosition position, plan_.position(round));
      FOVEA_TRY(one_round(trainers, round, plan_.stages[position.stage_index], position.stage_round));
      if (!options_.each_round) continue;
      FOVEA_TRY_ASSIGN(const auto results, evaluate(options_, plan_, model_));
      std::cerr << node::evaluation::summary_text(results, plan_.seed);
    }
    return std::move(model_);
  }

 private:
  Result<void> one_round(std::vector<std::unique_ptr<node::training::TorchTrainer>>& trainers, RoundNumber round,
                         const federation::membership::PlanStage& stage, std::uint32_t stage_round) {
    FOVEA_TRY_ASSIGN(const auto ranges, model_.layout().ranges(stage.trains));
    // Pooled training makes as many steps in one process as all hospitals together.
    const double factor =
        options_.steps_scale * (options_.mode == kPooled ? static_cast<double>(options_.train_sites.size()) : 1);
    node::training::TrainingTask task;
    task.sum = round;
    task.stage = stage.name;
    task.stage_round = stage_round;
    task.stage_rounds = stage.rounds;
    task.local_steps = static_cast<std::uint32_t>(std::lround(factor * stage.local_steps));
    task.learning_rate = stage.learning_rate;
    task.seed = plan_.seed;
    task.model = model_.values();
    task.trains = stage.trains;
    double loss = 0, count = 0;
    std::vector<node::training::TrainingOutcome> outcomes;
    for (const auto& trainer : trainers) {
      FOVEA_TRY_ASSIGN(node::training::TrainingOutcome outcome, trainer->train(task, {}));
      loss += outcome.metric_sums[static_cast<std::size_t>(federation::model::TrainingMetric::loss_sum)];
      count += outcome.metric_sums[static_cast<std::size_t>(federation::model::TrainingMetric::loss_count)];
      outcomes.push_back(std::move(outcome));
    }
    std::size_t clipped = 0;
    if (options_.mode == kFederated) {
      FOVEA_TRY_ASSIGN(Sum sum, Sum::create(federation::model::total_size(ranges), plan_.strategy, outcomes.size()));
      for (node::training::TrainingOutcome& outcome : outcomes) FOVEA_TRY(sum.add(std::move(outcome)));
      clipped = sum.clipped();
      FOVEA_TRY_ASSIGN(model_, std::move(sum).apply(model_, ranges, stage.server_learning_rate));
    } else {
      FOVEA_TRY_ASSIGN(model_, moved(ranges, outcomes.front().delta));
    }
    std::fprintf(stderr, "round %2u of %u · %-8s · loss %.4f%s\n", round, plan_.rounds_total(), stage.name.c_str(),
                 loss / std::max(count, 1.0), clipped > 0 ? (" · clipped " + std::to_string(clipped)).c_str() : "");
    return {};
  }

  // Without a federation nothing is clipped or rounded.
  Result<ModelState> moved(std::span<const federation::model::FlatRange> ranges, std::span<const float> delta) const {
    std::vector<float> values(model_.values().begin(), model_.values().end());
    std::size_t next = 0;
    for (const federation::model::FlatRange& range : ranges)
      for (std::size_t i = 0; i < range.size; ++i) values[range.offset + i] += delta[next++];
    return ModelState::create(model_.layout(), std::move(values));
  }

  const Options& options_;
  const federation::membership::Plan& plan_;
  ModelState model_;
};

Result<void> run(const Options& options) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(options.plan, federation::membership::kPlanBytesMax));
  FOVEA_TRY_ASSIGN(const federation::membership::Plan plan, federation::membership::Plan::parse(bytes));
  FOVEA_TRY_ASSIGN(const federation::model::ModelLayout layout, federation::model::make_layout(plan.architecture));
  node::network::prepare_torch(1);
  FOVEA_TRY_ASSIGN(auto trainers, make_trainers(options, plan, layout));
  FOVEA_TRY_ASSIGN(ModelState initial, federation::model::initial_model(layout, plan.seed));
  FOVEA_TRY_ASSIGN(const ModelState model, Run(options, plan, std::move(initial)).train(trainers));
  if (!options.model_out.empty()) {
    FOVEA_TRY_ASSIGN(const Bytes file,
                     federation::model::write_safetensors(
                         model, federation::model::to_metadata(federation::model::model_use_of(plan))));
    FOVEA_TRY(write_file_durably(options.model_out, file));
  }
  FOVEA_TRY_ASSIGN(const std::vector<node::evaluation::StudyResult> results, evaluate(options, plan, model));
  json report = node::evaluation::report_json(results, plan.seed);
  report["mode"] = options.mode;
  if (!options.out.empty()) FOVEA_TRY(write_file_durably(options.out, as_bytes(report.dump(2) + "\n")));
  std::cout << node::evaluation::summary_text(results, plan.seed);
  return {};
}

int main_of(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Trains without a federation, to compare: one hospital alone, all data pooled, or averaging in one process. "
      "Only a demonstration that plays every hospital can do this."};
  app.add_option("--mode", options.mode, "single, pooled or federated-in-process")
      ->required()
      ->check(CLI::IsMember({kSingle, kPooled, kFederated}));
  app.add_option("--plan", options.plan,
                 "The plan whose stages and steps are used; pooled makes the steps of every hospital")
      ->required();
  app.add_option("--train-site", options.train_sites, "Folder of a hospital that trains")->required();
  app.add_option("--test-site", options.test_sites,
                 "Folder of a hospital on whose held-back patients the model is tested")
      ->required();
  app.add_option("--split", options.split, "Which patients to test on: test, or validation to choose settings")
      ->capture_default_str();
  app.add_option("--out", options.out, "Write the report to this JSON file");
  app.add_option("--model-out", options.model_out, "Write the model to this safetensors file");
  app.add_option("--steps-scale", options.steps_scale, "Multiplies the plan's local steps")->capture_default_str();
  app.add_flag("--each-round", options.each_round, "Evaluate after each round");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (options.mode == kSingle && options.train_sites.size() != 1) {
    std::cerr << "--mode single needs exactly one --train-site\n";
    return 2;
  }
  if (const auto done = run(options); !done) {
    std::cerr << done.error().message << "\n";
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace fovea::demo

int main(int argc, char** argv) { return fovea::demo::main_of(argc, argv); }
