// Failure class: a program that one signed message ends, because nobody tried that number, that name or that length. A
// real fovea-node and a real fovea-coordinator meet every kind of message with each extreme of its header and of its
// payload's ends; each is refused, nothing has changed, and the run completes.
#include <algorithm>
#include <set>

#include "tests/adversary/hospital_fixture.h"
#include "tests/adversary/load_fixture.h"
#include "tests/support/message_samples.h"

namespace fovea::test {
namespace {

using federation::messages::kMessageKinds;
using federation::messages::MessageHeader;
using federation::messages::MessageKindInfo;
using federation::messages::Sender;

bool is_of_the_driver(MessageKind kind) {
  return kind == MessageKind::plan_offer || kind == MessageKind::roster_offer || kind == MessageKind::site_blame;
}

class ExtremesAtAHospital : public HospitalTest {
 protected:
  // Of all kinds; returns how many the machine of the round has to refuse.
  std::size_t send_all() {
    std::size_t for_machine = 0;
    const ScriptedSite& other = scripted_->sybil(scripted_->any_sybil());
    const std::vector<Sender> others{other.id(), SiteId::create("stranger").value(), SiteId::create("anna").value()};
    for (const MessageKindInfo& info : kMessageKinds) {
      const MessageHeader header{info.kind, scripted_->facts().run, std::nullopt, scripted_->facts().roster.epoch};
      for (ExtremeMessage& extreme : extremes_of(header, sample_payload(info.kind), others, scripted_->key())) {
        const bool is_read = extreme.reads_as_its_senders && !federation::messages::is_sent_by_site(info);
        for_machine += is_read && !is_of_the_driver(info.kind) ? 1U : 0U;
        scripted_->send_to_victim(std::move(extreme.wire));
      }
    }
    return for_machine;
  }
  void expect_all_refused() {
    new_events();
    const std::size_t before = released();
    const std::size_t wanted = send_all();
    expect_handled();
    EXPECT_EQ(released(), before);
    std::size_t refused = 0;
    for (const Json& event : new_events()) {
      refused += event["event"] == "message_refused" ? 1U : 0U;
      for (const char* change : {"run_opened", "roster_adopted", "plan_waiting", "site_blamed", "sum_applied",
                                 "training_started", "plan_withdrawn"})
        EXPECT_NE(event["event"], change) << event;
    }
    EXPECT_EQ(refused, wanted);
  }
};

TEST_F(ExtremesAtAHospital, AreRefusedAndTheRunGoesOn) {
  begin_run({.rounds = 100});
  expect_round();
  scripted_->ignore_complaints(true);
  expect_all_refused();
  expect_round();
  // And in the middle, when it has signed its vector.
  ASSERT_NO_FATAL_FAILURE(hold_round_at(MessageKind::consistency_request));
  expect_all_refused();
  scripted_->release_all();
  finish_round();
  stop_hospital();
}

class ExtremesAtACoordinator : public LoadTest {
 protected:
  std::size_t say_all() {
    std::size_t for_machine = 0;
    const ScriptedSite& dora = hospitals_->site("dora");
    const std::vector<Sender> others{std::nullopt, SiteId::create("anna").value(), SiteId::create("stranger").value()};
    for (const MessageKindInfo& info : kMessageKinds) {
      const MessageHeader header{info.kind, hospitals_->facts().run, dora.id(), hospitals_->facts().roster.epoch};
      for (ExtremeMessage& extreme : extremes_of(header, sample_payload(info.kind), others, dora.identity())) {
        const bool is_read = extreme.reads_as_its_senders && federation::messages::is_sent_by_site(info);
        const auto envelope = federation::messages::read_envelope(extreme.wire);
        const bool of_this_roster = is_read && envelope->header.run == header.run &&
                                    envelope->header.epoch == header.epoch;
        // A greeting of another run or roster is one: its sender has yet to hear of these.
        if (is_read && !of_this_roster && info.kind == MessageKind::hello) continue;
        for_machine += of_this_roster ? 1U : 0U;
        hospitals_->say("dora", std::move(extreme.wire));
      }
    }
    return for_machine;
  }
  std::size_t refused() const {
    const std::vector<Json> events = events_of(home() / "events.jsonl");
    return static_cast<std::size_t>(std::count_if(events.begin(), events.end(), [](const Json& event) {
      return event["event"] == "message_refused" && event.contains("reason");
    }));
  }
};

TEST_F(ExtremesAtACoordinator, AreRefusedAndTheRunCompletes) {
  serve_hospitals(3);
  // The round waits for this message, so that its machine meets all of them.
  bool held = false;
  hospitals_->dishonest = [&](const ScriptedSite& site, federation::messages::SignedMessage honest) {
    held = held || (site.id().text() == "dora" && honest.kind() == MessageKind::keys);
    const bool waits = held && site.id().text() == "dora" && honest.kind() != MessageKind::hello;
    return waits ? std::vector<Bytes>{} : std::vector<Bytes>{honest.wire()};
  };
  ASSERT_TRUE(hospitals_->play_until([&] { return held; }));
  const std::size_t wanted = refused() + say_all();
  ASSERT_TRUE(hospitals_->play_until([&] { return hospitals_->has_said_all("dora") && refused() >= wanted; }))
      << refused() << " of " << wanted;
  // Its sender hears of each kind which of them it was.
  using federation::messages::RefusalReason;
  const auto told = [&](MessageKind kind, RefusalReason reason) {
    const auto& all = hospitals_->site("dora").refused();
    return std::any_of(all.begin(), all.end(), [&](const auto& n) { return n.refused == kind && n.reason == reason; });
  };
  const auto told_all = [&] {
    return std::all_of(kMessageKinds.begin(), kMessageKinds.end(), [&](const MessageKindInfo& info) {
      if (!federation::messages::is_sent_by_site(info) || info.kind == MessageKind::hello) return true;
      return told(info.kind, RefusalReason::wrong_run) && told(info.kind, RefusalReason::wrong_epoch);
    });
  };
  EXPECT_TRUE(hospitals_->play_until(told_all));
  hospitals_->dishonest = {};
  expect_complete_run();
  for (const Json& event : events_of(home() / "events.jsonl")) EXPECT_NE(event["event"], "site_blamed") << event;
}

}  // namespace
}  // namespace fovea::test
