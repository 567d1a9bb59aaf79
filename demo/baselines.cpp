// fovea-baselines: the same training without a federation's secrecy, to compare with it. Each hospital alone, all
// data pooled, or the federation's own averaging inside one process; the same plan, steps and evaluation.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/durable_file.h"
#include "federation/model/federated_averaging.h"
#include "federation/model/initial_weights.h"
#include "federation/model/model_use.h"
#include "node/evaluation/evaluate.h"
#include "node/evaluation/report.h"
#include "node/training/torch_trainer.h"

namespace fovea::demo {
namespace {

namespace fs = std::filesystem;
using federation::ModelState;
using nlohmann::json;

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

Result<std::vector<node::StudyRecord>> records_of(const fs::path& site, node::Split split) {
  FOVEA_TRY_ASSIGN(const auto catalogue, node::StudyCatalogue::open(site / "data", false));
  return catalogue.list_usable(split);
}

// One trainer a hospital, or one for all: pooled training sees the hospitals' studies as one set.
Result<std::vector<std::unique_ptr<node::TorchTrainer>>> make_trainers(const Options& options,
                                                                       const federation::Plan& plan,
                                                                       const federation::ModelLayout& layout) {
  FOVEA_TRY_ASSIGN(const node::Normalisation kind, node::parse_normalisation(plan.normalisation));
  node::TorchTrainerSettings settings;
  settings.look = {plan.look.regions, plan.look.exploration, plan.look.nms_mm};
  settings.validation_studies = 0;
  std::vector<std::vector<node::StudyRecord>> groups;
  for (const fs::path& site : options.train_sites) {
    FOVEA_TRY_ASSIGN(std::vector<node::StudyRecord> records, records_of(site, node::Split::train));
    if (groups.empty() || options.mode == "federated-in-process") groups.emplace_back();
    groups.back().insert(groups.back().end(), records.begin(), records.end());
  }
  std::vector<std::unique_ptr<node::TorchTrainer>> trainers;
  for (const auto& records : groups) {
    FOVEA_TRY_ASSIGN(node::LearningSet set, node::open_learning_set(records, {kind, plan.n4}));
    ++settings.site_seed;
    trainers.push_back(
        std::make_unique<node::TorchTrainer>(layout, settings, std::move(set), node::LearningSet{}, std::nullopt));
  }
  return trainers;
}

// The update as it would come out of the masked sum: clipped, weighted, rounded to integers, added.
class Sum {
 public:
  Sum(std::size_t size, const federation::PlanStrategy& strategy, std::size_t sites)
      : strategy_(strategy), sums_(size) {
    scale_ = static_cast<double>(1U << 30U) / (strategy.delta_max * static_cast<double>(sites));
  }
  void add(const node::TrainingOutcome& outcome) {
    const std::uint32_t weight = std::min(outcome.weight, strategy_.weight_max);
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const double delta = std::clamp(static_cast<double>(outcome.delta[i]), -strategy_.delta_max, strategy_.delta_max);
      if (delta != static_cast<double>(outcome.delta[i])) ++clipped_;
      sums_[i] += static_cast<std::int32_t>(std::lround(scale_ * weight * delta / strategy_.weight_max));
    }
    weight_sum_ += weight;
  }
  std::size_t clipped() const noexcept { return clipped_; }
  Result<ModelState> apply(const ModelState& model, std::span<const federation::FlatRange> ranges,
                           double server_learning_rate) const {
    return federation::apply_federated_averaging(
        model, ranges, {sums_, scale_, strategy_.weight_max, weight_sum_, server_learning_rate});
  }

 private:
  federation::PlanStrategy strategy_;
  std::vector<std::int32_t> sums_;
  double scale_ = 0;
  std::uint64_t weight_sum_ = 0;
  std::size_t clipped_ = 0;
};

Result<std::vector<node::StudyResult>> evaluate(const Options& options, const federation::Plan& plan,
                                                const ModelState& model) {
  FOVEA_TRY_ASSIGN(const node::Normalisation kind, node::parse_normalisation(plan.normalisation));
  FOVEA_TRY_ASSIGN(const node::Split split, node::parse_split(options.split));
  node::NetworkParameters parameters(model.layout());
  FOVEA_TRY(parameters.load(model.values()));
  const node::LookSettings look{plan.look.regions, plan.look.exploration, plan.look.nms_mm};
  std::vector<node::StudyResult> results;
  for (const fs::path& site : options.test_sites) {
    FOVEA_TRY_ASSIGN(const std::vector<node::StudyRecord> records, records_of(site, split));
    for (const node::StudyRecord& record : records) {
      FOVEA_TRY_ASSIGN(node::LearningSet set, node::open_learning_set({&record, 1}, {kind, plan.n4}));
      if (set.studies.empty()) continue;
      FOVEA_TRY_ASSIGN(node::StudyResult result,
                       node::evaluate_study(parameters, set.studies.front(), record.patient_code, look, plan.seed));
      results.push_back(std::move(result));
    }
  }
  return results;
}

class Run {
 public:
  Run(const Options& options, const federation::Plan& plan, ModelState model)
      : options_(options), plan_(plan), model_(std::move(model)) {}

