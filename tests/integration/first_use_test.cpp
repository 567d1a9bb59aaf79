// What the programs say to somebody who uses them for the first time: the words must be true, be said once, and name
// the next step.
#include <sys/stat.h>

#include <csignal>
#include <cstdint>
#include <fstream>
#include <functional>
#include <span>

#include "common/bytes.h"
#include "common/clock.h"
#include "federation/files/record_file.h"
#include "federation/files/signed_document_file.h"
#include "federation/ledger/entry.h"
#include "federation/ledger/ledger.h"
#include "federation/membership/roster.h"
#include "node/io/site_folder.h"
#include "tests/integration/federation_fixture.h"

namespace fovea::test {
namespace {

namespace fs = std::filesystem;

class FirstUse : public FederationTest {
 protected:
  static std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
  }
  static std::size_t count_events(const fs::path& folder, const std::string& name) {
    std::size_t found = 0;
    for (const Json& event : events_of(folder / "events.jsonl")) found += event["event"] == name ? 1U : 0U;
    return found;
  }
  void expect_server_says(const std::string& text) {
    const auto says = [&] { return server_->standard_error().find(text) != std::string::npos; };
    EXPECT_TRUE(wait_until(root(), says, kPatience)) << text << "\n" << server_->standard_error();
  }
  // By hand, as a node that has taken it leaves the folder: no coordinator is needed for a start to write to the
  // ledger.
  void give_roster(const std::string& site) {
    const node::io::SiteFolder folder(site_folder(site));
    const auto document = federation::files::read_signed_document(home() / "roster.json").value();
    const auto roster = federation::membership::Roster::parse(document.document).value();
    auto ledger = federation::ledger::Ledger::open(
                      {.folder = folder.ledger(),
                       .origin = federation::ledger::ledger_origin(folder.invite().value().federation, site),
                       .key = folder.keys().value().log.copy(),
                       .newest = folder.newest_checkpoint()})
                      .value();
    const federation::ledger::LedgerEntry taken =
        federation::ledger::RosterEpoch{roster.epoch, roster.hash, static_cast<std::uint32_t>(roster.sites.size())};
    ASSERT_TRUE(ledger.append(SystemClock().wall(), std::span(&taken, 1)));
    ASSERT_TRUE(ledger.publish());
    fs::copy_file(home() / "roster.json", site_folder(site) / "roster.json", fs::copy_options::overwrite_existing);
  }
  // Starts the site, waits for the event, and stops it. What it wrote to its log.
  std::string start_and_stop(const std::string& site, const std::string& until) {
    const std::size_t before = count_events(site_folder(site), until);
    start_site(site);
    const auto seen = [&] { return count_events(site_folder(site), until) > before; };
    EXPECT_TRUE(wait_until(site_folder(site), seen, kPatience)) << until;
    sites_.at(site).signal(SIGTERM);
    EXPECT_EQ(sites_.at(site).wait(kPatience), 0);
    return sites_.at(site).standard_error();
  }
  Json checks_of(const std::string& site) {
    Json out = Json::object();
    const std::string said = node(site, {"--json", "doctor"}).out;  // a line for an error may follow
    const Json checks = Json::parse(said.substr(0, said.find('\n')))["data"];
    for (const Json& check : checks) out[check["check"].get<std::string>()] = check;
    return out;
  }
  // Both the start and doctor refuse the folder, and doctor under this name.
  void expect_refused(const std::string& site, const std::string& check, const std::string& what) {
    const Json said = checks_of(site);
    ASSERT_TRUE(said.contains(check)) << said;
    EXPECT_EQ(said[check]["verdict"], "FAIL") << said;
    EXPECT_NE(said[check]["detail"].get<std::string>().find(what), std::string::npos) << said;
    const Outcome start = node(site, {"start"});
    EXPECT_NE(start.exit_code, 0);
    EXPECT_NE(start.err.find(what), std::string::npos) << start.err;
  }
  // Whole records after one that is not: no unfinished last write.
  static void write_damaged_records(const fs::path& file) {
    using federation::files::RecordFile;
    const std::vector<Bytes> records(3, Bytes(40, 7));
    ASSERT_TRUE(RecordFile::open(file, RecordFile::Retain::at_open)->append(records));
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(2);  // of the first length
    stream.put(static_cast<char>(0x40));
  }
  // Another folder whose site has the same name, and so other keys.
  std::string request_of_namesake(const std::string& site) {
    const std::string other = "other-" + site;
    EXPECT_EQ(node(other, {"init", site}).exit_code, 0);
    EXPECT_EQ(node(other, {"join", (home() / "invite.json").string()}).exit_code, 0);
    return (site_folder(other) / "join-request.json").string();
  }
};

TEST_F(FirstUse, DoctorRefusesALedgerThatWasPutBackFromABackupAsAStartDoes) {
  const fs::path ledger = site_folder("anna") / "ledger", backup = root() / "backup", newer = root() / "newer";
  give_roster("anna");
  start_and_stop("anna", "started");
  fs::copy(ledger, backup, fs::copy_options::recursive);
  accept_all("anna");
  start_and_stop("anna", "sites_accepted");
  EXPECT_EQ(checks_of("anna")["ledger"]["verdict"], "PASS");
  EXPECT_EQ(checks_of("anna")["register and runs"]["verdict"], "PASS");
  fs::rename(ledger, newer);
  fs::copy(backup, ledger, fs::copy_options::recursive);
  expect_refused("anna", "ledger", "was seen: it was restored from a backup");
  // What has to go along into a new folder, as where a key is lost.
  expect_refused("anna", "ledger", "which a site's data/ and register move to");
  fs::remove_all(ledger);
  expect_refused("anna", "ledger", "has 0 entries");
  fs::rename(newer, ledger);
  EXPECT_EQ(checks_of("anna")["ledger"]["verdict"], "PASS");
}

TEST_F(FirstUse, DoctorRefusesWhateverElseAStartRefusesOfAFolder) {
  give_roster("berta");
  write_damaged_records(site_folder("anna") / "register");
  expect_refused("anna", "register and runs", (site_folder("anna") / "register").string());
  const fs::path journal = site_folder("berta") / "runs" / std::string(32, '1') / "journal";
  fs::create_directories(journal.parent_path());
  write_damaged_records(journal);
  expect_refused("berta", "register and runs", journal.string());
  fs::remove_all(journal.parent_path());
  const fs::path facts = journal.parent_path() / "run.json", model = journal.parent_path() / "model.safetensors";
  for (const fs::path& file : {facts, model}) {  // a start goes on until the run is offered, and ends then
    fs::create_directories(file.parent_path());
    std::ofstream(file) << "{\"half\"";
    EXPECT_EQ(checks_of("berta")["register and runs"]["verdict"], "FAIL") << file;
    fs::remove_all(file.parent_path());
  }
  EXPECT_EQ(checks_of("berta")["register and runs"]["verdict"], "PASS");
  set_node_setting("clara", "id = \"clara\"", "id = \"klara\"");
  expect_refused("clara", "settings", "the name this folder was made for");
  ASSERT_EQ(coordinator({"sign", request_of_namesake("dora")}).exit_code, 0);
  give_roster("dora");
  expect_refused("dora", "roster and clock", "identity_key, transport_key, log_key, approver_key");
}

TEST_F(FirstUse, NewKeysOfAKnownSiteAreShownToWhoeverSignsFirstAndInTheLogOfWhoAcceptedIt) {
  give_roster("anna");
  accept_all("anna");
  EXPECT_EQ(start_and_stop("anna", "sites_accepted").find("not accepted"), std::string::npos);
  const Outcome signed_one = coordinator({"sign", request_of_namesake("dora")});
  ASSERT_EQ(signed_one.exit_code, 0) << signed_one.err;
  for (const char* part : {"NEW KEYS dora: fingerprint ", "stays    anna: fingerprint "})
    EXPECT_NE(signed_one.err.find(part), std::string::npos) << part << "\n" << signed_one.err;
  give_roster("anna");
  EXPECT_NE(checks_of("anna")["acquaintances"]["detail"].get<std::string>().find("dora: ITS KEYS CHANGED"),
            std::string::npos);
  const std::string log = start_and_stop("anna", "sites_unacquainted");
  EXPECT_NE(log.find("1 site is not accepted here and counts as a colluder (dora: ITS KEYS CHANGED since it was "
                     "accepted)"),
            std::string::npos)
      << log;
  EXPECT_EQ(wait_for_site("anna", "sites_unacquainted")["keys_changed"], Json({"dora"}));
  const Outcome revoked = coordinator({"revoke", "dora"});
  EXPECT_NE(revoked.err.find("leaves   dora: fingerprint "), std::string::npos) << revoked.err;
}

// Nobody at the other three has accepted dora: its work goes into no sum, and nobody has to guess why.
TEST_F(FirstUse, ASiteThatNobodyHasAcceptedIsToldSoOnceAndWhenItChanges) {
  shorten_joining();
  make_plan({.rounds = 200, .strangers = {"anna", "berta", "clara"}});
  for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 100");
  const std::vector<std::string> known = {"anna", "berta", "clara"};
  for (const std::string& site : known) {
    std::vector<std::string> accept = {"roster", "accept",   "--by",
                                       "tester", "--roster", (home() / "roster.json").string()};
    for (const std::string& other : known)
      if (other != site) accept.push_back(other);
    const Outcome accepted = node(site, accept);
    ASSERT_EQ(accepted.exit_code, 0) << accepted.err;
  }
  serve();
  start_all_sites();
  const Json out = wait_for_coordinator("site_sits_out");
  EXPECT_EQ(out["site"], "dora");
  EXPECT_EQ(out["reason"], "unacquainted-sites");
  EXPECT_EQ(out["why"], "people at 3 sites have not accepted it yet");
  wait_for_site("dora", "sits_out");
  expect_status("dora", "other hospitals have not accepted this one");
  expect_server_says("dora sits out: not accepted at 3 sites yet");
  wait_for_coordinator("round_finished", [](const Json& event) { return event["sums"] == 3; });
  EXPECT_EQ(count_events(home(), "site_sits_out"), 1U);
  EXPECT_EQ(count_events(site_folder("dora"), "sits_out"), 1U);
  const std::string log = server_->standard_error();
  for (const std::string& site : known)
    EXPECT_EQ(count(log, "warning " + site + " refused: unacquainted-sites"), 1U) << site << "\n" << log;
  EXPECT_EQ(count(sites_.at("anna").standard_error(), "refused: unacquainted-sites"), 1U)
      << sites_.at("anna").standard_error();
  EXPECT_NE(sites_.at("dora").standard_error().find("sites, this one not among them"), std::string::npos);
  for (const std::string& site : known) accept_all(site);
  EXPECT_EQ(wait_for_coordinator("site_takes_part")["site"], "dora");
  const auto mended = [&] { return node("dora", {"status"}).out.find("have not accepted") == std::string::npos; };
  EXPECT_TRUE(wait_until(site_folder("dora"), mended, kPatience));
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait(kPatience), 0);
}

