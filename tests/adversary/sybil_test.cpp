// Failure class: a hospital whose update is summed with nobody's but invented sites'. The coordinator has every
// administrator's key, so that any roster it likes is signed; what it cannot make is a person's word at the hospital.
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "federation/membership/acquaintance.h"
#include "federation/secagg/fixed_point.h"
#include "tests/adversary/hospital_fixture.h"
#include "tests/adversary/test_names.h"

namespace fovea::test {
namespace {

using federation::membership::RosterSite;

class SybilTest : public HospitalTest {
 protected:
  void open(const std::set<std::string>& accepted) {
    make_plan({.rounds = 200, .strangers = {"anna"}});
    for (const std::string& site : accepted) accept(site);
  }
  // The rosters of all attacks but the first: everybody is accepted, and a round completes.
  void open_among_friends(std::vector<SiteIdentity> more) {
    open({"berta", "clara", "dora"});
    play_coordinator(std::move(more));
    start_hospital();
    expect_round();
    scripted_->ignore_complaints(true);
  }
  void expect_roster_adopted() {
    scripted_->follow_roster();
    scripted_->offer_roster();
    ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->victim_has_joined(); }));
  }
  // The hospital refuses R0, and nothing that depends on its update leaves.
  void expect_strangers_refused() {
    const std::size_t keys = scripted_->heard(MessageKind::keys);
    const std::size_t before = released();
    scripted_->begin_round();
    expect_event(refused(RefusalReason::unacquainted_sites));
    expect_handled();
    EXPECT_EQ(scripted_->heard(MessageKind::keys), keys);
    EXPECT_EQ(released(), before);
    scripted_->give_up_round();
  }
  RoundParameters parameters() const {
    const RunFacts& facts = scripted_->facts();
    const node::round::NextSum next = scripted_->model().next;
    const auto& rules = facts.plan.secure_aggregation;
    RoundParameters p{
        .run = facts.run,
        .round = 1,
        .attempt = 1,
        .plan_hash = facts.plan.hash,
        .model_hash = scripted_->model().model_hash,
        .roster_hash = facts.roster.hash,
        .candidates = {},
        .thresholds = {static_cast<std::uint16_t>(rules.colluders_max), static_cast<std::uint16_t>(rules.threshold),
                       static_cast<std::uint16_t>(rules.honest_min)},
        .dimension = next.dimension,
        .encoding =
            federation::secagg::make_encoding(facts.roster.sites.size(), next.delta_max, next.weight_max).value(),
        .phase_ms = 2'000};
    for (RosterIndex site = 0; site < facts.roster.sites.size(); ++site) p.candidates.push_back(site);
    return p;
  }
};

bool of_plan(const Json& entry) { return entry["type"] == "egress.intent" && entry.contains("plan"); }

struct Company {
  const char* name;
  std::set<std::string> accepted;
};

class SybilRoster : public SybilTest, public ::testing::WithParamInterface<Company> {};

// With so few acquaintances no round of the plan could ever be safe: it waits, approved as it is.
TEST_P(SybilRoster, MakesAnApprovedPlanWait) {
  open(GetParam().accepted);
  play_coordinator();
  start_site("anna");
  expect_event({"plan_waits_for_acceptances"});
  scripted_->begin_round();  // its task
  scripted_->send_to_victim(scripted_->seal(MessageKind::parameters, parameters().encode()));
  scripted_->offer_plan();
  scripted_->send_to_victim(scripted_->seal(MessageKind::roster_offer, Bytes(10)));
  expect_event({"roster_ignored"});  // so that all of it has been read
  EXPECT_EQ(scripted_->answers() + scripted_->heard(MessageKind::training_ready), 0U);
  EXPECT_EQ(scripted_->heard(MessageKind::training_progress), 0U);
  scripted_->give_up_round();

  accept_all("anna");
  ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->victim_has_joined(); }));
  expect_round();
  stop_hospital();
  const std::vector<Json> entries = entries_of(site_folder("anna"));
  const auto last = std::find_if(entries.rbegin(), entries.rend(), [](const Json& entry) {
                      return entry["type"] == "roster.accepted";
                    }).base();
  EXPECT_EQ(std::count_if(entries.begin(), last, of_plan), 0);
  EXPECT_GT(std::count_if(last, entries.end(), of_plan), 0);
}

INSTANTIATE_TEST_SUITE_P(Attacks, SybilRoster,
                         ::testing::Values(Company{"OfAllInvented", {}}, Company{"OfOneAcquaintance", {"berta"}}),
                         [](const auto& row) { return row.param.name; });

using SybilAmongFriends = SybilTest;

TEST_F(SybilAmongFriends, IsOneColluderTooMany) {
  open({"berta", "clara"});
  play_coordinator();
  start_hospital();
  scripted_->ignore_complaints(true);
  expect_strangers_refused();
  EXPECT_EQ(released(), 0U);
  accept("dora");
  expect_event({"sites_accepted"});
  expect_round();
}

// ---- an accepted name, with another key

