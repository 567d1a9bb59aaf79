#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/console.h"
#include "common/descriptor.h"
#include "common/durable_file.h"
#include "common/file_lock.h"
#include "common/ids.h"
#include "common/numbers.h"
#include "coordinator/commands/command.h"
#include "coordinator/commands/serving.h"
#include "coordinator/io/run_driver.h"
#include "coordinator/registry/next_steps.h"
#include "coordinator/store/run_store.h"
#include "crypto/random_source.h"
#include "federation/io/program_log.h"
#include "federation/membership/plan.h"

namespace fovea::coordinator::commands {

namespace {

std::string serving_text(const std::string& run = {}) {
  return std::to_string(::getpid()) + "\n" + (run.empty() ? "" : run + "\n");
}

Result<pid_t> serving_process(const std::filesystem::path& home) {
  const std::filesystem::path path = serving_file(home);
  if (!FileLock::is_held(path)) return failed_precondition(home.string() + ": no run is being served");
  FOVEA_TRY_ASSIGN(const Bytes text, read_file(path, 64));
  const std::string_view first = as_text(text);
  const auto process = read_whole<pid_t>(first.substr(0, first.find('\n')));
  if (!process || *process <= 1) return corruption(path.string() + ": holds no process id");
  return *process;
}

}  // namespace

Result<FileLock> lock_serving(const std::filesystem::path& home) {
  auto lock = FileLock::take(serving_file(home), "");
  if (!lock && lock.error().code == ErrorCode::failed_precondition) {
    const auto process = serving_process(home);
    return failed_precondition(
        home.string() + ": another fovea-coordinator" + (process ? " (process " + std::to_string(*process) + ")" : "") +
        " serves from this folder; stop it with: fovea-coordinator --home " + home.string() + " run stop");
  }
  if (lock) FOVEA_TRY(lock->write(serving_text()));
  return lock;
}

namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

struct Choice {
  std::string plan;
  std::string run;
  bool fresh = false;
};

// The id of the run that is being served; empty: none.
std::string served_run(const fs::path& home) {
  if (!FileLock::is_held(serving_file(home))) return {};
  const auto text = read_file(serving_file(home), 128);
  if (!text) return {};
  std::string_view run = as_text(*text);
  run.remove_prefix(std::min(run.find('\n'), run.size() - 1) + 1);
  return std::string(run.substr(0, run.find('\n')));
}

struct OfferedPlan {
  ByteView bytes;
  const federation::membership::Plan& plan;
};

// A run of this very plan that cannot be read must not be passed over: a second one from the same model is refused by
// every site, after it was begun. Any other one is nobody's business here.
Result<void> pass_over(CommandContext& context, const fs::path& folder, const OfferedPlan& offered, const Error& why) {
  const auto plan = read_file(folder / "plan.json", federation::membership::kPlanBytesMax);
  const auto facts = store::read_run_facts(folder);  // either file may be the damaged one
  const std::string run = "run " + folder.filename().string();
  const bool same_plan = plan && std::equal(plan->begin(), plan->end(), offered.bytes.begin(), offered.bytes.end());
  if (same_plan || (facts && facts->plan == offered.plan.hash))
    return Error{why.code, run + ", of this plan, cannot be read: " + why.message +
                               "\n  fix: if it cannot be brought back, begin another run with --new and a plan with "
                               "another seed"};
  context.console.progress(run + " cannot be read and is left alone: " + why.message);
  return {};
}

struct ChosenRun {
  std::unique_ptr<store::RunStore> store;
  std::string said;  // what it is, for a person, once it is served
};

// One sum on a model, ever (S1): a run that begins where this one began comes to no sum with the sites that were in it.
Error refuse_complete(const CommandContext& context, const store::RunStore& done) {
  const std::string program = "fovea-coordinator --home " + context.home.string();
  const std::string run = done.facts().run.text();
  return failed_precondition("run " + run + ", of this plan, is complete; its model: " + program +
                             " model export --run " + run.substr(0, 12) +
                             "; sites that lack its last sum get it from: " + program + " serve --run " +
                             run.substr(0, 12) + "\n  fix: make a plan with another seed: " + program +
                             " plan new. Another run of this one (--new) begins from the same model, and every site "
                             "that was in the first refuses it");
}

// A run that begins under such a roster would wait for ever, and nobody would be told for what.
Result<void> check_roster_size(const registry::CoordinatorFolder& folder, const federation::membership::Plan& plan) {
  FOVEA_TRY_ASSIGN(const federation::membership::Roster roster, folder.newest_roster());
  if (roster.sites.size() >= plan.cohort.smallest) return {};
  return failed_precondition("the roster of epoch " + std::to_string(roster.epoch) + " has " +
                             counted(roster.sites.size(), "site") + ", and the plan needs at least " +
                             std::to_string(plan.cohort.smallest) +
                             " (cohort.smallest)\n  fix: have the administrators sign the join requests of more "
                             "hospitals (fovea-coordinator sign REQUEST --key KEYFILE, then cosign), and start again");
}

// Resumes a run of this plan that has not ended, unless a new one is asked for.
Result<ChosenRun> choose_run(CommandContext& context, ByteView plan_bytes, bool fresh) {
  const registry::CoordinatorFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const federation::membership::Plan plan, federation::membership::Plan::parse(plan_bytes));
  FOVEA_TRY_ASSIGN(const std::vector<fs::path> runs, store::list_runs(folder.runs()));
  for (auto path = runs.rbegin(); !fresh && path != runs.rend(); ++path) {
    auto opened = store::RunStore::open(*path);
    if (!opened) {
      FOVEA_TRY(pass_over(context, *path, {plan_bytes, plan}, opened.error()));
      continue;
    }
    if (opened->plan().hash != plan.hash) continue;
    if (opened->complete()) return refuse_complete(context, *opened);
    // It may have a sum to end, and the next roster comes into force while it is served.
    if (const auto enough = check_roster_size(folder, plan); !enough)
      context.console.progress("warning: " + enough.error().message);
    const std::string done = std::to_string(opened->sums()) + " of " + counted(plan.rounds_total(), "round") +
                             (opened->sums() == 1 ? " is done" : " are done");
    return ChosenRun{std::make_unique<store::RunStore>(std::move(*opened)),
                     "resuming run " + path->filename().string() + ": " + done};
  }
  FOVEA_TRY(check_roster_size(folder, plan));
  crypto::SystemRandom random;
  RunId run;
  random.fill(run.bytes);
  FOVEA_TRY_ASSIGN(store::RunStore store,
                   store::RunStore::create(folder.runs() / run.text(), run, plan_bytes, context.clock.wall()));
  return ChosenRun{std::make_unique<store::RunStore>(std::move(store)), "run " + run.text()};
}