// Two of four say no in mid-run: the round waits for nobody, and the line says for how long and what it needs.
TEST_F(FirstUse, WhileTooFewCanTakePartTheLineSaysHowManyAreNeededAndWhenTheRoundEnds) {
  shorten_joining();
  make_plan({.rounds = 200});
  // Long enough for both to say no while they train.
  for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 6000");
  serve();
  start_all_sites();
  wait_for_coordinator("round_started", [](const Json& event) { return event["round"] == 2; });
  for (const char* site : {"berta", "clara"}) {
    const Outcome rejected = node(site, {"plan", "reject", plan_hash_.substr(0, 12), "--by", "tester"});
    ASSERT_EQ(rejected.exit_code, 0) << rejected.err;
    EXPECT_NE(rejected.out.find("nothing of it leaves any more\nto take it back: fovea-node --site "),
              std::string::npos)
        << rejected.out;
  }
  expect_server_says(" · needs 3, 2 can take part; ends in 59:");
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait(kPatience), 0);
  const std::string log = server_->standard_error();
  EXPECT_EQ(count(log, "warning berta refused: plan-rejected") + count(log, "berta: does not take part: plan-rejected"),
            1U)
      << log;
  EXPECT_EQ(log.find("plan-rejected, threshold"), std::string::npos) << log;
  sites_.at("berta").signal(SIGTERM);
  ASSERT_EQ(sites_.at("berta").wait(kPatience), 0);
  const Outcome again = node("berta", {"plan", "reject", plan_hash_.substr(0, 12), "--by", "tester"});
  EXPECT_NE(again.out.find("the node is not running: this counts from its next start on"), std::string::npos)
      << again.out;
}

