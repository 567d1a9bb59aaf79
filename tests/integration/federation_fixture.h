// A federation of real processes on loopback: a coordinator and sites in folders of the test's own.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/integration/program.h"
#include "tests/support/temporary_folder.h"

namespace fovea::test {

using Json = nlohmann::json;

struct PlanChoices {
  std::string architecture = "probe-1000";
  int rounds = 3;
  int phase_s = 3;
  int progress_s = 5;
  std::string modality = "MR";
  int largest = 0;                    // cohort; that of "plan new" when 0
  std::optional<int> seed{};          // that of "plan new" when none
  std::function<void(Json&)> edit{};  // what else is different
  std::set<std::string> strangers{};  // sites that have accepted no other site
};

class FederationTest : public ::testing::Test {
 protected:
  static inline const std::vector<std::string> kSites = {"anna", "berta", "clara", "dora"};
  static constexpr std::chrono::milliseconds kPatience{60'000};
  static constexpr const char* kPassphrase = "correct horse battery";

  void SetUp() override;
  // Waits for the last sites to end, and shows every log when the test failed.
  void TearDown() override;

  std::filesystem::path root() const { return folder_.path(); }
  std::filesystem::path home() const { return root() / "coordinator"; }
  std::filesystem::path administrator_key() const { return root() / "administrator.pem"; }
  std::filesystem::path passphrase_file() const { return root() / "passphrase"; }
  std::filesystem::path site_folder(const std::string& site) const { return root() / site; }

  // Every command finds kPassphrase on its standard input, where it needs one. The administrator's key is added to
  // those that sign a roster.
  Outcome coordinator(std::vector<std::string> arguments);
  Outcome node(const std::string& site, std::vector<std::string> arguments);
  // init, join, and a place on the roster.
  void make_site(const std::string& site, bool on_roster = true);
  void set_node_setting(const std::string& site, const std::string& line, const std::string& replacement);
  void set_coordinator_setting(const std::string& line, const std::string& replacement);
  void shorten_joining();  // the coordinator waits three seconds for the last sites
  // The plan's hash. Every site has accepted the others (but `strangers`) and approves it beforehand unless it is in
  // `without`.
  std::string make_plan(const PlanChoices& choices, const std::set<std::string>& without = {});
  void approve(const std::string& site);
  void accept_all(const std::string& site);  // every other site of the coordinator's roster

  void serve(const std::vector<std::string>& options = {});  // of run start
  void start_site(const std::string& site, std::vector<std::string> arguments = {});
  void start_all_sites();

  // The first event of this name (and predicate) that is written after `after` earlier matches, within kPatience.
  using Wanted = std::function<bool(const Json&)>;
  Json wait_for(const std::filesystem::path& events, const std::string& name, const Wanted& wanted = {});
  Json wait_for_coordinator(const std::string& name, const Wanted& wanted = {}) {
    return wait_for(home() / "events.jsonl", name, wanted);
  }
  Json wait_for_site(const std::string& site, const std::string& name, const Wanted& wanted = {}) {
    return wait_for(site_folder(site) / "events.jsonl", name, wanted);
  }
  // "fovea-node status" says it within kPatience.
  void expect_status(const std::string& site, const std::string& text);
  static std::vector<Json> events_of(const std::filesystem::path& events);
  // Of the ledger of a site's or the coordinator's folder, as fovea-audit shows them.
  std::vector<Json> entries_of(const std::filesystem::path& owner);

  std::filesystem::path plan_file() const { return root() / "plan.json"; }

  TemporaryFolder folder_;
  int port_ = 0;
  std::string plan_hash_;
  std::optional<Program> server_;
  std::map<std::string, Program> sites_;
  int commands_ = 0;
};

bool contains(const Json& list, const std::string& site);

}  // namespace fovea::test
