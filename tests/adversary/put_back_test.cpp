// Failure class: somebody who can write a hospital's or the coordinator's files, and knows no passphrase, puts an older
// copy of some of them back, or keys of their own. Real programs; the coordinator is played by the test where it lies.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "crypto/key_file.h"
#include "crypto/random_source.h"
#include "federation/ledger/ledger.h"
#include "node/io/site_folder.h"
#include "node/io/site_run.h"
#include "node/round/site_marks.h"
#include "tests/adversary/hospital_fixture.h"

namespace fovea::test {
namespace {

namespace fs = std::filesystem;

constexpr auto kRecursive = fs::copy_options::recursive;

void replace_folder(const fs::path& from, const fs::path& to) {
  fs::remove_all(to);
  fs::copy(from, to, kRecursive);
}

// By rename, as a whole file: the node reads it with the next tick.
void replace_file_by(const fs::path& from, const fs::path& to) {
  fs::copy_file(from, to.string() + ".put");
  fs::rename(to.string() + ".put", to);
}

class PutBack : public HospitalTest {
 protected:
  fs::path anna() const { return site_folder("anna"); }
  fs::path approval() const { return anna() / "approvals" / (plan_hash_ + ".json"); }
  void decide(const std::string& decision) {
    const Outcome decided = node("anna", {"plan", decision, plan_hash_.substr(0, 12), "--by", "tester"});
    ASSERT_EQ(decided.exit_code, 0) << decided.err;
  }
  void expect_command_refused(const std::vector<std::string>& command, const std::string& file) {
    const Outcome refused = node("anna", command);
    EXPECT_NE(refused.exit_code, 0) << command[0];
    EXPECT_NE(refused.err.find(file), std::string::npos) << refused.err;
  }
  // It says why, and does nothing.
  void expect_start_refused(const std::string& why) {
    const std::size_t started = count("started");
    start_site("anna");
    EXPECT_NE(sites_.at("anna").wait(kPatience), 0);
    const std::string said = sites_.at("anna").standard_error();
    EXPECT_NE(said.find(why), std::string::npos) << said;
    EXPECT_EQ(count("started"), started);
  }
  std::size_t count(const std::string& name) const {
    const auto events = events_of(anna() / "events.jsonl");
    return static_cast<std::size_t>(
        std::count_if(events.begin(), events.end(), [&](const Json& event) { return event["event"] == name; }));
  }
  void restart() {
    stop_hospital();
    scripted_->follow_roster();
  }
  // Stopped at once, as by a power failure.
  void kill_hospital() {
    sites_.at("anna").signal(SIGKILL);
    sites_.at("anna").wait(kPatience);
    scripted_->follow_roster();
    read_events_anew();
  }
  // What was written until now is no answer to what comes next.
  void read_events_anew() {
    events_.emplace(anna() / "events.jsonl");
    new_events();
  }
  void expect_sound_ledger() {
    const Outcome audit = run_program(
        "fovea-audit", {"verify", anna().string(), "--roster", (home() / "roster.json").string()}, root() / "audit");
    EXPECT_EQ(audit.exit_code, 0) << audit.out;
  }
  bool wait_for_event(const std::string& name, std::size_t before) {
    return wait_until(
        anna(), [&] { return count(name) > before; }, kPatience);
  }
};

TEST_F(PutBack, AnOldApprovalUndoesNoRejection) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  expect_round();
  fs::copy_file(approval(), root() / "old-approval");
  decide("reject");
  expect_event({"plan_withdrawn"});
  replace_file_by(root() / "old-approval", approval());
  expect_event({"approval_ignored"}, [&](const Json& event) {
    return event["why"].get<std::string>().find(plan_hash_) != std::string::npos;
  });
  // Nor in what is shown of it, beside the running node.
  const std::string plan = plan_hash_.substr(0, 12);
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"plan", "list"}, std::vector<std::string>{"plan", "show", plan}}) {
    const Outcome shown = node("anna", command);
    EXPECT_NE(shown.out.find("rejected (approvals/" + plan_hash_ + ".json is ignored: "), std::string::npos)
        << shown.out << shown.err;
  }
  const std::size_t before = released();
  scripted_->ignore_complaints(true);
  scripted_->begin_round();
  expect_event(refused(RefusalReason::plan_rejected));
  EXPECT_EQ(released(), before);
  EXPECT_EQ(count("plan_approved_again"), 0U);
  scripted_->give_up_round();

  // Nor at the next start, which names the file; a person who decides again is followed.
  stop_hospital();
  read_events_anew();
  scripted_->follow_roster();
  start_site("anna");
  expect_event({"approval_ignored"}, [&](const Json& event) {
    return event["why"].get<std::string>().find(plan_hash_) != std::string::npos;
  });
  expect_event({"plan_refused"});
  EXPECT_EQ(released(), before);
  decide("approve");
  ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->victim_has_joined(); }));
  scripted_->ignore_complaints(false);
  expect_round();
  stop_hospital();
  expect_sound_ledger();
}

