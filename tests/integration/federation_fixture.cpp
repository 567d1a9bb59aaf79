#include "tests/integration/federation_fixture.h"

#include <fstream>

namespace fovea::test {

bool contains(const Json& list, const std::string& site) {
  return std::find(list.begin(), list.end(), site) != list.end();
}

static void replace_in(const std::filesystem::path& file, const std::string& line, const std::string& replacement) {
  std::string text = read_text(file);
  const std::size_t at = text.find(line);
  ASSERT_NE(at, std::string::npos) << line;
  text.replace(at, line.size(), replacement);
  std::ofstream(file) << text;
}

void FederationTest::SetUp() {
  port_ = free_port();
  std::ofstream(passphrase_file()) << kPassphrase << "\n";
  const Outcome made = coordinator({"init", "test-federation", "--port", std::to_string(port_),
                                    "--administrator-key-here", administrator_key().string()});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  set_coordinator_setting("last_sum_s = 3600", "last_sum_s = 0");  // a run ends when its last sum is made
  std::vector<std::string> sign = {"sign"};
  for (const std::string& site : kSites) {
    make_site(site, false);
    sign.push_back((site_folder(site) / "join-request.json").string());
  }
  const Outcome signed_all = coordinator(sign);
  ASSERT_EQ(signed_all.exit_code, 0) << signed_all.err;
}

void FederationTest::TearDown() {
  if (HasFailure()) {
    if (server_) std::cerr << "---- coordinator\n" << server_->standard_error() << read_text(home() / "events.jsonl");
    for (const auto& [name, site] : sites_) std::cerr << "---- " << name << "\n" << site.standard_error();
  }
  sites_.clear();
  server_.reset();
}

Outcome FederationTest::coordinator(std::vector<std::string> arguments) {
  const std::set<std::string> signing = {"sign", "cosign", "revoke", "pardon"};
  if (!arguments.empty() && signing.contains(arguments.front()) &&
      std::find(arguments.begin(), arguments.end(), "--key") == arguments.end())
    arguments.insert(arguments.end(), {"--key", administrator_key().string()});
  arguments.insert(arguments.begin(), {"--home", home().string(), "--passphrase-fd", "0"});
  return run_program("fovea-coordinator", arguments, root() / ("command-" + std::to_string(++commands_)),
                     passphrase_file());
}

Outcome FederationTest::node(const std::string& site, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--site", site_folder(site).string(), "--passphrase-fd", "0"});
  return run_program("fovea-node", arguments, root() / ("command-" + std::to_string(++commands_)), passphrase_file());
}

void FederationTest::make_site(const std::string& site, bool on_roster) {
  const Outcome made = node(site, {"init", site});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const Outcome joined = node(site, {"join", (home() / "invite.json").string()});
  ASSERT_EQ(joined.exit_code, 0) << joined.err;
  if (on_roster) {
    const Outcome signed_one = coordinator({"sign", (site_folder(site) / "join-request.json").string()});
    ASSERT_EQ(signed_one.exit_code, 0) << signed_one.err;
  }
}

void FederationTest::set_node_setting(const std::string& site, const std::string& line,
                                      const std::string& replacement) {
  replace_in(site_folder(site) / "node.toml", line, replacement);
}

void FederationTest::set_coordinator_setting(const std::string& line, const std::string& replacement) {
  replace_in(home() / "coordinator.toml", line, replacement);
}

void FederationTest::shorten_joining() { set_coordinator_setting("joining_s = 30", "joining_s = 3"); }

std::string FederationTest::make_plan(const PlanChoices& choices, const std::set<std::string>& without) {
  std::filesystem::remove(plan_file());
  const Outcome made =
      coordinator({"plan", "new", "--architecture", choices.architecture, "--output", plan_file().string()});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  Json plan = Json::parse(read_text(plan_file()));
  plan["stages"][0]["rounds"] = choices.rounds;
  plan["deadlines"] = {{"progress_s", choices.progress_s}, {"phase_s", choices.phase_s}};
  plan["finding"]["modality"] = choices.modality;
  if (choices.largest > 0) plan["cohort"]["largest"] = choices.largest;
  if (choices.seed) plan["seed"] = *choices.seed;
  if (choices.edit) choices.edit(plan);
  std::ofstream(plan_file()) << plan.dump(1);
  const Outcome valid = coordinator({"--json", "plan", "validate", plan_file().string()});
  EXPECT_EQ(valid.exit_code, 0) << valid.err;
  plan_hash_ = Json::parse(valid.out)["data"]["plan"];
  for (const std::string& site : kSites) {
    if (!choices.strangers.contains(site)) accept_all(site);
    if (!without.contains(site)) approve(site);
  }
  return plan_hash_;
}

// The coordinator's file, since the node has not fetched the roster yet.
void FederationTest::accept_all(const std::string& site) {
  const Outcome accepted =
      node(site, {"roster", "accept", "--all", "--by", "tester", "--roster", (home() / "roster.json").string()});
  ASSERT_EQ(accepted.exit_code, 0) << accepted.err;
}

// A hospital may approve a plan it got by another way before the node has fetched it.
void FederationTest::approve(const std::string& site) {
  std::filesystem::copy_file(plan_file(), site_folder(site) / "plans" / (plan_hash_ + ".json"),
                             std::filesystem::copy_options::overwrite_existing);
  const Outcome approved = node(site, {"plan", "approve", plan_hash_.substr(0, 12), "--by", "tester"});
  ASSERT_EQ(approved.exit_code, 0) << approved.err;
}

void FederationTest::serve(const std::vector<std::string>& options) {
  std::vector<std::string> arguments = {"--home", home().string(), "--json", "run", "start", plan_file().string()};
  arguments.insert(arguments.end(), options.begin(), options.end());
  server_.emplace(Program::start("fovea-coordinator", arguments, root() / "coordinator-log"));
}

void FederationTest::start_site(const std::string& site, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--site", site_folder(site).string(), "start"});
  sites_.insert_or_assign(site, Program::start("fovea-node", arguments, root() / (site + "-log")));
}

void FederationTest::start_all_sites() {
  for (const std::string& site : kSites) start_site(site);
}

std::vector<Json> FederationTest::entries_of(const std::filesystem::path& owner) {
  const Outcome shown = run_program("fovea-audit", {"--json", "--quiet", "show", owner.string()},
                                    root() / ("audit-" + std::to_string(++commands_)));
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  std::vector<Json> out;
  const Json data = Json::parse(shown.out)["data"];
  for (const Json& entry : data["entries"]) out.push_back(entry["entry"]);
  return out;
}

void FederationTest::expect_status(const std::string& site, const std::string& text) {
  Outcome shown;
  const auto says = [&] {
    shown = node(site, {"status"});
    return shown.out.find(text) != std::string::npos;
  };
  EXPECT_TRUE(wait_until(site_folder(site), says, kPatience)) << text << "\n" << shown.out << shown.err;
}

std::vector<Json> FederationTest::events_of(const std::filesystem::path& events) {
  std::vector<Json> out;
  std::ifstream file(events);
  for (std::string line; std::getline(file, line);)
    if (Json event = Json::parse(line, nullptr, false); event.is_object()) out.push_back(std::move(event));
  return out;
}

Json FederationTest::wait_for(const std::filesystem::path& events, const std::string& name, const Wanted& wanted) {
  Json found;
  const auto seen = [&] {
    for (const Json& event : events_of(events))
      if (found.is_null() && event.value("event", "") == name && (!wanted || wanted(event))) found = event;
    return !found.is_null();
  };
  if (wait_until(events.parent_path(), seen, kPatience)) return found;
  ADD_FAILURE() << "no event \"" << name << "\" in " << events << " within 60 s";
  return Json::object();
}

}  // namespace fovea::test
