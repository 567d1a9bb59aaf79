// `fovea-node evaluate`: what a model finds on this site's own studies. Rows carry salted codes only.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/durable_file.h"
#include "node/commands/command.h"
#include "node/evaluation/evaluate.h"
#include "node/evaluation/loaded_model.h"
#include "node/evaluation/report.h"

namespace fovea::node {
namespace {

struct EvaluateRequest {
  std::filesystem::path model;
  std::string split = "test";
  std::filesystem::path out;  // of the report; empty: none
};

struct Evaluated {
  std::vector<StudyResult> studies;
  std::uint32_t skipped = 0;
};

Result<Evaluated> evaluate_split(const Console& console, const std::filesystem::path& data_folder, Split split,
                                 const LoadedModel& model) {
  FOVEA_TRY_ASSIGN(const StudyCatalogue catalogue, StudyCatalogue::open(data_folder, false));
  FOVEA_TRY_ASSIGN(const std::vector<StudyRecord> records, catalogue.list_usable(split));
  if (records.empty())
    return failed_precondition("evaluate: the catalogue has no usable study of the split " +
                               std::string(to_string(split)));
  if (std::string mismatch = bias_mismatch(records, model.use.n4); !mismatch.empty())
    return failed_precondition(std::move(mismatch));
  Evaluated out;
  for (const StudyRecord& record : records) {
    // One study open at a time: a site may hold thousands.
    FOVEA_TRY_ASSIGN(LearningSet set, open_learning_set({&record, 1}, {model.normalisation, model.use.n4}));
    if (set.studies.empty()) {
      ++out.skipped;
      continue;
    }
    FOVEA_TRY_ASSIGN(StudyResult result, evaluate_study(model.parameters, set.studies.front(), record.patient_code,
                                                        model.look, model.use.seed));
    out.studies.push_back(std::move(result));
    console.progress_in_place("  " + std::to_string(out.studies.size() + out.skipped) + " of " +
                              std::to_string(records.size()) + " studies");
  }
  return out;
}

Result<void> run_evaluate(CommandContext& context, const EvaluateRequest& request) {
  FOVEA_TRY_ASSIGN(const Split split, parse_split(request.split));
  FOVEA_TRY_ASSIGN(const LoadedModel model, load_model(request.model));
  FOVEA_TRY_ASSIGN(const Evaluated evaluated, evaluate_split(context.console, context.folder().data(), split, model));
  nlohmann::json report = report_json(evaluated.studies, model.use.seed);
  report["split"] = to_string(split);
  report["skipped"] = evaluated.skipped;
  report["model"] = to_hex(model.digest);
  report["plan"] = model.use.plan_hash;
  if (!request.out.empty()) FOVEA_TRY(write_file_durably(request.out, as_bytes(report.dump(2) + "\n")));
  std::string human = summary_text(evaluated.studies, model.use.seed);
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
  evaluate->add_option("--out", request->out, "Write the report with one row a study (salted codes) to this JSON file");
  evaluate->callback(
      [&context, request] { context.console.run("evaluate", [&] { return run_evaluate(context, *request); }); });
}

}  // namespace fovea::node