// Nor does an old acceptance: whom a person no longer vouches for stays a colluder, in the running node and after a
// restart, until a person accepts it once more.
TEST_F(PutBack, AnOldAcceptanceUndoesNoWithdrawal) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  expect_round();
  fs::path file;
  for (const auto& entry : fs::directory_iterator(anna() / "acquaintances"))
    if (read_text(entry.path()).find("berta") != std::string::npos) file = entry.path();
  ASSERT_FALSE(file.empty());
  fs::copy_file(file, root() / "old-acceptance");
  const Outcome taken = node("anna", {"roster", "forget", "berta", "--by", "tester"});
  ASSERT_EQ(taken.exit_code, 0) << taken.err;
  expect_event({"acceptances_withdrawn"}, [](const Json& event) { return event["sites"] == Json({"berta"}); });
  const auto names_the_file = [&](const Json& event) {
    return event["why"].get<std::string>().find(file.string()) != std::string::npos;
  };
  replace_file_by(root() / "old-acceptance", file);
  expect_event({"acceptance_ignored"}, names_the_file);
  const Outcome listed = node("anna", {"roster", "list"});
  EXPECT_NE(listed.out.find("not accepted: the acceptance was taken back by tester (its file is ignored: "),
            std::string::npos)
      << listed.out << listed.err;
  EXPECT_NE(node("anna", {"doctor"}).out.find("1 site is not accepted here"), std::string::npos);
  const std::size_t before = released();
  scripted_->ignore_complaints(true);
  scripted_->begin_round();
  expect_event(refused(RefusalReason::unacquainted_sites));
  scripted_->give_up_round();

  stop_hospital();
  read_events_anew();
  scripted_->follow_roster();
  start_site("anna");
  expect_event({"acceptance_ignored"}, names_the_file);
  ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->victim_has_joined(); }));
  scripted_->begin_round();
  expect_event(refused(RefusalReason::unacquainted_sites));
  scripted_->give_up_round();
  EXPECT_EQ(released(), before);
  accept("berta");
  expect_event({"sites_accepted"});
  scripted_->ignore_complaints(false);
  expect_round();
  stop_hospital();
  expect_sound_ledger();
}

// Somebody stops the machine after a rejection, and puts the ledger's journal and the approval back as they were.
TEST_F(PutBack, AnOldJournalUndoesNoRejection) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  expect_round();
  fs::copy_file(approval(), root() / "old-approval");
  fs::copy_file(anna() / "ledger" / "journal", root() / "old-journal");
  decide("reject");
  expect_event({"plan_withdrawn"});
  kill_hospital();
  const std::size_t before = released();
  const auto overwrite = fs::copy_options::overwrite_existing;
  fs::copy_file(root() / "old-journal", anna() / "ledger" / "journal", overwrite);
  fs::copy_file(root() / "old-approval", approval(), overwrite);
  scripted_->ignore_complaints(true);
  start_site("anna");
  expect_event({"approval_ignored"}, [&](const Json& event) {
    return event["why"].get<std::string>().find(plan_hash_) != std::string::npos;
  });
  expect_event({"plan_refused"});
  EXPECT_EQ(count("run_opened"), 1U);
  EXPECT_EQ(released(), before);
}

