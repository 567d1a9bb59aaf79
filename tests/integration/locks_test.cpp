// Two programs at once on one folder, and folders that nobody made. Failure classes: a volume, a key or a signature
// that is lost while both report success; a mistyped --site that becomes a site of its own.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/file_lock.h"
#include "tests/integration/program.h"
#include "tests/support/dicom_files.h"
#include "tests/support/temporary_folder.h"

namespace fovea::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::chrono::milliseconds kPatience{60'000};

class LocksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(passphrase()) << "correct horse battery\n";
    fs::create_directories(scans());
    for (int series = 0; series < 6; ++series)
      for (int n = 0; n < 4; ++n) {
        node::DicomBytes slice = node::ct_slice(n + 7 * series, 2.5 * n);
        const std::string uid = "1.2.826.78." + std::to_string(series);
        slice.text({0x0008, 0x0018}, "UI", uid + "." + std::to_string(n + 1));
        slice.text({0x0020, 0x000e}, "UI", uid);
        std::ofstream(scans() / (std::to_string(series) + "-" + std::to_string(n) + ".dcm"), std::ios::binary)
            << as_text(slice.file());
      }
  }
  fs::path site() const { return folder_.path() / "anna"; }
  fs::path home() const { return folder_.path() / "coordinator"; }
  fs::path scans() const { return folder_.path() / "scans"; }
  fs::path passphrase() const { return folder_.path() / "passphrase"; }
  fs::path output() { return folder_.path() / ("command-" + std::to_string(++commands_)); }

  Outcome node(std::vector<std::string> arguments, const fs::path& input) {
    arguments.insert(arguments.begin(), {"--site", site().string(), "--passphrase-fd", "0"});
    return run_program("fovea-node", arguments, output(), input);
  }
  Outcome node(std::vector<std::string> arguments) { return node(std::move(arguments), passphrase()); }
  Outcome coordinator(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--home", home().string(), "--passphrase-fd", "0"});
    return run_program("fovea-coordinator", arguments, output(), passphrase());
  }
  void make_site() {
    const Outcome made = node({"init", "anna"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  Program ingest() {
    return Program::start("fovea-node", {"--site", site().string(), "data", "ingest", scans().string()}, output());
  }
  std::size_t usable() { return Json::parse(node({"--json", "data", "list"}).out)["data"]["usable"]; }
  static std::optional<FileLock> hold(const fs::path& file, const std::string& name) {
    return FileLock::take_as(file, name, "").value();
  }
  static std::string me(const std::string& name) { return name + " (process " + std::to_string(::getpid()) + ")"; }

  TemporaryFolder folder_;
  int commands_ = 0;
};

TEST_F(LocksTest, AnIngestWaitsForAnotherByName) {
  make_site();
  auto other = hold(site() / "data/lock", "fovea-node data ingest");
  Program waiting = ingest();
  EXPECT_TRUE(wait_until(
      folder_.path(),
      [&] { return waiting.standard_error().find("waiting for " + me("fovea-node data ingest")) != std::string::npos; },
      kPatience))
      << waiting.standard_error();
  EXPECT_FALSE(fs::exists(site() / "data/catalogue.key"));
  other.reset();
  EXPECT_EQ(waiting.wait(kPatience), 0) << waiting.standard_error();
  EXPECT_EQ(usable(), 6U);
}

TEST_F(LocksTest, ForgettingWaitsForAnIngestAndAKilledOneHoldsNothing) {
  make_site();
  ASSERT_EQ(ingest().wait(kPatience), 0);
  const std::string code = Json::parse(node({"--json", "data", "list"}).out)["data"]["studies"][0]["code"];
  auto other = hold(site() / "data/lock", "fovea-node data ingest");
  {
    Program killed = ingest();
    ASSERT_TRUE(wait_until(
        folder_.path(), [&] { return killed.standard_error().find("waiting for") != std::string::npos; }, kPatience));
    killed.signal(SIGKILL);
    EXPECT_EQ(killed.wait(kPatience), 128 + SIGKILL);
  }
  Program forget = Program::start("fovea-node", {"--site", site().string(), "data", "forget", code, "--yes"}, output());
  EXPECT_TRUE(wait_until(
      folder_.path(), [&] { return forget.standard_error().find(me("fovea-node data ingest")) != std::string::npos; },
      kPatience));
  EXPECT_EQ(usable(), 6U);
  other.reset();
  EXPECT_EQ(forget.wait(kPatience), 0) << forget.standard_error();
  EXPECT_EQ(usable(), 5U);
}

TEST_F(LocksTest, TwoIngestsAtOnceLeaveASoundSite) {
  for (int round = 0; round < 5; ++round) {
    fs::remove_all(site());
    make_site();
    Program first = ingest(), second = ingest();
    EXPECT_EQ(first.wait(kPatience), 0) << first.standard_error();
    EXPECT_EQ(second.wait(kPatience), 0) << second.standard_error();
    EXPECT_EQ(usable(), 6U);
    const Outcome check = node({"data", "check", "--deep"});
    EXPECT_EQ(check.exit_code, 0) << check.out << check.err;
  }
}

TEST_F(LocksTest, AMistypedSiteMakesNoSite) {
  std::ofstream(folder_.path() / "file") << "x";
  const std::string file = (folder_.path() / "file").string(), code = "s-abcdefghij";
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"start"},
                                             {"join", file},
                                             {"passphrase"},
                                             {"status"},
                                             {"doctor"},
                                             {"plan", "list"},
                                             {"plan", "show", "abcd"},
                                             {"plan", "approve", "abcd", "--by", "x"},
                                             {"roster", "list"},
                                             {"roster", "accept", "berta", "--by", "x"},
                                             {"egress", "list"},
                                             {"data", "ingest", scans().string()},
                                             {"data", "listen"},
                                             {"data", "list"},
                                             {"data", "check"},
                                             {"data", "show", code},
                                             {"data", "export", code, "--out", (folder_.path() / "out").string()},
                                             {"data", "forget", code, "--yes"}}) {
    const Outcome outcome = node(command);
    EXPECT_NE(outcome.exit_code, 0) << command.front();
    EXPECT_FALSE(fs::exists(site())) << command.front() << " " << command.back();
  }
  const Outcome ingested = node({"data", "ingest", scans().string()});
  EXPECT_NE(ingested.err.find("is not a site's folder; run: fovea-node --site " + site().string() + " init"),
            std::string::npos)
      << ingested.err;
}

