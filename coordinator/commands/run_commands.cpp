#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "common/durable_file.h"
#include "coordinator/commands/command.h"
#include "coordinator/io/run_driver.h"
#include "coordinator/store/round_record.h"

namespace fovea::coordinator {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

struct Choice {
  std::string plan;
  std::string run;
  bool fresh = false;
};

void set_up_log(const std::string& level) {
  auto logger = spdlog::stderr_logger_mt("fovea-coordinator");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

// The process that serves holds this lock; its text is the process id.
class ServingLock {
 public:
  static Result<ServingLock> take(const fs::path& home) {
    const fs::path path = home / "serving";
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0) return unavailable(path.string() + ": cannot open");
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      ::close(descriptor);
      return failed_precondition(
          home.string() +
          ": another fovea-coordinator serves from this folder; stop it with: fovea-coordinator run stop");
    }
    const std::string text = std::to_string(::getpid()) + "\n";
    if (::ftruncate(descriptor, 0) != 0 || ::write(descriptor, text.data(), text.size()) < 0) {
      ::close(descriptor);
      return unavailable(path.string() + ": cannot write");
    }
    return ServingLock(descriptor);
  }
  ServingLock(ServingLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  ServingLock& operator=(ServingLock&&) = delete;
  ~ServingLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

 private:
  explicit ServingLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

// A run of this plan that has not ended is gone on with.
Result<std::unique_ptr<RunStore>> choose_run(CommandContext& context, ByteView plan_bytes, bool fresh) {
  const CoordinatorFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const federation::Plan plan, federation::Plan::parse(plan_bytes));
  FOVEA_TRY_ASSIGN(const std::vector<fs::path> runs, list_runs(folder.runs()));
  for (auto path = runs.rbegin(); !fresh && path != runs.rend(); ++path) {
    FOVEA_TRY_ASSIGN(RunStore store, RunStore::open(*path));
    if (store.plan().hash != plan.hash || store.complete()) continue;
    context.console.progress("going on with run " + store.facts().run.text() + ": " + std::to_string(store.sums()) +
                             " of " + std::to_string(plan.rounds_total()) + " rounds are done");
    return std::make_unique<RunStore>(std::move(store));
  }
  crypto::SystemRandom random;
  RunId run;
  random.fill(run.bytes);
  FOVEA_TRY_ASSIGN(RunStore store, RunStore::create(folder.runs() / run.text(), run, plan_bytes, context.clock.wall()));
  context.console.progress("run " + run.text());
  return std::make_unique<RunStore>(std::move(store));
}

Result<void> run_start(CommandContext& context, const Choice& choice) {
  FOVEA_TRY_ASSIGN(const CoordinatorConfig config, context.config());
  set_up_log(context.console.quiet ? "error" : config.log_level);
  FOVEA_TRY_ASSIGN(const Bytes plan_bytes, read_file(choice.plan, federation::kPlanBytesMax));
  if (const auto plan = federation::Plan::parse(plan_bytes); !plan) {
    context.console.configuration_failed = true;
    return plan.error().with_context(choice.plan);
  }
  FOVEA_TRY_ASSIGN(const ServingLock lock, ServingLock::take(context.home));
  FOVEA_TRY_ASSIGN(auto store, choose_run(context, plan_bytes, choice.fresh));
  block_stop_signals();
  FOVEA_TRY_ASSIGN(
      auto driver,
      RunDriver::open({.folder = context.folder(),
                       .config = config,
                       .store = std::move(store),
                       .show = [&context](const std::string& line) { context.console.progress_in_place(line); }},
                      context.clock));
  FOVEA_TRY_ASSIGN(const RunEnd end, driver->run());
  const RunStore& done = driver->store();
  const bool complete = end == RunEnd::complete;
  const std::string summary = (done.folder() / "summary.json").string();
  context.console.data("run start",
                       {{"run", done.facts().run.text()},
                        {"complete", complete},
                        {"rounds_done", done.sums()},
                        {"summary", summary},
                        {"model", to_hex(done.model_digest())}},
                       "run " + done.facts().run.text() + (complete ? " is complete: " : " was stopped: ") +
                           std::to_string(done.sums()) + " of " + std::to_string(done.plan().rounds_total()) +
                           " rounds\nsummary " + summary +
                           (complete ? "\nnext: fovea-coordinator model export --output model.safetensors"
                                     : "\ngo on with the same command"));
  return {};
}

Result<void> run_list(CommandContext& context) {
  FOVEA_TRY(context.folder().federation());
  FOVEA_TRY_ASSIGN(const std::vector<fs::path> runs, list_runs(context.folder().runs()));
  Json data = Json::array();
  std::vector<std::vector<std::string>> rows = {{"RUN", "PLAN", "ROUNDS", "STATE"}};
  for (const fs::path& path : runs) {
    FOVEA_TRY_ASSIGN(const RunStore store, RunStore::open(path));
    const std::string state = store.complete() ? "complete" : "open";
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

Result<pid_t> serving_process(const fs::path& home) {
  const fs::path path = home / "serving";
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool free = descriptor < 0 || ::flock(descriptor, LOCK_EX | LOCK_NB) == 0;
  if (descriptor >= 0) ::close(descriptor);
  if (free) return failed_precondition(home.string() + ": no run is being served");
  FOVEA_TRY_ASSIGN(const Bytes text, read_file(path, 64));
  const std::string_view digits = as_text(text);
  pid_t process = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), process).ec != std::errc() || process <= 1)
    return corruption(path.string() + ": holds no process id");
  return process;
}