// Whatever is in the place of a file that a start writes, doctor says what the start would say.
TEST_F(FirstUse, DoctorRefusesWhatAStartCannotWriteAndBothSayWhatToDo) {
  give_roster("anna");
  start_and_stop("anna", "started");
  const fs::path anna = site_folder("anna"), kept = root() / "kept", nowhere = root() / "nowhere" / "file";
  const auto expect_refused_in_place = [&](const std::string& name, const std::string& check, const std::string& what,
                                           const std::function<void(const fs::path&)>& put) {
    const bool existed = fs::exists(anna / name);
    if (existed) fs::rename(anna / name, kept);
    put(anna / name);
    expect_refused("anna", check, name + ": " + what);
    const Outcome start = node("anna", {"start"});
    EXPECT_EQ(count(start.err, "\n  fix: "), 1U) << start.err;
    fs::remove(anna / name);
    if (existed) fs::rename(kept, anna / name);
  };
  const auto folder = [](const fs::path& path) { fs::create_directory(path); };
  const auto pipe = [](const fs::path& path) { ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0); };
  const auto link = [&](const fs::path& path) { fs::create_symlink(nowhere, path); };
  for (const char* name : {"events.jsonl", "lock"}) {
    expect_refused_in_place(name, "lock and events", "is a folder, not a file", folder);
    expect_refused_in_place(name, "lock and events", "is a pipe or a socket", pipe);
    expect_refused_in_place(name, "lock and events", "is a link into a folder that is not there", link);
  }
  // What they hold is on another disk: nobody begins them anew.
  fs::create_directory(nowhere.parent_path());
  expect_refused_in_place("ledger/journal", "ledger", "is a link to a file that is not there", link);
  expect_refused_in_place("register", "register and runs", "is a link to a file that is not there", link);
  EXPECT_FALSE(fs::exists(nowhere));
  // Events may go to another place, where a start makes the file.
  fs::remove(anna / "events.jsonl");
  fs::create_symlink(nowhere, anna / "events.jsonl");
  EXPECT_EQ(checks_of("anna")["lock and events"]["verdict"], "PASS");
  EXPECT_FALSE(fs::exists(nowhere));
  start_site("anna");
  const auto started = [&] { return count_events(anna, "started") > 0; };
  EXPECT_TRUE(wait_until(nowhere.parent_path(), started, kPatience));
}

