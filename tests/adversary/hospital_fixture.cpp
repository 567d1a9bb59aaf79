#include "tests/adversary/hospital_fixture.h"

#include <csignal>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "crypto/key_file.h"
#include "federation/messages/beacon_messages.h"

namespace fovea::test {

std::vector<Json> EventReader::next() {
  std::vector<Json> out;
  std::ifstream file(file_);
  file.seekg(static_cast<std::streamoff>(read_));
  for (std::string line; std::getline(file, line) && !file.eof();) {  // the last line may be half there
    read_ += line.size() + 1;
    out.push_back(Json::parse(line));
  }
  return out;
}

void HospitalTest::make_plan(PlanChoices choices) {
  std::set<std::string> played(kSites.begin(), kSites.end());
  played.erase("anna");
  choices.strangers.insert(played.begin(), played.end());
  FederationTest::make_plan(choices, played);
}

void HospitalTest::play_coordinator(std::vector<SiteIdentity> more) {
  ScriptedFederation federation{.home = home(),
                                .plan = plan_file(),
                                .victim = site_folder("anna"),
                                .sybils = std::move(more),
                                .work = root() / "model",
                                .port = port_};
  for (const std::string& site : kSites)
    if (site != "anna") federation.sybils.push_back(SiteIdentity::of(site_folder(site)));
  scripted_ = std::make_unique<ScriptedCoordinator>(std::move(federation));
  events_.emplace(site_folder("anna") / "events.jsonl");
}

void HospitalTest::start_hospital() {
  start_site("anna");
  ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->victim_has_joined(); }));
}

void HospitalTest::begin_run(const PlanChoices& choices) {
  make_plan(choices);
  play_coordinator();
  start_hospital();
}

void HospitalTest::sign_roster(const coordinator::registry::RosterChange& change, UnixMs now) {
  const auto passphrase = crypto::SecretBytes::copy_of(as_bytes(std::string_view(kPassphrase)));
  const auto key = crypto::read_protected_key_file(administrator_key(), passphrase);
  ASSERT_TRUE(key.has_value()) << key.error().message;
  const auto next = coordinator::registry::CoordinatorFolder(home()).sign_next(change, *key, now);
  ASSERT_TRUE(next.has_value()) << next.error().message;
  ASSERT_TRUE(next->in_force);
}

void HospitalTest::accept(const std::string& site) {
  const Outcome accepted =
      node("anna", {"roster", "accept", site, "--by", "tester", "--roster", (home() / "roster.json").string()});
  ASSERT_EQ(accepted.exit_code, 0) << accepted.err;
}

void HospitalTest::expect_round() {
  scripted_->begin_round();
  finish_round();
}

// The victim applies the sum of the round, which an honest coordinator would have got too. Its shares may come after
// those that were enough; what is counted from here on is of later rounds.
void HospitalTest::finish_round() {
  const RoundNumber round = scripted_->round();
  std::string seen;
  const bool applied = scripted_->serve_until([&] {
    for (const Json& event : new_events()) {
      seen += event.dump() + "\n";
      if (event["event"] == "sum_applied" && event["round"] == round && event["in_sum"] == true) return true;
    }
    return scripted_->aborted().has_value();
  });
  ASSERT_FALSE(scripted_->aborted()) << to_string(scripted_->aborted()->reason) << scripted_->aborted()->detail;
  ASSERT_TRUE(applied) << "round " << round << " did not complete; events:\n" << seen;
  ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->round_is_over(); }));
  expect_handled();
}

void HospitalTest::hold_round_at(MessageKind kind) {
  scripted_->trap(kind);
  scripted_->begin_round();
  ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->is_trapped(); })) << to_string(kind) << " was never sent";
}

std::vector<Json> HospitalTest::new_events() {
  std::vector<Json> out = std::exchange(later_, {});
  for (Json& event : events_->next()) out.push_back(std::move(event));
  return out;
}

void HospitalTest::expect_event(const ExpectedEvent& expected, const std::function<bool(const Json&)>& wanted) {
  std::string seen;
  const bool met = scripted_->serve_until([&] {
    std::vector<Json> events = new_events();
    for (auto event = events.begin(); event != events.end(); ++event) {
      seen += event->dump() + "\n";
      if ((*event)["event"] != expected.event || (!expected.reason.empty() && (*event)["reason"] != expected.reason) ||
          (wanted && !wanted(*event)))
        continue;
      later_.assign(std::next(event), events.end());
      return true;
    }
    return false;
  });
  EXPECT_TRUE(met) << "expected " << expected.event << " " << expected.reason << ", saw\n" << seen;
}

// A site answers this whatever it thinks of a run, so that its answer comes after what was sent before. It answers
// under the roster that it has.
void HospitalTest::expect_handled() {
  const MessageKind kind = MessageKind::beacon_commitment;
  const std::size_t before = scripted_->heard(kind);
  scripted_->send_to_victim(scripted_->seal(
      MessageKind::beacon_request, federation::messages::BeaconRequest{scripted_->facts().roster.hash}.encode()));
  ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->heard(kind) > before; }));
}

std::uint64_t entries_under_checkpoint(const std::filesystem::path& owner) {
  std::istringstream text(read_text(owner / "ledger" / "checkpoint"));
  std::string origin;
  std::uint64_t size = 0;
  text >> origin >> size;
  return size;
}

std::size_t HospitalTest::released() const {
  std::size_t out = 0;
  for (const MessageKind kind : {MessageKind::masked_chunk, MessageKind::masked_statement,
                                 MessageKind::consistency_signature, MessageKind::unmask_shares})
    out += scripted_->heard(kind);
  return out;
}

void HospitalTest::stop_hospital() {
  Program& site = sites_.at("anna");
  site.signal(SIGTERM);
  ASSERT_EQ(site.wait(kPatience), 0) << site.standard_error();
}

}  // namespace fovea::test
