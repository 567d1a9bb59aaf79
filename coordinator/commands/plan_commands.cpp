#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "common/durable_file.h"
#include "coordinator/commands/command.h"
#include "federation/membership/plan.h"

namespace fovea::coordinator {
namespace {

using Json = nlohmann::ordered_json;

struct Choice {
  std::string file;
  std::string output;
  std::string name = "lesions in brain MR";
  std::string architecture = "fovea-1";
};

Json learning_stages() {
  return Json::array({{{"name", "proposer"}, {"rounds", 8}, {"trains", {"proposer."}}, {"local_steps", 50}, {"learning_rate", 0.003}},
                      {{"name", "encoder"}, {"rounds", 4}, {"trains", {"encoder.", "region."}}, {"local_steps", 40}, {"learning_rate", 0.002}},
                      {{"name", "study"}, {"rounds", 4}, {"trains", {"study."}}, {"local_steps", 40}, {"learning_rate", 0.002}}});
}

Json probe_stages() {
  return Json::array({{{"name", "probe"}, {"rounds", 3}, {"trains", {"probe."}}, {"local_steps", 1}, {"learning_rate", 0.1}}});
}

Result<void> run_new(CommandContext& context, const Choice& choice) {
  const bool probe = choice.architecture.starts_with("probe-");
  const Json plan = {{"fovea_plan", 1},
                     {"name", choice.name},
                     {"finding", {{"kind", "lesion"}, {"modality", "MR"}}},
                     {"intake", {{"normalisation", "mr-foreground"}}},
                     {"look", {{"regions", 32}, {"exploration", 0.125}, {"nms_mm", 10}}},
                     {"architecture", choice.architecture},
                     {"seed", 7},
                     {"stages", probe ? probe_stages() : learning_stages()},
                     {"strategy", {{"name", "fedavg"}, {"weight_max", 1000}, {"delta_max", 0.5}}},
                     {"cohort", {{"smallest", 3}, {"largest", 16}}},
                     {"secure_aggregation", {{"colluders_max", 1}, {"threshold", 3}, {"honest_min", 2}}},
                     {"privacy", {{"mechanism", "none"}}},
                     {"deadlines", {{"progress_s", 60}, {"phase_s", 20}}}};
  const std::string text = plan.dump(2) + "\n";
  FOVEA_TRY(federation::Plan::parse(as_bytes(text)));
  if (std::filesystem::exists(choice.output)) return failed_precondition(choice.output + ": exists; choose another file with --output");
  FOVEA_TRY(write_file_durably(choice.output, as_bytes(text)));
  context.console.data("plan new", {{"plan", choice.output}}, "wrote " + choice.output + "; edit it, then: fovea-coordinator plan validate " + choice.output);
  return {};
}

Result<void> run_validate(CommandContext& context, const Choice& choice) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(choice.file, federation::kPlanBytesMax));
  const auto plan = federation::Plan::parse(bytes);
  if (!plan) {
    context.console.configuration_failed = true;
    return plan.error().with_context(choice.file);
  }
  context.console.data("plan validate", {{"plan", to_hex(plan->hash)}, {"name", plan->name}, {"rounds", plan->rounds_total()}, {"stages", plan->stages.size()}},
                       "plan " + to_hex(plan->hash) + "\n\"" + plan->name + "\": " + std::to_string(plan->rounds_total()) + " rounds in " +
                           std::to_string(plan->stages.size()) + " stages, at least " + std::to_string(plan->cohort.smallest) + " sites");
  return {};
}

}  // namespace

void add_plan_commands(CLI::App& app, CommandContext& context) {
  auto choice = std::make_shared<Choice>();
  auto* plan = app.add_subcommand("plan", "Plans: what is trained, and under which limits");
  plan->require_subcommand(1);
  auto* fresh = plan->add_subcommand("new", "Write a plan to edit");
  fresh->add_option("--output", choice->output, "The file to write")->default_val("plan.json");
  fresh->add_option("--name", choice->name, "What people call it")->capture_default_str();
  fresh->add_option("--architecture", choice->architecture, "\"fovea-1\", or \"probe-N\" to test the network without learning")->capture_default_str();
  fresh->callback([&context, choice] { context.console.run("plan new", [&] { return run_new(context, *choice); }); });
  auto* validate = plan->add_subcommand("validate", "Check a plan and print its hash");
  validate->add_option("plan", choice->file, "The plan's file")->required();
  validate->callback([&context, choice] { context.console.run("plan validate", [&] { return run_validate(context, *choice); }); });
}

}  // namespace fovea::coordinator
