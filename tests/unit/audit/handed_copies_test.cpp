// Failure class: the auditor's program, run over what somebody else handed over, names a culprit whom no signature
// shows, counts what it did not read, or leaves out what a person needs: who decided, why, and which key that was.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "federation/membership/approval.h"
#include "tests/support/audited_run.h"
#include "tests/support/ledger_edits.h"
#include "tests/support/temporary_folder.h"

namespace fovea::audit {
namespace {

using federation::ledger::LedgerEntry;
using federation::membership::ApprovalDecision;
using nlohmann::json;
using Entries = std::vector<LedgerEntry>;
namespace fs = std::filesystem;

constexpr int kIntegrity = 7;

struct ProgramResult {
  int code = -1;
  std::string out;

  bool says(const std::string& text) const { return out.find(text) != std::string::npos; }
  json data() const { return json::parse(out)["data"]; }
};

class HandedCopies : public testing::Test {
 protected:
  HandedCopies() {
    receipts = test::write_site_ledger(site, 2);
    const Digest roster = test::write_roster_file(folder.path() / "roster.json", 1, {test::roster_entry_of(site)});
    receipts.insert(receipts.begin(), federation::ledger::RosterEpoch{1, roster, 1});
    write_site("st-anna", test::numbered_entries(0, 600));
    write_coordinator("coordinator", receipts);
    write_coordinator("coordinator", test::numbered_entries(0, 600));
  }

  void write_site(const std::string& name, const Entries& entries, std::int64_t after_ms = 0) {
    write(name, "test/st-anna", site.log_key, entries, after_ms);
  }
  void write_coordinator(const std::string& name, const Entries& entries) {
    write(name, "test/coordinator", test::kAuditCoordinator, entries, 0);
  }
  void write(const std::string& name, const std::string& origin, std::uint64_t key, const Entries& entries,
             std::int64_t after_ms) {
    auto ledger = federation::ledger::Ledger::open(test::ledger_options(path(name), origin, key)).value();
    ASSERT_TRUE(ledger.append(UnixMs{test::kTestTime.value + after_ms}, entries));
    ASSERT_TRUE(ledger.publish());
  }
  std::string copy_of(const std::string& name, const std::string& copy) {
    fs::copy(path(name), path(copy), fs::copy_options::recursive);
    return copy;
  }
  fs::path path(const std::string& name) const { return folder.path() / name; }
  std::string keys() const {
    return " --roster '" + path("roster.json").string() + "' --admin " +
           to_hex(test::signing_key(test::kAuditAdministrator).verify_key());
  }
  ProgramResult run(const std::string& arguments) const {
    ProgramResult result;
    const std::string command = "cd '" + folder.path().string() + "' && '" + FOVEA_BIN_DIR + "/fovea-audit' --quiet " +
                                arguments + keys() + " 2>&1";
    std::FILE* pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) return result;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) result.out.push_back(static_cast<char>(c));
    const int status = ::pclose(pipe);
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return result;
  }
  LedgerEntry decision(ApprovalDecision what, const std::string& reason, std::int64_t after_ms) const {
    const federation::membership::Approval text{.site = site.site,
                                                .plan = site.plan.hash,
                                                .decision = what,
                                                .approver = "Dr. Ines Okafor",
                                                .reason = reason,
                                                .decided = UnixMs{test::kTestTime.value + after_ms}};
    federation::membership::SignedDocument document{
        .kind = "approval", .document = text.document().value(), .signatures = {}};
    EXPECT_TRUE(document.sign(site.approver));
    if (what == ApprovalDecision::approved)
      return federation::ledger::PlanApproved{site.plan.hash, site.approver.verify_key(), document.serialize()};
    return federation::ledger::PlanWithdrawn{site.plan.hash, site.approver.verify_key(), document.serialize()};
  }

  test::TemporaryFolder folder;
  test::EgressSite site{folder.path() / "st-anna"};
  Entries receipts;
};

TEST_F(HandedCopies, AnEditedLedgerConvictsNobodyInEitherOrder) {
  EXPECT_EQ(run("reconcile --site st-anna --coordinator coordinator").code, 0);
  copy_of("st-anna", "edited");
  const std::uint64_t index = test::find_entry(path("edited"), {"\"egress.intent\"", "masked-statement"});
  test::edit_field(path("edited"), index, "payload");
  for (const char* sites : {"--site edited", "--site edited --site st-anna", "--site st-anna --site edited"}) {
    const ProgramResult result = run(std::string("reconcile --coordinator coordinator ") + sites);
    EXPECT_EQ(result.code, kIntegrity);
    EXPECT_FALSE(result.says("convicts site") || result.says("signed by st-anna and not recorded")) << result.out;
    EXPECT_FALSE(result.says("the same ledger")) << result.out;
    EXPECT_TRUE(result.says("leads to the root that st-anna signed")) << result.out;
    EXPECT_EQ(result.says("Unlogged bytes: 0"), std::string(sites).find(" st-anna") != std::string::npos);
  }
  const ProgramResult explained = run("explain edited " + std::to_string(index));
  EXPECT_EQ(explained.code, kIntegrity);
  EXPECT_TRUE(explained.says("It is NOT under the signed checkpoint")) << explained.out;
  EXPECT_TRUE(explained.says("speaks against nobody")) << explained.out;
  EXPECT_FALSE(explained.says("breaks the rule")) << explained.out;
}