Result<void> run_start(CommandContext& context, const Choice& choice) {
  FOVEA_TRY_ASSIGN(const registry::CoordinatorConfig config, context.config());
  federation::io::set_up_log("fovea-coordinator", context.console.quiet ? "error" : config.log_level, context.console);
  FOVEA_TRY_ASSIGN(const Bytes plan_bytes, read_file(choice.plan, federation::membership::kPlanBytesMax));
  if (const auto plan = federation::membership::Plan::parse(plan_bytes); !plan) {
    context.console.configuration_failed = true;
    return plan.error().with_context(choice.plan);
  }
  FOVEA_TRY_ASSIGN(FileLock lock, lock_serving(context.home));
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, context.folder().federation());
  if (const std::string warning = registry::endpoint_warning(facts, config); !warning.empty())
    context.console.progress("warning: " + warning);
  std::string chosen;
  const auto choose = [&]() -> Result<std::unique_ptr<store::RunStore>> {
    FOVEA_TRY_ASSIGN(ChosenRun run, choose_run(context, plan_bytes, choice.fresh));
    chosen = std::move(run.said);
    FOVEA_TRY(lock.write(serving_text(run.store->facts().run.text())));
    return std::move(run.store);
  };
  io::block_stop_signals();
  FOVEA_TRY_ASSIGN(
      auto driver,
      io::RunDriver::open({.folder = context.folder(),
                           .config = config,
                           .choose_run = choose,
                           .show = [&context](const std::string& line) { context.console.progress_in_place(line); },
                           .hand_out_ms = std::int64_t{config.last_sum_s} * 1000},
                          context.clock));
  context.console.progress(chosen);
  FOVEA_TRY_ASSIGN(const io::RunEnd end, driver->run());
  const store::RunStore& done = driver->store();
  const bool complete = end == io::RunEnd::complete;
  const std::string summary = (done.folder() / "summary.json").string();
  context.console.data("run start",
                       {{"run", done.facts().run.text()},
                        {"complete", complete},
                        {"rounds_done", done.sums()},
                        {"summary", summary},
                        {"model", to_hex(done.model_digest())}},
                       "run " + done.facts().run.text() + (complete ? " is complete: " : " was stopped: ") +
                           std::to_string(done.sums()) + " of " + counted(done.plan().rounds_total(), "round") +
                           "\nsummary " + summary +
                           (complete ? "\nnext: fovea-coordinator --home " + context.home.string() +
                                           " model export --output model.safetensors"
                                     : "\nresume it with the same command"));
  return {};
}

