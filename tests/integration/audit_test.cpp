// Failure class: what a real run leaves behind does not stand an audit. Whole federations of processes, a hospital and a
// coordinator killed on the way; then fovea-audit against the pinned roster, the coordinator's receipts, and a changed byte.
#include <signal.h>

#include <fstream>

#include "tests/integration/federation_fixture.h"

namespace fovea::test {
namespace {

constexpr int kIntegrity = 7;

class AuditTest : public FederationTest {
 protected:
  Outcome audit(std::vector<std::string> arguments) {
    const Json invite = Json::parse(Json::parse(read_text(home() / "invite.json"))["document"].get<std::string>());
    arguments.insert(arguments.begin(), {"--json", "--quiet"});
    for (const auto& roster : std::filesystem::directory_iterator(site_folder("anna") / "rosters"))
      arguments.insert(arguments.end(), {"--roster", roster.path().string()});
    for (const Json& key : invite["administrators"]) arguments.insert(arguments.end(), {"--admin", key.get<std::string>()});
    return run_program("fovea-audit", arguments, root() / ("audit-" + std::to_string(++commands_)));
  }
  static Json data_of(const Outcome& outcome) { return Json::parse(outcome.out)["data"]; }

  std::vector<std::string> everyone() {
    std::vector<std::string> folders{home().string()};
    for (const std::string& site : kSites) folders.push_back(site_folder(site).string());
    return folders;
  }

  void expect_everything_sound() {
    std::vector<std::string> verify = everyone();
    verify.insert(verify.begin(), "verify");
    const Outcome verified = audit(verify);
    EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;

    std::vector<std::string> reconcile{"reconcile", "--coordinator", home().string()};
    for (const std::string& site : kSites) reconcile.insert(reconcile.end(), {"--site", site_folder(site).string()});
    const Outcome reconciled = audit(reconcile);
    EXPECT_EQ(reconciled.exit_code, 0) << reconciled.out << reconciled.err;
    const Json data = data_of(reconciled);
    EXPECT_EQ(data["unlogged_bytes"], 0);
    for (const std::string& site : kSites) EXPECT_GT(data["sites"][site]["matched"]["bytes"], 0) << site;
  }

  void finish_run() {
    ASSERT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
    for (const std::string& site : kSites) ASSERT_EQ(sites_.at(site).wait(kPatience), 0) << site;
  }
};

TEST_F(AuditTest, ARunInWhichAHospitalWasKilledStandsAnAudit) {
  make_plan({.rounds = 4, .phase_s = 2});
  for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 300");
  serve();
  for (const std::string& site : kSites)
    start_site(site, site == "dora" ? std::vector<std::string>{"--until-complete", "--hold-after", "shares:2"} : std::vector<std::string>{"--until-complete"});
  wait_for_site("dora", "held");
  sites_.at("dora").signal(SIGKILL);
  ASSERT_EQ(sites_.at("dora").wait(kPatience), 128 + SIGKILL);
  start_site("dora", {"--until-complete"});
  finish_run();
  expect_everything_sound();

  const Json anna = data_of(audit({"verify", site_folder("anna").string()}))["ledgers"][0];
  EXPECT_EQ(anna["unpublished"], 0);
  EXPECT_EQ(anna["facts"]["rounds"]["applied"], 4);
  EXPECT_EQ(anna["facts"]["decisions"][0]["key_in_roster"], true);
  EXPECT_EQ(anna["facts"]["decisions"][0]["person"], "tester");
  // One byte of one entry.
  std::filesystem::path bundle;
  for (const auto& file : std::filesystem::recursive_directory_iterator(site_folder("anna") / "ledger" / "tile" / "entries"))
    if (file.is_regular_file()) bundle = file.path();
  std::string bytes = read_text(bundle);
  bytes[bytes.find("masked-chunk")] = 'M';
  std::ofstream(bundle, std::ios::binary) << bytes;
  const Outcome changed = audit({"verify", site_folder("anna").string()});
  EXPECT_EQ(changed.exit_code, kIntegrity);
  EXPECT_EQ(data_of(changed)["ledgers"][0]["findings"][0]["where"].get<std::string>().rfind("entry ", 0), 0U);
}

TEST_F(AuditTest, ARunInWhichTheCoordinatorWasKilledStandsAnAudit) {
  make_plan({.rounds = 4});
  for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 100");
  serve();
  for (const std::string& site : kSites) start_site(site, {"--until-complete"});
  wait_for_coordinator("phase", [](const Json& event) { return event["round"] == 2 && event["phase"] == "collecting-masked"; });
  server_->signal(SIGKILL);
  ASSERT_EQ(server_->wait(kPatience), 128 + SIGKILL);
  serve();
  finish_run();
  expect_everything_sound();
}

}  // namespace
}  // namespace fovea::test
