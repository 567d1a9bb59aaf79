// Failure class: what a real run leaves behind does not stand an audit. Whole federations of processes, a hospital and
// a coordinator killed on the way, a study forgotten; then fovea-audit against the pinned roster, the coordinator's
// receipts, and a changed byte.
#include <signal.h>

#include <fstream>

#include "tests/integration/federation_fixture.h"
#include "tests/support/dicom_files.h"

namespace fovea::test {
namespace {

constexpr int kIntegrity = 7;

class AuditTest : public FederationTest {
 protected:
  Outcome audit(std::vector<std::string> arguments) {
    const Json invite = Json::parse(Json::parse(read_text(home() / "invite.json"))["document"].get<std::string>());
    arguments.insert(arguments.begin(), {"--json", "--quiet"});
    std::vector<std::string> rosters;
    std::error_code none;
    for (const auto& roster : std::filesystem::directory_iterator(site_folder("anna") / "rosters", none))
      rosters.push_back(roster.path().string());
    if (rosters.empty()) rosters.push_back((home() / "roster.json").string());  // before a site has met its coordinator
    for (const std::string& roster : rosters) arguments.insert(arguments.end(), {"--roster", roster});
    for (const Json& key : invite["administrators"])
      arguments.insert(arguments.end(), {"--admin", key.get<std::string>()});
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

TEST_F(AuditTest, ARunInWhichAHospitalWasKilledPassesAnAudit) {
  make_plan({.rounds = 4, .phase_s = 2});
  for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 300");
  serve();
  for (const std::string& site : kSites)
    start_site(site, site == "dora" ? std::vector<std::string>{"--until-complete", "--hold-after", "shares:2"}
                                    : std::vector<std::string>{"--until-complete"});
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
  ASSERT_EQ(anna["facts"]["acquaintances"].size(), 3U);
  EXPECT_EQ(anna["facts"]["acquaintances"][0]["site"], "berta");
  EXPECT_EQ(anna["facts"]["acquaintances"][0]["person"], "tester");
  // One byte of one entry.
  std::filesystem::path bundle;
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(site_folder("anna") / "ledger" / "tile" / "entries"))
    if (file.is_regular_file()) bundle = file.path();
  std::string bytes = read_text(bundle);
  bytes[bytes.find("masked-chunk")] = 'M';
  std::ofstream(bundle, std::ios::binary) << bytes;
  const Outcome changed = audit({"verify", site_folder("anna").string()});
  EXPECT_EQ(changed.exit_code, kIntegrity);
  EXPECT_EQ(data_of(changed)["ledgers"][0]["findings"][0]["where"].get<std::string>().rfind("entry ", 0), 0U);
}

TEST_F(AuditTest, AnErasureIsRecordedWithoutSayingWhose) {
  const std::filesystem::path hospital = root() / "scans", data = site_folder("anna") / "data";
  std::filesystem::create_directories(hospital);
  for (int n = 0; n < 5; ++n)
    std::ofstream(hospital / (std::to_string(n) + ".dcm"), std::ios::binary)
        << as_text(node::ct_slice(n, 2 * n).file());
  const Outcome taken = node("anna", {"data", "ingest", hospital.string()});
  ASSERT_EQ(taken.exit_code, 0) << taken.err;
  const std::string code = Json::parse(node("anna", {"--json", "data", "list"}).out)["data"]["studies"][0]["code"];
  std::filesystem::create_directories(data / "embeddings");
  std::ofstream(data / "embeddings" / (code + ".emb")) << "where the store keeps them";

  const Outcome unknown = node("anna", {"data", "forget", "s-2222222222"});
  EXPECT_NE(unknown.exit_code, 0);
  EXPECT_NE(unknown.err.find("no such code"), std::string::npos) << unknown.err;
  const Outcome forgotten = node("anna", {"data", "forget", code});
  ASSERT_EQ(forgotten.exit_code, 0) << forgotten.err;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(site_folder("anna")))
    EXPECT_NE(entry.path().filename().string().rfind(code + ".", 0), 0U) << entry.path() << " is left";
  const Outcome again = node("anna", {"data", "forget", code});
  EXPECT_NE(again.exit_code, 0);
  EXPECT_NE(again.err.find(code + " was forgotten at 20"), std::string::npos) << again.err;

  const std::vector<std::string> verify{
      "verify",   site_folder("anna").string(), "--canary", "Canary", "--canary", "CANARY-ID-99", "--canary",
      "1.2.3.4.5"};
  const Outcome verified = audit(verify);
  ASSERT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  const Json ledger = data_of(verified)["ledgers"][0];
  EXPECT_EQ(ledger["unpublished"], 0);
  const Json incidents = ledger["facts"]["incidents"];
  ASSERT_EQ(incidents.size(), 2U) << incidents;  // neither the unknown study nor the second time
  EXPECT_EQ(incidents[0]["rule"], "erasure");
  EXPECT_EQ(incidents[0]["detail"], "study " + code + ": is being deleted");
  EXPECT_EQ(incidents[1]["rule"], "erasure");
  EXPECT_EQ(incidents[1]["detail"], "study " + code + ": volumes, embeddings and identity were deleted");

  // The record of an erasure cannot be moved to another study.
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(site_folder("anna") / "ledger" / "tile" / "entries")) {
    if (!file.is_regular_file()) continue;
    std::string bytes = read_text(file.path());
    const std::size_t at = bytes.find(code);
    ASSERT_NE(at, std::string::npos);
    bytes[at + 2] = bytes[at + 2] == 'a' ? 'b' : 'a';
    std::ofstream(file.path(), std::ios::binary) << bytes;
  }
  EXPECT_EQ(audit(verify).exit_code, kIntegrity);
}

TEST_F(AuditTest, ARunInWhichTheCoordinatorWasKilledPassesAnAudit) {
  make_plan({.rounds = 4});
  for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 100");
  serve();
  for (const std::string& site : kSites) start_site(site, {"--until-complete"});
  wait_for_coordinator("phase",
                       [](const Json& event) { return event["round"] == 2 && event["phase"] == "collecting-masked"; });
  server_->signal(SIGKILL);
  ASSERT_EQ(server_->wait(kPatience), 128 + SIGKILL);
  serve();
  finish_run();
  expect_everything_sound();
}

}  // namespace
}  // namespace fovea::test
