// `fovea-node evaluate`: what a model finds on this site's own studies. Rows carry salted codes only.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/command_line.h"
#include "common/durable_file.h"
#include "node/commands/command.h"
#include "node/evaluation/evaluate.h"
#include "node/evaluation/loaded_model.h"
#include "node/evaluation/report.h"

namespace fovea::node::commands {
namespace {

struct EvaluateRequest {
  std::filesystem::path model;
  std::string split = "test";
  std::filesystem::path out;  // of the report; empty: none
};

Result<evaluation::Evaluation> evaluate_split(const Console& console, const std::filesystem::path& data_folder,
                                              store::Split split, const evaluation::LoadedModel& model) {
  FOVEA_TRY_ASSIGN(const store::StudyCatalogue catalogue, store::StudyCatalogue::open(data_folder, false));
  FOVEA_TRY_ASSIGN(const std::vector<store::StudyRecord> records, catalogue.list_usable(split));
  if (records.empty())
    return failed_precondition("evaluate: the catalogue has no usable study of the split " +
                               std::string(store::to_string(split)));
  return evaluation::evaluate_studies(model.parameters, records, model.settings, [&](std::size_t done) {
    console.progress_in_place("  " + std::to_string(done) + " of " + std::to_string(records.size()) + " studies");
  });
}

Result<void> run_evaluate(CommandContext& context, const EvaluateRequest& request) {
  if (!request.out.empty()) FOVEA_TRY(refuse_existing(request.out, "--out"));
  FOVEA_TRY_ASSIGN(const store::Split split, store::parse_split(request.split));
  FOVEA_TRY_ASSIGN(const evaluation::LoadedModel model, evaluation::load_model(request.model));
  FOVEA_TRY_ASSIGN(const evaluation::Evaluation evaluated,
                   evaluate_split(context.console, context.folder().data(), split, model));
  nlohmann::json report = evaluation::report_json(evaluated.studies, model.use.seed);
  report["split"] = store::to_string(split);
  report["skipped"] = evaluated.skipped;
  report["model"] = to_hex(model.digest);
  report["plan"] = model.use.plan_hash;
  if (!request.out.empty()) FOVEA_TRY(write_file_durably(request.out, as_bytes(report.dump(2) + "\n")));
  std::string human = evaluation::summary_text(evaluated.studies, model.use.seed);
  if (evaluated.skipped > 0)
    human += "  " + std::to_string(evaluated.skipped) + " studies could not be opened and were skipped\n";
  context.console.data("evaluate", nlohmann::ordered_json(report), human);
  return {};
}

}  // namespace

void add_evaluate_command(CLI::App& app, CommandContext& context) {
  CLI::App* evaluate =
      app.add_subcommand("evaluate", "What a model finds on this site's studies: recall, study AUC, voxels read");
  auto request = std::make_shared<EvaluateRequest>();
  evaluate->add_option("--model", request->model, "Model file (safetensors), from fovea-coordinator model export")
      ->required();
  evaluate->add_option("--split", request->split, "train, validation or test")->capture_default_str();
  evaluate->add_option("--out", request->out,
                       "Write the report, with one row per study (salted codes), to this JSON file");
  evaluate->callback(
      [&context, request] { context.console.run("evaluate", [&] { return run_evaluate(context, *request); }); });
}

}  // namespace fovea::node::commands
