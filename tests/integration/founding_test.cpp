// Who may speak for a federation, at the programs that people type: invites that were forged, changed or signed by too
// few, keys without their passphrase, and what a program that holds keys leaves to a core dump.
#include <fstream>
#include <sstream>

#include "tests/integration/federation_fixture.h"

namespace fovea::test {
namespace {

namespace fs = std::filesystem;

constexpr int kPolicy = 6;

class FoundingPrograms : public FederationTest {
 protected:
  Outcome plain(std::vector<std::string> arguments, const fs::path& input) {
    return run_program("fovea-coordinator", arguments, root() / ("command-" + std::to_string(++commands_)), input);
  }
  // In a folder of its own, with the passphrase of the fixture.
  Outcome with_home(const fs::path& folder, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--home", folder.string(), "--passphrase-fd", "0", "--json"});
    return plain(std::move(arguments), passphrase_file());
  }
  std::string make_administrator(const std::string& name) {
    const Outcome made = with_home(root() / "nowhere", {"administrator", key_of(name)});
    EXPECT_EQ(made.exit_code, 0) << made.err;
    return Json::parse(made.out)["data"]["public_key"];
  }
  std::string key_of(const std::string& name) const { return (root() / (name + ".pem")).string(); }
  // A coordinator's folder that two administrators have founded; its invite.
  fs::path found(const std::string& folder, const std::vector<std::string>& administrators, int quorum) {
    std::vector<std::string> init = {"init",     "test-federation",     "--port", std::to_string(port_),
                                     "--quorum", std::to_string(quorum)};
    for (const std::string& name : administrators) {
      const std::string key = fs::exists(key_of(name)) ? public_keys_.at(name) : make_administrator(name);
      public_keys_[name] = key;
      init.insert(init.end(), {"--administrator", key});
    }
    const fs::path made = root() / folder, document = made / "founding.json";
    EXPECT_EQ(with_home(made, init).exit_code, 0);
    for (const std::string& name : administrators)
      EXPECT_EQ(with_home(made, {"sign-founding", document.string(), "--key", key_of(name)}).exit_code, 0);
    const Outcome taken = with_home(made, {"take", document.string()});
    EXPECT_EQ(taken.exit_code, 0) << taken.err;
    return made / "invite.json";
  }
  Outcome join(const std::string& site, const fs::path& invite, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"join", invite.string()});
    return node(site, more);
  }

  std::map<std::string, std::string> public_keys_;
};

TEST_F(FoundingPrograms, TwoAdministratorsFoundAFederationAndBothSignItsRoster) {
  const fs::path invite = found("two", {"ada", "bo"}, 2);
  EXPECT_FALSE(fs::exists(root() / "two" / "keys" / "administrator.pem"));
  ASSERT_EQ(node("eve", {"init", "eve"}).exit_code, 0);
  const Outcome joined = join("eve", invite);
  ASSERT_EQ(joined.exit_code, 0) << joined.err;
  EXPECT_NE(joined.out.find("2 of 2 administrators together decide"), std::string::npos) << joined.out;
  const std::string request = (site_folder("eve") / "join-request.json").string();
  const Outcome first = with_home(root() / "two", {"sign", request, "--key", key_of("ada")});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(Json::parse(first.out)["data"]["in_force"], false);
  EXPECT_FALSE(fs::exists(root() / "two" / "roster.json"));
  const Outcome again = with_home(root() / "two", {"cosign", "--key", key_of("ada")});
  EXPECT_EQ(Json::parse(again.out)["data"]["in_force"], false);
  const Outcome second = with_home(root() / "two", {"cosign", "--key", key_of("bo")});
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_NE(second.err.find("new      eve"), std::string::npos) << second.err;  // what she signs, before she does
  EXPECT_EQ(Json::parse(second.out)["data"]["in_force"], true);
  EXPECT_TRUE(fs::exists(root() / "two" / "roster.json"));
}

