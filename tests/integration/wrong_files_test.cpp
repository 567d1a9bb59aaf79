// What was given to a program is not what it takes for it, or not what it was: a pipe, a link, another document, two
// requests of one name. What is refused is named as it was typed, once, and nothing waits or is written over it.
#include <sys/stat.h>

#include <fstream>

#include "tests/integration/federation_fixture.h"

namespace fovea::test {
namespace {

namespace fs = std::filesystem;

class WrongFiles : public FederationTest {
 protected:
  std::string file(const std::string& name) const { return (root() / name).string(); }
  Outcome audit(const std::vector<std::string>& arguments) {
    return run_program("fovea-audit", arguments, root() / ("command-" + std::to_string(++commands_)));
  }
  std::string public_key() {
    return Json::parse(
        coordinator({"--json", "administrator", administrator_key().string(), "--show"}).out)["data"]["public_key"];
  }
  static void expect_refused(const Outcome& outcome, int code, const std::vector<std::string>& parts) {
    EXPECT_EQ(outcome.exit_code, code) << outcome.out << outcome.err;
    for (const std::string& part : parts)
      EXPECT_NE(outcome.err.find(part), std::string::npos) << part << "\n" << outcome.err;
  }
  // Writes an amendment with this endpoint, signs it and takes it.
  void amend(const std::string& endpoint) {
    ASSERT_EQ(coordinator({"amend", "--endpoint", endpoint}).exit_code, 0);
    ASSERT_EQ(coordinator({"sign-founding", (home() / "founding.json").string(), "--key", administrator_key().string()})
                  .exit_code,
              0);
    ASSERT_EQ(coordinator({"take", (home() / "founding.json").string()}).exit_code, 0);
  }
};

// A start would write a ledger that no site can verify, and spoil the folder for the right key.
TEST_F(WrongFiles, AStartWithOtherKeysThanTheInvitesWritesNothing) {
  make_plan({.rounds = 1}, {"anna", "berta", "clara", "dora"});
  const fs::path key = home() / "keys" / "signing.key";
  std::string text = read_text(key);
  text[0] = text[0] == '1' ? '2' : '1';
  std::ofstream(key) << text;
  expect_refused(coordinator({"run", "start", plan_file().string()}), 7,
                 {key.string() + ": is not the key that invite.json names; restore it from your backup"});
  for (const char* name : {"ledger", "newest-checkpoint", "events.jsonl"}) EXPECT_FALSE(fs::exists(home() / name));
  EXPECT_TRUE(fs::is_empty(home() / "runs"));
}

TEST_F(WrongFiles, TwoRequestsOfOneNameWithDifferentKeysAreBothNamed) {
  fs::rename(site_folder("anna"), root() / "first");
  make_site("anna", false);
  const std::string first = file("first/join-request.json"), second = file("anna/join-request.json");
  const std::string before = read_text(home() / "roster.json");
  expect_refused(coordinator({"sign", first, second}), 1, {first, second, "anna", "different keys", "fingerprint"});
  EXPECT_EQ(read_text(home() / "roster.json"), before);
  const Outcome renewed = coordinator({"sign", second, second, "--json"});
  ASSERT_EQ(renewed.exit_code, 0) << renewed.err;
  const Json changes = Json::parse(renewed.out)["data"]["changes"];
  ASSERT_EQ(changes.size(), 4U);
  EXPECT_EQ(changes[0]["site"], "anna");
  EXPECT_EQ(changes[0]["change"], "new keys");
  EXPECT_EQ(changes[1]["change"], "stays");
}

TEST_F(WrongFiles, ADocumentOfAnotherKindIsCalledByItsName) {
  const std::string invite = (home() / "invite.json").string(), roster = (home() / "roster.json").string();
  const std::string request = file("anna/join-request.json");
  expect_refused(node("anna", {"join", roster}), 6, {roster + ": is a roster, not an invite"});
  expect_refused(coordinator({"sign", invite}), 6, {invite + ": is an invite, not a request to join"});
  expect_refused(coordinator({"take", request}), 6, {request + ": is a request to join"});
  expect_refused(coordinator({"sign-founding", roster, "--key", administrator_key().string()}), 6,
                 {roster + ": is a roster, not an invite"});
  // One that was changed is refused before anybody reads it.
  std::string text = read_text(invite);
  text.replace(text.find("test-federation"), 15, "best-federation");
  std::ofstream(file("changed.json")) << text;
  const Outcome changed = coordinator({"sign-founding", file("changed.json"), "--key", administrator_key().string()});
  expect_refused(changed, 7, {file("changed.json"), "was changed"});
  EXPECT_EQ(changed.err.find("quorum"), std::string::npos) << changed.err;
}

TEST_F(WrongFiles, ASignatureGoesBehindALink) {
  ASSERT_EQ(coordinator({"amend", "--endpoint", "tcp://127.0.0.1:9"}).exit_code, 0);
  fs::create_symlink(home() / "founding.json", file("link.json"));
  ASSERT_EQ(coordinator({"sign-founding", file("link.json"), "--key", administrator_key().string()}).exit_code, 0);
  EXPECT_TRUE(fs::is_symlink(file("link.json")));
  EXPECT_EQ(coordinator({"take", (home() / "founding.json").string()}).exit_code, 0);
}

TEST_F(WrongFiles, AnOlderFoundingDocumentIsSaidToBeOne) {
  fs::copy_file(home() / "invite.json", file("first.json"));
  amend("tcp://127.0.0.1:9");
  ASSERT_EQ(node("anna", {"join", (home() / "invite.json").string(), "--accept-change"}).exit_code, 0);
  const std::string older = "this site had this document before, and it was replaced on 2";
  expect_refused(node("anna", {"join", file("first.json")}), 6, {older, "--accept-change"});
  const Outcome accepted = node("anna", {"join", file("first.json"), "--accept-change"});
  EXPECT_EQ(accepted.exit_code, 0) << accepted.err;
  EXPECT_NE(accepted.out.find(older), std::string::npos) << accepted.out;
}

TEST_F(WrongFiles, PipesInTheFoldersHoldNobodyUp) {
  make_plan({.rounds = 1}, {"anna", "berta", "clara", "dora"});
  for (const fs::path& folder : {home(), site_folder("anna")}) {
    const std::string pipe = (folder / "events.jsonl").string();
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    const bool coordinates = folder == home();
    expect_refused(coordinates ? coordinator({"run", "start", plan_file().string()}) : node("anna", {"start"}), 1,
                   {pipe + ": is a pipe"});
    if (coordinates) expect_refused(coordinator({"run", "watch"}), 1, {pipe + ": is not a regular file"});
  }
}

TEST_F(WrongFiles, ACommandPrintsOneLineOfJsonAlsoWhenItFails) {
  const auto lines = [](const Outcome& outcome) { return std::count(outcome.out.begin(), outcome.out.end(), '\n'); };
  const Outcome doctor = node("anna", {"--json", "doctor"});  // nobody listens
  EXPECT_EQ(doctor.exit_code, 4) << doctor.err;
  EXPECT_EQ(lines(doctor), 1) << doctor.out;
  EXPECT_TRUE(Json::parse(doctor.out)["data"].is_array());
  for (const auto& [arguments, command, word] :
       {std::tuple<std::vector<std::string>, std::string, std::string>{{"--json", "frob"}, "fovea-coordinator", "frob"},
        {{"plan", "frob", "--json"}, "plan", "frob"},
        {{"--json", "plan"}, "plan", "subcommand"},
        {{"--json", "invite", "--frob"}, "invite", "--frob"}}) {
    const Outcome outcome = coordinator(arguments);
    EXPECT_EQ(outcome.exit_code, 2);
    ASSERT_EQ(lines(outcome), 1) << outcome.out;
    const Json line = Json::parse(outcome.out);
    EXPECT_EQ(line["command"], command);
    EXPECT_NE(line["error"]["message"].get<std::string>().find(word), std::string::npos) << line;
    EXPECT_NE(outcome.err.find(word), std::string::npos) << outcome.err;
  }
}

TEST_F(WrongFiles, AFolderWithoutAFederationIsSaidToBeOne) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"model", "export"}, {"take", (home() / "invite.json").string()}, {"run", "list"}}) {
    std::vector<std::string> arguments = {"--home", file("nope")};
    arguments.insert(arguments.end(), command.begin(), command.end());
    expect_refused(run_program("fovea-coordinator", arguments, root() / "nope-command"), 1,
                   {file("nope") + ": holds no federation"});
  }
}

