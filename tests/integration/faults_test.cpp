// Failure class: machines in trouble. A full disk and a second process with a site's keys; the run goes on.
#include <signal.h>
#include <sys/mount.h>

#include <fstream>

#include "tests/integration/federation_fixture.h"

namespace fovea::test {
namespace {

class FaultsTest : public FederationTest {
 protected:
  void start_long_run() {
    make_plan({.rounds = 400, .phase_s = 2});
    for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 100");
    serve();
  }
  void stop_run() {
    server_->signal(SIGTERM);
    EXPECT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
  }
  static bool everyone(const Json& event) { return event["contributors"].size() == kSites.size(); }
};

// A small file system of the test's own; unmounted with the object.
class SmallDisk {
 public:
  explicit SmallDisk(std::filesystem::path path) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
    mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=2m") == 0;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  void fill() const {
    std::ofstream file(path_ / "filler", std::ios::binary);
    const std::string block(4096, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void free() const { std::filesystem::remove(path_ / "filler"); }

 private:
  std::filesystem::path path_;
  bool mounted_ = false;
};

TEST_F(FaultsTest, ASiteWhoseDiskIsFullStopsWithTheReasonAndResumesWhenItIsFreed) {
  const std::filesystem::path original = root() / "dora-original";
  std::filesystem::rename(site_folder("dora"), original);
  const SmallDisk disk(site_folder("dora"));
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small disk needs root";
  std::filesystem::copy(original, site_folder("dora"), std::filesystem::copy_options::recursive);
  start_long_run();
  start_all_sites();
  const Json before = wait_for_coordinator("round_finished", everyone);
  disk.fill();
  EXPECT_EQ(sites_.at("dora").wait(kPatience), 4);  // "unavailable"
  EXPECT_NE(sites_.at("dora").standard_error().find("free some space and start again"), std::string::npos)
      << sites_.at("dora").standard_error();
  wait_for_coordinator("round_finished", [&](const Json& event) {
    return event["round"] > before["round"] && event["contributors"] == Json({"anna", "berta", "clara"});
  });
  disk.free();
  start_site("dora");
  const Json without = events_of(home() / "events.jsonl").back();
  wait_for_coordinator("round_finished",
                       [&](const Json& event) { return event["at_ms"] > without["at_ms"] && everyone(event); });
  stop_run();
}

TEST_F(FaultsTest, ASecondProcessWithASitesKeysIsRefused) {
  start_long_run();
  start_all_sites();
  wait_for_coordinator("round_finished", everyone);
  const Outcome twice = node("dora", {"start"});
  EXPECT_EQ(twice.exit_code, 1);
  EXPECT_NE(twice.err.find("another fovea-node runs on this folder"), std::string::npos) << twice.err;
  // A copy of the folder has no lock to see; the coordinator sees the second connection.
  std::filesystem::copy(site_folder("dora"), site_folder("dora-copy"), std::filesystem::copy_options::recursive);
  start_site("dora-copy");
  const Json refused = wait_for_coordinator("second_process_refused");
  EXPECT_EQ(refused["site"], "dora");
  expect_status("dora-copy", "another connection under this site's keys");
  EXPECT_NE(node("dora-copy", {"doctor"}).out.find("another connection under this site's keys"), std::string::npos);
  wait_for_coordinator("round_finished",
                       [&](const Json& event) { return event["at_ms"] > refused["at_ms"] && everyone(event); });
  stop_run();
}

}  // namespace
}  // namespace fovea::test
