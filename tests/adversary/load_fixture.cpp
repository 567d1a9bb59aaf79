#include "tests/adversary/load_fixture.h"

#include <sys/resource.h>

#include <fstream>
#include <sstream>

namespace fovea::test {

void LoadTest::serve_hospitals(int rounds, std::function<void(Json&)> edit) {
  const std::set<std::string> played(kSites.begin(), kSites.end());
  make_plan({.rounds = rounds, .edit = std::move(edit), .strangers = played}, played);
  serve();
  if (limit_descriptors_) {  // before it has opened its port
    const rlimit limit{.rlim_cur = *limit_descriptors_, .rlim_max = *limit_descriptors_};
    ASSERT_EQ(::prlimit(server_->id(), RLIMIT_NOFILE, &limit, nullptr), 0);
  }
  const Json started = wait_for_coordinator("run_started");
  ScriptedHospitals::Options options{.home = home(),
                                     .plan = plan_file(),
                                     .sites = {},
                                     .work = root() / "model",
                                     .run = RunId::parse(started["run"].get<std::string>()).value(),
                                     .port = port_};
  for (const std::string& site : kSites) options.sites.push_back(site_folder(site));
  hospitals_ = std::make_unique<ScriptedHospitals>(options);
}

void LoadTest::expect_complete_run() {
  std::optional<int> code;
  ASSERT_TRUE(hospitals_->play_until([&] { return (code = server_->wait(std::chrono::milliseconds(0))).has_value(); }));
  EXPECT_EQ(code, 0) << server_->standard_error();
  EXPECT_TRUE(Json::parse(server_->standard_output())["data"]["complete"].get<bool>());
}

int LoadTest::coordinator_process() { return wait_for_coordinator("run_started")["pid"].get<int>(); }

std::size_t peak_memory(int process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("VmHWM:")) continue;
    std::istringstream number(line.substr(6));
    std::size_t kilobytes = 0;
    number >> kilobytes;
    return kilobytes * 1024;
  }
  return 0;
}

std::size_t folder_bytes(const std::filesystem::path& folder) {
  std::size_t out = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) out += entry.file_size();
  return out;
}

}  // namespace fovea::test