// The attack: the first administrator swaps a new site's transport, log or approver key. The second one hears the
// hospital's fingerprint by telephone, so every command has to show the one that covers all four keys.
TEST_F(FoundingPrograms, EveryCommandShowsTheSameFingerprintOfASite) {
  const fs::path invite = found("two", {"ada", "bo"}, 2);
  const fs::path bo = root() / "bo";  // signs in a folder of her own
  ASSERT_EQ(node("eve", {"init", "eve"}).exit_code, 0);
  const Outcome joined = join("eve", invite);
  ASSERT_EQ(joined.exit_code, 0) << joined.err;
  const std::string mark = "this site's fingerprint ";
  const std::size_t at = joined.out.find(mark);
  ASSERT_NE(at, std::string::npos) << joined.out;
  const std::string print = joined.out.substr(at + mark.size(), 29);
  const Outcome first =
      with_home(root() / "two", {"sign", (site_folder("eve") / "join-request.json").string(), "--key", key_of("ada")});
  EXPECT_NE(first.err.find("eve: fingerprint " + print), std::string::npos) << first.err;
  const std::string waiting = Json::parse(first.out)["data"]["file"];
  fs::create_directories(bo);
  fs::copy_file(invite, bo / "invite.json");
  fs::copy_file(waiting, bo / "roster-next.json");
  const Outcome second = with_home(bo, {"cosign", "--key", key_of("bo")});
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_NE(second.err.find("new      eve: fingerprint " + print), std::string::npos) << second.err;
  const Outcome taken = with_home(root() / "two", {"take", Json::parse(second.out)["data"]["file"]});
  ASSERT_EQ(taken.exit_code, 0) << taken.err;
  EXPECT_NE(taken.err.find("new      eve: fingerprint " + print), std::string::npos) << taken.err;
  for (const std::vector<std::string>& more :
       std::vector<std::vector<std::string>>{{"sign", "--renew"}, {"revoke", "eve"}}) {
    std::vector<std::string> change = more;
    change.insert(change.end(), {"--key", key_of("ada")});
    ASSERT_EQ(with_home(root() / "two", change).exit_code, 0);
    const Outcome shown = with_home(root() / "two", {"cosign", "--key", key_of("bo")});
    EXPECT_NE(shown.err.find("eve: fingerprint " + print), std::string::npos) << more[0] << "\n" << shown.err;
  }
}

TEST_F(FoundingPrograms, WhoeverSignsIsToldWhereTheRosterWaitsAndWhatIsNext) {
  const fs::path invite = found("two", {"ada", "bo"}, 2);
  const fs::path bo = root() / "bo";
  ASSERT_EQ(node("eve", {"init", "eve"}).exit_code, 0);
  ASSERT_EQ(join("eve", invite).exit_code, 0);
  const auto said = [&](const fs::path& folder, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--home", folder.string(), "--passphrase-fd", "0"});
    return plain(std::move(arguments), passphrase_file()).out;
  };
  const fs::path waiting = root() / "two" / "roster-next.json";
  const std::string first =
      said(root() / "two", {"sign", (site_folder("eve") / "join-request.json").string(), "--key", key_of("ada")});
  EXPECT_NE(first.find("not in force: it waits in " + waiting.string() + " for 1 more administrator\n"),
            std::string::npos)
      << first;
  const std::string again = said(root() / "two", {"cosign", "--key", key_of("ada")});
  EXPECT_NE(again.find("you have signed it already; it waits in " + waiting.string() + " for 1 more administrator\n"),
            std::string::npos)
      << again;
  const std::string sites = said(root() / "two", {"sites"});
  for (const std::string& part : {std::string("no roster is in force yet"),
                                  "waits in " + waiting.string() + " for 1 more administrator; signed by "})
    EXPECT_NE(sites.find(part), std::string::npos) << part << "\n" << sites;
  fs::create_directories(bo);
  fs::copy_file(invite, bo / "invite.json");
  fs::copy_file(waiting, bo / "roster-next.json");
  const std::string second = said(bo, {"cosign", "--key", key_of("bo")});
  EXPECT_NE(second.find("fovea-coordinator take " + (bo / "roster.json").string()), std::string::npos) << second;
  const std::string third = said(root() / "two", {"take", (bo / "roster.json").string()});
  EXPECT_NE(third.find("roster of epoch 1: 1 site, valid until 20"), std::string::npos) << third;
  EXPECT_NE(third.find(" UTC, in force"), std::string::npos) << third;
  EXPECT_EQ(said(root() / "two", {"sites"}).find("waits in"), std::string::npos);
}

TEST_F(FoundingPrograms, AnInitThatIsRefusedMakesNoKey) {
  const Outcome refused =
      with_home(root() / "fresh", {"init", "No Such Name", "--administrator-key-here", key_of("fresh")});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_FALSE(fs::exists(key_of("fresh")));
  EXPECT_FALSE(fs::exists(root() / "fresh"));
  const std::string twice = make_administrator("twice");
  EXPECT_NE(with_home(root() / "fresh", {"init", "test", "--administrator", twice, "--administrator", twice}).exit_code,
            0);
  EXPECT_FALSE(fs::exists(root() / "fresh"));
}

