// Who the site is to the coordinator, the roster, and plans until a person has decided about them.
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "common/codec.h"
#include "common/durable_file.h"
#include "common/stop_signals.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/site_messages.h"
#include "node/io/site_driver_parts.h"
#include "node/io/site_register.h"
#include "node/round/site_marks.h"

namespace fovea::node::io {

using federation::messages::MessageKind;

// A coordinator that sends nothing but garbage must not fill the disk with what is said about it.
void SiteDriver::Parts::note_ignored(const char* event, const std::string& why) {
  if (!ignored_shown.admit(clock->monotonic())) return;
  spdlog::warn("ignored a message of the coordinator: {}", why);
  events.write(event, {{"why", why}, {"unreported", ignored_shown.refused()}});
}

Result<void> SiteDriver::Parts::on_connected() {
  if (machine) return feed(round::Connected{});
  greeted_at = clock->monotonic();
  greeting_answered = false;
  federation::messages::Hello hello;
  hello.software = software;
  return send_own(MessageKind::hello, RunId{}, hello.encode());
}

Result<void> SiteDriver::Parts::handle_frame(Bytes frame) {
  auto opened = federation::messages::SignedMessage::open(
      std::move(frame), {.sender = std::nullopt, .key = invite.coordinator_signing_key});
  if (!opened) {
    note_ignored("message_ignored", opened.error().message);
    return {};
  }
  hear(opened->kind());
  if (opened->kind() == MessageKind::roster_offer) return take_roster(*opened);
  if (opened->kind() == MessageKind::plan_offer) {
    if (!run) shut_out.clear();  // it answers this site's greeting
    return take_plan(*opened);
  }
  if (opened->kind() == MessageKind::site_blame) return take_blame(*opened);
  FOVEA_TRY(hold_if_asked(*opened));
  if (stop) return {};
  return take_round_message(std::move(*opened));
}

Result<void> SiteDriver::Parts::take_roster(const federation::messages::SignedMessage& message) {
  auto offered = federation::messages::RosterOffer::decode(message.payload());
  if (!offered) return note_ignored("roster_ignored", offered.error().message), Result<void>();
  auto document = federation::membership::SignedDocument::parse(offered->signed_document);
  if (!document) return note_ignored("roster_ignored", document.error().message), Result<void>();
  if (offered->sent_ms > 0) clock_ahead_ms = clock->wall().value - static_cast<std::int64_t>(offered->sent_ms);
  auto verified = federation::membership::verify_roster_at_any_time(*document, invite.trust(1));
  if (!verified) return note_ignored("roster_ignored", verified.error().message), Result<void>();
  if (roster && verified->epoch < roster->epoch) return take_past_roster(*document, std::move(verified).value());
  const auto valid = verified->check_valid_at(clock->wall());
  if (!valid) note_invalid_roster(*verified);
  else roster_ignored_why.clear();
  if (roster && roster->hash == verified->hash) return {};
  if (roster && roster->epoch == verified->epoch) return refuse_second_roster(*document, *verified);
  if (valid) return adopt_roster(*document, std::move(verified).value());
  roster_waiting = std::move(*document);
  return {};
}

// Administrators sign one roster an epoch. A second one, which says other things to other sites, is kept as evidence
// and not followed.
Result<void> SiteDriver::Parts::refuse_second_roster(const federation::membership::SignedDocument& document,
                                                     const federation::membership::Roster& verified) {
  const auto file = options.folder.refused_roster(verified.epoch, verified.hash);
  if (std::filesystem::exists(file) || !roster_offers.admit(clock->monotonic())) return {};
  FOVEA_TRY(create_directories_durably(file.parent_path()));
  FOVEA_TRY(write_file_durably(file, document.serialize()));
  const std::string why = "two different rosters of epoch " + std::to_string(verified.epoch) +
                          " are signed; the first one stays in force, the other is kept in " + file.string();
  note_ignored("roster_ignored", why);
  FOVEA_TRY(gate.record(federation::ledger::Incident{"roster", why}));
  return {};
}

// A clock that is put right makes it valid without a restart.
Result<void> SiteDriver::Parts::try_waiting_roster() {
  if (!roster_waiting) return {};
  auto verified = federation::membership::verify_roster(*roster_waiting, invite.trust(roster ? roster->epoch + 1 : 1),
                                                        clock->wall());
  if (!verified && verified.error().code == ErrorCode::deadline_exceeded) return {};
  const federation::membership::SignedDocument document = std::move(*roster_waiting);
  roster_waiting.reset();
  return verified ? adopt_roster(document, std::move(verified).value()) : Result<void>();
}

Result<void> SiteDriver::Parts::adopt_roster(const federation::membership::SignedDocument& document,
                                             federation::membership::Roster verified) {
  const federation::membership::RosterSite* entry = verified.find(self.id);
  // All of its keys: under a roster with another approver or log key, what people here decided would look forged.
  if (entry == nullptr || entry_digest(*entry) != entry_digest(self)) {
    if (!ignored_shown.admit(clock->monotonic())) return {};
    const bool other_keys = entry != nullptr;
    if (!other_keys) removed_by = verified.epoch;
    spdlog::warn("{}", other_keys ? "this site is not on the roster of epoch " + std::to_string(verified.epoch) +
                                        " with the keys it has; ask the federation's administrators"
                                  : refused_text());
    events.write("not_on_roster", {{"epoch", verified.epoch}, {"other_keys", other_keys}});
    return {};
  }
  if (!roster_offers.admit(clock->monotonic())) {
    note_ignored("roster_ignored",
                 "more than 16 new rosters in an hour; a later one is taken when it is offered again");
    return {};
  }
  // In the ledger first: a folder with a roster and an empty ledger is one whose ledger is gone (ledger_history()).
  FOVEA_TRY(gate.pin_roster(verified));
  FOVEA_TRY(gate.checkpoint());
  FOVEA_TRY(options.folder.keep_roster(document, verified.epoch));
  removed_by.reset();
  roster = std::move(verified);
  FOVEA_TRY(erase_closed());
  events.write("roster_adopted", {{"epoch", roster->epoch}, {"sites", roster->sites.size()}});
  if (machine) FOVEA_TRY(feed(round::RosterAdopted{*roster}));
  FOVEA_TRY(follow_acceptances());
  show_strangers();
  if (!machine) return {};
  return feed(round::Connected{});  // the coordinator counts us in when we greet it under the new epoch
}

Result<bool> SiteDriver::Parts::has_room_for(const Digest& plan) const {
  const auto stored = options.folder.plans();
  if (!stored) return true;  // no folder yet
  std::size_t undecided = 0;
  for (const Digest& known : *stored) {
    if (known == plan) return true;
    const auto decision = options.folder.decision(known);
    if (!decision || !*decision) ++undecided;
  }
  return undecided < kPlansUndecidedMax;
}

Result<void> SiteDriver::Parts::take_plan(const federation::messages::SignedMessage& message) {
  const RunId offered_run = message.header().run;
  if (offered_run == RunId{}) return note_ignored("plan_ignored", "a plan is offered under no run"), Result<void>();
  if (run && run->run() == offered_run) return {};
  if (offer && offer->run == offered_run) {
    if ((!offer->refused && untrainable.empty()) || !rejections_told.admit(clock->monotonic())) return {};
    return offer->refused ? refuse_as(offered_run, offer->plan) : refuse_untrainable();
  }
  if (!plan_offers.admit(clock->monotonic())) {
    note_ignored("plan_ignored", "more than 16 plans in an hour; a later one is taken when it is offered again");
    return {};
  }
  auto offered = federation::messages::PlanOffer::decode(message.payload());
  if (!offered) return note_ignored("plan_ignored", offered.error().message), Result<void>();
  auto plan = federation::membership::Plan::parse(offered->plan);
  if (!plan) return refuse_plan(offered_run, federation::messages::RefusalReason::malformed, plan.error());
  FOVEA_TRY_ASSIGN(const bool room, has_room_for(plan->hash));
  if (!room) {
    note_ignored("plan_ignored", std::to_string(kPlansUndecidedMax) +
                                     " offered plans wait for a decision; reject those that nobody wants "
                                     "(fovea-node plan list, plan reject)");
    return {};
  }
  FOVEA_TRY(create_directories_durably(options.folder.plan(plan->hash).parent_path()));
  FOVEA_TRY(write_file_durably(options.folder.plan(plan->hash), offered->plan));
  events.write("plan_offered", {{"run", offered_run.text()}, {"plan", to_hex(plan->hash)}, {"name", plan->name}});
  ruled_out.reset();
  if (!check_policy(options.config.policy, *plan)) {
    FOVEA_TRY(read_decision(plan->hash));  // a person may have decided about it beforehand
    ruled_out = std::move(*plan);
    return refuse_as(offered_run, *ruled_out);
  }
  FOVEA_TRY(ask_for_rest(offered_run));
  offer = Offer{offered_run, std::move(plan).value()};
  untrainable.clear();
  trainer_again_at = MonotonicMs{};
  decisions_read.erase(offer->plan.hash);
  FOVEA_TRY(look_for_decision());
  if (offer && !offer->refused && !gate.plan_approved(offer->plan.hash)) {
    spdlog::warn("plan \"{}\" waits for a person's approval: fovea-node --site {} plan approve {} --by \"your name\"",
                 offer->plan.name, options.folder.root().string(), to_hex(offer->plan.hash).substr(0, 12));
    events.write("plan_waiting", {{"plan", to_hex(offer->plan.hash)}});
  }
  return {};
}

Result<void> SiteDriver::Parts::refuse_plan(const RunId& refused_run, federation::messages::RefusalReason reason,
                                            const Error& why) {
  spdlog::warn("{}", why.message);
  events.write("plan_refused", {{"run", refused_run.text()}, {"why", why.message}});
  const federation::messages::AttemptFailure failure{
      .round = 0, .attempt = 0, .reason = reason, .accused = std::nullopt};
  return send_own(MessageKind::attempt_failure, refused_run, failure.encode());
}

Result<void> SiteDriver::Parts::look_for_decision() {
  if (!offer || clock->monotonic() < rest_awaited_until) return {};
  FOVEA_TRY_ASSIGN(const bool decided, read_decision(offer->plan.hash));
  if (!gate.plan_approved(offer->plan.hash)) {
    const auto known = gate.decisions().find(offer->plan.hash);
    const bool withdrawn = known != gate.decisions().end() && !known->second.approved;
    if (!decided && (offer->refused || !withdrawn)) return {};
    offer->refused = true;
    return refuse_as(offer->run, offer->plan);
  }
  if (!roster) return {};  // none that is valid by this machine's clock: the plan waits for it
  // Again: the policy may have become stricter while the plan waited.
  if (!check_policy(options.config.policy, offer->plan)) {
    const RunId run_refused = offer->run;
    ruled_out = std::move(offer->plan);
    offer.reset();  // it is offered again
    return refuse_as(run_refused, *ruled_out);
  }
  const std::size_t unknown = strangers().size();
  const std::size_t sites = roster->sites.size();
  if (const auto enough = check_acquaintances(options.config.policy, offer->plan, {sites, sites - unknown}); !enough)
    return wait_for_acceptances(enough.error());
  FOVEA_TRY_ASSIGN(auto trainer, trainer_of_offer());
  if (!trainer) return {};
  const Offer accepted = std::move(*offer);
  offer.reset();
  return open_run(accepted, std::move(trainer));
}

bool SiteDriver::Parts::is_another(std::map<Digest, FileStamp>& read, const Digest& key,
                                   const std::filesystem::path& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) return false;
  const FileStamp stamp{found.st_ino, found.st_mtim.tv_sec * std::int64_t{1'000'000'000} + found.st_mtim.tv_nsec,
                        found.st_size};
  if (const auto last = read.find(key); last != read.end() && last->second == stamp) return false;
  read[key] = stamp;
  return true;
}

Result<bool> SiteDriver::Parts::read_decision(const Digest& plan) {
  if (!is_another(decisions_read, plan, options.folder.approval(plan))) return false;
  const auto decision = options.folder.decision(plan);
  if (!decision) {
    spdlog::warn("ignored an approval: {}", decision.error().message);
    events.write("approval_ignored", {{"why", decision.error().message}});
    return false;
  }
  if (!*decision) return false;
  const auto decided = gate.decide_plan(**decision);
  if (!decided && decided.error().code != ErrorCode::permission_denied && decided.error().code != ErrorCode::corruption)
    return decided.error();
  if (!decided) {
    const std::string why = options.folder.approval(plan).string() + ": " + decided.error().message;
    spdlog::warn("ignored an approval: {}", why);
    events.write("approval_ignored", {{"why", why}});
    return false;
  }
  if (!gate.plan_approved(plan)) FOVEA_TRY(erase_closed());
  return true;
}

// Also about plans that nobody offers now: until the ledger has a decision, an older file that is put back undoes it.
// By name, so that no number of other files in the folder keeps one from being read. The plans of the run and of the
// offer are looked at where something follows from it.
Result<void> SiteDriver::Parts::read_decisions() {
  std::vector<Digest> plans;
  for (const auto& [plan, decision] : gate.decisions()) plans.push_back(plan);
  const auto stored = options.folder.plans();
  std::size_t undecided = 0;
  for (const Digest& plan : stored ? *stored : std::vector<Digest>())
    if (!gate.decisions().contains(plan) && ++undecided <= kPlansUndecidedMax) plans.push_back(plan);
  for (const Digest& plan : plans)
    if (!(run && run->plan().hash == plan) && !(offer && offer->plan.hash == plan)) FOVEA_TRY(read_decision(plan));
  return {};
}

federation::messages::Refusal SiteDriver::Parts::refusal_of(const federation::membership::Plan& plan) const {
  using federation::messages::RefusalReason;
  const auto decision = gate.decisions().find(plan.hash);
  const bool decided = decision != gate.decisions().end();
  if (decided && !decision->second.approved)
    return {RefusalReason::plan_rejected, "a person here rejected the plan at " + utc_text(decision->second.decided)};
  if (const auto rule = broken_rule(options.config.policy, plan))
    return {RefusalReason::local_policy, (decided ? "approved, but refused by " : "refused by ") + *rule};
  return round::nobody_approved();
}

std::optional<std::string> SiteDriver::Parts::refused_plan() const {
  const federation::membership::Plan* plan = nullptr;
  if (ruled_out && broken_rule(options.config.policy, *ruled_out)) plan = &*ruled_out;
  if (run && !gate.plan_approved(run->plan().hash)) plan = &run->plan();
  if (offer && offer->refused) plan = &offer->plan;
  if (plan == nullptr && offer && !untrainable.empty()) return untrainable_text();
  if (plan == nullptr) return std::nullopt;
  return "plan \"" + plan->name + "\": " + refusal_of(*plan).detail;
}

Result<void> SiteDriver::Parts::refuse_as(const RunId& refused_run, const federation::membership::Plan& plan) {
  const federation::messages::Refusal why = refusal_of(plan);
  return refuse_plan(refused_run, why.reason, permission_denied("plan \"" + plan.name + "\": " + why.detail));
}

// What was decided while the node was stopped; and what was put back meanwhile, or is gone, is told by name.
Result<void> SiteDriver::Parts::recall_decisions() {
  const auto recorded = gate.decisions();  // a copy: reading a newer one changes it
  for (const auto& [plan, decision] : recorded) {
    const std::filesystem::path file = options.folder.approval(plan);
    if (std::error_code ignored; std::filesystem::exists(file, ignored)) {
      FOVEA_TRY(read_decision(plan));
      continue;
    }
    const std::string why = file.string() + ": is missing; the ledger has that the plan was " +
                            (decision.approved ? "approved" : "rejected") + " at " + utc_text(decision.decided) +
                            ", which stays in force";
    spdlog::warn("{}", why);
    events.write("approval_missing", {{"plan", to_hex(plan)}, {"why", why}});
  }
  return {};
}

Result<void> SiteDriver::Parts::erase_closed() {
  return erase_closed_shares(options.folder.runs(), gate.attempts_closed(),
                             run ? std::optional(run->run()) : std::nullopt, keys.log);
}

// Before each send: a person's rejection holds from the next byte on. What was queued before it is dropped with the
// connection.
Result<void> SiteDriver::Parts::follow_decision() {
  if (!run) return {};
  const Digest& plan = run->plan().hash;
  const bool before = gate.approved_by_person(plan);
  FOVEA_TRY(read_decision(plan));
  if (gate.approved_by_person(plan) == before) return {};
  policy_due = true;
  const std::string now = before || !gate.plan_approved(plan) ? refusal_of(run->plan()).detail : "approved again";
  if (before) spdlog::warn("plan \"{}\": {}: nothing of it leaves any more", run->plan().name, now);
  else spdlog::info("plan \"{}\": {}", run->plan().name, now);
  events.write(before ? "plan_withdrawn" : "plan_approved_again", {{"run", run->run().text()}, {"plan", to_hex(plan)}});
  return before ? transport->hang_up() : Result<void>();
}

// Only the policy follows node.toml while the node runs; all other settings need a start.
Result<void> SiteDriver::Parts::reload_policy() {
  auto fresh = NodeConfig::read(options.folder.config());
  if (!fresh) {
    spdlog::warn("the policy in force stays: {}", fresh.error().message);
    events.write("policy_not_reloaded", {{"why", fresh.error().message}});
    return {};
  }
  options.config.policy = fresh->policy;
  std::optional<std::string> forbidden;
  if (run)
    if (const auto rule = broken_rule(fresh->policy, run->plan())) forbidden = "the plan is refused by " + *rule;
  const bool before = run && gate.plan_approved(run->plan().hash);
  FOVEA_TRY(gate.change_policy(fresh->policy.cohort_min, fresh->policy.run_bytes_max, forbidden));
  spdlog::info("the policy of node.toml is in force{}{}", forbidden ? ": " : "", forbidden.value_or(""));
  events.write("policy_reloaded", {{"forbids_plan", forbidden.has_value()}});
  policy_due = machine.has_value();
  if (!machine) FOVEA_TRY(on_connected());  // a plan that the policy before ruled out is offered again
  return before && forbidden ? transport->hang_up() : Result<void>();
}

round::SitePolicy SiteDriver::Parts::site_policy() const {
  const PolicyConfig& policy = options.config.policy;
  round::SitePolicy out{.colluders_max = policy.colluders_max,
                        .honest_min = policy.honest_min,
                        .cohort_min = policy.cohort_min,
                        .plans_approved = {},
                        .acquainted = gate.acquainted()};
  if (!run) return out;
  // A person approved the plan's numbers, so no round may fall below them.
  const federation::membership::PlanSecureAggregation& asked = run->plan().secure_aggregation;
  out.colluders_max = std::max(out.colluders_max, asked.colluders_max);
  out.honest_min = std::max(out.honest_min, asked.honest_min);
  out.cohort_min = std::max({out.cohort_min, run->plan().cohort.smallest, out.colluders_max + out.honest_min});
  out.threshold_min = asked.threshold;
  if (gate.plan_approved(run->plan().hash)) out.plans_approved.push_back(run->plan().hash);
  return out;
}

// The ledger is written after the journal and lies in another place: what it shows and the journal lacks was lost.
void SiteDriver::Parts::warn_of_lost_records() {
  using federation::ledger::RoundKey;
  const auto memory = round::SiteMemory::restore(run->run(), run->journal_at_start());
  if (!memory) return;  // the machine refuses the journal by name
  const auto key_of = [&](const federation::messages::AttemptRef& ref) {
    return RoundKey{run->run(), ref.round, ref.attempt};
  };
  std::optional<RoundKey> lost;
  if (const auto joined = gate.last_joined(run->run());
      joined && (!memory->joined || key_of(memory->joined->ref) < *joined))
    lost = joined;
  for (const auto& [model, release] : gate.releases_at_open())
    if (release.run == run->run() && (!memory->unmasked || memory->unmasked->ref.round < release.ref.round))
      lost = std::max(lost, std::optional(key_of(release.ref)));
  if (!lost) return;
  const std::string file = run->journal_file().string();
  spdlog::warn(
      "{}: lacks what the ledger shows up to round {}, attempt {}: it was cut, or put back from a backup. Nothing is "
      "given twice: no attempt up to this one is joined again, and what was signed in them is not released. Check the "
      "disk, and put neither runs/ nor register back from a backup",
      file, lost->round, lost->attempt);
  events.write("journal_lacks_records", {{"file", file}, {"round", lost->round}, {"attempt", lost->attempt}});
}

Result<void> SiteDriver::Parts::open_run(const Offer& accepted, std::unique_ptr<training::Trainer> trainer) {
  // Before anything is given up: the coordinator chose the run's number, and an earlier run may have it.
  auto opened = SiteRun::open(options.folder.run(accepted.run), accepted.run, accepted.plan, keys.log);
  if (!opened && opened.error().code == ErrorCode::permission_denied)
    return refuse_plan(accepted.run, federation::messages::RefusalReason::wrong_run, opened.error());
  if (!opened) return opened.error();
  machine.reset();
  worker.reset();
  run.emplace(std::move(opened).value());
  ruled_out.reset();
  cut_off.clear();
  sits_out.clear();
  shut_out.clear();
  policy_due = attempt_ends = false;
  FOVEA_TRY_ASSIGN(worker, TrainingWorker::start(std::move(trainer)));
  trainer_failed = false;
  FOVEA_TRY(gate.open_run(accepted.run, accepted.plan, run->model_digest()));
  round::SiteConfig config{.self = self.id,
                           .run = accepted.run,
                           .roster = *roster,
                           .identity = keys.identity.copy(),
                           .policy = site_policy(),
                           .software = software,
                           .rosters_past = options.folder.past_rosters(),
                           .threads = std::max(1U, std::thread::hardware_concurrency()),
                           .last_attempt_open = gate.attempt_open().has_value()};
  FOVEA_TRY_ASSIGN(machine,
                   round::SiteMachine::create(std::move(config), run->journal_at_start(), site_register.records()));
  events.write("run_opened", {{"run", accepted.run.text()},
                              {"plan", to_hex(accepted.plan.hash)},
                              {"sums_applied", run->sums_applied()},
                              {"rounds_total", accepted.plan.rounds_total()}});
  warn_of_lost_records();
  spdlog::info("taking part in \"{}\": {} of {} sums are in the model here", accepted.plan.name, run->sums_applied(),
               accepted.plan.rounds_total());
  FOVEA_TRY(feed(round::Tick{clock->monotonic()}));  // the machine has no clock
  FOVEA_TRY_ASSIGN(round::ModelAdopted adopted, run->adopted());
  FOVEA_TRY(feed(std::move(adopted)));
  return feed(round::Connected{});
}

Result<void> SiteDriver::Parts::hold_if_asked(const federation::messages::SignedMessage& message) {
  if (!options.hold || message.kind() != options.hold->answer) return {};
  ByteReader reader(message.payload());
  const auto round = reader.u32("round");
  if (!round || *round != options.hold->round) return {};
  spdlog::warn("holding after {} as asked; SIGCONT goes on", options.hold->text);
  events.write("held", {{"at", options.hold->text}, {"round", *round}});
  options.hold.reset();
  while (!stop) {
    pollfd waiting{signals.number(), POLLIN, 0};
    ::poll(&waiting, 1, -1);
    const int number = next_signal(signals);
    if (number == SIGCONT) break;
    if (number == SIGHUP) reload_due = true;
    else if (number != 0) stop = true;
  }
  return {};
}

}  // namespace fovea::node::io