TEST_F(FirstUse, ACoordinatorSaysWhatToDoWithWhatIsInThePlaceOfItsEvents) {
  make_plan({.rounds = 1});
  const fs::path events = home() / "events.jsonl";
  fs::remove(events);
  const auto expect_refused_for = [&](const std::string& what) {
    const Outcome refused = coordinator({"run", "start", plan_file().string()});
    EXPECT_NE(refused.exit_code, 0);
    EXPECT_NE(refused.err.find("events.jsonl: " + what), std::string::npos) << refused.err;
    EXPECT_EQ(count(refused.err, "\n  fix: move it away"), 1U) << refused.err;
    fs::remove(events);
  };
  fs::create_directory(events);
  expect_refused_for("cannot open: Is a directory");
  ASSERT_EQ(::mkfifo(events.c_str(), 0600), 0);
  expect_refused_for("is a pipe or a socket");
  fs::create_symlink(root() / "nowhere" / "file", events);
  expect_refused_for("cannot open: No such file");
  EXPECT_TRUE(fs::is_empty(home() / "runs"));
}

TEST_F(FirstUse, ACompletePlanIsCalledCompleteAndSoItsModelIsFound) {
  shorten_joining();
  make_plan({.rounds = 2});
  serve();
  start_all_sites();
  ASSERT_EQ(server_->wait(kPatience), 0);
  EXPECT_EQ(server_->standard_error().find("sum 3/2"), std::string::npos) << server_->standard_error();
  wait_for_site("anna", "run_complete");
  const std::string mark = "complete, 2 of 2 sums done; the model is ";
  expect_status("anna", mark);
  const std::string said = node("anna", {"status"}).out;
  const std::size_t start = said.find(mark) + mark.size();
  EXPECT_TRUE(fs::exists(said.substr(start, said.find('\n', start) - start))) << said;
}