  Result<ModelState> train(std::vector<std::unique_ptr<node::TorchTrainer>>& trainers) {
    for (RoundNumber round = 1; round <= plan_.rounds_total(); ++round) {
      FOVEA_TRY_ASSIGN(const federation::PlanPosition position, plan_.position(round));
      FOVEA_TRY(one_round(trainers, round, plan_.stages[position.stage_index], position.stage_round));
      if (!options_.each_round) continue;
      FOVEA_TRY_ASSIGN(const auto results, evaluate(options_, plan_, model_));
      std::cerr << node::summary_text(results, plan_.seed);
    }
    return std::move(model_);
  }

 private:
  Result<void> one_round(std::vector<std::unique_ptr<node::TorchTrainer>>& trainers, RoundNumber round,
                         const federation::PlanStage& stage, std::uint32_t stage_round) {
    FOVEA_TRY_ASSIGN(const auto ranges, model_.layout().ranges(stage.trains));
    // Pooled training takes in one process as many steps as all hospitals together.
    const double factor =
        options_.steps_scale * (options_.mode == "pooled" ? static_cast<double>(options_.train_sites.size()) : 1);
    node::TrainingTask task;
    task.round = round;
    task.stage = stage.name;
    task.stage_round = stage_round;
    task.stage_rounds = stage.rounds;
    task.local_steps = static_cast<std::uint32_t>(std::lround(factor * stage.local_steps));
    task.learning_rate = stage.learning_rate;
    task.seed = plan_.seed;
    task.model = model_.values();
    task.trains = stage.trains;
    Sum sum(federation::total_size(ranges), plan_.strategy, trainers.size());
    double loss = 0, count = 0;
    const bool federated = options_.mode == "federated-in-process";
    for (const auto& trainer : trainers) {
      FOVEA_TRY_ASSIGN(const node::TrainingOutcome outcome, trainer->train(task, {}));
      loss += outcome.metric_sums[0];
      count += outcome.metric_sums[1];
      if (federated) {
        sum.add(outcome);
      } else {
        FOVEA_TRY_ASSIGN(model_, moved(ranges, outcome.delta));
      }
    }
    if (federated) {
      FOVEA_TRY_ASSIGN(model_, sum.apply(model_, ranges, stage.server_learning_rate));
    }
    std::fprintf(stderr, "round %2u of %u · %-8s · loss %.4f%s\n", round, plan_.rounds_total(), stage.name.c_str(),
                 loss / std::max(count, 1.0),
                 sum.clipped() > 0 ? (" · clipped " + std::to_string(sum.clipped())).c_str() : "");
    return {};
  }

  // Training without a federation keeps its updates as they are: nothing is clipped or rounded.
  Result<ModelState> moved(std::span<const federation::FlatRange> ranges, std::span<const float> delta) const {
    std::vector<float> values(model_.values().begin(), model_.values().end());
    std::size_t next = 0;
    for (const federation::FlatRange& range : ranges)
      for (std::size_t i = 0; i < range.size; ++i) values[range.offset + i] += delta[next++];
    return ModelState::create(model_.layout(), std::move(values));
  }

  const Options& options_;
  const federation::Plan& plan_;
  ModelState model_;
};

Result<void> run(const Options& options) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(options.plan, federation::kPlanBytesMax));
  FOVEA_TRY_ASSIGN(const federation::Plan plan, federation::Plan::parse(bytes));
  FOVEA_TRY_ASSIGN(const federation::ModelLayout layout, federation::make_layout(plan.architecture));
  node::prepare_torch(1);
  FOVEA_TRY_ASSIGN(auto trainers, make_trainers(options, plan, layout));
  FOVEA_TRY_ASSIGN(ModelState initial, federation::initial_model(layout, plan.seed));
  FOVEA_TRY_ASSIGN(const ModelState model, Run(options, plan, std::move(initial)).train(trainers));
  if (!options.model_out.empty()) {
    FOVEA_TRY_ASSIGN(const Bytes file,
                     federation::write_safetensors(model, federation::to_metadata(federation::model_use_of(plan))));
    FOVEA_TRY(write_file_durably(options.model_out, file));
  }
  FOVEA_TRY_ASSIGN(const std::vector<node::StudyResult> results, evaluate(options, plan, model));
  json report = node::report_json(results, plan.seed);
  report["mode"] = options.mode;
  if (!options.out.empty()) FOVEA_TRY(write_file_durably(options.out, as_bytes(report.dump(2) + "\n")));
  std::cout << node::summary_text(results, plan.seed);
  return {};
}

int main_of(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Trains without a federation, to compare: one hospital alone, all data pooled, or averaging in one process. Only "
      "a "
      "demonstration that plays every hospital can do this."};
  app.add_option("--mode", options.mode, "single, pooled or federated-in-process")
      ->required()
      ->check(CLI::IsMember({"single", "pooled", "federated-in-process"}));
  app.add_option("--plan", options.plan,
                 "The plan whose stages and steps are taken; pooled takes them once for each hospital")
      ->required();
  app.add_option("--train-site", options.train_sites, "Folder of a hospital that trains")->required();
  app.add_option("--test-site", options.test_sites, "Folder of a hospital whose held-back patients are looked at")
      ->required();
  app.add_option("--split", options.split, "Which patients to look at: test, or validation to choose settings")
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
  if (options.mode == "single" && options.train_sites.size() != 1) {
    std::cerr << "--mode single takes exactly one --train-site\n";
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