TEST_F(HandedCopies, AnEditedReceiptConvictsNoCoordinator) {
  copy_of("coordinator", "edited");
  const std::uint64_t index = test::find_entry(path("edited"), {"\"ingress.receipt\"", "masked-statement"});
  test::edit_field(path("edited"), index, "body");
  for (const bool lacks_a_tile : {false, true}) {
    if (lacks_a_tile)
      for (const char* file : {"tile/0/001", "tile/entries/001"}) fs::remove(path("edited") / file);
    for (const std::string& command :
         {std::string("verify edited"), std::string("reconcile --site st-anna --coordinator edited"),
          "explain edited " + std::to_string(index), std::string("report st-anna edited --out page.html")}) {
      const ProgramResult result = run(command);
      EXPECT_EQ(result.code, kIntegrity) << command;
      const std::string all = result.out + (command.starts_with("report") ? test::slurp(path("page.html")) : "");
      for (const char* claim : {"made it up", "inventions", "convicts coordinator", "[receipt]", "Unlogged bytes"})
        EXPECT_EQ(all.find(claim), std::string::npos) << command << "\n" << claim << "\n" << result.out;
    }
  }
}

TEST_F(HandedCopies, AMissingCheckpointIsNotVerifiedAndNothingIsCounted) {
  for (const char* name : {"st-anna", "coordinator"}) {
    copy_of(name, std::string(name) + "-without");
    fs::remove(path(std::string(name) + "-without") / "checkpoint");
    const ProgramResult result = run("verify " + std::string(name) + "-without");
    EXPECT_EQ(result.code, kIntegrity);
    EXPECT_TRUE(result.out.starts_with("NOT VERIFIED")) << result.out;
    EXPECT_TRUE(result.says("copy the file checkpoint too")) << result.out;
    EXPECT_FALSE(result.says("FAIL")) << result.out;
  }
  const ProgramResult of_site = run("reconcile --site st-anna-without --coordinator coordinator");
  EXPECT_TRUE(of_site.says("unless it is st-anna-without")) << of_site.out;
  EXPECT_FALSE(of_site.says("FAIL")) << of_site.out;
  const ProgramResult result = run("reconcile --site st-anna --coordinator coordinator-without");
  EXPECT_FALSE(result.says("Unlogged bytes") || result.says("sent but unconfirmed")) << result.out;
  EXPECT_TRUE(result.says("no byte was counted")) << result.out;
  const json data = run("--json reconcile --site st-anna --coordinator coordinator-without").data();
  EXPECT_EQ(data["compared"], "nothing");
  EXPECT_TRUE(data["unlogged_bytes"].is_null());
}

// The list ends: those that convict come first, each in order, and how many are left out is said.
TEST_F(HandedCopies, AListThatEndsSaysSoAndBeginsWithWhatConvicts) {
  Entries many;
  for (std::size_t i = 0; i < receipts.size() && many.size() < 30; ++i)  // again: convicts nobody
    if (const auto* receipt = std::get_if<federation::ledger::IngressReceipt>(&receipts[i]))
      for (int again = 0; again < 4; ++again) many.emplace_back(*receipt);
  const std::size_t harmless = many.size();
  const auto kind = federation::messages::MessageKind::training_ready;
  for (std::uint8_t i = 0; i < 25; ++i) {
    const federation::messages::TrainingReady message{.round = 1, .model_hash = test::filled(i)};
    many.emplace_back(test::receipt_of(site, kind, site.wire(kind, message.encode()), 1));
  }
  write_coordinator("coordinator", many);
  const ProgramResult text = run("reconcile --site st-anna --coordinator coordinator");
  EXPECT_EQ(text.code, kIntegrity);
  EXPECT_TRUE(
      text.says("note: st-anna: " + std::to_string(harmless + 5) + " more of the coordinator's entries have no"))
      << text.out;
  EXPECT_TRUE(text.says("of which 5 convict somebody")) << text.out;
  const json anna = run("--json reconcile --site st-anna --coordinator coordinator").data()["sites"]["st-anna"];
  EXPECT_EQ(anna["not_listed"], harmless + 5);
  ASSERT_EQ(anna["unlogged_receipts"].size(), 20U);
  const std::uint64_t first = test::size_in_checkpoint(path("coordinator")) - 25;
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(anna["unlogged_receipts"][i]["entry"], first + i);
    EXPECT_EQ(anna["unlogged_receipts"][i]["convicts"], "site");
  }
  EXPECT_EQ(run("report st-anna coordinator --out page.html").code, kIntegrity);
  EXPECT_NE(test::slurp(path("page.html")).find(" more of the coordinator&#39;s entries have no"), std::string::npos);
}