TEST_F(FoundingPrograms, AnInviteThatOneOfItsAdministratorsDidNotSignIsNotJoined) {
  const std::string ada = make_administrator("ada"), mallory = make_administrator("mallory");
  const fs::path folder = root() / "forged", document = folder / "founding.json";
  ASSERT_EQ(
      with_home(folder, {"init", "test-federation", "--administrator", ada, "--administrator", mallory}).exit_code, 0);
  ASSERT_EQ(with_home(folder, {"sign-founding", document.string(), "--key", key_of("mallory")}).exit_code, 0);
  EXPECT_EQ(with_home(folder, {"take", document.string()}).exit_code, kPolicy);
  ASSERT_EQ(node("eve", {"init", "eve"}).exit_code, 0);
  const Outcome refused = join("eve", document);
  EXPECT_EQ(refused.exit_code, kPolicy);
  EXPECT_NE(refused.err.find("1 of the 2"), std::string::npos) << refused.err;
  EXPECT_FALSE(fs::exists(site_folder("eve") / "invite.json"));
}

TEST_F(FoundingPrograms, AnotherFoundingDocumentIsRefusedByNameUntilAPersonAcceptsIt) {
  const fs::path other = found("other", {"ada", "bo"}, 2);
  const std::string before = read_text(site_folder("anna") / "invite.json");
  const Outcome refused = join("anna", other);
  EXPECT_EQ(refused.exit_code, kPolicy);
  for (const char* part : {"coordinator_transport_key", "coordinator_signing_key", "administrators: 2 new, 1 gone",
                           "quorum: 1 becomes 2", "--accept-change"})
    EXPECT_NE(refused.err.find(part), std::string::npos) << part << "\n" << refused.err;
  EXPECT_EQ(read_text(site_folder("anna") / "invite.json"), before);
  const Outcome accepted = join("anna", other, {"--accept-change"});
  EXPECT_EQ(accepted.exit_code, 0) << accepted.err;
  EXPECT_NE(accepted.out.find("join-request.json"), std::string::npos) << accepted.out;  // another coordinator's roster
  EXPECT_EQ(read_text(site_folder("anna") / "invite.json"), read_text(other));
  EXPECT_EQ(join("anna", other).exit_code, 0);  // now it is the one that is pinned
}

TEST_F(FoundingPrograms, ACoordinatorThatMovesAmendsItsDocumentAndSitesAcceptThat) {
  ASSERT_EQ(with_home(home(), {"amend", "--endpoint", "tcp://localhost:7443"}).exit_code, 0);
  const std::string document = (home() / "founding.json").string();
  EXPECT_EQ(with_home(home(), {"take", document}).exit_code, kPolicy);
  ASSERT_EQ(with_home(home(), {"sign-founding", document, "--key", administrator_key().string()}).exit_code, 0);
  const Outcome taken = with_home(home(), {"take", document});
  ASSERT_EQ(taken.exit_code, 0) << taken.err;
  const Outcome refused = join("anna", home() / "invite.json");
  EXPECT_EQ(refused.exit_code, kPolicy);
  EXPECT_NE(refused.err.find("becomes tcp://localhost:7443"), std::string::npos) << refused.err;
  EXPECT_EQ(refused.err.find("coordinator_signing_key"), std::string::npos) << refused.err;
  fs::copy_file(home() / "roster.json", site_folder("anna") / "roster.json");  // as the node fetched it
  const Outcome accepted = join("anna", home() / "invite.json", {"--accept-change"});
  EXPECT_EQ(accepted.exit_code, 0) << accepted.err;
  EXPECT_NE(accepted.out.find("restart the node"), std::string::npos) << accepted.out;
  EXPECT_NE(accepted.out.find("there is nothing to send"), std::string::npos) << accepted.out;
  EXPECT_EQ(accepted.out.find("join-request.json"), std::string::npos) << accepted.out;
}

TEST_F(FoundingPrograms, OnePersonWhoDecidesAloneIsNamedAtEverySite) {
  const Outcome joined = join("anna", home() / "invite.json");
  for (const Outcome& said : {joined, node("anna", {"status"}), node("anna", {"doctor"})})
    EXPECT_NE(said.out.find("one person alone decides who takes part"), std::string::npos) << said.out << said.err;
}

