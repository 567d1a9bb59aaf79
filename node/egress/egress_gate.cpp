#include "node/egress/egress_gate.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <utility>
#include <variant>

#include "common/check.h"
#include "crypto/hash.h"
#include "federation/membership/acquaintance.h"
#include "federation/membership/approval.h"
#include "node/egress/outbound_message.h"
#include "node/egress/signed_entries.h"
#include "node/egress/uniformity.h"

namespace fovea::node::egress {
namespace {

using federation::ledger::EgressIntent;
using federation::ledger::LedgerEntry;
using federation::ledger::RoundKey;

constexpr std::size_t kIncidentDetailMax = 500;  // as entries allow
constexpr std::int64_t kRefusedEveryMs = 60'000;

std::string more_refused(std::uint64_t count) {
  return std::to_string(count) + " more were refused by this rule since the last entry about it";
}

std::string round_name(const RoundKey& key) {
  return "round " + std::to_string(key.round) + " attempt " + std::to_string(key.attempt);
}

// The shortest decimal text that reads back as the same number.
std::string decimal_text(double value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return std::string(buffer.data(), end.ptr);
}

}  // namespace

Result<EgressGate> EgressGate::open(federation::ledger::LedgerOptions ledger, EgressPolicy policy, const Clock& clock) {
  EgressGate gate(std::move(policy), clock);
  FOVEA_TRY_ASSIGN(auto opened,
                   federation::ledger::Ledger::open(
                       std::move(ledger), [&gate](std::uint64_t index, const auto& entry) -> Result<void> {
                         FOVEA_TRY(check_signed_entry(index, entry.body, gate.policy_.site, gate.policy_.approver));
                         gate.learn(index, entry);
                         return {};
                       }));
  gate.ledger_.emplace(std::move(opened));
  if (const std::uint64_t torn = gate.ledger_->recovery().torn_bytes; torn > 0) {
    const LedgerEntry incident = federation::ledger::Incident{
        "torn-tail",
        std::to_string(torn) + " bytes of an unfinished last write were dropped after a crash; nothing of it was sent"};
    FOVEA_TRY(gate.record(incident));
    FOVEA_TRY(gate.ledger_->sync());
  }
  return gate;
}

void EgressGate::learn(std::uint64_t index, const federation::ledger::StampedEntry& entry) {
  decisions_.learn(entry.body);
  acquaintances_.learn(entry.body);
  if (const auto* epoch = std::get_if<federation::ledger::RosterEpoch>(&entry.body)) {
    recorded_roster_ = epoch->roster;
  } else if (const auto* open = std::get_if<federation::ledger::RoundOpen>(&entry.body)) {
    last_open_[open->key.run] = *open;
  } else if (const auto* close = std::get_if<federation::ledger::RoundClose>(&entry.body)) {
    last_closed_[close->key.run] = close->key;
  } else if (const auto* intent = std::get_if<EgressIntent>(&entry.body)) {
    if (intent->binding) run_bytes_[intent->key.run] = intent->bytes_spent;
    previous_egress_ = index;
    unconfirmed_.insert(index);
    learn_release(*intent);
  } else if (const auto* sent = std::get_if<federation::ledger::EgressSent>(&entry.body)) {
    unconfirmed_.erase(unconfirmed_.lower_bound(sent->first), unconfirmed_.lower_bound(sent->first + sent->count));
  }
}

void EgressGate::learn_release(const EgressIntent& intent) {
  using federation::messages::MessageKind;
  const auto open = last_open_.find(intent.key.run);
  if (intent.kind != federation::messages::to_string(MessageKind::unmask_shares) || open == last_open_.end() ||
      open->second.key != intent.key)
    return;
  const federation::ledger::RoundOpen& round = open->second;
  releases_at_open_.insert_or_assign(
      round.model, RecordedRelease{round.key.run, {round.key.round, round.key.attempt, round.parameters}});
}

Result<void> EgressGate::append(LedgerEntry entry) {
  FOVEA_TRY(ledger_->append(clock_->wall(), std::span(&entry, 1)));
  return {};
}

// The refusal is made durable too: a site that was asked for what it must not give should be able to show it. Not each
// one of many, for whoever asks without end would fill the disk: one for each rule and minute says how many there were.
Error EgressGate::refuse(const Refusal& refusal) {
  const std::string message = "egress refused by rule " + std::string(refusal.rule) + ": " + refusal.detail;
  const MonotonicMs now = clock_->monotonic();
  Refused& known = refused_[std::string(refusal.rule)];
  if (known.recorded_at && now.value - known.recorded_at->value < kRefusedEveryMs) {
    ++known.unrecorded;
    return permission_denied(message);
  }
  const std::string count = known.unrecorded > 0 ? "; " + more_refused(known.unrecorded) : "";
  Result<void> recorded = append(federation::ledger::Incident{
      std::string(refusal.rule), refusal.detail.substr(0, kIncidentDetailMax - count.size()) + count});
  if (recorded) recorded = ledger_->sync();
  if (!recorded)
    return permission_denied(message + " (and it could not be recorded: " + recorded.error().message + ")");
  known = {now, 0};
  return permission_denied(message);
}

Result<void> EgressGate::decide_plan(const federation::membership::SignedDocument& approval) {
  FOVEA_TRY_ASSIGN(const federation::membership::Approval decision,
                   federation::membership::verify_approval(approval, policy_.approver));
  if (decision.site != policy_.site)
    return permission_denied("approval: is for the site " + decision.site.text() + ", this is " + policy_.site.text());
  const bool approved = decision.decision == federation::membership::ApprovalDecision::approved;
  FOVEA_TRY_ASSIGN(const bool counts, decisions_.admit(decision));
  if (!counts) return {};
  const Bytes evidence = approval.serialize();
  FOVEA_TRY(append(approved
                       ? LedgerEntry(federation::ledger::PlanApproved{decision.plan, policy_.approver, evidence})
                       : LedgerEntry(federation::ledger::PlanWithdrawn{decision.plan, policy_.approver, evidence})));
  if (!approved) FOVEA_TRY(abandon_open_rounds(decision.plan));
  FOVEA_TRY(ledger_->publish());  // in the journal alone, an older journal that is put back would undo it
  decisions_.take(decision);
  return {};
}

// Also when the plan is approved again: what was begun before the withdrawal is over. That of any run, for the decision
// may have come while no run was open here.
Result<void> EgressGate::abandon_open_rounds(const std::optional<Digest>& plan) {
  for (const auto& [run, open] : last_open_)
    if ((!plan || open.plan == *plan) && !is_closed(open.key)) FOVEA_TRY(abandon_round(open));
  return {};
}

Result<void> EgressGate::abandon_round(const federation::ledger::RoundOpen& open) {
  return close_round({.key = open.key, .outcome = "abandoned", .model = open.model, .cohort = 0});
}

Result<void> EgressGate::change_policy(std::uint32_t cohort_min, std::uint64_t run_bytes_max,
                                       const std::optional<std::string>& forbidden) {
  policy_.cohort_min = cohort_min;
  policy_.run_bytes_max = run_bytes_max;
  const std::optional<Digest> before = std::exchange(forbidden_, std::nullopt);
  if (!forbidden || !run_) return {};
  forbidden_ = run_->plan;
  if (before == forbidden_) return {};
  FOVEA_TRY(append(federation::ledger::Incident{"policy", forbidden->substr(0, kIncidentDetailMax)}));
  FOVEA_TRY(abandon_open_rounds(run_->plan));
  return ledger_->sync();
}

Result<void> EgressGate::decide_sites(std::span<const federation::membership::SignedDocument> words) {
  std::vector<LedgerEntry> entries;
  SiteAcquaintances after = acquaintances_;
  bool ended = false;
  for (const federation::membership::SignedDocument& document : words) {
    FOVEA_TRY_ASSIGN(const federation::membership::Acquaintance word,
                     federation::membership::verify_word_about_site(document, policy_.approver));
    if (word.site != policy_.site)
      return permission_denied("acquaintance: is for the site " + word.site.text() + ", this is " +
                               policy_.site.text());
    FOVEA_TRY_ASSIGN(const bool counts, after.admit(word));
    if (!counts) continue;
    after.take(word);
    ended = ended || word.ended;
    const federation::membership::RosterSite& other = word.accepted;
    if (word.ended)
      entries.emplace_back(federation::ledger::RosterWithdrawn{other.id, other.identity_key, other.transport_key,
                                                               other.log_key, other.approver_key, policy_.approver,
                                                               document.serialize()});
    else
      entries.emplace_back(federation::ledger::RosterAccepted{other.id, other.identity_key, other.transport_key,
                                                              other.log_key, other.approver_key, policy_.approver,
                                                              document.serialize()});
  }
  if (entries.empty()) return {};
  FOVEA_TRY(ledger_->append(clock_->wall(), entries));
  // What was masked or dealt among sites that a person vouched for would leave among others.
  if (ended) FOVEA_TRY(abandon_open_rounds(std::nullopt));
  FOVEA_TRY(ledger_->publish());  // as a decision is
  acquaintances_ = std::move(after);
  return {};
}

bool EgressGate::plan_approved(const Digest& plan) const { return approved_by_person(plan) && forbidden_ != plan; }

bool EgressGate::approved_by_person(const Digest& plan) const { return decisions_.is_approved(plan); }

std::optional<RoundKey> EgressGate::last_joined(const RunId& run) const {
  const auto found = last_open_.find(run);
  return found == last_open_.end() ? std::nullopt : std::optional(found->second.key);
}

Result<void> EgressGate::pin_roster(const federation::membership::Roster& roster) {
  if (recorded_roster_ != roster.hash)
    FOVEA_TRY(append(
        federation::ledger::RosterEpoch{roster.epoch, roster.hash, static_cast<std::uint32_t>(roster.sites.size())}));
  recorded_roster_ = roster.hash;
  roster_ = roster.hash;
  // What was signed in an attempt counts sites by their places on its roster.
  for (const auto& [run, open] : last_open_)
    if (open.roster != roster.hash && !is_closed(open.key)) FOVEA_TRY(abandon_round(open));
  return {};
}

// Each site's ledger names every roster that it went by, so that two of one epoch show when ledgers are compared.
Result<void> EgressGate::record_past_roster(const federation::membership::Roster& past,
                                            const federation::membership::Roster& pinned) {
  const auto entry = [](const federation::membership::Roster& roster) {
    return federation::ledger::RosterEpoch{roster.epoch, roster.hash, static_cast<std::uint32_t>(roster.sites.size())};
  };
  const LedgerEntry entries[] = {entry(past), entry(pinned)};
  FOVEA_TRY(ledger_->append(clock_->wall(), entries));
  return ledger_->sync();
}

Result<void> EgressGate::open_run(const RunId& run, const federation::membership::Plan& plan, const Digest& model) {
  if (!plan_approved(plan.hash))
    return refuse(
        {"plan", "nobody at this site has approved the plan " + to_hex(plan.hash) + "; see fovea-node plan show"});
  if (plan.privacy_mechanism != "none")
    return refuse({"budget", "this site has no accountant for the plan's privacy mechanism"});
  // An attempt that a restart interrupted: what the site signed before may still leave, and the coordinator does not
  // announce it a second time.
  round_.reset();
  const auto last = last_open_.find(run);
  if (last != last_open_.end() && last->second.plan == plan.hash && !is_closed(last->second.key)) {
    if (roster_ && last->second.roster == *roster_) round_ = last->second;
    else FOVEA_TRY(abandon_round(last->second));
  }
  run_ = Run{run, plan.hash, model, decimal_text(plan.strategy.delta_max),
             std::string(federation::membership::to_string(plan.strategy.weights))};
  return {};
}

Result<void> EgressGate::set_model(const Digest& model) {
  if (!run_) return failed_precondition("egress gate: no run is open");
  run_->model = model;
  return {};
}

bool EgressGate::is_closed(const RoundKey& key) const {
  const auto closed = last_closed_.find(key.run);
  return closed != last_closed_.end() && key <= closed->second;
}

std::optional<RoundKey> EgressGate::attempt_open() const { return round_ ? std::optional(round_->key) : std::nullopt; }

std::optional<EgressGate::Refusal> EgressGate::check_round(const federation::secagg::RoundParameters& announced,
                                                           const OwnRound& own) const {
  if (!run_ || run_->run != announced.run || !plan_approved(run_->plan))
    return Refusal{"plan", "the round belongs to a run without an approved plan"};
  if (announced.plan_hash != run_->plan) return Refusal{"plan", "the round names another plan than the one approved"};
  if (announced.model_hash != own.model || own.model != run_->model)
    return Refusal{"model", "the coordinator announces another model than this site has computed"};
  if (!roster_ || announced.roster_hash != *roster_)
    return Refusal{"model", "the round names another roster than the one pinned"};
  if (announced.dimension != own.dimension)
    return Refusal{"model", "the round's vector has another length than the plan's model"};
  if (announced.noise != 0) return Refusal{"budget", "the round asks for a privacy mechanism that was not approved"};
  const std::size_t cohort = announced.candidates.size();
  if (cohort < policy_.cohort_min || cohort < announced.thresholds.threshold)
    return Refusal{"cohort", std::to_string(cohort) + " sites are below this site's minimum or the threshold"};
  if (announced.graph && announced.signatures_min() < policy_.cohort_min)
    return Refusal{"cohort",
                   "a sum of " + std::to_string(announced.signatures_min()) + " sites is below this site's minimum"};
  const auto last = last_open_.find(announced.run);
  if (last == last_open_.end()) return std::nullopt;
  const RoundKey& newest = last->second.key;
  const RoundKey key{announced.run, announced.round, announced.attempt};
  if (key < newest || (key == newest && announced.hash() != last->second.parameters))
    return Refusal{"model", round_name(key) + " does not come after " + round_name(newest)};
  if (is_closed(key)) return Refusal{"model", round_name(key) + " is closed"};
  return std::nullopt;
}

Result<void> EgressGate::open_round(const federation::secagg::RoundParameters& announced, const OwnRound& own) {
  if (const auto refusal = check_round(announced, own)) return refuse(*refusal);
  const RoundKey key{announced.run, announced.round, announced.attempt};
  const federation::ledger::RoundOpen entry{.key = key,
                                            .plan = announced.plan_hash,
                                            .model = announced.model_hash,
                                            .roster = announced.roster_hash,
                                            .parameters = announced.hash(),
                                            .cohort = static_cast<std::uint32_t>(announced.candidates.size()),
                                            .threshold = announced.thresholds.threshold,
                                            .dimension = announced.dimension};
  const auto last = last_open_.find(key.run);
  if (last == last_open_.end() || last->second.key != key) FOVEA_TRY(append(entry));
  last_open_[key.run] = entry;
  round_ = entry;
  return {};
}

Result<void> EgressGate::close_round(const federation::ledger::RoundClose& close) {
  FOVEA_TRY(append(close));
  last_closed_[close.key.run] = close.key;
  if (round_ && round_->key == close.key) round_.reset();
  return {};
}

// The run, plan, model and round that a message is bound to, and that they are the ones in force.
std::optional<EgressGate::Refusal> EgressGate::check_binding(const OutboundMessage& message,
                                                             EgressIntent& intent) const {
  if (message.scope == MessageScope::session) return std::nullopt;
  if (!run_ || run_->run != message.key.run || !plan_approved(run_->plan))
    return Refusal{"plan", "a " + intent.kind + " needs a plan that a person at this site approved"};
  intent.checks.emplace_back("plan");
  if (!roster_) return Refusal{"model", "no roster is pinned"};
  if (message.model && *message.model != run_->model)
    return Refusal{"model", "the message names another model than this site has computed"};
  if (message.scope == MessageScope::round &&
      (!round_ || round_->key != message.key || round_->parameters != message.parameters))
    return Refusal{"model", round_name(message.key) + " is not the attempt that is open"};
  intent.checks.emplace_back("model");
  // A round keeps what it was opened with, even when the site has gone on to the next model meanwhile.
  const bool of_round = message.scope == MessageScope::round;
  intent.binding = federation::ledger::PlanBinding{.plan = run_->plan,
                                                   .model = of_round ? round_->model : run_->model,
                                                   .roster = of_round ? round_->roster : *roster_,
                                                   .approver = policy_.approver,
                                                   .clip = run_->clip,
                                                   .noise = "none",
                                                   .privacy = "none",
                                                   .weights = run_->weights};
  return std::nullopt;
}

std::optional<EgressGate::Refusal> EgressGate::check_vector(const OutboundMessage& message,
                                                            EgressIntent& intent) const {
  if (message.scope != MessageScope::round) return std::nullopt;
  if (message.chunk) {
    if (const auto block = first_non_uniform_block(message.chunk->words))
      return Refusal{"uniform", "the masked vector does not look random at byte " + std::to_string(*block) +
                                    " of chunk " + std::to_string(message.chunk->index) +
                                    ": its mask is missing or broken"};
    intent.checks.emplace_back("uniform");
  }
  if (round_->cohort < policy_.cohort_min) return Refusal{"cohort", "the cohort is below this site's minimum"};
  // In the complete graph the shares say who is in the sum; in a neighbour graph they name neighbours only, and the
  // fewest sites of the sum were checked when the attempt was opened.
  if (message.summed && round_->cohort <= federation::messages::kCompleteGraphMax &&
      *message.summed < policy_.cohort_min)
    return Refusal{"cohort", "the sum is over " + std::to_string(*message.summed) + " sites, this site's minimum is " +
                                 std::to_string(policy_.cohort_min)};
  intent.checks.emplace_back("cohort");
  return std::nullopt;
}

// Names must not travel in any field, whatever a later version of a message may hold. Ring words are left out: they
// were just found to be random, and at their size any short text would turn up by chance.
std::optional<EgressGate::Refusal> EgressGate::check_identifiers(ByteView wire, const OutboundMessage& message,
                                                                 EgressIntent& intent) const {
  if (policy_.identifiers.empty()) return std::nullopt;
  const std::size_t words = message.chunk ? message.chunk->words.size() : 0;
  const std::string_view text = as_text(wire.first(wire.size() - words));
  for (const std::string& identifier : policy_.identifiers)
    if (identifier.size() >= kIdentifierBytesMin && text.find(identifier) != std::string_view::npos)
      return Refusal{std::string_view(federation::ledger::kOptionalCheck),
                     "a " + intent.kind + " holds a name or identifier that must not leave this site"};
  intent.checks.emplace_back(federation::ledger::kOptionalCheck);
  return std::nullopt;
}

std::optional<EgressGate::Refusal> EgressGate::check_budget(Spending& spending, EgressIntent& intent) const {
  const bool session = !intent.binding;
  const std::uint64_t limit = session ? policy_.session_bytes_max : policy_.run_bytes_max;
  std::uint64_t& spent =
      session ? spending.session_bytes
              : spending.run_bytes.try_emplace(intent.key.run, run_bytes_spent(intent.key.run)).first->second;
  if (spent > limit || intent.length > limit - spent)
    return Refusal{"budget", "the " + std::string(session ? "session" : "run") + " has sent " + std::to_string(spent) +
                                 " of " + std::to_string(limit) + " bytes; a " + intent.kind + " of " +
                                 std::to_string(intent.length) + " bytes does not fit"};
  spent += intent.length;
  intent.bytes_spent = spent;
  intent.bytes_left = limit - spent;
  intent.checks.emplace_back("budget");
  return std::nullopt;
}

std::optional<EgressGate::Refusal> EgressGate::check_message(ByteView wire, Spending& spending,
                                                             EgressIntent& intent) const {
  const Result<federation::messages::UncheckedEnvelope> envelope = read_outbound_envelope(wire, policy_.site);
  if (!envelope) return Refusal{"kind", envelope.error().message};
  crypto::Sha256 hash;
  const std::size_t signed_size = federation::messages::kPayloadOffset + envelope->payload.size();
  intent.body = hash.update(wire.first(signed_size)).so_far();
  intent.payload = hash.update(wire.subspan(signed_size)).finish();
  intent.kind = std::string(federation::messages::to_string(envelope->header.kind));
  intent.checks.emplace_back("kind");
  const Result<OutboundMessage> message = read_outbound_message(*envelope);
  if (!message) return Refusal{"length", intent.kind + ": " + message.error().message};
  if (round_ && message->sites > round_->cohort)
    return Refusal{"length", intent.kind + ": more entries than the cohort has sites"};
  if (round_ && message->chunk &&
      message->chunk->words.size() !=
          federation::messages::chunk_size(round_->dimension, message->chunk->index) * sizeof(std::uint32_t))
    return Refusal{"length", intent.kind + ": not the length of this chunk of the round's vector"};
  intent.checks.emplace_back("length");
  intent.key = message->key;
  if (auto refusal = check_binding(*message, intent)) return refusal;
  if (auto refusal = check_vector(*message, intent)) return refusal;
  if (auto refusal = check_identifiers(wire, *message, intent)) return refusal;
  return check_budget(spending, intent);
}

Result<std::vector<EgressTicket>> EgressGate::intend(std::span<const ByteView> wires) {
  std::vector<LedgerEntry> intents;
  std::vector<EgressTicket> tickets;
  if (const MonotonicMs now = clock_->monotonic(); now.value - session_since_.value >= kSessionMs) {
    session_since_ = now;
    session_bytes_ = 0;
  }
  Spending spending{.run_bytes = {}, .session_bytes = session_bytes_};
  std::optional<std::uint64_t> previous = previous_egress_;
  for (const ByteView wire : wires) {
    EgressIntent intent{.site = policy_.site,
                        .destination = policy_.destination,
                        .length = wire.size(),
                        .software = policy_.software,
                        .previous = previous};
    if (const auto refusal = check_message(wire, spending, intent)) return refuse(*refusal);
    tickets.push_back({ledger_->size() + intents.size()});
    previous = tickets.back().intent;
    intents.emplace_back(std::move(intent));
  }
  if (intents.empty()) return tickets;
  FOVEA_TRY_ASSIGN(const std::uint64_t first, ledger_->append(clock_->wall(), intents));
  FOVEA_CHECK(first == tickets.front().intent);
  FOVEA_TRY(ledger_->sync());
  for (const EgressTicket& ticket : tickets) unconfirmed_.insert(ticket.intent);
  for (const auto& [run, bytes] : spending.run_bytes) run_bytes_[run] = bytes;
  session_bytes_ = spending.session_bytes;
  previous_egress_ = previous;
  return tickets;
}

Result<void> EgressGate::sent(std::span<const EgressTicket> tickets) {
  std::vector<LedgerEntry> entries;
  federation::ledger::EgressSent range;
  for (const EgressTicket& ticket : tickets) {
    if (!unconfirmed_.contains(ticket.intent) || (range.count > 0 && ticket.intent < range.first + range.count))
      return invalid_argument("egress gate: intent " + std::to_string(ticket.intent) +
                              " does not exist, is confirmed already or is out of order");
    if (range.count > 0 && ticket.intent == range.first + range.count) {
      ++range.count;
      continue;
    }
    if (range.count > 0) entries.emplace_back(range);
    range = {ticket.intent, 1};
  }
  if (range.count == 0) return {};
  entries.emplace_back(range);
  FOVEA_TRY(ledger_->append(clock_->wall(), entries));
  for (const EgressTicket& ticket : tickets) unconfirmed_.erase(ticket.intent);
  return {};
}

Result<void> EgressGate::record(const LedgerEntry& entry) {
  const bool allowed = std::holds_alternative<federation::ledger::InputSealed>(entry) ||
                       std::holds_alternative<federation::ledger::Incident>(entry);
  if (!allowed)
    return invalid_argument("egress gate: " + std::string(federation::ledger::entry_type(entry)) +
                            " entries are written by the gate itself");
  return append(entry);
}

Result<void> EgressGate::checkpoint() { return ledger_->publish(); }

Result<void> EgressGate::publish() {
  for (auto& [rule, refused] : refused_) {
    if (refused.unrecorded == 0) continue;
    FOVEA_TRY(append(federation::ledger::Incident{rule, more_refused(refused.unrecorded)}));
    refused.unrecorded = 0;
  }
  return checkpoint();
}

std::uint64_t EgressGate::run_bytes_spent(const RunId& run) const {
  const auto spent = run_bytes_.find(run);
  return spent == run_bytes_.end() ? 0 : spent->second;
}

}  // namespace fovea::node::egress
