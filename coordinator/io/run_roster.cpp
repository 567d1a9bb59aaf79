// Which roster is in force, and whether it is valid. No task leaves under one that is not: every site would refuse, and
// rounds without a sum would end the run before a person has renewed it.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>

#include "common/console.h"
#include "coordinator/io/run_driver_parts.h"
#include "coordinator/registry/next_steps.h"
#include "federation/messages/coordinator_messages.h"

namespace fovea::coordinator::io {

namespace fs = std::filesystem;

// Asked all the time: a run may go on for weeks, and a clock may be set.
Result<void> RunDriver::Parts::watch_roster() {
  const UnixMs now = clock->wall();
  if (roster.check_valid_at(now)) {
    if (!roster_problem.empty()) {
      spdlog::info("the roster of epoch {} is valid; the run goes on", roster.epoch);
      events.write("roster_valid", {{"epoch", roster.epoch}});
    }
    roster_problem.clear();
    const std::uint32_t due = registry::warnings_due(roster, now);
    if (due > roster_warnings) {
      spdlog::warn("{}", registry::warning_before_end(roster, facts, now));
      events.write("roster_runs_out", {{"epoch", roster.epoch},
                                       {"valid_until_ms", roster.valid_until.value},
                                       {"left_ms", roster.valid_until.value - now.value}});
    }
    roster_warnings = std::max(roster_warnings, due);
    return {};
  }
  if (roster_problem.empty()) {
    roster_problem = registry::why_not_valid(roster, facts, now);
    spdlog::warn("{}; until then no task is sent, and then the run goes on by itself", roster_problem);
    events.write("roster_not_valid",
                 {{"epoch", roster.epoch}, {"valid_until_ms", roster.valid_until.value}, {"why", roster_problem}});
  }
  return machine ? stop_round_for_roster() : Result<void>();
}

// Once shares were asked for, sites that gave theirs in time may have opened the sum already: that round has its own
// deadline, as in adopt_roster().
Result<void> RunDriver::Parts::stop_round_for_roster() {
  const round::RoundPhase phase = machine->phase();
  if (phase == round::RoundPhase::collecting_unmask || phase == round::RoundPhase::unmasking) return {};
  using federation::messages::RefusalReason;
  const federation::messages::AttemptAbandoned message{round, machine->progress().attempt,
                                                       RefusalReason::roster_expired, true};
  for (const auto& [site, state] : joined)
    send_own(site, federation::messages::MessageKind::attempt_abandoned, message.encode());
  return close_without_sum({.reason = RefusalReason::roster_expired,
                            .detail = "the roster of epoch " + std::to_string(roster.epoch) + " is not valid now",
                            .next_round = round + 1,
                            .repeat = repeat});
}

Result<void> RunDriver::Parts::check_for_new_roster() {
  last_roster_check = clock->monotonic();
  FOVEA_TRY(look_for_pardons());
  std::error_code error;
  const auto time = fs::last_write_time(options.folder.roster_file(), error);
  if (!error && (time != roster_time || !roster_refused.empty())) {  // one that is not valid yet is asked for again
    roster_time = time;
    auto fresh = options.folder.roster(clock->wall());
    const std::string why = fresh ? "" : fresh.error().message;
    if (!fresh && why != roster_refused) spdlog::warn("the new roster is not used: {}", why);
    roster_refused = why;
    if (fresh && fresh->epoch > roster.epoch) next_roster = std::move(fresh).value();
  }
  return next_roster ? adopt_roster() : Result<void>();
}

// By the clocks of so many sites the roster has run out that no round can come to a sum: theirs are ahead, this one is
// behind, or the end is near. A person mends that, and meanwhile it must not end the run.
bool RunDriver::Parts::wait_for_doubters() {
  constexpr std::int64_t kPauseMs = 10'000;
  const auto willing = std::count_if(joined.begin(), joined.end(), [&](const auto& entry) {
    return server->has_session(entry.first) && !doubters.contains(entry.first) && !left_out.contains(entry.first) &&
           !cut_off.contains(entry.first);
  });
  if (doubters.empty() || willing >= static_cast<std::int64_t>(run->plan().cohort.smallest)) return false;
  nlohmann::ordered_json names = nlohmann::ordered_json::array();
  for (const SiteId& site : doubters) names.push_back(site.text());
  spdlog::warn(
      "{} refused, because by their clocks the roster of epoch {} has run out; by this machine's clock, {}, it is "
      "valid until {}: have the clocks compared, or: {}",
      counted(doubters.size(), "site"), roster.epoch, utc_text(clock->wall()), utc_text(roster.valid_until),
      registry::renewal_steps(facts));
  events.write("roster_doubted",
               {{"epoch", roster.epoch}, {"sites", names}, {"valid_until_ms", roster.valid_until.value}});
  next_round_not_before = MonotonicMs{clock->monotonic().value + kPauseMs};
  return true;
}

// Whether `newer` still has every site that the sum must be repeated with. Until then the roster of its release stays.
bool RunDriver::Parts::may_repeat_under(const federation::membership::Roster& newer) const {
  return repeat && std::all_of(repeat->sites.begin(), repeat->sites.end(),
                               [&](RosterIndex site) { return newer.find(roster.sites[site].id) != nullptr; });
}

// Whether a roster only prolongs the one in force, or adds to it: nobody who is in the round is gone or has other keys.
bool RunDriver::Parts::keeps_every_site(const federation::membership::Roster& newer) const {
  return std::all_of(roster.sites.begin(), roster.sites.end(), [&](const federation::membership::RosterSite& site) {
    const federation::membership::RosterSite* there = newer.find(site.id);
    return there != nullptr && entry_digest(*there) == entry_digest(site);
  });
}

// Whether a newer roster comes into force as soon as no round is in progress. The next one begins under it.
bool RunDriver::Parts::waits_for_roster() const {
  return next_roster && !releasing_at_start && !(roster_problem.empty() && may_repeat_under(*next_roster));
}

// A newer epoch: every session is cut, so that a removed site is gone at once, and the round in progress, which is
// bound to the old roster, is tried again under the new one. A roster under which everybody stays waits for the end of
// that round, as long as the old one is valid. Once shares were asked for, that round must end first,
// because sites release one sum per model, ever; a removed site is ignored until then. So must a sum that is repeated,
// unless a site that it needs is removed, or the roster has run out, under which no site does anything more.
Result<void> RunDriver::Parts::adopt_roster() {
  const round::RoundPhase phase = machine ? machine->phase() : round::RoundPhase::finished;
  if (releasing_at_start || phase == round::RoundPhase::collecting_unmask || phase == round::RoundPhase::unmasking)
    return {};
  if (!waits_for_roster()) return {};
  if (machine && roster_problem.empty() && keeps_every_site(*next_roster)) {
    if (std::exchange(roster_said_to_wait, next_roster->epoch) == next_roster->epoch) return {};
    spdlog::info("the roster of epoch {} comes into force when round {} has ended", next_roster->epoch, round);
    events.write("roster_waits", {{"epoch", next_roster->epoch}, {"round", round}});
    return {};
  }
  repeat.reset();
  if (machine)
    FOVEA_TRY(close_without_sum({.reason = federation::messages::RefusalReason::roster_differs,
                                 .detail = "the roster changed",
                                 .next_round = round + 1}));
  rounds_without_sum = 0;
  next_round_not_before = clock->monotonic();
  roster = std::move(*next_roster);
  next_roster.reset();
  roster_warnings = 0;
  roster_problem.clear();
  doubters.clear();
  declined.clear();
  failures_said.clear();
  sat_out.clear();
  std::erase_if(cut_off, [&](const auto& entry) { return roster.find(entry.first) == nullptr; });
  show_cut_off();
  limit_cohort();
  spdlog::info("roster of epoch {}, valid until {}: {}; every connection starts anew", roster.epoch,
               utc_text(roster.valid_until), counted(roster.sites.size(), "site"));
  events.write("roster_adopted", {{"epoch", roster.epoch}, {"sites", roster.sites.size()}});
  FOVEA_TRY(record(
      federation::ledger::RosterEpoch{roster.epoch, roster.hash, static_cast<std::uint32_t>(roster.sites.size())}));
  joined.clear();
  return server->cut_sessions();
}

}  // namespace fovea::coordinator::io
