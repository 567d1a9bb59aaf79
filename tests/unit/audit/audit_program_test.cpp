// The auditor's program as a person runs it: ledgers of two sites and the coordinator, their roster, every command.
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <regex>
#include <utility>

#include "crypto/signed_note.h"
#include "federation/ledger/journal.h"
#include "federation/membership/blame.h"
#include "federation/membership/roster.h"
#include "tests/support/audited_run.h"
#include "tests/support/temporary_folder.h"

namespace fovea::audit {
namespace {

using nlohmann::json;
using test::EgressSite;

constexpr int kIntegrity = 7;
constexpr std::uint64_t kAdministrator = test::kAuditAdministrator, kCoordinatorKey = test::kAuditCoordinator;

struct ProgramResult {
  int code = -1;
  std::string out;
};

ProgramResult fovea_audit(const std::string& arguments, const std::string& under = "") {
  ProgramResult result;
  std::FILE* pipe =
      ::popen((under + "'" + FOVEA_BIN_DIR + "/fovea-audit' --quiet " + arguments + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return result;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) result.out.push_back(static_cast<char>(c));
  const int status = ::pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

json data_of(const ProgramResult& result) {
  const json value = json::parse(result.out, nullptr, false);
  EXPECT_FALSE(value.is_discarded()) << result.out;
  EXPECT_EQ(value.value("fovea", 0), 1);
  return value.value("data", json::object());
}

class AuditProgram : public testing::Test {
 protected:
  void SetUp() override {
    receipts.emplace_back(federation::ledger::RosterEpoch{1, write_roster("roster.json", 1, {&anna, &bern}), 2});
    for (EgressSite* site : {&anna, &bern}) {
      const auto received = test::write_site_ledger(*site, 2);
      receipts.insert(receipts.end(), received.begin(), received.end());
    }
    test::write_ledger_of(folder.path() / "coordinator" / "ledger", "test/coordinator", kCoordinatorKey, receipts);
  }

  // Of these members; returns the roster's hash.
  Digest write_roster(const std::string& file, EpochNumber number, const std::vector<const EgressSite*>& members) {
    std::vector<federation::membership::RosterSite> entries;
    for (const EgressSite* site : members) entries.push_back(test::roster_entry_of(*site));
    return test::write_roster_file(folder.path() / file, number, entries);
  }
  // Of the second epoch, without st-bern: in force at the coordinator after all it received.
  void revoke_bern() {
    receipts.emplace_back(federation::ledger::RosterEpoch{2, write_roster("newest.json", 2, {&anna}), 1});
    receipts.emplace_back(federation::ledger::Incident{"load", "st-anna sends more messages than round 2 allows"});
    test::write_ledger_of(folder.path() / "coordinator" / "ledger", "test/coordinator", kCoordinatorKey,
                          {receipts.end() - 2, receipts.end()});
  }

  std::string path(const std::string& name) const { return "'" + (folder.path() / name).string() + "'"; }
  std::string keys() const { return keys_with("roster.json"); }
  std::string keys_with(const std::string& roster) const {
    return " --roster " + path(roster) + " --admin " + to_hex(test::signing_key(kAdministrator).verify_key());
  }
  std::string all() const { return path("st-anna") + " " + path("st-bern") + " " + path("coordinator"); }

  static EgressSite other_site(const std::filesystem::path& where) {
    EgressSite site(where);
    site.site = SiteId::create("st-bern").value();
    site.log_key = 5;
    site.approver = test::signing_key(6);
    site.identity = test::signing_key(7);
    return site;
  }

  std::vector<federation::ledger::LedgerEntry> receipts;
  test::TemporaryFolder folder;
  EgressSite anna{folder.path() / "st-anna" / "ledger"};
  EgressSite bern = other_site(folder.path() / "st-bern" / "ledger");
};

TEST_F(AuditProgram, VerifiesAgainstThePinnedRoster) {
  const ProgramResult result = fovea_audit("--json verify " + all() + keys());
  EXPECT_EQ(result.code, 0) << result.out;
  const json data = data_of(result);
  EXPECT_EQ(data["verdict"], "pass");
  ASSERT_EQ(data["ledgers"].size(), 3U);
  EXPECT_EQ(data["ledgers"][0]["owner"], "st-anna");
  EXPECT_EQ(data["ledgers"][0]["facts"]["kinds"]["masked-chunk"]["messages"], 2);
  EXPECT_EQ(data["ledgers"][0]["facts"]["decisions"][0]["key_in_roster"], true);
  EXPECT_NE(fovea_audit("verify " + all() + keys()).out.find("PASS"), std::string::npos);
}

TEST_F(AuditProgram, NamesTheEntryOfAChangedByteAndExitsWithSeven) {
  const std::string bundle = "st-anna/ledger/" + [&] {
    for (const std::string& name : test::files_in(folder.path() / "st-anna/ledger"))
      if (name.starts_with("tile/entries/")) return name;
    return std::string();
  }();
  const std::string bytes = test::slurp(folder.path() / bundle);
  test::flip_byte(folder.path() / bundle, bytes.find("masked-chunk"));
  const ProgramResult result = fovea_audit("--json verify " + path("st-anna") + keys());
  EXPECT_EQ(result.code, kIntegrity);
  const json data = data_of(result);
  EXPECT_EQ(data["verdict"], "fail");
  const std::string where = data["ledgers"][0]["findings"][0]["where"];
  EXPECT_EQ(where.rfind("entry ", 0), 0U) << where;
  EXPECT_EQ(fovea_audit("reconcile --site " + path("st-anna") + " --coordinator " + path("coordinator") + keys()).code,
            kIntegrity);
}

TEST_F(AuditProgram, BelievesNoLedgerWithoutAKeyAndNoRosterWithoutItsAdministrators) {
  EXPECT_EQ(fovea_audit("verify " + all()).code, 1);
  const std::string stranger = to_hex(test::signing_key(51).verify_key());
  EXPECT_NE(fovea_audit("verify " + all() + " --roster " + path("roster.json") + " --admin " + stranger).code, 0);
  const std::string one_key = " --key '" + test::note_key_text("test/st-anna", 1) + "'";
  EXPECT_EQ(fovea_audit("verify " + path("st-anna") + one_key).code, 0);
  EXPECT_EQ(fovea_audit("verify " + path("st-bern") + one_key).code, kIntegrity);
  EXPECT_EQ(fovea_audit("verify").code, 2);
  EXPECT_EQ(fovea_audit("verify " + path("nothing") + one_key).code, 1);
}

TEST_F(AuditProgram, ReconcilesSitesWithTheCoordinator) {
  const std::string sites = " --site " + path("st-anna") + " --site " + path("st-bern");
  const ProgramResult good = fovea_audit("--json reconcile" + sites + " --coordinator " + path("coordinator") + keys());
  EXPECT_EQ(good.code, 0) << good.out;
  EXPECT_EQ(data_of(good)["unlogged_bytes"], 0);
  EXPECT_GT(data_of(good)["sites"]["st-bern"]["matched"]["messages"], 0);
  // With the ledger of one site, only what the coordinator received of that one is compared.
  const ProgramResult one =
      fovea_audit("--json reconcile --site " + path("st-anna") + " --coordinator " + path("coordinator") + keys());
  EXPECT_EQ(one.code, 0) << one.out;
  EXPECT_EQ(data_of(one)["verdict"], "pass");
  EXPECT_EQ(data_of(one)["unlogged_bytes"], 0);
  EXPECT_GT(data_of(one)["sites"]["st-bern"]["not_looked_at"]["messages"], 0);
  EXPECT_EQ(data_of(one)["sites"]["st-anna"]["not_looked_at"]["messages"], 0);
  EXPECT_EQ(fovea_audit("reconcile --site " + path("coordinator") + " --coordinator " + path("st-anna") + keys()).code,
            1);
}

// It is not on the newest roster: that shows nothing against it.
TEST_F(AuditProgram, ARevokedSitesLedgerIsNotVerifiedWithTheNewestRosterAlone) {
  revoke_bern();
  const std::string newest = keys_with("newest.json"), both = keys() + " --roster " + path("newest.json");
  const ProgramResult alone = fovea_audit("verify " + path("st-bern") + newest);
  EXPECT_EQ(alone.code, kIntegrity);  // it did not pass either
  EXPECT_EQ(alone.out.rfind("NOT VERIFIED", 0), 0U) << alone.out;
  EXPECT_NE(alone.out.find("--roster FILE may be repeated"), std::string::npos) << alone.out;
  for (const char* wrong : {"FAIL", "0 entries", "not what was signed"})
    EXPECT_EQ(alone.out.find(wrong), std::string::npos) << alone.out;
  const json data = data_of(fovea_audit("--json verify " + all() + newest));
  EXPECT_EQ(data["verdict"], "unverified");
  EXPECT_EQ(data["ledgers"][0]["verdict"], "pass");
  for (const std::size_t unknown : {1U, 2U}) {  // st-bern's own, and what the coordinator received of it
    EXPECT_EQ(data["ledgers"][unknown]["verdict"], "unverified");
    EXPECT_EQ(data["ledgers"][unknown]["finding_count"], 0);
  }
  const std::string compared =
      " --site " + path("st-anna") + " --site " + path("st-bern") + " --coordinator " + path("coordinator");
  EXPECT_EQ(data_of(fovea_audit("--json reconcile" + compared + newest))["verdict"], "unverified");
  EXPECT_EQ(fovea_audit("reconcile" + compared + both).code, 0);
  EXPECT_EQ(fovea_audit("verify " + all() + both).code, 0);
  // With its key the same ledger fails when it was changed.
  test::flip_byte(folder.path() / "st-bern/ledger/checkpoint", std::string("test/st-bern\n").size());
  EXPECT_EQ(data_of(fovea_audit("--json verify " + path("st-bern") + both))["verdict"], "fail");
  EXPECT_EQ(fovea_audit("explain " + path("st-bern") + " 1" + newest).code, kIntegrity);
}

TEST_F(AuditProgram, CountsALedgerOnceHoweverOftenItIsGiven) {
  const ProgramResult twice = fovea_audit("verify " + path("st-anna") + " " + path("st-anna") + keys());
  EXPECT_EQ(twice.code, 0) << twice.out;
  EXPECT_NE(twice.out.find("PASS: 1 ledger is complete"), std::string::npos) << twice.out;
  EXPECT_NE(twice.out.find("is the same ledger"), std::string::npos) << twice.out;
  EXPECT_EQ(fovea_audit("report " + all() + " " + all() + keys() + " --out " + path("report.html")).code, 0);
  const std::string html = test::slurp(folder.path() / "report.html");
  const std::size_t section = html.find("<h3>st-anna</h3>");
  EXPECT_EQ(html.find("<h3>st-anna</h3>", section + 1), std::string::npos);
}

TEST_F(AuditProgram, NamesTheOwnerOfTwoLedgersThatContradictEachOther) {
  auto entries = test::read_ledger_entries(folder.path() / "st-anna" / "ledger", "test/st-anna", anna.log_key);
  entries.resize(entries.size() / 2);
  test::write_ledger_of(folder.path() / "second", "test/st-anna", anna.log_key, entries);
  entries.emplace_back(federation::ledger::Incident{"load", "another one"});
  test::write_ledger_of(folder.path() / "second", "test/st-anna", anna.log_key, {entries.back()});
  const std::string sites = " --site " + path("st-anna") + " --site " + path("second") + " --site " + path("st-bern");
  const ProgramResult result = fovea_audit("reconcile" + sites + " --coordinator " + path("coordinator") + keys());
  EXPECT_EQ(result.code, kIntegrity);
  EXPECT_NE(result.out.find("st-anna signed two ledgers that contradict each other."), std::string::npos) << result.out;
  const json data = data_of(fovea_audit("--json verify " + path("st-anna") + " " + path("second") + keys()));
  EXPECT_EQ(data["verdict"], "fail");
  for (const json& ledger : data["ledgers"]) EXPECT_EQ(ledger["findings"][0]["rule"], "fork");
  EXPECT_EQ(fovea_audit("report " + all() + " " + path("second") + keys() + " --out " + path("report.html")).code,
            kIntegrity);
}

TEST_F(AuditProgram, ACheckpointThatClaimsTooMuchEndsTheAuditSoon) {
  const crypto::Checkpoint claim{"test/st-anna", 1'000'000'000'000'000, {}};
  const auto note = crypto::sign_note(claim.text(), claim.origin, test::signing_key(anna.log_key)).value();
  test::spill(folder.path() / "st-anna/ledger/checkpoint", note.serialize());
  // Its journal confirms as many messages as the checkpoint claims.
  federation::ledger::LedgerJournal journal =
      federation::ledger::LedgerJournal::open(
          folder.path() / "st-anna/ledger/journal", {},
          federation::ledger::ledger_journal_key(test::signing_key(anna.log_key), claim.origin))
          .value();
  const auto text = federation::ledger::encode_entry(
      {test::kTestTime, federation::ledger::EgressSent{.first = 1000, .count = claim.size}});
  const federation::ledger::LedgerJournalAddition addition{.index = claim.size, .entry = text.value()};
  ASSERT_TRUE(journal.append(std::span(&addition, 1)));
  EXPECT_EQ(fovea_audit("explain " + path("st-anna") + " 1" + keys(), "timeout 60 ").code, 1);  // nor is it there
  for (const std::string& command : {"verify " + path("st-anna"), "report " + all() + " --out " + path("report.html"),
                                     "reconcile --site " + path("st-anna") + " --coordinator " + path("coordinator")})
    EXPECT_EQ(fovea_audit(command + keys(), "timeout 60 ").code, kIntegrity) << command;
  const ProgramResult result = fovea_audit("verify " + path("st-anna") + keys());
  EXPECT_NE(result.out.find("claims 1000000000000000 entries"), std::string::npos) << result.out;
}

// Before receipts were signed, this convicted st-anna.
TEST_F(AuditProgram, AnInventedReceiptConvictsTheCoordinatorByName) {
  auto invented = std::get<federation::ledger::IngressReceipt>(receipts.back());
  invented.payload[0] ^= 1U;
  invented.site = anna.site;  // with st-bern's signature
  receipts.emplace_back(invented);
  test::write_ledger_of(folder.path() / "framing" / "ledger", "test/coordinator", kCoordinatorKey, receipts);
  const std::string arguments =
      " --site " + path("st-anna") + " --site " + path("st-bern") + " --coordinator " + path("framing") + keys();
  const ProgramResult result = fovea_audit("--json reconcile" + arguments);
  EXPECT_EQ(result.code, kIntegrity);
  const json data = data_of(result);
  EXPECT_EQ(data["sites"]["st-anna"]["against_coordinator"]["messages"], 1);
  EXPECT_EQ(data["sites"]["st-anna"]["against_site"]["messages"], 0);
  EXPECT_EQ(data["sites"]["st-anna"]["unlogged_receipts"][0]["convicts"], "coordinator");
  EXPECT_NE(fovea_audit("reconcile" + arguments).out.find("the coordinator made it up"), std::string::npos);
  // Whose ledger was given does not matter to that.
  const json of_bern =
      data_of(fovea_audit("--json reconcile --site " + path("st-bern") + " --coordinator " + path("framing") + keys()));
  EXPECT_EQ(of_bern["sites"]["st-anna"]["against_coordinator"]["messages"], 1);
  EXPECT_EQ(of_bern["verdict"], "fail");
}

TEST_F(AuditProgram, ShowsAndExplainsEntries) {
  const json shown = data_of(fovea_audit("--json show " + path("st-anna") + " --type egress.intent --count 20"));
  ASSERT_FALSE(shown["entries"].empty());
  const std::string index = std::to_string(shown["entries"].back()["index"].get<std::uint64_t>());
  const ProgramResult explained = fovea_audit("explain " + path("st-anna") + " " + index + keys());
  EXPECT_EQ(explained.code, 0);
  for (const char* part :
       {"was about to send", "Permitted by: plan", "Checks passed", "under a checkpoint signed by test/st-anna"})
    EXPECT_NE(explained.out.find(part), std::string::npos) << part << "\n" << explained.out;
  EXPECT_EQ(fovea_audit("explain " + path("st-anna") + " 99999" + keys()).code, 1);
  EXPECT_NE(fovea_audit("show " + path("st-anna")).out.find("plan.approved"), std::string::npos);
}

// Only so many findings are listed; what they leave out must not pass.
TEST_F(AuditProgram, ExplainPassesNoEntryOfALedgerWithMoreFaultsThanAreListed) {
  std::vector<federation::ledger::LedgerEntry> entries(101, federation::ledger::EgressSent{.first = 5000, .count = 1});
  entries.emplace_back(federation::ledger::EgressSent{.first = 6000, .count = 1});
  test::write_ledger_of(folder.path() / "st-anna" / "ledger", "test/st-anna", anna.log_key, entries);
  const std::uint64_t last = data_of(fovea_audit("--json show " + path("st-anna")))["size"].get<std::uint64_t>() - 1;
  EXPECT_EQ(fovea_audit("explain " + path("st-anna") + " " + std::to_string(last) + keys()).code, kIntegrity);
}

TEST_F(AuditProgram, WritesAReportThatStandsAlone) {
  const ProgramResult result = fovea_audit("--json report " + all() + keys() + " --out " + path("report.html"));
  EXPECT_EQ(result.code, 0) << result.out;
  const std::string html = test::slurp(folder.path() / "report.html");
  for (const char* part :
       {"PASS: 3 ledgers", "What left each site", "What never leaves", "Guarantees in force", "Guarantees not in force",
        "No number of studies or findings is in a sum", "Approvals", "Who vouched for whom", "lakeview", "Dr. Test",
        "Unlogged bytes: <b>0</b>", "fovea-audit verify --roster"})
    EXPECT_NE(html.find(part), std::string::npos) << part;
  for (const char* outside : {"http://", "https://", "<script", "src=", "@import"})
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
}

TEST_F(AuditProgram, TheReportShowsWhoTookPartWhenAndWhatWasRefused) {
  revoke_bern();
  const std::string both = keys() + " --roster " + path("newest.json");
  EXPECT_EQ(fovea_audit("report " + all() + both + " --out " + path("report.html")).code, 0);
  const std::string html = test::slurp(folder.path() / "report.html");
  const std::string signer = federation::membership::shortened_key(test::signing_key(kAdministrator).verify_key());
  for (const std::string& part :
       {std::string("removed: st-bern, against epoch 1"), std::string("added: st-anna, st-bern (the first"), signer,
        std::string("1 of 1:"), std::string("st-anna sends more messages than round 2 allows"),
        std::string("Bytes still allowed"),
        "fovea-audit reconcile" + std::string(" --roster ") + (folder.path() / "roster.json").string(),
        " --coordinator " + (folder.path() / "coordinator").string()})
    EXPECT_NE(html.find(part), std::string::npos) << part;
  EXPECT_EQ(html.find("Bytes left"), std::string::npos);
  // A roster that was not given is named, and nothing is made up about it.
  EXPECT_EQ(fovea_audit("report " + path("st-anna") + keys_with("newest.json") + " --out " + path("report.html")).code,
            0);
  const std::string lacking = test::slurp(folder.path() / "report.html");
  EXPECT_NE(lacking.find("this roster was not given"), std::string::npos);
  EXPECT_EQ(lacking.find("fovea-audit reconcile"), std::string::npos);
}

// What was compared and does not agree is no guarantee, nor is a comparison with a ledger that nobody could read.
TEST_F(AuditProgram, TheReportPromisesNothingThatTheComparisonRefutes) {
  const std::string promise = "The coordinator received nothing that the sites did not record";
  const auto report = [&](const std::string& ledgers, const std::string& roster, int code = kIntegrity) {
    EXPECT_EQ(fovea_audit("report " + ledgers + roster + " --out " + path("report.html")).code, code);
    return test::slurp(folder.path() / "report.html");
  };
  const std::string lacks_one = report(path("st-anna") + " " + path("coordinator"), keys(), 0);
  EXPECT_EQ(lacks_one.find(promise), std::string::npos);
  EXPECT_NE(lacks_one.find("Not every site's ledger was given"), std::string::npos);
  const std::string one_key = " --key '" + test::note_key_text("test/st-anna", 1) + "'";
  const std::string unread = report(path("st-anna") + " " + path("coordinator"), one_key);
  EXPECT_EQ(unread.find(promise), std::string::npos);
  EXPECT_EQ(unread.find("Unlogged bytes"), std::string::npos);
}

TEST_F(AuditProgram, OneOfAThingIsNotSeveral) {
  test::write_ledger_of(folder.path() / "one" / "ledger", "test/st-anna", anna.log_key,
                        {federation::ledger::RosterEpoch{1, {}, 1}});
  test::write_ledger_of(folder.path() / "first" / "ledger", "test/coordinator", kCoordinatorKey,
                        {receipts[0], receipts[1]});
  const std::regex several("\\b1 (entries|sites|incidents|messages|bytes|receipts|ledgers|checks|decisions)\\b");
  for (const std::string& command : {"verify " + path("one"), "show " + path("one"), "explain " + path("one") + " 0",
                                     "reconcile --site " + path("one") + " --coordinator " + path("first"),
                                     "report " + path("one") + " " + path("first") + " --out " + path("report.html")}) {
    const std::string out = fovea_audit(command + (command.starts_with("show") ? "" : keys())).out;
    ASSERT_FALSE(out.empty()) << command;
    EXPECT_FALSE(std::regex_search(out, several)) << out;
  }
  EXPECT_FALSE(std::regex_search(test::slurp(folder.path() / "report.html"), several));
}

// Without the keys nobody knows who decides; with one, one person may; the report must not say more than it was shown.
TEST_F(AuditProgram, TheReportSaysHowManyPeopleDecideWhoTakesPart) {
  const auto report = [&](const std::string& trust) {
    EXPECT_EQ(fovea_audit("report " + all() + trust + " --out " + path("report.html")).code, 0) << trust;
    const std::string html = test::slurp(folder.path() / "report.html");
    return std::pair(html.substr(0, html.find("Guarantees not in force")),
                     html.substr(html.find("Guarantees not in force")));
  };
  const auto says = [](const std::string& part, const char* text) { return part.find(text) != std::string::npos; };
  const auto [in_force, not_in_force] = report(keys());
  EXPECT_TRUE(says(not_in_force, "one person alone decides who takes part"));
  EXPECT_FALSE(says(in_force, "administrators have not signed for"));
  EXPECT_TRUE(says(report(" --roster " + path("roster.json")).second, "Who decides who takes part"));

  const std::string second = " --admin " + to_hex(test::signing_key(kAdministrator + 1).verify_key());
  EXPECT_TRUE(says(report(keys() + second + " --quorum 1").second, "one person alone decides who takes part"));
  EXPECT_NE(fovea_audit("report " + all() + keys() + second + " --out " + path("report.html")).code, 0);
  auto document =
      federation::membership::SignedDocument::parse(as_bytes(test::slurp(folder.path() / "roster.json"))).value();
  ASSERT_TRUE(document.sign(test::signing_key(kAdministrator + 1)));
  test::spill(folder.path() / "roster.json", as_text(document.serialize()));
  const auto [both, without] = report(keys() + second);
  EXPECT_TRUE(says(both, "No hospital takes part that 2 of 2 administrators have not signed for"));
  EXPECT_FALSE(says(without, "decides who takes part"));
}

// What the report promises of a masked vector's input must be what the node records.
TEST_F(AuditProgram, TheReportPromisesNoReplayFromCommitmentsThatNobodyRecords) {
  EXPECT_EQ(fovea_audit("report " + all() + keys() + " --out " + path("report.html")).code, 0);
  const std::string html = test::slurp(folder.path() / "report.html");
  EXPECT_EQ(html.find("The commitments are recorded"), std::string::npos);
  EXPECT_NE(html.find("No commitment to what went under the mask is recorded yet"), std::string::npos);
}

TEST_F(AuditProgram, EvidenceOfBlameIsHeldAgainstTheLedgerAndItsSigners) {
  const Bytes wire = anna.hello();
  const auto opened = federation::messages::read_envelope(wire).value();
  federation::membership::Blame blame{.site = anna.site,
                                      .key = anna.identity.verify_key(),
                                      .run = opened.header.run,
                                      .round = 2,
                                      .reason = "bad-signature",
                                      .evidence = {wire}};
  const auto entry = [](const federation::membership::Blame& of) {
    return federation::ledger::SiteBlamed{
        .site = of.site, .key = of.key, .run = of.run, .round = of.round, .reason = of.reason, .evidence = of.digest()};
  };
  federation::membership::Blame unsigned_one = blame;  // the coordinator made its message up
  unsigned_one.evidence = {bern.hello()};
  unsigned_one.evidence[0].back() ^= 1U;
  receipts.emplace_back(entry(blame));
  receipts.emplace_back(entry(unsigned_one));
  test::write_ledger_of(folder.path() / "blaming" / "ledger", "test/coordinator", kCoordinatorKey, receipts);
  const auto check = [&](const federation::membership::Blame& of, const std::string& ledger) {
    test::spill(folder.path() / "evidence", as_text(of.encode()));
    return fovea_audit("--json evidence " + path("evidence") + " --coordinator " + path(ledger) + keys());
  };
  const ProgramResult sound = check(blame, "blaming");
  EXPECT_EQ(sound.code, 0) << sound.out;
  const json data = data_of(sound)["evidence"][0];
  EXPECT_EQ(data["entry"], receipts.size() - 2);
  EXPECT_EQ(data["messages"][0]["sender"], "st-anna");
  EXPECT_EQ(data["messages"][0]["signed"], true);

  EXPECT_EQ(check(blame, "coordinator").code, kIntegrity);  // that ledger does not name it
  EXPECT_EQ(check(unsigned_one, "blaming").code, kIntegrity);
  {  // nor does an entry that no checkpoint covers: anybody can write one
    auto ledger = federation::ledger::Ledger::open(test::ledger_options(folder.path() / "coordinator" / "ledger",
                                                                        "test/coordinator", kCoordinatorKey))
                      .value();
    ASSERT_TRUE(ledger.append(test::kTestTime, std::vector<federation::ledger::LedgerEntry>{entry(blame)}));
    ASSERT_TRUE(ledger.sync());
  }
  EXPECT_EQ(check(blame, "coordinator").code, kIntegrity);
  blame.reason = "vector-hash-differs";  // other than what was recorded
  EXPECT_EQ(check(blame, "blaming").code, kIntegrity);
  EXPECT_EQ(check(blame, "st-anna").code, 1);
}

TEST_F(AuditProgram, FindsCanariesFromAFileAndDoesNotPrintThem) {
  test::spill(folder.path() / "names.txt", "PAT-000123\nscan_17.nii.gz\n");
  const std::string arguments = "verify " + path("st-anna") + keys() + " --canary-file " + path("names.txt");
  EXPECT_EQ(fovea_audit(arguments).code, 0);
  test::spill(folder.path() / "names.txt", "PAT-000123\nDr. Test\r\n");
  const ProgramResult found = fovea_audit(arguments);
  EXPECT_EQ(found.code, kIntegrity);
  EXPECT_NE(found.out.find("text number 2"), std::string::npos);
  EXPECT_EQ(found.out.find("Dr. Test"), std::string::npos);
}

// A byte order mark of UTF-16, as a spreadsheet writes it, made every search a success.
TEST_F(AuditProgram, RefusesAListOfNamesInWhichNothingCouldBeFound) {
  using namespace std::string_literals;
  const auto verify = [&](const std::string& names) {
    test::spill(folder.path() / "names.txt", names);
    return fovea_audit("--json verify " + path("st-anna") + keys() + " --canary-file " + path("names.txt"));
  };
  for (const std::string& names : {""s, "\n\n"s, "\xff\xfeM\0r\0"s}) {
    const ProgramResult refused = verify(names);
    EXPECT_EQ(refused.code, 1) << refused.out;
    EXPECT_NE(refused.out.find("names.txt: holds"), std::string::npos) << refused.out;
  }
  EXPECT_EQ(data_of(verify("\xef\xbb\xbf"
                           "dr. TEST\r\n"))["ledgers"][0]["canary_hits"],
            2);  // in two approvals
  EXPECT_EQ(data_of(verify("Dr. Nobody\n"))["ledgers"][0]["canaries_searched"], 1);
}

TEST_F(AuditProgram, TheReportReplacesNothingThatItIsAbout) {
  namespace fs = std::filesystem;
  test::spill(folder.path() / "names.txt", "PAT-000123\n");
  test::spill(folder.path() / "st-anna" / "node.toml", "settings");
  fs::create_symlink(folder.path() / "names.txt", folder.path() / "link.html");
  fs::create_directory_symlink(folder.path() / "st-anna", folder.path() / "other-name");
  const std::string command = "report " + all() + keys() + " --canary-file " + path("names.txt") + " --out ";
  const auto bytes = [&] {
    std::string out;
    for (const std::string& file : test::files_in(folder.path())) out += file + test::slurp(folder.path() / file);
    return out;
  };
  const std::string before = bytes();
  for (const char* input : {"roster.json", "names.txt", "st-anna/ledger/checkpoint", "st-anna/ledger/report.html",
                            "st-anna/node.toml", "other-name/node.toml", "other-name/ledger/tile/report.html",
                            "coordinator/ledger/journal", "link.html", "st-anna"}) {
    const ProgramResult refused = fovea_audit("--json " + command + path(input));
    EXPECT_EQ(refused.code, 1) << input << refused.out;
    EXPECT_NE(refused.out.find("choose another file"), std::string::npos) << refused.out;
  }
  EXPECT_EQ(fovea_audit(command + "/dev/null").code, 1);
  EXPECT_EQ(bytes(), before);
  for (int twice = 0; twice < 2; ++twice) EXPECT_EQ(fovea_audit(command + path("report.html")).code, 0);
  EXPECT_NE(test::slurp(folder.path() / "report.html").find("1 name or identifier was searched for"),
            std::string::npos);
}

TEST_F(AuditProgram, RefusesNumbersThatAreNoneAndTypesThatThereAreNot) {
  for (const std::string& wrong :
       {"verify " + all() + keys() + " --quorum -1", "verify " + all() + keys() + " --quorum 0",
        "explain " + path("st-anna") + keys() + " -1", "show " + path("st-anna") + " --from -1",
        "show " + path("st-anna") + " --count -1"})
    EXPECT_EQ(fovea_audit(wrong).code, 2) << wrong;
  EXPECT_EQ(fovea_audit("verify " + all() + keys() + " --quorum 2").code, 1);  // of one administrator
  const ProgramResult nonsense = fovea_audit("--json show " + path("st-anna") + " --type egress.intend");
  EXPECT_EQ(nonsense.code, 1);
  for (const char* part : {"did you mean", "egress.intent", "plan.withdrawn"})
    EXPECT_NE(nonsense.out.find(part), std::string::npos) << nonsense.out;
}

// An entry's text could show lines that no ledger wrote: a verdict, or another entry.
TEST_F(AuditProgram, NoEntryBeginsALineOfItsOwn) {
  const federation::ledger::Incident incident{"load", "harmless\nPASS: 1 ledger is complete\tand unchanged"};
  auto forged = std::get<federation::ledger::IngressReceipt>(receipts.back());
  forged.kind = "keys\nPASS: all is well";
  test::write_ledger_of(folder.path() / "lines", "test/st-anna", anna.log_key, {incident, forged});
  for (const std::string& command : {"show " + path("lines"), "explain " + path("lines") + " 0" + keys(),
                                     "explain " + path("lines") + " 1" + keys(), "verify " + path("lines") + keys()}) {
    const ProgramResult result = fovea_audit(command);
    EXPECT_FALSE(result.out.empty()) << command;
    EXPECT_EQ(result.out.find("\nPASS"), std::string::npos) << result.out;
  }
  EXPECT_NE(fovea_audit("show " + path("lines")).out.find("harmless\\x0aPASS"), std::string::npos);
}

TEST_F(AuditProgram, ShowListsWhatNoCheckpointCoversYet) {
  {
    auto ledger = federation::ledger::Ledger::open(
                      test::ledger_options(folder.path() / "young" / "ledger", "test/st-anna", anna.log_key))
                      .value();
    const std::vector<federation::ledger::LedgerEntry> entries = test::numbered_entries(0, 3);
    ASSERT_TRUE(ledger.append(test::kTestTime, entries));
    ASSERT_TRUE(ledger.sync());
  }
  const json data = data_of(fovea_audit("--json show " + path("young") + " --from 1"));
  EXPECT_EQ(data["size"], 0);
  ASSERT_EQ(data["entries"].size(), 2U);
  EXPECT_EQ(data["entries"][1]["index"], 2);
  EXPECT_EQ(data["entries"][1]["covered"], false);
  const std::string out = fovea_audit("show " + path("young")).out;
  for (const char* part : {"entry number 0", "2 *", "no checkpoint covers it yet"})
    EXPECT_NE(out.find(part), std::string::npos) << out;
  EXPECT_EQ(fovea_audit("show " + path("st-anna")).out.find("no checkpoint"), std::string::npos);
  const ProgramResult explained = fovea_audit("--json explain " + path("young") + " 1" + keys());
  EXPECT_EQ(explained.code, 1);
  EXPECT_NE(explained.out.find("is in the journal"), std::string::npos) << explained.out;
  test::flip_byte(folder.path() / "young" / "ledger" / "journal", 30);
  EXPECT_NE(fovea_audit("show " + path("young")).out.find("entry"), std::string::npos);
}

// A site follows one roster of an epoch: whoever signed a second one showed somebody other members.
TEST_F(AuditProgram, ASecondRosterOfAnEpochDoesNotPassAndNamesWhoSignedBoth) {
  write_roster("second.json", 1, {&anna});
  std::filesystem::copy_file(folder.path() / "roster.json", folder.path() / "again.json");
  const std::string verify = "verify " + all(), second = " --roster " + path("second.json");
  EXPECT_EQ(fovea_audit(verify + keys() + " --roster " + path("again.json")).code, 0);  // the same one
  const std::string administrator = to_hex(test::signing_key(kAdministrator).verify_key());
  const std::string reconcile =
      "reconcile --site " + path("st-anna") + " --site " + path("st-bern") + " --coordinator " + path("coordinator");
  const std::string report = "report " + all() + " --out " + path("out.html"), explain = "explain " + path("st-anna");
  for (const std::string& command : {verify, reconcile, report, explain + " 0"}) {
    const ProgramResult failed = fovea_audit("--json " + command + keys() + second);
    EXPECT_EQ(failed.code, kIntegrity) << failed.out;
    EXPECT_EQ(data_of(failed)["verdict"], "fail") << failed.out;
    const std::string said = command == report ? test::slurp(folder.path() / "out.html")
                                               : fovea_audit(command + keys() + second).out;
    for (const std::string& part : {std::string("roster.json"), std::string("second.json"), administrator})
      EXPECT_NE(said.find(part), std::string::npos) << said;
    EXPECT_EQ(said.find("PASS:"), std::string::npos) << said;
  }
  const json conflict = data_of(fovea_audit("--json " + verify + keys() + second))["roster_conflicts"][0];
  EXPECT_EQ(conflict["epoch"], 1);
  EXPECT_EQ(conflict["signed_both"], json({administrator}));
  // Nobody is accused of what anybody may have written, and it passes for nothing.
  const ProgramResult unpinned = fovea_audit(verify + " --roster " + path("roster.json") + second);
  EXPECT_EQ(unpinned.code, kIntegrity);
  EXPECT_NE(unpinned.out.find("\nNOT VERIFIED: different rosters of epoch 1"), std::string::npos) << unpinned.out;
  EXPECT_EQ(unpinned.out.find(administrator), std::string::npos) << unpinned.out;
}

TEST_F(AuditProgram, WhatIsOfALedgerThatWasNotGivenIsNotLookedAtAndNamed) {
  const std::string coordinator = " --coordinator " + path("coordinator");
  const ProgramResult result = fovea_audit("reconcile --site " + path("st-anna") + coordinator + keys());
  EXPECT_EQ(result.code, 0) << result.out;
  EXPECT_NE(result.out.find("\nPASS: "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("the coordinator received of st-bern ("), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("not looked at"), std::string::npos) << result.out;
  const ProgramResult report =
      fovea_audit("report " + path("st-anna") + " " + path("coordinator") + " --out " + path("one.html") + keys());
  EXPECT_EQ(report.code, 0) << report.out;
  EXPECT_EQ(
      test::slurp(folder.path() / "one.html").find("The coordinator received nothing that the sites did not record."),
      std::string::npos);
  const ProgramResult alone = fovea_audit("report " + path("coordinator") + " --out " + path("alone.html") + keys());
  EXPECT_EQ(alone.code, 0) << alone.out;
  EXPECT_NE(alone.out.find("nothing was compared"), std::string::npos) << alone.out;
  // By its log key alone, nobody knows that the site signed what the coordinator says it received.
  const std::string unsigned_receipts = " --key '" + test::note_key_text("test/st-anna", anna.log_key) + "' --key '" +
                                        test::note_key_text("test/coordinator", kCoordinatorKey) + "'";
  const ProgramResult unknown = fovea_audit("reconcile --site " + path("st-anna") + coordinator + unsigned_receipts);
  EXPECT_EQ(unknown.code, kIntegrity) << unknown.out;
  EXPECT_NE(unknown.out.find("the ledger of st-bern was not given"), std::string::npos) << unknown.out;
  // A folder that does not even say whose it is has no row.
  std::filesystem::remove(folder.path() / "st-bern" / "ledger" / "checkpoint");
  std::filesystem::remove(folder.path() / "coordinator" / "ledger" / "checkpoint");
  const json data = data_of(
      fovea_audit("--json reconcile --site " + path("st-bern") + " --coordinator " + path("coordinator") + keys()));
  EXPECT_TRUE(data["sites"].empty()) << data["sites"];
}

}  // namespace
}  // namespace fovea::audit