// What a copy of the coordinator's ledger that ends early cannot hold is no message that was lost.
TEST_F(HandedCopies, SaysWhatWasAnnouncedAfterTheCoordinatorsCopyEnds) {
  Entries early(receipts.begin(), receipts.begin() + 5);
  write_coordinator("early", early);
  const std::size_t missing = receipts.size() - 5;
  const ProgramResult before = run("reconcile --site st-anna --coordinator early");
  EXPECT_EQ(before.code, 0) << before.out;
  EXPECT_TRUE(before.says("the coordinator's copy ends at 2023-11-14")) << before.out;
  EXPECT_TRUE(before.says("of " + std::to_string(missing) +
                          " messages sent but unconfirmed 0 were announced after it, " + "and " +
                          std::to_string(missing) + " before"))
      << before.out;
  // And one an hour later.
  auto entries = test::read_ledger_entries(path("st-anna"), "test/st-anna", site.log_key);
  fs::create_directories(path("later"));
  const auto last = std::find_if(entries.rbegin(), entries.rend(), [](const LedgerEntry& entry) {
    return std::holds_alternative<federation::ledger::EgressIntent>(entry);
  });
  const std::size_t at = static_cast<std::size_t>(entries.rend() - last) - 1;
  write_site("later", Entries(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(at)));
  write_site("later", Entries(entries.begin() + static_cast<std::ptrdiff_t>(at), entries.end()), 3'600'000);
  const json data = run("--json reconcile --site later --coordinator early").data();
  EXPECT_EQ(data["sites"]["st-anna"]["unconfirmed"]["messages"], missing);
  EXPECT_EQ(data["sites"]["st-anna"]["unconfirmed_after_end"]["messages"], 1);
  EXPECT_EQ(data["coordinator_ends_ms"], test::kTestTime.value);
}

TEST_F(HandedCopies, ARejectionSaysWhoAndWhyAndWhatBecameOfIt) {
  write_site("st-anna", {decision(ApprovalDecision::rejected, "the ethics vote ran out", 5)});
  const std::uint64_t index = test::size_in_checkpoint(path("st-anna")) - 1;
  const ProgramResult rejected = run("explain st-anna " + std::to_string(index));
  EXPECT_EQ(rejected.code, 0) << rejected.out;
  for (const char* part :
       {"Dr. Ines Okafor", "the ethics vote ran out", "until a person approves it again", "Signed 2023-11-14"})
    EXPECT_TRUE(rejected.says(part)) << part << "\n" << rejected.out;
  EXPECT_FALSE(rejected.says("It was approved again")) << rejected.out;
  write_site("st-anna", {decision(ApprovalDecision::approved, "renewed", 9)});
  EXPECT_TRUE(run("explain st-anna " + std::to_string(index))
                  .says("It was approved again in entry " + std::to_string(index + 1) + "."));
  EXPECT_TRUE(run("explain st-anna " + std::to_string(index + 1)).says("Their reason: renewed"));
  EXPECT_EQ(run("report st-anna --out page.html").code, 0);
  const std::string page = test::slurp(path("page.html"));
  EXPECT_NE(page.find("the ethics vote ran out"), std::string::npos);
  EXPECT_EQ(run("--json verify st-anna").data()["ledgers"][0]["facts"]["decisions"][1]["reason"],
            "the ethics vote ran out");
}

// The key that a report names is the one that was typed.
TEST_F(HandedCopies, TheReportNamesAKeyByTheDigitsThatPeopleSee) {
  EXPECT_EQ(run("report st-anna coordinator --out page.html").code, 0);
  const std::string key = to_hex(test::signing_key(test::kAuditAdministrator).verify_key());
  EXPECT_NE(test::slurp(path("page.html")).find("<code>" + key.substr(0, 16) + "…</code>"), std::string::npos);
}

TEST_F(HandedCopies, SeveralEntriesWereChangedAndOneWas) {
  // What is missed stands in the first tile, what rests on it in the second.
  Entries entries = test::read_ledger_entries(path("st-anna"), "test/st-anna", site.log_key);
  const Entries between = test::numbered_entries(0, 256);
  entries.insert(entries.begin() + 5, between.begin(), between.end());
  write_site("edited", entries);
  copy_of("edited", "another");
  for (const char* file : {"tile/0/000", "tile/entries/000"}) fs::remove(path("edited") / file);
  EXPECT_TRUE(run("verify edited").says("because entries 0 to 255 were changed or are missing"));
  const std::uint64_t approval = test::find_entry(path("another"), {"\"plan.approved\""});
  test::edit_field(path("another"), approval, "plan", 0);
  EXPECT_TRUE(run("verify another").says("because entry " + std::to_string(approval) + " was changed or is missing"));
}

}  // namespace
}  // namespace fovea::audit
