#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/console.h"
#include "coordinator/commands/command.h"
#include "coordinator/commands/serving.h"
#include "coordinator/io/run_driver.h"
#include "coordinator/store/run_store.h"
#include "federation/io/program_log.h"

namespace fovea::coordinator::commands {
namespace {

namespace fs = std::filesystem;

struct ServeOptions {
  std::string run;
  bool stay = false;
  std::uint32_t for_s = 0;
};

// The newest that has ended, or the one that is named.
Result<store::RunStore> find_finished(CommandContext& context, const std::string& prefix) {
  FOVEA_TRY_ASSIGN(const std::vector<fs::path> runs, store::list_runs(context.folder().runs()));
  for (auto path = runs.rbegin(); path != runs.rend(); ++path) {
    const std::string name = path->filename().string();
    if (!name.starts_with(prefix)) continue;
    auto opened = store::RunStore::open(*path);
    if (!opened && !prefix.empty()) return opened;
    if (!opened) context.console.progress("run " + name + " is passed over: " + opened.error().message);
    if (opened && opened->complete()) return opened;
    if (opened && !prefix.empty())
      return failed_precondition("run " + name + " has " + std::to_string(opened->sums()) + " of " +
                                 counted(opened->plan().rounds_total(), "sum") +
                                 "; go on with it, which hands out its sums, too: fovea-coordinator run start PLAN");
  }
  return prefix.empty() ? failed_precondition("no run has ended yet; see fovea-coordinator run list")
                        : not_found("run \"" + prefix + "\": no such run; see fovea-coordinator run list");
}

Result<void> run_serve(CommandContext& context, const ServeOptions& choice) {
  FOVEA_TRY_ASSIGN(const registry::CoordinatorConfig config, context.config());
  federation::io::set_up_log("fovea-coordinator", context.console.quiet ? "error" : config.log_level, context.console);
  FOVEA_TRY_ASSIGN(const FileLock lock, lock_serving(context.home));
  const auto choose = [&]() -> Result<std::unique_ptr<store::RunStore>> {
    FOVEA_TRY_ASSIGN(store::RunStore run, find_finished(context, choice.run));
    return std::make_unique<store::RunStore>(std::move(run));
  };
  io::block_stop_signals();
  FOVEA_TRY_ASSIGN(
      auto driver,
      io::RunDriver::open(
          {.folder = context.folder(),
           .config = config,
           .choose_run = choose,
           .show = [&context](const std::string& line) { context.console.progress_in_place(line); },
           .hand_out_ms = choice.for_s > 0 ? std::optional(std::int64_t{choice.for_s} * 1000) : std::nullopt,
           .stay = choice.stay,
           .hand_out_only = true},
          context.clock));
  context.console.progress("handing out the sums of run " + driver->store().facts().run.text());
  FOVEA_TRY(driver->run());
  nlohmann::ordered_json lacking = nlohmann::ordered_json::array();
  std::string names;
  for (const SiteId& site : driver->lacking()) {
    lacking.push_back(site.text());
    names += (names.empty() ? "" : ", ") + site.text();
  }
  context.console.data("serve", {{"run", driver->store().facts().run.text()}, {"lacking", lacking}},
                       names.empty() ? "every site that took part has the last sum" : "without the last sum: " + names);
  return {};
}

}  // namespace

void add_serve_command(CLI::App& app, CommandContext& context) {
  auto choice = std::make_shared<ServeOptions>();
  auto* serve = app.add_subcommand("serve", "Hand out the sums of a run that has ended to sites that were away");
  serve->add_option("--run", choice->run,
                    "The run's id, or its first digits; the default is the newest that has ended");
  serve->add_flag("--stay", choice->stay, "Go on when every site that took part has the last sum");
  serve->add_option("--for", choice->for_s, "At most so many seconds; the default is without an end")
      ->check(CLI::Range(1U, 31'536'000U));
  serve->callback([&context, choice] { context.console.run("serve", [&] { return run_serve(context, *choice); }); });
}

}  // namespace fovea::coordinator::commands