TEST_F(WrongFiles, TheAuditorsKeysAreNamedAsTheyWereTyped) {
  const std::string roster = (home() / "roster.json").string(), key = public_key();
  expect_refused(audit({"verify", home().string(), "--roster", roster, "--admin", key, "--admin", key}), 1,
                 {"--admin " + key, "twice"});
  expect_refused(audit({"verify", home().string(), "--roster", roster, "--admin", "zz"}), 1, {"--admin \"zz\""});
  expect_refused(audit({"verify", home().string(), "--roster", roster, "--admin", "ab12"}), 1, {"--admin \"ab12\""});
  expect_refused(audit({"verify", home().string(), "--key", "a+00000000+AAAA"}), 1, {"--key \"a+00000000+AAAA\""});
}

TEST_F(WrongFiles, WhoRenewsARosterOfFewSitesIsWarned) {
  const Outcome none = coordinator({"revoke", "anna", "berta", "clara", "dora"});
  EXPECT_NE(none.err.find("warning: no site is left"), std::string::npos) << none.err;
  const Outcome renewed = coordinator({"sign", "--renew"});
  EXPECT_NE(renewed.err.find("warning: no site is left"), std::string::npos) << renewed.err;
}

// What the running node saw of clocks stands in its status, and doctor says it.
TEST_F(WrongFiles, AClockThatIsOffIsFoundByDoctor) {
  const auto set_status = [&](const std::string& fields) {
    std::ofstream(site_folder("anna") / "status.json")
        << R"({"fovea_status":1,"at_ms":1900000000000,"pid":2,"connected":false,"epoch":0)" << fields << "}\n";
  };
  set_status(R"(,"clock_ahead_ms":10800000)");
  const Outcome ahead = node("anna", {"doctor"});
  EXPECT_NE(ahead.out.find("WARN  clock"), std::string::npos) << ahead.out;
  EXPECT_NE(ahead.out.find("3 hours ahead of the coordinator's"), std::string::npos) << ahead.out;
  const std::string why = "the roster of epoch 1 is not valid yet, but this machine's clock is 25 hours behind";
  set_status(R"(,"clock_ahead_ms":-90000000,"roster_invalid":")" + why + "\"");
  const Outcome behind = node("anna", {"doctor"});
  EXPECT_NE(behind.out.find("FAIL  roster and clock"), std::string::npos) << behind.out;
  EXPECT_NE(behind.out.find(why), std::string::npos) << behind.out;
  EXPECT_EQ(behind.out.find("WARN  clock"), std::string::npos) << behind.out;
  expect_refused(node("anna", {"roster", "accept", "--all", "--by", "tester"}), 1, {why});
  set_status(R"(,"clock_ahead_ms":-1000)");
  EXPECT_EQ(node("anna", {"doctor"}).out.find("WARN  clock"), std::string::npos);
}

}  // namespace
}  // namespace fovea::test
