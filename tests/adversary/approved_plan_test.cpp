// Failure class: what a hospital once approved, or once heard, is replaced by what the coordinator says later: weaker
// numbers than the plan's, a second roster of the same epoch, a second blame, a plan that its policy has since ruled
// out. Real fovea-nodes; the coordinator is played by the test where it lies.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "common/durable_file.h"
#include "crypto/key_file.h"
#include "federation/files/signed_document_file.h"
#include "federation/membership/blame.h"
#include "federation/secagg/fixed_point.h"
#include "tests/adversary/hospital_fixture.h"

namespace fovea::test {
namespace {

using federation::membership::Blame;

class OnceApproved : public HospitalTest {};
class WaitingPlan : public FederationTest {};

// The plan withstands two colluders and needs four shares; P is content with one and three.
TEST_F(OnceApproved, ParametersWeakerThanThePlanAreRefused) {
  begin_run({.rounds = 100, .edit = [](Json& plan) {
               plan["cohort"] = {{"smallest", 4}, {"largest", 4}};
               plan["secure_aggregation"] = {{"colluders_max", 2}, {"threshold", 4}, {"honest_min", 2}};
             }});
  ASSERT_FALSE(HasFailure());
  scripted_->ignore_complaints(true);
  ASSERT_NO_FATAL_FAILURE(hold_round_at(MessageKind::parameters));
  auto weaker = RoundParameters::decode(scripted_->trapped().payload()).value();
  weaker.thresholds = {1, 3, 2};
  const std::size_t before = scripted_->answers();
  scripted_->send_to_victim(scripted_->seal(MessageKind::parameters, weaker.encode()));
  expect_event(refused(RefusalReason::threshold_too_low));
  weaker.candidates.pop_back();
  weaker.encoding =
      federation::secagg::make_encoding(3, scripted_->facts().plan.strategy.delta_max, weaker.encoding.weight_max)
          .value();
  scripted_->send_to_victim(scripted_->seal(MessageKind::parameters, weaker.encode()));
  expect_event(refused(RefusalReason::cohort_too_small));
  EXPECT_EQ(scripted_->answers(), before);
  scripted_->release_all();  // what the plan says is followed
  finish_round();
}

TEST_F(OnceApproved, ALaterBlameTakesNoEvidenceAwayAndForgesNoLogLine) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  const ScriptedSite& site = scripted_->sybil(scripted_->any_sybil());
  Blame blame{.site = site.id(),
              .key = site.identity().verify_key(),
              .run = scripted_->facts().run,
              .round = 1,
              .reason = "bad-signature",
              .evidence = {site.seal(MessageKind::keys, Bytes(40, 7))}};
  scripted_->send_to_victim(scripted_->seal(MessageKind::site_blame, blame.encode()));
  expect_event({"site_blamed", "bad-signature"});
  blame.evidence.clear();
  blame.reason = "disputed-shares";
  scripted_->send_to_victim(scripted_->seal(MessageKind::site_blame, blame.encode()));
  expect_event({"site_blamed", "disputed-shares"});
  blame.reason = "x\n[info] plan approved by Dr Bauer\033[2J";
  scripted_->send_to_victim(scripted_->seal(MessageKind::site_blame, blame.encode()));
  expect_event({"blame_ignored"});
  std::size_t messages = 0;
  const auto folder = site_folder("anna") / "runs" / scripted_->facts().run.text() / "blame";
  for (const auto& file : std::filesystem::directory_iterator(folder))
    messages += Blame::decode(as_bytes(read_text(file.path()))).value().evidence.size();
  EXPECT_EQ(messages, 1U);
  EXPECT_EQ(sites_.at("anna").standard_error().find("Dr Bauer\033"), std::string::npos);
}

TEST_F(OnceApproved, ASecondRosterOfOneEpochIsKeptAsEvidenceAndNotFollowed) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  const auto first = federation::files::read_signed_document(home() / "roster.json").value();
  auto roster = federation::membership::Roster::parse(first.document).value();
  roster.sites.pop_back();
  federation::membership::SignedDocument second{"roster", roster.document().value(), {}};
  const auto passphrase = crypto::SecretBytes::copy_of(as_bytes(std::string_view(kPassphrase)));
  ASSERT_TRUE(second.sign(crypto::read_protected_key_file(administrator_key(), passphrase).value()));
  const federation::messages::RosterOffer offer{second.serialize()};
  scripted_->send_to_victim(scripted_->seal(MessageKind::roster_offer, offer.encode()));
  expect_event({"roster_ignored"});
  EXPECT_FALSE(std::filesystem::is_empty(site_folder("anna") / "rosters" / "refused"));
  expect_round();  // under the first
  const auto events = events_of(site_folder("anna") / "events.jsonl");
  EXPECT_EQ(
      std::count_if(events.begin(), events.end(), [](const Json& event) { return event["event"] == "roster_adopted"; }),
      1);
}

// A run's number stands for one plan. The coordinator chooses it, and can choose that of an earlier run.
TEST_F(OnceApproved, APlanUnderTheNumberOfAnEarlierRunIsRefusedAndTheRunGoesOn) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  const RunId earlier = random_run();
  const Json record = {{"fovea_site_run", 1}, {"run", earlier.text()}, {"plan", std::string(64, '0')}};
  std::filesystem::create_directories(site_folder("anna") / "runs" / earlier.text());
  std::ofstream(site_folder("anna") / "runs" / earlier.text() / "run.json") << record.dump() << "\n";
  const auto plan = read_file(plan_file(), federation::membership::kPlanBytesMax).value();
  scripted_->send_to_victim(federation::messages::seal_message(
      {.kind = MessageKind::plan_offer, .run = earlier, .sender = std::nullopt, .epoch = 1},
      federation::messages::PlanOffer{plan}.encode(), scripted_->key()));
  expect_event({"plan_refused"});
  expect_round();
}

TEST_F(WaitingPlan, APlanThatAStricterPolicyRulesOutWhileItWaitsIsNotBegun) {
  shorten_joining();
  make_plan({.rounds = 200, .strangers = {"dora"}});
  for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 100");
  serve();
  start_all_sites();
  wait_for_site("dora", "plan_waits_for_acceptances");
  set_node_setting("dora", "rounds_max = 1000", "rounds_max = 1");
  sites_.at("dora").signal(SIGHUP);
  wait_for_site("dora", "policy_reloaded");
  accept_all("dora");
  const Json refused = wait_for_site(
      "dora", "plan_refused", [](const Json& event) { return event.dump().find("rounds") != std::string::npos; });
  EXPECT_FALSE(refused.empty());
  wait_for_coordinator("round_finished");
  for (const Json& event : events_of(site_folder("dora") / "events.jsonl"))
    EXPECT_NE(event["event"], "training_started");
}

}  // namespace
}  // namespace fovea::test