// A node that is in no run, with a coordinator that is away: the old approval comes back before anything else happens.
TEST_F(PutBack, ARejectionOfAPlanThatNobodyOffersIsReadWhileTheNodeRuns) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  expect_round();
  fs::copy_file(approval(), root() / "old-approval");
  stop_hospital();
  scripted_.reset();
  const std::size_t started = count("started");
  start_site("anna");
  ASSERT_TRUE(wait_for_event("started", started));
  const std::uint64_t recorded = entries_under_checkpoint(anna());
  for (int i = 0; i < 8000; ++i)  // nor does it help to hide it among others
    std::ofstream(approval().parent_path() / ("j" + std::to_string(i)));
  decide("reject");
  ASSERT_TRUE(wait_until(
      anna(), [&] { return entries_under_checkpoint(anna()) > recorded; }, kPatience));
  const std::size_t ignored = count("approval_ignored");
  replace_file_by(root() / "old-approval", approval());
  EXPECT_TRUE(wait_for_event("approval_ignored", ignored));
  stop_hospital();
  const Outcome listed = node("anna", {"plan", "list"});
  EXPECT_NE(listed.out.find("rejected"), std::string::npos) << listed.out;
}

// The clock alone brings entries under a checkpoint: nothing else of a run that waits for a person would.
TEST_F(PutBack, WhatIsRecordedIsSoonUnderACheckpoint) {
  make_plan({.rounds = 100, .strangers = {"anna"}});
  ASSERT_FALSE(HasFailure());
  play_coordinator();
  start_site("anna");
  expect_event({"plan_waits_for_acceptances"});
  EXPECT_TRUE(scripted_->serve_until([&] { return entries_under_checkpoint(anna()) > 0; }));
  stop_hospital();
}

// Whoever can write the ledger, even with the node's own keys, and knows no passphrase, writes that a person here
// accepted the other hospitals.
TEST_F(PutBack, AnAcceptanceInTheJournalThatNobodySignedAcceptsNobody) {
  make_plan({.rounds = 100, .strangers = {"anna"}});
  ASSERT_FALSE(HasFailure());
  play_coordinator();
  start_site("anna");
  expect_event({"plan_waits_for_acceptances"});
  stop_hospital();
  replace_folder(anna() / "ledger", root() / "honest");
  const node::io::SiteFolder folder(anna());
  const auto self = folder.site().value();
  std::vector<federation::ledger::LedgerEntry> forged;
  for (const auto& other : scripted_->facts().roster.sites)
    if (other.id != self.id)
      forged.emplace_back(federation::ledger::RosterAccepted{other.id, other.identity_key, other.transport_key,
                                                             other.log_key, other.approver_key, self.approver_key,
                                                             Bytes(18, 0x6e)});
  {
    auto ledger = federation::ledger::Ledger::open(
        {.folder = folder.ledger(),
         .origin = federation::ledger::ledger_origin(folder.invite().value().federation, "anna"),
         .key = folder.keys().value().log.copy(),
         .newest = folder.newest_checkpoint()});
    ASSERT_TRUE(ledger) << ledger.error().message;
    ASSERT_TRUE(ledger->append(SystemClock().wall(), forged));
    ASSERT_TRUE(ledger->sync());
  }
  expect_start_refused("(roster.accepted)");
  EXPECT_EQ(count("run_opened"), 0U);
  // As it was: it goes on, and waits for a person.
  replace_folder(root() / "honest", anna() / "ledger");
  scripted_->follow_roster();
  start_site("anna");
  expect_event({"plan_waits_for_acceptances"});
  EXPECT_EQ(count("run_opened"), 0U);
  stop_hospital();
}

// No ledger at all, and no copy of its checkpoint: a slip, or somebody who wants a rejection forgotten.
TEST_F(PutBack, WithoutItsLedgerAHospitalThatTookPartDoesNotStart) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  expect_round();
  decide("reject");
  expect_event({"plan_withdrawn"});
  stop_hospital();
  fs::rename(anna() / "ledger", root() / "gone");
  fs::rename(anna() / "newest-checkpoint", root() / "newest");
  expect_start_refused("has no entry, but runs/");
  fs::rename(anna() / "runs", root() / "runs");
  expect_start_refused("has no entry, but roster.json");
  EXPECT_FALSE(fs::exists(anna() / "newest-checkpoint"));
  fs::remove_all(anna() / "ledger");
  fs::rename(root() / "gone", anna() / "ledger");
  fs::rename(root() / "newest", anna() / "newest-checkpoint");
  scripted_->follow_roster();
  start_site("anna");
  expect_event({"plan_refused"});
}