// The passphrase is a person's; scans can come before her.
TEST_F(LocksTest, AnInitWithoutItsPassphraseIsGoneOnWith) {
  const Outcome begun = node({"init", "anna"}, "/dev/null");
  EXPECT_NE(begun.exit_code, 0);
  EXPECT_NE(begun.err.find("run the same init again"), std::string::npos) << begun.err;
  EXPECT_EQ(ingest().wait(kPatience), 0);
  std::string settings = read_text(site() / "node.toml");
  settings.replace(settings.find("port = 11112"), 12, "port = 11113");
  std::ofstream(site() / "node.toml") << settings;
  make_site();
  EXPECT_EQ(read_text(site() / "node.toml"), settings);
  EXPECT_EQ(usable(), 6U);
  EXPECT_EQ(node({"init", "anna"}).exit_code, 1);
}

TEST_F(LocksTest, WhoMakesASiteOrAFederationAtOnceIsRefusedByName) {
  fs::create_directories(site());
  {
    const auto other = hold(site() / "changes.lock", "fovea-node init");
    const Outcome refused = node({"init", "anna"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_NE(refused.err.find(me("fovea-node init")), std::string::npos) << refused.err;
    EXPECT_FALSE(fs::exists(site() / "keys"));
  }
  make_site();
  const std::vector<std::string> init{
      "init", "lesions", "--host", "127.0.0.1", "--administrator-key-here", (folder_.path() / "ada.pem").string()};
  fs::create_directories(home());
  {
    const auto other = hold(home() / "changes.lock", "fovea-coordinator init");
    const Outcome refused = coordinator(init);
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_NE(refused.err.find(me("fovea-coordinator init")), std::string::npos) << refused.err;
    EXPECT_FALSE(fs::exists(folder_.path() / "ada.pem"));
  }
  const Outcome made = coordinator(init);
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const auto other = hold(home() / "changes.lock", "fovea-coordinator cosign");
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"sign", "--renew", "--key", (folder_.path() / "ada.pem").string()},
                                             {"revoke", "anna", "--key", (folder_.path() / "ada.pem").string()},
                                             {"amend", "--port", "7444"},
                                             {"take", (home() / "invite.json").string()}}) {
    const Outcome refused = coordinator(command);
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_NE(refused.err.find(me("fovea-coordinator cosign")), std::string::npos) << refused.err;
  }
}

}  // namespace
}  // namespace fovea::test
