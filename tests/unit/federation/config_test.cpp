// Failure class: mistakes in hand-edited settings.
#include "common/config_fields.h"

#include <gtest/gtest.h>

#include "coordinator/registry/coordinator_folder.h"
#include "node/io/node_config.h"

namespace fovea {
namespace {

TEST(ConfigTest, TheExamplesRunAsTheyAre) {
  const std::string folder = std::string(FOVEA_SOURCE_DIR) + "/configs/";
  const auto node = node::NodeConfig::read(folder + "node.toml");
  ASSERT_TRUE(node.has_value()) << node.error().message;
  EXPECT_EQ(node->policy.cohort_min, node::PolicyConfig{}.cohort_min);
  EXPECT_EQ(node->policy.modalities, node::PolicyConfig{}.modalities);
  const auto coordinator = coordinator::CoordinatorConfig::read(folder + "coordinator.toml");
  ASSERT_TRUE(coordinator.has_value()) << coordinator.error().message;
  EXPECT_EQ(coordinator->listen_port, coordinator::CoordinatorConfig{}.listen_port);
}

std::string mistake(std::string_view text) {
  const auto config = node::NodeConfig::parse(text, "node.toml");
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
  EXPECT_NE(mistake("[site]\n").find("site.id\n  is missing"), std::string::npos);
  EXPECT_NE(mistake("[site\nid=1").find("node.toml:1:"), std::string::npos);
  EXPECT_NE(mistake("[site]\nid = \"anna\"\n[policy]\nmodalities = [\"MR\", 3]\n").find("node.toml:4:21"),
            std::string::npos);
  EXPECT_NE(mistake("[site]\nid = \"anna\"\n[policy]\nmodalities = [\"XX\"]\n").find("policy.modalities"),
            std::string::npos);
}

}  // namespace
}  // namespace fovea