// The same with the file gone: what the ledger has stays in force, and is told.
TEST_F(PutBack, ADecisionWhoseFileIsGoneStaysInForceAndIsTold) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  expect_round();
  decide("reject");
  expect_event({"plan_withdrawn"});
  restart();
  fs::remove(approval());
  const Outcome listed = node("anna", {"plan", "list"});
  EXPECT_NE(listed.out.find("rejected (approvals/" + plan_hash_ + ".json is missing; the ledger has that the plan was"),
            std::string::npos)
      << listed.out << listed.err;
  start_site("anna");
  expect_event({"approval_missing"}, [&](const Json& event) { return event["plan"] == plan_hash_; });
  expect_event({"plan_refused"});
  EXPECT_EQ(count("run_opened"), 1U);
}

TEST_F(PutBack, AnOlderLedgerAloneStopsTheHospital) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  expect_round();
  restart();
  fs::copy(anna() / "ledger", root() / "older", kRecursive);
  start_hospital();
  expect_round();
  restart();
  fs::copy(anna() / "ledger", root() / "newer", kRecursive);
  replace_folder(root() / "older", anna() / "ledger");
  expect_start_refused("restored from a backup");
  fs::copy_file(anna() / "newest-checkpoint", root() / "newest");
  fs::remove(anna() / "newest-checkpoint");
  expect_start_refused("newest-checkpoint: is missing");
  fs::copy_file(root() / "newest", anna() / "newest-checkpoint");
  replace_folder(root() / "newer", anna() / "ledger");
  start_hospital();
  expect_round();
}

// Killed at any time, the node finds a ledger that contains the copy.
TEST_F(PutBack, AKillRaisesNoAlarm) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  for (int i = 0; i < 3; ++i) {
    expect_round();
    sites_.at("anna").signal(SIGKILL);
    sites_.at("anna").wait(kPatience);
    scripted_->follow_roster();
    start_hospital();
  }
}

// site.json says whose decisions count. Whoever can write it, and knows no passphrase, makes a key and names it there.
TEST_F(PutBack, AnApproverKeyOfTheFileEditorsOwnApprovesNothing) {
  make_plan({.rounds = 100, .strangers = {"anna"}});
  ASSERT_FALSE(HasFailure());
  play_coordinator();
  start_site("anna");
  expect_event({"roster_adopted"});
  expect_event({"plan_waits_for_acceptances"});
  stop_hospital();
  const std::string honest = read_text(anna() / "site.json");
  fs::rename(anna() / "keys" / "approver.pem", root() / "approver.pem");
  crypto::SystemRandom random;
  const auto own = crypto::SigningKey::from_seed(random.secret_key());
  ASSERT_TRUE(crypto::write_protected_key_file(anna() / "keys" / "approver.pem", own,
                                               crypto::SecretBytes::copy_of(as_bytes(std::string_view(kPassphrase)))));
  Json site = Json::parse(honest);
  site["approver_key"] = to_hex(own.verify_key());
  std::ofstream(anna() / "site.json") << site.dump() << "\n";
  const std::string plan = plan_hash_.substr(0, 12);
  expect_start_refused("site.json: is not what ");
  // Nor does the roster let it pass where the node's own keys are in the same hands.
  const node::io::SiteFolder folder(anna());
  const std::string pinned = read_text(folder.pins());
  ASSERT_TRUE(folder.pin(folder.invite()->hash));
  expect_command_refused({"roster", "accept", "--all", "--by", "nobody"}, "site.json: approver_key");
  expect_command_refused({"plan", "approve", plan, "--by", "nobody"}, "site.json: approver_key");
  expect_command_refused({"plan", "reject", plan, "--by", "nobody"}, "site.json: approver_key");
  expect_start_refused("site.json: approver_key");
  // Without the pinned roster a start fetches it again, and it names the true key.
  fs::rename(anna() / "roster.json", root() / "pinned");
  expect_command_refused({"roster", "accept", "--all", "--by", "nobody", "--roster", (home() / "roster.json").string()},
                         "site.json: approver_key");
  scripted_->follow_roster();
  start_site("anna");
  expect_event({"not_on_roster"}, [](const Json& event) { return event["other_keys"] == true; });
  EXPECT_EQ(count("run_opened"), 0U);
  stop_hospital();
  // The true keys again: nothing of it is left.
  std::ofstream(anna() / "site.json") << honest;
  std::ofstream(folder.pins()) << pinned;
  fs::rename(root() / "approver.pem", anna() / "keys" / "approver.pem");
  fs::rename(root() / "pinned", anna() / "roster.json");
  for (const std::string& other : kSites)
    if (other != "anna") accept(other);
  scripted_->follow_roster();
  start_hospital();
  expect_round();
}

