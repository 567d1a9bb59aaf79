// Failure class: whoever can write a site's folder names keys of their own in site.json, and is its approver.
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "federation/membership/site_fields.h"
#include "node/io/site_folder.h"
#include "tests/support/ledger_folder.h"
#include "tests/support/temporary_folder.h"

namespace fovea::test {
namespace {

using federation::membership::RosterSite;

TEST(SiteEntry, KeysThatTheRosterDoesNotNameAreRefusedByName) {
  const TemporaryFolder folder;
  const node::io::SiteFolder site(folder.path());
  const auto key = [](std::uint64_t number) { return signing_key(number).verify_key(); };
  const RosterSite anna{SiteId::create("anna").value(), key(1), key(2), key(3), key(4)};
  federation::membership::Roster roster;
  roster.epoch = 7;
  roster.sites = {anna};
  const auto write = [&](const RosterSite& entry) {
    nlohmann::ordered_json json = {{"fovea_site", 2}};
    federation::membership::write_site_fields(entry, json);
    spill(folder.path() / "site.json", json.dump());
  };
  write(anna);
  EXPECT_TRUE(site.check_own_entry(roster));
  const std::vector<std::pair<const char*, std::function<void(RosterSite&)>>> changes = {
      {"identity_key", [&](RosterSite& entry) { entry.identity_key = key(9); }},
      {"transport_key", [&](RosterSite& entry) { entry.transport_key = key(9); }},
      {"log_key", [&](RosterSite& entry) { entry.log_key = key(9); }},
      {"approver_key", [&](RosterSite& entry) { entry.approver_key = key(9); }}};
  for (const auto& [name, change] : changes) {
    RosterSite other = anna;
    change(other);
    write(other);
    const auto refused = site.check_own_entry(roster);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
    EXPECT_NE(refused.error().message.find("site.json: " + std::string(name) + ":"), std::string::npos)
        << refused.error().message;
    EXPECT_NE(refused.error().message.find("epoch 7"), std::string::npos);
  }
  roster.sites.clear();  // of a roster that does not list it
  EXPECT_TRUE(site.check_own_entry(roster));
}

}  // namespace
}  // namespace fovea::test
