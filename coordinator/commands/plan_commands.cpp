#include <CLI/CLI.hpp>
#include <array>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/command_line.h"
#include "common/console.h"
#include "common/durable_file.h"
#include "coordinator/commands/command.h"
#include "coordinator/commands/default_plan.h"
#include "crypto/random_source.h"
#include "federation/membership/plan.h"

namespace fovea::coordinator::commands {
namespace {

using Json = nlohmann::ordered_json;

struct Choice {
  std::string file;
  std::string output;
  std::string name = "find lesions";
  std::string architecture = "fovea-1";
  std::optional<std::uint64_t> seed;
};

// A site takes part in one sum per model, ever, and the first model of a run follows from architecture and seed.
std::uint64_t fresh_seed() {
  crypto::SystemRandom random;
  std::array<std::uint8_t, 8> bytes{};
  random.fill(bytes);
  std::uint64_t out = 0;
  for (const std::uint8_t byte : bytes) out = out << 8U | byte;
  return out >> 11U;  // numbers of JSON are exact up to 2^53
}

Json probe_stages() {
  return Json::array({{{"name", "probe"},
                       {"rounds", 3},
                       {"trains", {"probe."}},
                       {"local_steps", 1},
                       {"learning_rate", 0.1},
                       {"server_learning_rate", 1}}});
}

Result<void> run_new(CommandContext& context, const Choice& choice) {
  Json plan = Json::parse(kDefaultPlan);
  plan["name"] = choice.name;
  plan["architecture"] = choice.architecture;
  plan["deadlines"]["phase_s"] = 20;  // the demo's 5 s are for one machine
  if (choice.architecture.starts_with("probe-")) plan["stages"] = probe_stages();
  plan["seed"] = choice.seed ? *choice.seed : fresh_seed();
  const std::string text = plan.dump(2) + "\n";
  FOVEA_TRY(federation::membership::Plan::parse(as_bytes(text)));
  FOVEA_TRY(refuse_existing(choice.output, "--output"));
  FOVEA_TRY(write_file_durably(choice.output, as_bytes(text)));
  context.console.data("plan new", {{"plan", choice.output}},
                       "wrote " + choice.output + "; edit it, then: fovea-coordinator plan validate " + choice.output);
  return {};
}

Result<void> run_validate(CommandContext& context, const Choice& choice) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(choice.file, federation::membership::kPlanBytesMax));
  const auto plan = federation::membership::Plan::parse(bytes);
  if (!plan) {
    context.console.configuration_failed = true;
    return plan.error().with_context(choice.file);
  }
  const std::string_view weights = federation::membership::to_string(plan->strategy.weights);
  context.console.data(
      "plan validate",
      {{"plan", to_hex(plan->hash)},
       {"name", plan->name},
       {"rounds", plan->rounds_total()},
       {"stages", plan->stages.size()},
       {"weights", weights},
       {"slowest_link_kbit_s", plan->deadlines.slowest_link()},
       {"warning", plan->warning()}},
      "plan " + to_hex(plan->hash) + "\n\"" + plan->name + "\": " + counted(plan->rounds_total(), "round") + " in " +
          counted(plan->stages.size(), "stage") + ", at least " + counted(plan->cohort.smallest, "site") +
          "\nweights: " + std::string(weights) + ": " +
          std::string(federation::membership::meaning(plan->strategy.weights)) +
          "\nslowest link of a site: " + federation::membership::link_text(plan->deadlines.slowest_link()) +
          " upwards" + (plan->warning().empty() ? "" : "\nwarning: " + plan->warning()));
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
  fresh
      ->add_option("--architecture", choice->architecture,
                   "\"fovea-1\", or \"probe-N\" to test the network without learning")
      ->capture_default_str();
  fresh
      ->add_option("--seed", choice->seed, "Of the first model; random by default. A seed can be used for one run only")
      ->check(CLI::Range(std::uint64_t{0}, (std::uint64_t{1} << 53U) - 1));
  fresh->callback([&context, choice] { context.console.run("plan new", [&] { return run_new(context, *choice); }); });
  auto* validate = plan->add_subcommand("validate", "Check a plan and print its hash");
  validate->add_option("plan", choice->file, "The plan's file")->required();
  validate->callback(
      [&context, choice] { context.console.run("plan validate", [&] { return run_validate(context, *choice); }); });
}

}  // namespace fovea::coordinator::commands