// invite.json says whose rosters count. Whoever can write it, and has no key of the hospital, founds a federation of
// the same name, and names an approver of his own beside.
TEST_F(PutBack, AnInviteOfTheFileEditorsOwnIsNotBelieved) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  expect_round();
  stop_hospital();
  const fs::path honest = root() / "honest", evil = root() / "evil";
  replace_folder(anna(), honest);
  const Outcome founded = run_program("fovea-coordinator",
                                      {"--home", evil.string(), "--passphrase-fd", "0", "init", "test-federation",
                                       "--administrator-key-here", evil.string() + ".pem"},
                                      root() / "evil-init", passphrase_file());
  ASSERT_EQ(founded.exit_code, 0) << founded.err;
  const auto expect_refused = [&](const std::string& why) {
    expect_start_refused(why);
    expect_command_refused(
        {"roster", "accept", "--all", "--by", "nobody", "--roster", (home() / "roster.json").string()}, why);
    expect_command_refused({"plan", "approve", plan_hash_, "--by", "nobody"}, why);
    expect_command_refused({"plan", "reject", plan_hash_, "--by", "nobody"}, why);
    const Outcome examined = node("anna", {"doctor"});
    EXPECT_NE(examined.out.find("FAIL  pins"), std::string::npos) << examined.out;
  };
  for (const char* part : {"roster.json", "rosters", "acquaintances", "approvals"}) fs::remove_all(anna() / part);
  replace_file_by(evil / "invite.json", anna() / "invite.json");
  expect_refused("invite.json: is not a founding document that a person here joined with");
  // Nor is a person brought to pin it by a `join` that looks like any other.
  const std::vector<std::string> his = {"join", (evil / "invite.json").string()};
  expect_command_refused(his, "pins: is of another founding document than this one");
  fs::remove(anna() / "invite.json");
  expect_command_refused(his, "invite.json is missing");
  replace_file_by(evil / "invite.json", anna() / "invite.json");
  Json site = Json::parse(read_text(honest / "site.json"));
  crypto::SystemRandom random;
  const auto own = crypto::SigningKey::from_seed(random.secret_key());
  site["approver_key"] = to_hex(own.verify_key());
  std::ofstream(anna() / "site.json") << site.dump() << "\n";
  expect_refused("site.json: is not what ");
  fs::remove(anna() / "pins");
  expect_refused("pins: is missing");
  // With the true document, and without knowing the passphrase of that approver, nobody here makes it count again.
  const std::vector<std::string> join = {"join", (home() / "invite.json").string(), "--accept-change"};
  expect_command_refused(join, "approver.pem: is not the key that site.json names");
  fs::remove(anna() / "keys" / "approver.pem");
  ASSERT_TRUE(
      crypto::write_protected_key_file(anna() / "keys" / "approver.pem", own,
                                       crypto::SecretBytes::copy_of(as_bytes(std::string_view("somebody else's")))));
  expect_command_refused(join, "passphrase");
  EXPECT_FALSE(fs::exists(anna() / "pins"));
  // As it was, but for the one file: a person writes it anew, and the hospital goes on.
  replace_folder(honest, anna());
  fs::remove(anna() / "pins");
  const Outcome joined = node("anna", {"join", (home() / "invite.json").string()});
  EXPECT_EQ(joined.exit_code, 0) << joined.err;
  EXPECT_NE(joined.out.find("written anew is"), std::string::npos) << joined.out;
  scripted_->follow_roster();
  start_hospital();
  expect_round();
}

// ---- shares of an attempt that was signed and is given up

class SignedAttempt : public PutBack {
 protected:
  void SetUp() override {
    PutBack::SetUp();
    begin_run({.rounds = 100});
    ASSERT_FALSE(HasFailure());
    expect_round();
    scripted_->ignore_complaints(true);
    ASSERT_NO_FATAL_FAILURE(hold_round_at(MessageKind::unmask_request));
    run_ = scripted_->facts().run;
    ASSERT_GT(shares(), 0U);
  }
  // Bytes of the release that R5 would send, in the journal.
  std::size_t shares() {
    const fs::path copy = root() / ("journal-" + std::to_string(++copies_));
    fs::copy_file(anna() / "runs" / run_.text() / "journal", copy);
    const auto journal =
        node::io::open_run_journal(copy, run_, node::io::SiteFolder(anna()).keys().value().log).value();
    const auto memory = node::round::SiteMemory::restore(run_, journal.records(), {}).value();
    return memory.consistency ? memory.consistency->release.size() : 0;
  }