TEST_F(FirstUse, ARunIsNotBegunUnderARosterThatIsTooSmallForItsPlan) {
  make_plan({.rounds = 1});
  ASSERT_EQ(coordinator({"revoke", "clara", "dora"}).exit_code, 0);
  const Outcome refused = coordinator({"run", "start", plan_file().string()});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_NE(refused.err.find("has 2 sites, and the plan needs at least 3 (cohort.smallest)\n  fix: "),
            std::string::npos)
      << refused.err;
  EXPECT_EQ(Json::parse(coordinator({"--json", "run", "list"}).out)["data"].size(), 0U);
}

TEST_F(FirstUse, JoiningAgainSaysThatNothingChangedAndWhatIsStillDue) {
  const std::string invite = (home() / "invite.json").string();
  const std::string early = node("anna", {"join", invite}).out;
  EXPECT_NE(early.find("joined already; nothing changed"), std::string::npos) << early;
  EXPECT_NE(early.find("then send "), std::string::npos) << early;  // no roster has come here yet
  give_roster("anna");
  const std::string late = node("anna", {"join", invite}).out;
  EXPECT_NE(late.find("there is nothing to send: the administrators have this site's keys"), std::string::npos) << late;
  EXPECT_EQ(late.find("then send "), std::string::npos) << late;
}

TEST_F(FirstUse, TheAddressIsAmendedByTheOptionsThatMadeIt) {
  const Outcome amended = coordinator({"--json", "amend", "--host", "coordinator.example.org"});
  ASSERT_EQ(amended.exit_code, 0) << amended.err;
  EXPECT_EQ(Json::parse(amended.out)["data"]["endpoint"], "tcp://coordinator.example.org:" + std::to_string(port_));
  const Outcome moved = coordinator({"--json", "amend", "--replace", "--port", "7555"});
  EXPECT_EQ(Json::parse(moved.out)["data"]["endpoint"], "tcp://127.0.0.1:7555");
  // What is suggested is not refused in its turn.
  const Outcome elsewhere = coordinator({"invite", "--endpoint", "tcp://127.0.0.1:7555"});
  EXPECT_EQ(elsewhere.exit_code, 2);
  EXPECT_NE(elsewhere.err.find("\"--endpoint\" is an option of \"amend\""), std::string::npos) << elsewhere.err;
}

}  // namespace
}  // namespace fovea::test