struct OtherKey {
  const char* name;
  std::function<void(SiteIdentity&, SiteIdentity&)> swap;  // between the accepted site and an invented one
};

void PrintTo(const OtherKey& key, std::ostream* out) { *out << key.name; }
const std::vector<OtherKey> kOtherKeys = {
    {"IdentityKey",
     [](SiteIdentity& a, SiteIdentity& b) {
       std::swap(a.entry.identity_key, b.entry.identity_key);
       std::swap(a.keys.identity, b.keys.identity);
     }},
    {"TransportKey",
     [](SiteIdentity& a, SiteIdentity& b) {
       std::swap(a.entry.transport_key, b.entry.transport_key);
       std::swap(a.keys.transport, b.keys.transport);
     }},
    {"LogKey", [](SiteIdentity& a, SiteIdentity& b) { std::swap(a.entry.log_key, b.entry.log_key); }},
    {"ApproverKey", [](SiteIdentity& a, SiteIdentity& b) { std::swap(a.entry.approver_key, b.entry.approver_key); }}};

class SybilInAFriendsName : public SybilTest, public ::testing::WithParamInterface<OtherKey> {};

TEST_P(SybilInAFriendsName, IsAStrangerAgain) {
  SiteIdentity dora = SiteIdentity::of(site_folder("dora"));
  SiteIdentity stranger = SiteIdentity::invented("dora");
  GetParam().swap(dora, stranger);
  const RosterSite entry = dora.entry;
  std::vector<SiteIdentity> more;
  more.push_back(std::move(dora));
  open_among_friends(std::move(more));
  sign_roster({.added = {entry}, .removed = {}});
  expect_roster_adopted();
  expect_strangers_refused();
  accept("dora");
  expect_event({"sites_accepted"});
  expect_round();
}

INSTANTIATE_TEST_SUITE_P(Attacks, SybilInAFriendsName, ::testing::ValuesIn(kOtherKeys),
                         [](const auto& row) { return row.param.name; });

// ---- the hospital's own entry, with a key that is not its own

class OwnEntry : public SybilTest, public ::testing::WithParamInterface<OtherKey> {};

// Under such a roster the hospital's ledger and its people's decisions would look forged to an auditor.
TEST_P(OwnEntry, WithAKeyThatIsNotItsOwnIsNoRosterOfThisHospitals) {
  open_among_friends({});
  SiteIdentity anna = SiteIdentity::of(site_folder("anna"));
  SiteIdentity stranger = SiteIdentity::invented("anna");
  GetParam().swap(anna, stranger);
  sign_roster({.added = {anna.entry}, .removed = {}});
  scripted_->offer_roster();
  expect_event({"not_on_roster"}, [](const Json& event) { return event["other_keys"] == true; });
  expect_round();  // under the one before
}

INSTANTIATE_TEST_SUITE_P(Attacks, OwnEntry, ::testing::ValuesIn(kOtherKeys),
                         [](const auto& row) { return row.param.name; });

// ---- another roster in the middle of an attempt

class SybilRosterInMidRound : public SybilTest, public ::testing::WithParamInterface<MessageKind> {};

// The attempt began among acquaintances. What was sealed for them is asked for under a roster of strangers.
TEST_P(SybilRosterInMidRound, EndsTheAttemptAndBeginsNoOther) {
  std::vector<SiteIdentity> invented;
  coordinator::registry::RosterChange strangers;
  coordinator::registry::RosterChange friends;
  for (const char* name : {"eva", "fritz", "gerda"}) {
    invented.push_back(SiteIdentity::invented(name));
    strangers.added.push_back(invented.back().entry);
    friends.removed.push_back(invented.back().entry.id);
  }
  for (const char* name : {"berta", "clara", "dora"}) {
    friends.added.push_back(SiteIdentity::of(site_folder(name)).entry);
    strangers.removed.push_back(friends.added.back().id);
  }
  open_among_friends(std::move(invented));
  ASSERT_NO_FATAL_FAILURE(hold_round_at(GetParam()));
  const federation::messages::SignedMessage held = scripted_->trapped();
  const std::size_t before = released();

  sign_roster(strangers);
  expect_roster_adopted();
  scripted_->send_to_victim(held.wire());
  expect_event(refused(RefusalReason::wrong_epoch));
  scripted_->send_to_victim(scripted_->seal(held.kind(), held.payload()));  // as if it were of the new roster
  expect_event({"message_refused"});
  expect_handled();
  EXPECT_EQ(released(), before);
  if (GetParam() == MessageKind::unmask_request) return;  // the others have opened that sum, with t shares of their own
  expect_strangers_refused();
  sign_roster(friends);
  expect_roster_adopted();
  expect_round();
}

INSTANTIATE_TEST_SUITE_P(Attacks, SybilRosterInMidRound,
                         ::testing::Values(MessageKind::key_list, MessageKind::routed_shares,
                                           MessageKind::consistency_request, MessageKind::unmask_request),
                         [](const auto& row) { return "Before" + camel_case(to_string(row.param)); });

}  // namespace
}  // namespace fovea::test
