#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/command_line.h"
#include "common/console.h"
#include "common/durable_file.h"
#include "coordinator/commands/command.h"
#include "coordinator/store/run_store.h"
#include "federation/model/model_use.h"
#include "federation/model/safetensors.h"

namespace fovea::coordinator::commands {
namespace {

namespace fs = std::filesystem;

struct Choice {
  std::string run;
  std::string output;
};

Result<store::RunStore> find_run(CommandContext& context, const std::string& prefix) {
  FOVEA_TRY_ASSIGN(const std::vector<fs::path> runs, store::list_runs(context.folder().runs()));
  if (runs.empty()) return not_found("no run yet; start one with: fovea-coordinator run start PLAN");
  for (const fs::path& path : runs)
    if (const auto facts = store::read_run_facts(path); prefix.empty() && !facts)
      context.console.progress(
          "warning: when run " + path.filename().string() +
          " began cannot be read, and it may be newer than the one that is exported: " + facts.error().message);
  for (auto path = runs.rbegin(); prefix.empty() && path != runs.rend(); ++path) {
    auto opened = store::RunStore::open(*path);
    // Where its record is whole it is newer than those before it, and may be the one whose model is asked for.
    if (!opened && opened.error().code == ErrorCode::corruption && store::read_run_facts(*path))
      return Error{opened.error().code, opened.error().message + "\n  fix: or name another run: --run, as " +
                                            "fovea-coordinator run list has it"};
    if (!opened && store::read_run_facts(*path))
      context.console.progress("run " + path->filename().string() + " is passed over: " + opened.error().message);
    if (opened && opened->sums() > 0) return opened;
  }
  if (prefix.empty()) return failed_precondition("no round of any run has ended yet; see fovea-coordinator run list");
  for (const fs::path& path : runs)
    if (path.filename().string().starts_with(prefix)) return store::RunStore::open(path);
  return not_found("run \"" + prefix + "\": no such run; see fovea-coordinator run list");
}

Result<void> run_export(CommandContext& context, const Choice& choice) {
  FOVEA_TRY(context.folder().federation());
  FOVEA_TRY(refuse_existing(choice.output, "--output"));
  FOVEA_TRY_ASSIGN(const store::RunStore store, find_run(context, choice.run));
  if (store.sums() == 0) return failed_precondition("run " + store.facts().run.text() + ": no round has ended yet");
  std::string participants;
  for (const store::RoundRecord& record : store.history())
    for (const std::string& site : record.contributors)
      if (participants.find(site) == std::string::npos) participants += (participants.empty() ? "" : ",") + site;
  federation::model::ModelMetadata metadata =
      federation::model::to_metadata(federation::model::model_use_of(store.plan()));
  metadata.insert({{"fovea.plan_name", store.plan().name},
                   {"fovea.run", store.facts().run.text()},
                   {"fovea.rounds", std::to_string(store.sums())},
                   {"fovea.sites", participants},
                   {"fovea.model", to_hex(store.model_digest())}});
  FOVEA_TRY_ASSIGN(const Bytes file, federation::model::write_safetensors(store.model(), metadata));
  FOVEA_TRY(write_file_durably(choice.output, file));
  context.console.data("model export",
                       {{"output", choice.output},
                        {"run", store.facts().run.text()},
                        {"model", to_hex(store.model_digest())},
                        {"bytes", file.size()},
                        {"rounds", store.sums()}},
                       "wrote " + choice.output + ": the model of run " + store.facts().run.text().substr(0, 12) +
                           " after " + counted(store.sums(), "round") + ", " +
                           to_hex(store.model_digest()).substr(0, 16));
  return {};
}

}  // namespace

void add_model_commands(CLI::App& app, CommandContext& context) {
  auto choice = std::make_shared<Choice>();
  auto* model = app.add_subcommand("model", "The model a run produced");
  model->require_subcommand(1);
  auto* out = model->add_subcommand("export", "Write it as safetensors");
  out->add_option("--run", choice->run, "The run's id, or its first digits; the default is the newest with a model");
  out->add_option("--output", choice->output, "The file to write")->default_val("model.safetensors");
  out->callback(
      [&context, choice] { context.console.run("model export", [&] { return run_export(context, *choice); }); });
}

}  // namespace fovea::coordinator::commands