Result<void> run_stop(CommandContext& context) {
  FOVEA_TRY_ASSIGN(const pid_t process, serving_process(context.home));
  if (::kill(process, SIGTERM) != 0) return unavailable("cannot signal process " + std::to_string(process));
  context.console.data("run stop", {{"pid", process}},
                       "asked process " + std::to_string(process) + " to stop; the run can go on later");
  return {};
}

// Prints each line of events.jsonl as it is written, until the run ends.
Result<void> run_watch(CommandContext& context) {
  FOVEA_TRY(context.folder().federation());
  const fs::path path = context.folder().root() / "events.jsonl";
  std::ifstream events(path);
  if (!events) return not_found(path.string() + ": no run was served yet");
  const int watch = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (watch < 0 || ::inotify_add_watch(watch, path.c_str(), IN_MODIFY) < 0)
    return unavailable("cannot watch " + path.string());
  bool over = !serving_process(context.home);
  while (true) {
    std::string line;
    while (std::getline(events, line)) {
      std::cout << line << '\n' << std::flush;
      if (line.find("\"event\":\"run_complete\"") != std::string::npos ||
          line.find("\"event\":\"run_stopped\"") != std::string::npos)
        over = true;
      if (line.find("\"event\":\"run_started\"") != std::string::npos) over = !serving_process(context.home);
    }
    if (over) break;
    events.clear();
    pollfd waiting{watch, POLLIN, 0};
    ::poll(&waiting, 1, 1'000);
    char drained[4096];
    while (::read(watch, drained, sizeof drained) > 0) {
    }
    over = !serving_process(context.home);
  }
  ::close(watch);
  return {};
}

}  // namespace

void add_run_commands(CLI::App& app, CommandContext& context) {
  auto choice = std::make_shared<Choice>();
  auto* run = app.add_subcommand("run", "Runs: a plan being executed");
  run->require_subcommand(1);
  auto* start = run->add_subcommand("start", "Serve a plan to its end; goes on with a run that was interrupted");
  start->add_option("plan", choice->plan, "The plan's file")->required();
  start->add_flag("--new", choice->fresh, "Begin a new run even if one of this plan is open");
  start->callback(
      [&context, choice] { context.console.run("run start", [&] { return run_start(context, *choice); }); });
  auto* list = run->add_subcommand("list", "Runs and how far they are");
  list->callback([&context] { context.console.run("run list", [&] { return run_list(context); }); });
  auto* stop = run->add_subcommand("stop", "Stop the process that serves; the run can go on later");
  stop->callback([&context] { context.console.run("run stop", [&] { return run_stop(context); }); });
  auto* watch = run->add_subcommand("watch", "Print events as JSON lines until the run ends");
  watch->callback([&context] { context.console.run("run watch", [&] { return run_watch(context); }); });
}

}  // namespace fovea::coordinator