Result<void> run_list(CommandContext& context) {
  FOVEA_TRY(context.folder().federation());
  FOVEA_TRY_ASSIGN(const std::vector<fs::path> runs, store::list_runs(context.folder().runs()));
  const std::string served = served_run(context.home);
  Json data = Json::array();
  std::vector<std::vector<std::string>> rows = {{"RUN", "PLAN", "ROUNDS", "STATE"}};
  for (const fs::path& path : runs) {
    auto opened = store::RunStore::open(path);
    if (!opened) {  // of another version, or damaged: the others are listed all the same
      data.push_back({{"run", path.filename().string()}, {"state", "unreadable"}, {"why", opened.error().message}});
      rows.push_back({path.filename().string().substr(0, 12), "", "", "unreadable: " + opened.error().message});
      continue;
    }
    const store::RunStore& store = *opened;
    const std::string state = store.complete() ? "complete" : store.facts().run.text() == served ? "open" : "stopped";
    const std::string rounds = std::to_string(store.sums()) + "/" + std::to_string(store.plan().rounds_total());
    data.push_back({{"run", store.facts().run.text()},
                    {"plan", to_hex(store.plan().hash)},
                    {"name", store.plan().name},
                    {"rounds_done", store.sums()},
                    {"rounds_total", store.plan().rounds_total()},
                    {"state", state},
                    {"started_ms", store.facts().started.value}});
    rows.push_back({store.facts().run.text().substr(0, 12), store.plan().name, rounds, state});
  }
  context.console.data(
      "run list", data,
      runs.empty() ? "no run yet; start one with: fovea-coordinator run start PLAN" : text_table(rows));
  return {};
}

Result<void> run_stop(CommandContext& context) {
  FOVEA_TRY_ASSIGN(const pid_t process, serving_process(context.home));
  if (::kill(process, SIGTERM) != 0) return unavailable("cannot signal process " + std::to_string(process));
  context.console.data("run stop", {{"pid", process}},
                       "asked process " + std::to_string(process) + " to stop; the run can be resumed later");
  return {};
}

// What the lines of events.jsonl say of the run that was served last.
struct WatchedRun {
  std::string run;  // that began; empty: none did
  bool over = false;
  std::string failed;  // why it ended, where that was no stop

  void hear(const std::string& line) {
    const Json event = Json::parse(line, nullptr, false);
    const std::string name = event.is_object() ? event.value("event", "") : "";
    if (name == "run_started") *this = {.run = event.value("run", ""), .over = false, .failed = {}};
    if (name == "run_failed") failed = event.value("why", "");
    over = over || name == "run_complete" || name == "run_stopped" || name == "run_failed";
  }
  // After its last line, once no process serves any more.
  Result<void> how_it_ended() const {
    const std::string name = "run " + run.substr(0, 12);
    if (!failed.empty()) return failed_precondition(name + " ended: " + failed);
    if (run.empty() || over) return {};
    return failed_precondition("the process that served " + name +
                               " is gone without having ended it (killed, or crashed); start it again with the same "
                               "plan, and it resumes where it stopped");
  }
};

// Prints each line of events.jsonl as it is written, until the run ends.
Result<void> run_watch(CommandContext& context) {
  FOVEA_TRY(context.folder().federation());
  const fs::path path = context.folder().events();
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_regular_file(path, error))  // a pipe would be waited for
    return invalid_argument(path.string() + ": is not a regular file; move it away");
  std::ifstream events(path);
  if (!events) return not_found(path.string() + ": no run was served yet");
  const Descriptor watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!watch || ::inotify_add_watch(watch.number(), path.c_str(), IN_MODIFY) < 0)
    return unavailable("cannot watch " + path.string());
  WatchedRun watched;
  bool serves = serving_process(context.home).has_value();  // before what is there is read: all that it wrote is
  while (true) {
    std::string line;
    while (std::getline(events, line)) {
      std::cout << line << '\n' << std::flush;
      watched.hear(line);
    }
    const std::string served = served_run(context.home);  // another one may be about to begin
    if (!serves || (watched.over && (served.empty() || served == watched.run))) return watched.how_it_ended();
    events.clear();
    pollfd waiting{watch.number(), POLLIN, 0};
    ::poll(&waiting, 1, 1'000);
    char drained[4096];
    while (::read(watch.number(), drained, sizeof drained) > 0) {
    }
    serves = serving_process(context.home).has_value();
  }
}

}  // namespace

void add_run_commands(CLI::App& app, CommandContext& context) {
  auto choice = std::make_shared<Choice>();
  auto* run = app.add_subcommand("run", "Runs: a plan being executed");
  run->require_subcommand(1);
  auto* start = run->add_subcommand(
      "start",
      "Serve a plan to its end, and then its last sum to sites that lack it; resumes a run that was interrupted");
  start->add_option("plan", choice->plan, "The plan's file")->required();
  start->add_flag("--new", choice->fresh,
                  "Begin a new run even if there is one of this plan; every site that was in a sum of it refuses");
  start->callback(
      [&context, choice] { context.console.run("run start", [&] { return run_start(context, *choice); }); });
  auto* list = run->add_subcommand("list", "Runs and how far they are");
  list->callback([&context] { context.console.run("run list", [&] { return run_list(context); }); });
  auto* stop = run->add_subcommand("stop", "Stop the process that serves; the run can be resumed later");
  stop->callback([&context] { context.console.run("run stop", [&] { return run_stop(context); }); });
  auto* watch = run->add_subcommand("watch", "Print events as JSON lines until the run ends");
  watch->callback([&context] { context.console.run("run watch", [&] { return run_watch(context); }); });
}

}  // namespace fovea::coordinator::commands
