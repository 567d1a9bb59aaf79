// Failure class: mistakes in hand-edited settings.
#include "common/config_fields.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "coordinator/registry/coordinator_folder.h"
#include "node/io/node_config.h"
#include "node/round/site_machine.h"
#include "tests/support/temporary_folder.h"

namespace fovea {
namespace {

TEST(ConfigTest, TheExamplesRunAsTheyAre) {
  const std::string folder = std::string(FOVEA_SOURCE_DIR) + "/configs/";
  const auto node = node::io::NodeConfig::read(folder + "node.toml");
  ASSERT_TRUE(node.has_value()) << node.error().message;
  EXPECT_EQ(node->policy.cohort_min, node::io::PolicyConfig{}.cohort_min);
  EXPECT_EQ(node->policy.modalities, node::io::PolicyConfig{}.modalities);
  EXPECT_EQ(node->policy.weights, node::io::PolicyConfig{}.weights);
  const auto coordinator = coordinator::registry::CoordinatorConfig::read(folder + "coordinator.toml");
  ASSERT_TRUE(coordinator.has_value()) << coordinator.error().message;
  EXPECT_EQ(coordinator->listen_port, coordinator::registry::CoordinatorConfig{}.listen_port);
}

std::string mistake(std::string_view text) {
  const auto config = node::io::NodeConfig::parse(text, "node.toml");
  return config ? "accepted" : config.error().message;
}

TEST(ConfigTest, AMistakeNamesLineColumnFieldAndFix) {
  EXPECT_EQ(
      mistake("[site]\nid = \"anna\"\n[coordinator]\nport = \"7443\"\n"),
      "node.toml:4:8  coordinator.port\n  expected an integer 1-65535, found the string \"7443\"\n  fix: port = 7443");
  EXPECT_EQ(
      mistake("[site]\nid = \"anna\"\n[coordinator]\nport = 70000\n"),
      "node.toml:4:8  coordinator.port\n  expected an integer 1-65535, found the integer 70000\n  fix: port = 65535");
  EXPECT_EQ(mistake("[site]\nid = \"anna\"\n[policy]\ncohrt_min = 3\n"),
            "node.toml:4:13  policy.cohrt_min\n  is not a known setting\n  fix: did you mean policy.cohort_min?");
  EXPECT_NE(mistake("[site]\nid = \"Anna!\"\n").find("node.toml:2:6  site.id"), std::string::npos);
  EXPECT_NE(mistake("[site]\nid = \"anna\"\n[coordinator]\nhost = \"tcp://tunnel:7443\"\n")
                .find("node.toml:4:8  coordinator.host\n  expected a name or an address, without scheme and port"),
            std::string::npos);
  EXPECT_NE(mistake("[site]\n").find("site.id\n  is missing"), std::string::npos);
  EXPECT_NE(mistake("[site\nid=1").find("node.toml:1:"), std::string::npos);
  EXPECT_NE(mistake("[site]\nid = \"anna\"\n[policy]\nmodalities = [\"MR\", 3]\n").find("node.toml:4:21"),
            std::string::npos);
  EXPECT_NE(mistake("[site]\nid = \"anna\"\n[policy]\nmodalities = [\"XX\"]\n").find("policy.modalities"),
            std::string::npos);
  EXPECT_NE(mistake("[site]\nid = \"anna\"\n[policy]\nweights = [\"equal\", \"all\"]\n").find("policy.weights"),
            std::string::npos);
  EXPECT_NE(mistake("[site]\nid = \"anna\"\n[policy]\nweights = []\n").find("policy.weights"), std::string::npos);
}

// Each of these, read without complaint, would end the node when a run opens.
TEST(ConfigTest, APolicyThatTheRoundMachineRefusesIsRefusedWhenTheFileIsRead) {
  const std::string site = "[site]\nid = \"anna\"\n[policy]\n";
  EXPECT_EQ(mistake(site + "honest_min = 1\n"),
            "node.toml:4:14  policy.honest_min\n  expected an integer 2-1023, found the integer 1\n"
            "  fix: honest_min = 2");
  EXPECT_EQ(mistake(site + "honest_min = 2000\n"),
            "node.toml:4:14  policy.honest_min\n  expected an integer 2-1023, found the integer 2000\n"
            "  fix: honest_min = 1023");
  EXPECT_EQ(mistake(site + "colluders_max = 2\ncohort_min = 3\n"),
            "node.toml:5:14  policy.cohort_min\n"
            "  expected an integer 4-1024 (at least honest_min + colluders_max), found the integer 3\n"
            "  fix: cohort_min = 4");
  EXPECT_EQ(mistake(site + "honest_min = 3\n"),  // cohort_min has its default, 3
            "node.toml  policy.cohort_min\n"
            "  expected an integer 4-1024 (at least honest_min + colluders_max)\n"
            "  fix: cohort_min = 4");
  EXPECT_EQ(mistake(site + "cohort_min = 1025\n"),
            "node.toml:4:14  policy.cohort_min\n"
            "  expected an integer 3-1024 (at least honest_min + colluders_max), found the integer 1025\n"
            "  fix: cohort_min = 3");
  // One bound, whichever rule is broken first.
  EXPECT_EQ(mistake(site + "cohort_min = 1\n"),
            "node.toml:4:14  policy.cohort_min\n"
            "  expected an integer 3-1024 (at least honest_min + colluders_max), found the integer 1\n"
            "  fix: cohort_min = 3");
}

std::string example(const char* name) {
  std::ifstream file(std::string(FOVEA_SOURCE_DIR) + "/configs/" + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A copy that broke off, a section that somebody deleted: what is gone must not fall back on rules that nobody chose.
TEST(ConfigTest, AFileThatLostARequiredKeyIsRefusedByItsNameWithALineToAdd) {
  test::TemporaryFolder folder;
  const auto without = [](std::string text, const std::string& key) {
    const std::size_t at = text.find("\n" + key + " = ") + 1;
    EXPECT_NE(at, 0U) << key;
    return text.erase(at, text.find('\n', at) + 1 - at);
  };
  const auto refused = [&](const std::string& text, bool node) {
    const std::filesystem::path file = folder.path() / (node ? "node.toml" : "coordinator.toml");
    std::ofstream(file) << text;
    if (node) {
      const auto config = node::io::NodeConfig::read(file);
      return config ? std::string() : config.error().message;
    }
    const auto config = coordinator::registry::CoordinatorConfig::read(file);
    return config ? std::string() : config.error().message;
  };
  for (const char* rule :
       {"colluders_max", "honest_min", "cohort_min", "modalities", "weights", "rounds_max", "run_megabytes_max"}) {
    const std::string said = refused(without(example("node.toml"), rule), true);
    for (const std::string& part : {std::string("node.toml  policy.") + rule + "\n  is missing",
                                    std::string("fix: add ") + rule + " = ", std::string("under [policy]")})
      EXPECT_NE(said.find(part), std::string::npos) << rule << "\n" << said;
  }
  EXPECT_NE(refused(without(example("node.toml"), "id"), true).find("site.id\n  is missing"), std::string::npos);
  for (const char* key : {"host", "port"})
    EXPECT_NE(refused(without(example("coordinator.toml"), key), false)
                  .find(std::string("coordinator.toml  listen.") + key + "\n  is missing\n  fix: add " + key + " = "),
              std::string::npos);
  for (const std::size_t left : {std::size_t{0}, std::size_t{10}}) {
    EXPECT_NE(refused(example("node.toml").substr(0, left), true), "") << left;
    EXPECT_NE(refused(example("coordinator.toml").substr(0, left), false), "") << left;
  }
  EXPECT_EQ(refused(without(example("node.toml"), "threads"), true), "");  // a default that suits everybody
  EXPECT_EQ(refused(without(example("coordinator.toml"), "joining_s"), false), "");
}

// The other side of the same rule: whatever policy a file may hold, a round machine can be made of it.
TEST(ConfigTest, APolicyAtTheEdgeOfItsBoundsSuitsTheRoundMachine) {
  struct Case {
    std::uint32_t colluders_max, honest_min, cohort_min;
  };
  for (const Case& c : {Case{0, 2, 2}, Case{1, 2, 3}, Case{127, 2, 129}, Case{0, 1024, 1024}, Case{127, 897, 1024},
                        Case{127, 2, 1024}}) {
    const auto config = node::io::NodeConfig::parse(
        "[site]\nid = \"anna\"\n[policy]\ncolluders_max = " + std::to_string(c.colluders_max) +
            "\nhonest_min = " + std::to_string(c.honest_min) + "\ncohort_min = " + std::to_string(c.cohort_min) +
            "\nmodalities = [\"MR\"]\nweights = [\"equal\"]\nrounds_max = 10\nrun_megabytes_max = 100\n",
        "node.toml");
    ASSERT_TRUE(config.has_value()) << config.error().message;
    EXPECT_TRUE(node::round::check_policy_bounds({.colluders_max = config->policy.colluders_max,
                                                  .honest_min = config->policy.honest_min,
                                                  .cohort_min = config->policy.cohort_min,
                                                  .plans_approved = {}}))
        << c.colluders_max << " " << c.honest_min << " " << c.cohort_min;
  }
}

}  // namespace
}  // namespace fovea
