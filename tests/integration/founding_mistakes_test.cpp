// What a first-time administrator does wrong, at the programs: each mistake is named by what was typed, nothing is lost
// over it, and what comes next is said.
#include <fstream>

#include "tests/integration/federation_fixture.h"

namespace fovea::test {
namespace {

namespace fs = std::filesystem;

class FoundingMistakes : public FederationTest {
 protected:
  Outcome with_home(const fs::path& folder, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--home", folder.string(), "--passphrase-fd", "0"});
    return run_program("fovea-coordinator", arguments, root() / ("command-" + std::to_string(++commands_)),
                       passphrase_file());
  }
  std::string file(const std::string& name) const { return (root() / name).string(); }
  // A key of a person whose name it is; the public one.
  std::string make_administrator(const std::string& name) {
    const Outcome made = with_home(root() / "nowhere", {"--json", "administrator", file(name + ".pem")});
    EXPECT_EQ(made.exit_code, 0) << made.err;
    return Json::parse(made.out)["data"]["public_key"];
  }
  static void expect_parts(const std::string& said, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) EXPECT_NE(said.find(part), std::string::npos) << part << "\n" << said;
  }
  // The amendment of the fixture's one administrator.
  void sign_amendment() {
    const Outcome made =
        coordinator({"sign-founding", (home() / "founding.json").string(), "--key", administrator_key().string()});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  void set_coordinator(const std::string& text) { std::ofstream(home() / "coordinator.toml") << text; }
};

TEST_F(FoundingMistakes, InitNamesTheOptionThatIsWrong) {
  const std::string ada = make_administrator("ada"), bo = make_administrator("bo");
  const fs::path fresh = root() / "fresh";
  struct Case {
    std::vector<std::string> arguments, said;
    std::string name = "lesion-study";
  };
  for (const Case& c :
       {Case{{"--administrator", ada, "--administrator", bo, "--quorum", "3"}, {"--quorum 3", "only 2 administrators"}},
        Case{{"--administrator", "zz"}, {"--administrator \"zz\"", "64 digits", "fovea-coordinator administrator"}},
        Case{{"--administrator", ada, "--administrator", ada}, {"--administrator " + ada, "twice"}},
        Case{{"--administrator", std::string(64, '0')}, {"--administrator 0000", "no public key"}},
        Case{{"--administrator", std::string(64, 'f')}, {"--administrator ffff", "no public key"}},
        Case{{"--administrator", "02" + std::string(62, '0')}, {"--administrator 0200", "no public key"}},
        Case{{"--administrator", ada, "--host", "a b"}, {"--host", "tcp://a b:7443"}},
        Case{{"--administrator", ada}, {"init NAME", "letters, digits"}, "a study"}}) {
    std::vector<std::string> init = {"init", c.name};
    init.insert(init.end(), c.arguments.begin(), c.arguments.end());
    const Outcome refused = with_home(fresh, init);
    EXPECT_EQ(refused.exit_code, 1) << refused.err;
    expect_parts(refused.err, c.said);
    EXPECT_EQ(refused.err.find("invite.quorum"), std::string::npos) << refused.err;
    EXPECT_EQ(refused.err.find("invite.administrators"), std::string::npos) << refused.err;
    EXPECT_FALSE(fs::exists(fresh));
  }
}

TEST_F(FoundingMistakes, APublicKeyCanBeAskedForAgain) {
  const std::string ada = make_administrator("ada");
  const std::string before = read_text(file("ada.pem"));
  const Outcome shown = with_home(root() / "nowhere", {"--json", "administrator", file("ada.pem"), "--show"});
  ASSERT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_EQ(Json::parse(shown.out)["data"]["public_key"], ada);
  EXPECT_EQ(read_text(file("ada.pem")), before);
  EXPECT_NE(with_home(root() / "nowhere", {"administrator", file("nobody.pem"), "--show"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(file("nobody.pem")));
}

TEST_F(FoundingMistakes, CopiesThatTwoPeopleSignedApartAreTakenOneAfterTheOther) {
  const std::string ada = make_administrator("ada"), bo = make_administrator("bo");
  const fs::path two = root() / "two";
  ASSERT_EQ(with_home(two, {"init", "lesion-study", "--administrator", ada, "--administrator", bo}).exit_code, 0);
  for (const char* name : {"ada", "bo"}) {
    fs::copy_file(two / "founding.json", file(std::string(name) + ".json"));
    ASSERT_EQ(
        with_home(two, {"sign-founding", file(std::string(name) + ".json"), "--key", file(std::string(name) + ".pem")})
            .exit_code,
        0);
  }
  const Outcome first = with_home(two, {"take", file("ada.json")});
  EXPECT_EQ(first.exit_code, 0) << first.err;
  expect_parts(first.out, {"signed by 1 of 2 administrators", "waits in", "1 more administrator has signed"});
  const Outcome again = with_home(two, {"take", file("ada.json")});
  EXPECT_EQ(again.exit_code, 6) << again.out;
  expect_parts(again.err, {"this copy adds no signature", "1 of the 2 administrators"});
  const Outcome second = with_home(two, {"take", file("bo.json")});
  EXPECT_EQ(second.exit_code, 0) << second.err;
  expect_parts(second.out, {"is founded", "next: fovea-coordinator --home " + two.string() + " invite"});
}

TEST_F(FoundingMistakes, AnAmendmentSaysWhatFollowsAndThatNobodyListensThere) {
  const Outcome empty = coordinator({"amend"});
  EXPECT_EQ(empty.exit_code, 1) << empty.err;
  expect_parts(empty.err, {"nothing would change", "--endpoint"});
  EXPECT_FALSE(fs::exists(home() / "founding.json"));
  const int other = port_ == 7444 ? 7445 : 7444;
  const std::string endpoint = "tcp://127.0.0.1:" + std::to_string(other);
  ASSERT_EQ(coordinator({"amend", "--endpoint", endpoint}).exit_code, 0);
  const Outcome again = coordinator({"amend", "--endpoint", "tcp://127.0.0.1:9"});
  EXPECT_EQ(again.exit_code, 1) << again.err;
  expect_parts(again.err, {"founding.json", "waits", "--replace"});
  ASSERT_EQ(coordinator({"amend", "--endpoint", endpoint, "--replace"}).exit_code, 0);
  sign_amendment();
  const Outcome taken = coordinator({"take", (home() / "founding.json").string()});
  ASSERT_EQ(taken.exit_code, 0) << taken.err;
  expect_parts(taken.out, {"is amended", "becomes " + endpoint, "fovea-node join FILE --accept-change", "restart"});
  EXPECT_EQ(taken.out.find("sign --renew"), std::string::npos) << taken.out;  // the roster names no endpoint
  EXPECT_EQ(taken.out.find("is founded"), std::string::npos) << taken.out;
  expect_parts(taken.err, {"warning: ", "sites dial " + endpoint, "port = " + std::to_string(other)});
  // The start says it too, and goes on: a router may lead from one port to the other.
  make_plan({.rounds = 1}, {"anna", "berta", "clara", "dora"});
  serve();
  wait_for_coordinator("run_started");
  expect_parts(server_->standard_error(), {"warning: ", "sites dial " + endpoint});
}

// The roster in force was signed by an administrator who does not count any more.
TEST_F(FoundingMistakes, AnAmendmentOfTheAdministratorsSaysThatTheRosterMustBeSignedAnew) {
  const std::string ada = make_administrator("ada");
  ASSERT_EQ(coordinator({"amend", "--administrator", ada}).exit_code, 0);
  const std::string document = (home() / "founding.json").string();
  ASSERT_EQ(coordinator({"sign-founding", document, "--key", file("ada.pem")}).exit_code, 0);
  const Outcome taken = coordinator({"take", document});
  ASSERT_EQ(taken.exit_code, 0) << taken.err;
  expect_parts(taken.out, {"administrators: 1 new, 1 gone", "fovea-coordinator sign --renew"});
}

TEST_F(FoundingMistakes, TheValidityOfARosterIsSaidWhereverItIsSignedTakenOrListed) {
  const Outcome renewed = coordinator({"sign", "--renew"});
  expect_parts(renewed.out, {"roster of epoch 2: 4 sites, valid until 20", "UTC, in force"});
  const Outcome left = coordinator({"revoke", "berta", "clara", "dora"});
  expect_parts(left.out, {"roster of epoch 3: 1 site, valid until 20"});
  expect_parts(left.err, {"warning: 1 site is left", "a round takes at least 3"});
  expect_parts(coordinator({"sites"}).out, {"epoch 3, valid until 20", "(6 days left)"});
}

TEST_F(FoundingMistakes, SettingsThatLostWhereToListenAreRefused) {
  make_plan({.rounds = 1}, {"anna", "berta", "clara", "dora"});
  set_coordinator(read_text(home() / "coordinator.toml").substr(0, 10));
  const Outcome refused = coordinator({"run", "start", plan_file().string()});
  EXPECT_EQ(refused.exit_code, 3) << refused.err;
  expect_parts(refused.err, {"coordinator.toml", "listen.host", "is missing", "fix: add"});
}

// What a newer version, a crash or a disk has left is listed with its reason, and hinders no other run.
TEST_F(FoundingMistakes, ARunThatCannotBeReadIsListedWithTheReason) {
  make_plan({.rounds = 1}, {"anna", "berta", "clara", "dora"});
  const auto run = [&](char digit) { return home() / "runs" / std::string(32, digit); };
  for (const char digit : {'a', 'b', 'c'}) fs::create_directories(run(digit));
  std::ofstream(run('a') / "run.json") << Json({{"fovea_run", 9}, {"begun", "yesterday"}, {"started_ms", "x"}}).dump();
  std::ofstream(run('b') / "run.json") << "{\"fovea_run\":";
  const Outcome listed = coordinator({"run", "list"});
  EXPECT_EQ(listed.exit_code, 0) << listed.err;
  for (const char digit : {'a', 'b', 'c'}) expect_parts(listed.out, {std::string(12, digit)});
  expect_parts(listed.out, {"9 is the format of a newer version", "run.json: is missing"});
  EXPECT_EQ(listed.out.find("no run yet"), std::string::npos) << listed.out;
  EXPECT_EQ(coordinator({"model", "export", "--output", file("model")}).exit_code, 1);
  EXPECT_EQ(coordinator({"sites"}).exit_code, 0);
  serve();
  wait_for_coordinator("run_started");
  expect_parts(server_->standard_error(), {std::string(32, 'a') + " cannot be read and is left alone"});
}

// A second run from the same model would be refused by every site, after it was begun.
TEST_F(FoundingMistakes, ARunOfThisVeryPlanThatCannotBeReadIsNotPassedOver) {
  make_plan({.rounds = 1}, {"anna", "berta", "clara", "dora"});
  const fs::path run = home() / "runs" / std::string(32, 'a');
  fs::create_directories(run);
  std::ofstream(run / "run.json") << Json({{"fovea_run", 9}}).dump();
  fs::copy_file(plan_file(), run / "plan.json");
  const auto expect_refused = [&] {
    const Outcome refused = coordinator({"run", "start", plan_file().string()});
    EXPECT_EQ(refused.exit_code, 1) << refused.err;
    expect_parts(refused.err, {"run " + std::string(32, 'a') + ", of this plan, cannot be read", "--new"});
    return refused.err;
  };
  expect_refused();
  // The other file may be the damaged one.
  std::ofstream(run / "run.json") << Json(
      {{"fovea_run", 1}, {"run", std::string(32, 'a')}, {"plan", plan_hash_}, {"started_ms", 1}});
  std::ofstream(run / "plan.json") << "{";
  expect_refused();
  fs::copy_file(plan_file(), run / "plan.json", fs::copy_options::overwrite_existing);
  fs::remove(run / "run.json");
  const std::string said = expect_refused();
  EXPECT_EQ(said.find("backup"), said.rfind("backup")) << said;
}

TEST_F(FoundingMistakes, NothingIsWrittenOverAFileThatIsThere) {
  make_plan({.rounds = 1}, {"anna", "berta", "clara", "dora"});
  const std::string key = administrator_key().string(), roster = (home() / "roster.json").string();
  const std::vector<std::vector<std::string>> kCommands = {{"invite"}, {"plan", "new"}, {"model", "export"}};
  fs::create_symlink(root() / "nowhere", root() / "link");
  for (const std::string& there : {key, roster, plan_file().string(), file("link")}) {
    const std::string before = fs::exists(there) ? read_text(there) : "";
    for (std::vector<std::string> command : kCommands) {
      command.insert(command.end(), {"--output", there});
      const Outcome refused = coordinator(command);
      EXPECT_EQ(refused.exit_code, 1) << refused.out;
      expect_parts(refused.err, {there + ": exists", "--output"});
    }
    EXPECT_EQ(fs::exists(there) ? read_text(there) : "", before);
  }
  if (node("anna", {"predict", "--help"}).exit_code == 0) {  // a build with learning
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"predict", "scan.nii", "--model", "model.safetensors", "--picture", key},
          std::vector<std::string>{"evaluate", "--model", "model.safetensors", "--out", key}})
      expect_parts(node("anna", command).err, {key + ": exists"});
  }
  EXPECT_EQ(coordinator({"invite", "--output", file("invite.json")}).exit_code, 0);
}

// Ada signs in a folder of her own, whose roster.json is not that of the coordinator any more.
TEST_F(FoundingMistakes, ARosterFromAFolderThatIsBehindIsNamedWithWhatToDo) {
  const fs::path behind = root() / "behind";
  fs::create_directories(behind);
  for (const char* name : {"invite.json", "roster.json"}) fs::copy_file(home() / name, behind / name);
  ASSERT_EQ(coordinator({"sign", "--renew"}).exit_code, 0);
  ASSERT_EQ(with_home(behind, {"sign", "--renew", "--key", administrator_key().string()}).exit_code, 0);
  const Outcome refused = coordinator({"take", (behind / "roster.json").string()});
  EXPECT_EQ(refused.exit_code, 6) << refused.err;
  expect_parts(refused.err, {"is behind: put the coordinator's roster.json into it, and sign again"});
  std::ofstream(home() / "roster-next.json") << "{";
  const Outcome unread = coordinator({"sign", "--renew"});
  EXPECT_EQ(unread.exit_code, 1) << unread.err;
  expect_parts(unread.err, {"roster-next.json: the roster that waits here", "bring it back", ", or say --replace"});
}

}  // namespace
}  // namespace fovea::test
