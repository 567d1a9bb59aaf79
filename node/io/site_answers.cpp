// What a site does where the first answer was not the last word: it greets again, tries again to train, and takes a
// roster of an earlier epoch to follow sums that it missed.
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/durable_file.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/site_messages.h"
#include "node/io/site_driver_parts.h"
#include "node/io/unfinished_runs.h"

namespace fovea::node::io {

namespace {

using federation::messages::MessageKind;

constexpr std::int64_t kGreetAgainMs = 5'000;     // until there is an answer
constexpr std::int64_t kGreetAsideMs = 600'000;   // when there was one, and no run is open
constexpr std::int64_t kRestMs = 2'000;           // for the coordinator to say that it has an earlier run
constexpr std::int64_t kTrainerAgainMs = 10'000;  // to look for studies that were taken in meanwhile

constexpr const char* kSecondProcess =
    "the coordinator has another connection under this site's keys: of a node that runs from a copy of this folder, "
    "or of this one before its network or machine went away, which is noticed within half a minute; this node greets "
    "again by itself until it is let in. No folder may be run twice: stop the other node";

}  // namespace

// The machine of an open run greets for itself. Without one, a greeting that was lost or refused would be the last.
Result<void> SiteDriver::Parts::greet_again() {
  if (machine || transport->state() != ConnectionState::connected) return {};
  const std::int64_t pace_ms = greeting_answered ? kGreetAsideMs : kGreetAgainMs;
  return clock->monotonic().value - greeted_at.value >= pace_ms ? on_connected() : Result<void>();
}

// Of the run that this site was away from when it ended, before it turns to the one that is offered: a coordinator that
// has ended that run offers its plan again, and hands out the sums. Once, for who does not know of it.
Result<void> SiteDriver::Parts::ask_for_rest(const RunId& offered) {
  if (std::exchange(rest_asked, true)) return {};
  for (const UnfinishedRun& unfinished : unfinished_runs(options.folder)) {
    if (unfinished.run == offered) return {};
    if (!gate.plan_approved(unfinished.plan)) continue;
    rest_awaited_until = MonotonicMs{clock->monotonic().value + kRestMs};
    federation::messages::Hello hello;
    hello.software = software;
    return send_own(MessageKind::hello, unfinished.run, hello.encode());
  }
  return {};
}

void SiteDriver::Parts::note_notice(const federation::messages::RefusalNotice& notice) {
  const bool second = notice.refused == MessageKind::hello &&
                      notice.reason == federation::messages::RefusalReason::unknown_sender;
  if (second) second_process = kSecondProcess;
  const std::string kind(federation::messages::to_string(notice.refused));
  const std::string reason(federation::messages::to_string(notice.reason));
  // A refused hello lasts until the coordinator asks this site for something; any other message may come late.
  if (notice.refused == MessageKind::hello && !second)
    shut_out = "the coordinator does not take this site's greeting: " + reason;
  const std::string said = kind + ": " + reason;
  if (std::exchange(notice_said, said) == said && second) return;  // asked for every few seconds
  if (!refusals_shown.admit(clock->monotonic())) return;
  if (second) spdlog::warn("{}", second_process);
  else spdlog::warn("the coordinator did not take a message \"{}\" of this site: {}", kind, reason);
  events.write("refused_by_coordinator", {{"kind", kind}, {"reason", reason}});
}

// A site that takes part reads its refusals in the machine of its run.
void SiteDriver::Parts::take_notice(const federation::messages::SignedMessage& message) {
  if (message.kind() != MessageKind::refusal) return;
  if (const auto notice = federation::messages::RefusalNotice::decode(message.payload())) note_notice(*notice);
}

void SiteDriver::Parts::hear(MessageKind kind) {
  if (kind == MessageKind::refusal) return;
  greeting_answered = true;
  second_process.clear();
  notice_said.clear();
}

Result<std::unique_ptr<training::Trainer>> SiteDriver::Parts::trainer_of_offer() {
  const MonotonicMs now = clock->monotonic();
  if (now < trainer_again_at) return std::unique_ptr<training::Trainer>();
  auto trainer = options.make_trainer(offer->plan);
  if (trainer) {
    untrainable.clear();
    trainer_again_at = MonotonicMs{};
    return trainer;
  }
  trainer_again_at = MonotonicMs{now.value + kTrainerAgainMs};
  if (std::exchange(untrainable, trainer.error().message) == untrainable) return std::unique_ptr<training::Trainer>();
  FOVEA_TRY(refuse_untrainable());
  return std::unique_ptr<training::Trainer>();
}

Result<void> SiteDriver::Parts::refuse_untrainable() {
  return refuse_plan(offer->run, federation::messages::RefusalReason::training_failed,
                     failed_precondition(untrainable_text()));
}

std::string SiteDriver::Parts::untrainable_text() const {
  return "plan \"" + offer->plan.name + "\": cannot be trained here: " + untrainable +
         "; the node looks again every ten seconds, and takes part as soon as it can";
}

// What it learns from was read when it was made: a training that failed may find what it lacked in a new one.
Result<bool> SiteDriver::Parts::renew_trainer(RoundNumber round) {
  if (!std::exchange(trainer_failed, false)) return true;
  auto trainer = options.make_trainer(run->plan());
  if (!trainer) {
    trainer_failed = true;
    spdlog::warn("round {}: training failed: {}", round, trainer.error().message);
    events.write("training_failed", {{"round", round}, {"why", trainer.error().message}});
    return false;
  }
  FOVEA_TRY_ASSIGN(worker, TrainingWorker::start(std::move(trainer).value()));
  return true;
}

// Administrators signed it, so it is one that was in force, and a sum under it is held to the same rules as one that
// this site could have been in. Where they signed two of one epoch, it shows here or between two ledgers.
Result<void> SiteDriver::Parts::take_past_roster(const federation::membership::SignedDocument& document,
                                                 federation::membership::Roster verified) {
  const std::string what = "the roster of epoch " + std::to_string(verified.epoch) +
                           ", before the pinned one of epoch " + std::to_string(roster->epoch);
  if (!machine) return note_ignored("roster_ignored", what + ", is of use in an open run only"), Result<void>();
  const auto known = options.folder.past_roster(verified.epoch);
  if (known && known->hash != verified.hash) return refuse_second_roster(document, verified);
  if (!known) {
    if (!past_offers.admit(clock->monotonic())) {
      note_ignored("roster_ignored", what + ": more than 64 such since the last sum");
      return {};
    }
    FOVEA_TRY(gate.record_past_roster(verified, *roster));
    FOVEA_TRY(gate.checkpoint());
    FOVEA_TRY(options.folder.keep_past_roster(document, verified.epoch));
    spdlog::info("{}: taken, to follow sums that were made under it", what);
    events.write("past_roster_taken", {{"epoch", verified.epoch}, {"sites", verified.sites.size()}});
  }
  return feed(round::PastRosterLearnt{std::move(verified)});
}

}  // namespace fovea::node::io