 private:
  RunId run_;
  int copies_ = 0;
};

TEST_F(SignedAttempt, KeepsNoShareAfterARejection) {
  decide("reject");
  expect_event({"plan_withdrawn"});
  stop_hospital();
  EXPECT_EQ(shares(), 0U);
}

TEST_F(SignedAttempt, KeepsNoShareUnderANewerRoster) {
  sign_roster({});
  scripted_->offer_roster();
  expect_event({"roster_adopted"});
  stop_hospital();
  EXPECT_EQ(shares(), 0U);
}

TEST_F(SignedAttempt, KeepsNoShareUnderAStricterPolicy) {
  set_node_setting("anna", "cohort_min = 3", "cohort_min = 4");
  sites_.at("anna").signal(SIGHUP);
  expect_event({"policy_reloaded"});
  stop_hospital();
  EXPECT_EQ(shares(), 0U);
}

// The coordinator never speaks of the run again.
TEST_F(SignedAttempt, KeepsNoShareAfterARejectionWhileTheNodeWasStopped) {
  stop_hospital();
  EXPECT_GT(shares(), 0U);  // it may still be asked for
  decide("reject");
  scripted_.reset();
  const std::size_t before = count("started");
  start_site("anna");
  ASSERT_TRUE(wait_until(
      anna(), [&] { return count("started") > before; }, kPatience));
  stop_hospital();
  EXPECT_EQ(shares(), 0U);
}

// ---- the coordinator's ledger

class PutBackAtTheCoordinator : public FederationTest {
 protected:
  std::size_t starts() const {
    const auto events = events_of(home() / "events.jsonl");
    return static_cast<std::size_t>(
        std::count_if(events.begin(), events.end(), [](const Json& event) { return event["event"] == "run_started"; }));
  }
  void expect_start() {
    const std::size_t before = starts();
    serve();
    ASSERT_TRUE(wait_until(
        home(), [&] { return starts() > before; }, kPatience))
        << server_->standard_error();
  }
  void stop() {
    server_->signal(SIGTERM);
    ASSERT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
  }
};

TEST_F(PutBackAtTheCoordinator, AnOlderLedgerAloneStopsIt) {
  make_plan({.rounds = 200});
  start_all_sites();
  expect_start();
  wait_for_coordinator("round_finished");
  stop();
  fs::copy(home() / "ledger", root() / "older", kRecursive);
  expect_start();  // which its ledger records
  stop();
  fs::copy(home() / "ledger", root() / "newer", kRecursive);
  replace_folder(root() / "older", home() / "ledger");
  const std::size_t before = starts();
  serve();
  EXPECT_NE(server_->wait(kPatience), 0);
  EXPECT_NE((server_->standard_error() + server_->standard_output()).find("restored from a backup"), std::string::npos);
  EXPECT_EQ(starts(), before);
  replace_folder(root() / "newer", home() / "ledger");
  expect_start();
  stop();
}

TEST_F(PutBackAtTheCoordinator, WithoutItsLedgerItDoesNotStart) {
  make_plan({.rounds = 200});
  start_all_sites();
  expect_start();
  wait_for_coordinator("round_finished");
  stop();
  fs::rename(home() / "ledger", root() / "gone");
  fs::rename(home() / "newest-checkpoint", root() / "newest");
  const std::size_t before = starts();
  serve();
  EXPECT_NE(server_->wait(kPatience), 0);
  EXPECT_NE((server_->standard_error() + server_->standard_output()).find("has no entry, but runs/"),
            std::string::npos);
  EXPECT_EQ(starts(), before);
  EXPECT_FALSE(fs::exists(home() / "newest-checkpoint"));
}

// Nobody connects, and no round begins.
TEST_F(PutBackAtTheCoordinator, WhatIsRecordedIsSoonUnderACheckpoint) {
  make_plan({.rounds = 200});
  expect_start();
  EXPECT_TRUE(wait_until(
      home(), [&] { return entries_under_checkpoint(home()) > 0; }, kPatience));
  stop();
}

}  // namespace
}  // namespace fovea::test