TEST_F(FoundingPrograms, InitAsksWhoDecidesAndMakesNoAdministratorsKeyUnasked) {
  const Outcome refused = with_home(root() / "fresh", {"init", "test-federation"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("--administrator-key-here"), std::string::npos) << refused.err;
  EXPECT_FALSE(fs::exists(root() / "fresh"));
}

TEST_F(FoundingPrograms, AKeyIsNotUsedWithoutItsPassphrase) {
  std::ofstream(root() / "wrong") << "correct horse batter\n";
  std::ofstream(root() / "short") << "seven77\n";
  const std::vector<std::string> renew = {"--home", home().string(), "--passphrase-fd", "0",
                                          "sign",   "--renew",       "--key",           administrator_key().string()};
  const std::string before = read_text(home() / "roster.json");
  const Outcome wrong = plain(renew, root() / "wrong");
  EXPECT_EQ(wrong.exit_code, kPolicy);
  EXPECT_NE(wrong.err.find("passphrase is wrong"), std::string::npos) << wrong.err;
  std::vector<std::string> unasked = renew;
  unasked.erase(unasked.begin() + 2, unasked.begin() + 4);
  const Outcome nowhere = plain(unasked, "/dev/null");
  EXPECT_EQ(nowhere.exit_code, 1);
  EXPECT_NE(nowhere.err.find("--passphrase-fd"), std::string::npos) << nowhere.err;
  const Outcome weak = plain({"--passphrase-fd", "0", "administrator", key_of("weak")}, root() / "short");
  EXPECT_EQ(weak.exit_code, 1);
  EXPECT_NE(weak.err.find("at least 8"), std::string::npos) << weak.err;
  EXPECT_FALSE(fs::exists(key_of("weak")));
  EXPECT_EQ(read_text(home() / "roster.json"), before);
  EXPECT_EQ(read_text(site_folder("anna") / "keys" / "approver.pem").rfind("-----BEGIN ENCRYPTED", 0), 0U);
}

// Of the key that signs rosters, and of the one that approves plans while the node runs.
TEST_F(FoundingPrograms, APassphraseCanBeChangedAndTheKeyStays) {
  std::ofstream(root() / "change") << kPassphrase << "\nquite another one\n";
  std::ofstream(root() / "new") << "quite another one\n";
  const std::string key = administrator_key().string();
  const Outcome before = plain({"--json", "--passphrase-fd", "0", "administrator", key, "--show"}, passphrase_file());
  const Outcome changed = plain({"--passphrase-fd", "0", "passphrase", key}, root() / "change");
  ASSERT_EQ(changed.exit_code, 0) << changed.err;
  const Outcome after = plain({"--json", "--passphrase-fd", "0", "administrator", key, "--show"}, root() / "new");
  EXPECT_EQ(after.out, before.out);
  EXPECT_EQ(plain({"--passphrase-fd", "0", "administrator", key, "--show"}, passphrase_file()).exit_code, kPolicy);
  EXPECT_EQ(plain({"--passphrase-fd", "0", "passphrase", key}, root() / "change").exit_code, kPolicy);

  const std::string site = site_folder("anna").string();
  const auto at_node = [&](const std::vector<std::string>& command, const std::string& lines) {
    std::vector<std::string> arguments = {"--site", site, "--passphrase-fd", "0"};
    arguments.insert(arguments.end(), command.begin(), command.end());
    return run_program("fovea-node", arguments, root() / ("passphrase-" + std::to_string(++commands_)), root() / lines);
  };
  make_plan({.rounds = 1}, {"anna"});
  serve();
  start_site("anna");
  wait_for_site("anna", "plan_waiting");
  const std::vector<std::string> approve = {"plan", "approve", plan_hash_.substr(0, 12), "--by", "tester"};
  ASSERT_EQ(at_node({"passphrase"}, "change").exit_code, 0);
  EXPECT_EQ(at_node(approve, passphrase_file().filename().string()).exit_code, kPolicy);
  EXPECT_EQ(at_node(approve, "new").exit_code, 0);
  wait_for_site("anna", "run_opened");
}

TEST_F(FoundingPrograms, ARunningProgramThatHoldsKeysLeavesNoCoreDump) {
  make_plan({.rounds = 1});
  serve();
  start_site("anna");
  wait_for_coordinator("run_started");
  wait_for_site("anna", "roster_adopted");
  for (const Program* program : {&*server_, &sites_.at("anna")}) {
    std::istringstream limits(read_text("/proc/" + std::to_string(program->id()) + "/limits"));
    std::string found;
    for (std::string line; std::getline(limits, line);)
      if (line.rfind("Max core file size", 0) == 0) found = line.substr(18);
    std::istringstream values(found);
    std::string soft, hard;
    values >> soft >> hard;
    EXPECT_EQ(soft, "0") << found;
    EXPECT_EQ(hard, "0") << found;
  }
}

}  // namespace
}  // namespace fovea::test
