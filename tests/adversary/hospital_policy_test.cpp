// Failure class: what a hospital's people decided is not what its node does. A coordinator goes on as if nobody had
// said no, or sums fewer sites than the hospital's policy allows.
#include <algorithm>

#include "federation/secagg/statements.h"
#include "tests/adversary/hospital_fixture.h"
#include "tests/adversary/test_names.h"

namespace fovea::test {
namespace {

// ---- a plan that is rejected while it runs

class RejectedPlan : public HospitalTest, public ::testing::WithParamInterface<MessageKind> {};

TEST_P(RejectedPlan, GetsNothingMoreHoweverMuchTheCoordinatorAsks) {
  begin_run({.rounds = 200});
  expect_round();
  scripted_->ignore_complaints(true);
  ASSERT_NO_FATAL_FAILURE(hold_round_at(GetParam()));
  const federation::messages::SignedMessage held = scripted_->trapped();
  const std::size_t answers = scripted_->answers();
  const std::size_t progress = scripted_->heard(MessageKind::training_progress);
  const Outcome rejected = node("anna", {"plan", "reject", plan_hash_.substr(0, 12), "--by", "tester"});
  ASSERT_EQ(rejected.exit_code, 0) << rejected.err;
  scripted_->release_all();
  expect_event({"plan_withdrawn"});
  const std::size_t greetings = scripted_->heard(MessageKind::hello);  // what was queued is dropped with the connection
  ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->heard(MessageKind::hello) > greetings; }));
  scripted_->give_up_round();
  scripted_->send_to_victim(held.wire());
  expect_event({"message_refused"});
  scripted_->begin_round();
  expect_event(refused(RefusalReason::plan_rejected));
  EXPECT_EQ(scripted_->answers(), answers);
  EXPECT_EQ(scripted_->heard(MessageKind::training_progress), progress);
  scripted_->give_up_round();

  const bool lost = GetParam() == MessageKind::unmask_request;  // the others have opened the sum, with t shares
  if (!lost) {
    approve("anna");
    expect_event({"plan_approved_again"});
    expect_round();
  }
  stop_hospital();
  const std::vector<Json> entries = entries_of(site_folder("anna"));
  const auto type = [](const char* wanted) { return [wanted](const Json& entry) { return entry["type"] == wanted; }; };
  const auto withdrawn = std::find_if(entries.begin(), entries.end(), type("plan.withdrawn"));
  ASSERT_NE(withdrawn, entries.end());
  const auto again = std::find_if(withdrawn, entries.end(), type("plan.approved"));
  EXPECT_EQ(again == entries.end(), lost);
  EXPECT_TRUE(std::none_of(
      withdrawn, again, [](const Json& entry) { return entry["type"] == "egress.intent" && entry.contains("plan"); }));
}

INSTANTIATE_TEST_SUITE_P(Attacks, RejectedPlan,
                         ::testing::Values(MessageKind::parameters, MessageKind::key_list, MessageKind::routed_shares,
                                           MessageKind::consistency_request, MessageKind::unmask_request),
                         [](const auto& row) { return "Before" + camel_case(to_string(row.param)); });

// ---- fewer sites in the sum than in the attempt

class SmallSum : public HospitalTest {
 protected:
  void SetUp() override {
    HospitalTest::SetUp();
    set_node_setting("anna", "cohort_min = 3", "cohort_min = 4");
    make_plan({.rounds = 200, .edit = [](Json& plan) { plan["cohort"]["smallest"] = 4; }});
    play_coordinator();
    start_hospital();
    expect_round();
    scripted_->ignore_complaints(true);
  }
  void tell(MessageKind kind, ByteView payload) { scripted_->send_to_victim(scripted_->seal(kind, payload)); }
  void expect_honest_end() {
    scripted_->release_all();
    finish_round();
  }
};

// In each, three sites would be enough for the threshold, and for the plan.
TEST_F(SmallSum, OfSurvivorsIsNotMaskedFor) {
  ASSERT_NO_FATAL_FAILURE(hold_round_at(MessageKind::routed_shares));
  auto routed = federation::messages::RoutedShares::decode(scripted_->trapped().payload()).value();
  routed.survivors.pop_back();
  routed.shares.pop_back();
  const std::size_t before = released();
  tell(MessageKind::routed_shares, routed.encode());
  expect_event(refused(RefusalReason::cohort_too_small));
  expect_handled();
  EXPECT_EQ(released(), before);
  expect_honest_end();
}

TEST_F(SmallSum, IsNeitherSignedNorOpened) {
  ASSERT_NO_FATAL_FAILURE(hold_round_at(MessageKind::consistency_request));
  const SignedMessage honest = scripted_->trapped();
  auto request = federation::messages::ConsistencyRequest::decode(honest.payload()).value();
  request.committed.pop_back();
  const std::size_t before = released();
  tell(MessageKind::consistency_request, request.encode());
  expect_event(refused(RefusalReason::cohort_too_small));
  // With the signatures of all colluders, and no word of the hospital's.
  const auto keys = federation::messages::KeyList::decode(
                        scripted_->last_to(scripted_->victim(), MessageKind::key_list).value().payload())
                        .value();
  const Digest statement = federation::secagg::consistency_statement(
      request.ref.parameters,
      {federation::secagg::key_list_hash(request.ref.parameters, keys.keys), request.survivors, request.committed});
  federation::messages::UnmaskRequest unmask{request.ref, {}};
  for (const auto& entry : request.committed)
    if (entry.site != scripted_->victim())
      unmask.signatures.push_back({entry.site, scripted_->sybil(entry.site).identity().sign(statement)});
  tell(MessageKind::unmask_request, unmask.encode());
  expect_event(refused(RefusalReason::unexpected_kind));
  expect_handled();
  EXPECT_EQ(released(), before);
  expect_honest_end();
}

TEST_F(SmallSum, OfOthersIsNotFollowed) {
  scripted_->begin_round_without_victim();
  expect_event(refused(RefusalReason::cohort_too_small));
  ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->round_is_over(); }));
  EXPECT_FALSE(scripted_->aborted().has_value());
}

}  // namespace
}  // namespace fovea::test
