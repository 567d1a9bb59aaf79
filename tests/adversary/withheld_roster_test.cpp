// Failure class: a roster outlives its validity because the coordinator sends no newer one, and with it a site that was
// revoked. The hospital runs inside the test, whose clock moves on by eight days in the middle of a round.
#include <algorithm>

#include "federation/messages/site_messages.h"
#include "tests/adversary/hospital_fixture.h"
#include "tests/adversary/load_fixture.h"
#include "tests/adversary/test_names.h"
#include "tests/integration/site_thread.h"

namespace fovea::test {
namespace {

constexpr std::int64_t kDays = 8;  // a roster is valid for seven
constexpr std::int64_t kDayMs = 24 * 3'600'000;

class WithheldRoster : public HospitalTest, public ::testing::WithParamInterface<MessageKind> {
 protected:
  // anna, under the moved clock, after a round without an attack.
  std::unique_ptr<SiteThread> take_part() {
    node::io::block_stop_signals();
    make_plan({.rounds = 200});
    play_coordinator();
    auto anna = std::make_unique<SiteThread>(site_folder("anna"), clock_);
    EXPECT_TRUE(scripted_->serve_until([&] { return scripted_->victim_has_joined(); }));
    expect_round();
    scripted_->ignore_complaints(true);
    return anna;
  }

  MovedClock clock_;
};

TEST_P(WithheldRoster, IsUsedNoLongerThanItIsValid) {
  const std::unique_ptr<SiteThread> anna = take_part();
  ASSERT_FALSE(HasFailure());
  // The next roster, without dora, is signed; the coordinator keeps it to itself.
  const UnixMs then{SystemClock().wall().value + kDays * kDayMs};
  sign_roster({.added = {}, .removed = {SiteId::create("dora").value()}}, then);
  ASSERT_NO_FATAL_FAILURE(hold_round_at(GetParam()));
  const std::size_t before = scripted_->answers();

  clock_.set_ahead_days(kDays);
  scripted_->release_first();
  expect_event(refused(RefusalReason::roster_expired));
  expect_handled();
  EXPECT_EQ(scripted_->answers(), before + 1);  // to the request that says that all was handled
  scripted_->give_up_round();
  if (GetParam() == MessageKind::unmask_request) return;  // the others have opened that sum, with t shares of their own

  // With the newer roster it goes on, and dora is in no sum any more.
  scripted_->follow_roster();
  scripted_->offer_roster(then);
  ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->victim_has_joined(); }));
  expect_round();
}

INSTANTIATE_TEST_SUITE_P(Attacks, WithheldRoster,
                         ::testing::Values(MessageKind::parameters, MessageKind::consistency_request,
                                           MessageKind::unmask_request),
                         [](const auto& row) { return "Before" + camel_case(to_string(row.param)); });

using TimeOfTheCoordinator = WithheldRoster;

// Its time is for people to read. A lie about it makes no roster valid, and a true one names the clock that is off.
TEST_F(TimeOfTheCoordinator, MovesNothing) {
  const std::unique_ptr<SiteThread> anna = take_part();
  ASSERT_FALSE(HasFailure());
  const auto says = [](const std::string& text, bool wanted) {
    return [text, wanted](const Json& event) {
      return (event["why"].get<std::string>().find(text) != std::string::npos) == wanted;
    };
  };
  const UnixMs now = SystemClock().wall();
  clock_.set_ahead_days(kDays);
  scripted_->offer_roster(UnixMs{now.value + kDays * kDayMs});  // as if the roster were the hospital's problem
  expect_event({"roster_ignored"}, says("clock is", false));
  scripted_->begin_round();
  expect_event(refused(RefusalReason::roster_expired));
  scripted_->give_up_round();
  scripted_->offer_roster(now);
  expect_event({"roster_ignored"}, says("this machine's clock is 8 days ahead of the coordinator's", true));
  scripted_->begin_round();
  expect_event(refused(RefusalReason::roster_expired));
  scripted_->give_up_round();
  clock_.set_ahead_days(0);
  expect_round();
}

// By the clocks of all hospitals the roster has run out, by the coordinator's not yet: twelve rounds without a sum in a
// row would end the run before a person has put a clock right.
using DoubtedRoster = LoadTest;

TEST_F(DoubtedRoster, EndsNoRunAndTheCoordinatorSaysWhoseClocksDiffer) {
  serve_hospitals(3);
  ASSERT_TRUE(hospitals_->play_until([&] { return hospitals_->last_round() >= 1; }));
  hospitals_->dishonest = [](const ScriptedSite& site, SignedMessage honest) {
    const auto keys = federation::messages::KeysMessage::decode(honest.payload());
    if (honest.kind() != MessageKind::keys || !keys) return std::vector<Bytes>{honest.wire()};
    const federation::messages::AttemptFailure refusal{
        keys->ref.round, keys->ref.attempt, RefusalReason::roster_expired, {}};
    return std::vector<Bytes>{site.seal(MessageKind::attempt_failure, refusal.encode())};
  };
  Json doubted;
  ASSERT_TRUE(hospitals_->play_until([&] {
    for (const Json& event : events_of(home() / "events.jsonl"))
      if (event["event"] == "roster_doubted") doubted = event;
    return !doubted.is_null();
  }));
  EXPECT_GE(doubted["sites"].size(), 2U) << doubted;
  EXPECT_NE(server_->standard_error().find("by their clocks the roster of epoch"), std::string::npos);
  // It goes on by itself when the clocks are right again.
  hospitals_->dishonest = {};
  const std::size_t before = events_of(home() / "events.jsonl").size();
  EXPECT_TRUE(hospitals_->play_until([&] {
    const std::vector<Json> events = events_of(home() / "events.jsonl");
    return std::any_of(events.begin() + static_cast<std::ptrdiff_t>(before), events.end(),
                       [](const Json& event) { return event["event"] == "round_started"; });
  }));
}

}  // namespace
}  // namespace fovea::test
