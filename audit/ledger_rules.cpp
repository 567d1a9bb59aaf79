#include "audit/ledger_rules.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>
#include <variant>

#include "audit/describe.h"
#include "common/console.h"
#include "federation/ledger/egress_rules.h"
#include "federation/membership/acquaintance.h"
#include "federation/membership/approval.h"
#include "federation/messages/envelope.h"
#include "federation/messages/vector_chunk.h"

namespace fovea::audit {
namespace {

using federation::ledger::EgressIntent;
using federation::messages::MessageKind;
using federation::messages::MessageScope;

constexpr std::size_t kFindingsMax = 100;
// Around the ring words of a chunk: envelope, attempt and index (federation/messages).
constexpr std::uint64_t kChunkOverheadMax = 256;

std::string short_hash(ByteView hash) { return to_hex(hash.first(4)) + "…"; }

std::string attempt_name(const federation::ledger::RoundKey& key) {
  return "round " + std::to_string(key.round) + " attempt " + std::to_string(key.attempt);
}

}  // namespace

LedgerRules::LedgerRules(std::string origin, const KeyRing& ring)
    : origin_(std::move(origin)),
      owner_(origin_.substr(origin_.rfind('/') + 1)),
      ring_(ring),
      coordinator_(owner_ == federation::ledger::kCoordinatorOwner) {}

void LedgerRules::report(std::string where, std::string rule, std::string what) {
  if (findings_.size() < kFindingsMax) findings_.push_back({std::move(where), std::move(rule), std::move(what)});
  ++finding_count_;
}

void LedgerRules::found_unless_missed(std::optional<std::uint64_t> since, std::string rule, std::string what) {
  if (has_missed(since)) ++undecided_;
  else found(std::move(rule), std::move(what));
}

std::optional<std::uint64_t> LedgerRules::last_missed(std::uint64_t index) const {
  const auto after = std::upper_bound(missed_.begin(), missed_.end(), std::pair{index, UINT64_MAX});
  if (after == missed_.begin() || std::prev(after)->second < index) return std::nullopt;
  return std::prev(after)->second;
}

std::string LedgerRules::missed_text() const {
  if (missed_.empty()) return "";
  const auto [first, last] = missed_.front();
  return (first == last ? "entry " + std::to_string(first)
                        : "entries " + std::to_string(first) + " to " + std::to_string(last)) +
         (missed_.size() > 1 ? " and others" : "");
}

std::optional<federation::membership::PublicKeyBytes> signer_of(const federation::ledger::IngressReceipt& receipt,
                                                                const KeyRing& ring) {
  const auto* keys = ring.identity_keys(receipt.site.text());
  const auto kind = federation::ledger::egress_kind(receipt.kind);
  if (keys == nullptr || !kind || !receipt.proof) return std::nullopt;
  const federation::messages::EnvelopeProof proof{
      .version = receipt.proof->envelope,
      .header = {.kind = *kind, .run = receipt.key.run, .sender = receipt.site, .epoch = receipt.proof->epoch},
      .payload_digest = receipt.proof->body,
      .signature = receipt.proof->signature};
  const auto found = std::find_if(keys->begin(), keys->end(), [&](const federation::membership::PublicKeyBytes& key) {
    return federation::messages::verify_proof(proof, key).has_value();
  });
  return found == keys->end() ? std::nullopt : std::optional(*found);
}

void LedgerRules::missed(std::uint64_t first, std::uint64_t last) {
  if (!missed_.empty() && missed_.back().second + 1 == first) missed_.back().second = last;
  else missed_.emplace_back(first, last);
}

void LedgerRules::check(std::uint64_t index, const federation::ledger::StampedEntry& entry,
                        const std::optional<federation::membership::PublicKeyBytes>& signer) {
  index_ = index;
  signer_ = signer;
  at_ = entry.at;
  if (facts_.entries++ == 0) facts_.first = at_;
  facts_.last = at_;
  std::visit([this](const auto& body) { on(body); }, entry.body);
}

std::optional<bool> LedgerRules::is_named_approver(const federation::membership::PublicKeyBytes& approver) {
  const auto* keys = ring_.approver_keys(origin_);
  if (keys == nullptr) return std::nullopt;
  const bool named = std::find(keys->begin(), keys->end(), approver) != keys->end();
  if (named) return true;
  if (lacks_roster_in_force()) {
    ++facts_.approvals_unjudged;
    return std::nullopt;
  }
  found_unless_missed(roster_index_, "approval",
                      "is signed by a key that the roster does not name as this site's approver");
  return has_missed(roster_index_) ? std::nullopt : std::optional(false);
}

void LedgerRules::decide(const Digest& plan, const federation::membership::PublicKeyBytes& approver, ByteView approval,
                         bool approved) {
  if (coordinator_) found("owner", "a coordinator's ledger holds a site's decision about a plan");
  decisions_[plan] = {std::nullopt, index_, decision_about(plan).newest};  // until the evidence is found good
  PlanRecord record{.plan = plan, .person = {}, .index = index_, .at = at_, .approved = approved};
  const auto document = federation::membership::SignedDocument::parse(approval);
  if (!document) return found("approval", "its evidence cannot be read: " + document.error().message);
  const auto decision = federation::membership::verify_approval(*document, approver);
  if (!decision) return found("approval", decision.error().message);
  const auto expected = approved ? federation::membership::ApprovalDecision::approved
                                 : federation::membership::ApprovalDecision::rejected;
  if (decision->plan != plan || decision->site.text() != owner_ || decision->decision != expected)
    return found("approval", "its evidence is about another plan, site or decision");
  const std::optional<bool> named = is_named_approver(approver);
  if (named && !*named) return;
  Decision& in_force = decisions_[plan];
  const bool later = !in_force.newest || decision->decided > *in_force.newest;
  in_force.newest = later ? decision->decided : in_force.newest;
  // A rejection counts whenever it was signed: to stop is always allowed.
  if (approved && !later)
    return found("approval", "was signed before another decision about this plan: an old approval that was put back");
  record.pinned = named.has_value();
  record.person = decision->approver;
  record.reason = decision->reason;
  facts_.decisions.push_back(std::move(record));
  if (approved) in_force.approver = approver;
}

LedgerRules::Decision LedgerRules::decision_about(const Digest& plan) const {
  const auto known = decisions_.find(plan);
  return known == decisions_.end() ? Decision{} : known->second;
}

void LedgerRules::on(const federation::ledger::RosterEpoch& entry) {
  rosters_.insert(entry.roster);
  if (roster_in_force_ != entry.roster) facts_.rosters.push_back({entry, index_, at_});
  roster_in_force_ = entry.roster;
  roster_index_ = index_;
}

// A program that writes the new form never goes back: an entry of the old one would be without what it can be held to.
void LedgerRules::check_form(bool names_what_was_signed) {
  if (new_form_seen_ && !names_what_was_signed)
    found("form", "is of version 1, after entries that name what the site signed");
  new_form_seen_ = new_form_seen_ || names_what_was_signed;
}

// Nor do sums of lengths overflow.
void LedgerRules::check_length(std::uint64_t length) {
  if (length > federation::messages::kWireBytesMax)
    found("checks", std::to_string(length) + " bytes are more than a message has (at most " +
                        std::to_string(federation::messages::kWireBytesMax) + ")");
}

// The coordinator let the message in under the roster in force, and so under the identity key that it names. Where the
// auditor lacks that roster, or an unreadable entry may name a newer one, a key that is on no other may have signed.
ReceiptProof LedgerRules::judge(const federation::ledger::IngressReceipt& entry) {
  if (!entry.proof) return ReceiptProof::old_form;
  if (signer_) return ReceiptProof::site;
  if (roster_in_force_ && ring_.knows_roster(*roster_in_force_) && !has_missed(roster_index_))
    return ReceiptProof::forged;
  return ReceiptProof::unknown_key;
}

// What a site signed says with which keys; of a receipt without a signature only the roster in force can.
std::size_t LedgerRules::log_keys_of(const federation::ledger::IngressReceipt& entry) {
  const auto position = [this](auto found, const auto& find) {
    if (!found.second) return found.first->second;
    facts_.log_keys.push_back(find());
    return found.first->second = facts_.log_keys.size() - 1;
  };
  if (signer_)
    return position(by_signer_.try_emplace({entry.site, *signer_, entry.proof->epoch}, 0),
                    [&] { return ring_.log_keys_beside(entry.site, *signer_, entry.proof->epoch); });
  if (entry.proof || !roster_in_force_ || has_missed(roster_index_)) return 0;
  return position(by_roster_.try_emplace({entry.site, *roster_in_force_}, 0),
                  [&] { return ring_.log_keys_in(entry.site, *roster_in_force_); });
}

template <class Entry>
void LedgerRules::vouch(const Entry& entry, ByteView evidence, bool accepted) {
  if (coordinator_) found("owner", "a coordinator's ledger holds a site's word about another site");
  if (!accepted)  // an attempt that began among sites of which one is a stranger now
    for (auto& [run, attempt] : attempts_) attempt.closed = true;
  const auto document = federation::membership::SignedDocument::parse(evidence);
  if (!document) return found("approval", "its evidence cannot be read: " + document.error().message);
  const auto word = accepted ? federation::membership::verify_acquaintance(*document, entry.approver)
                             : federation::membership::verify_acquaintance_end(*document, entry.approver);
  if (!word) return found("approval", word.error().message);
  const federation::membership::RosterSite named{entry.site, entry.identity_key, entry.transport_key, entry.log_key,
                                                 entry.approver_key};
  const Digest digest = federation::membership::entry_digest(named);
  if (word->site.text() != owner_ || federation::membership::entry_digest(word->accepted) != digest)
    return found("approval", "its evidence is about another site, or about other keys");
  const std::optional<bool> by_approver = is_named_approver(entry.approver);
  if (by_approver && !*by_approver) return;
  // To take one back counts whenever it was signed.
  if (const auto ended = acceptances_ended_.find(digest);
      accepted && ended != acceptances_ended_.end() && word->accepted_at <= ended->second)
    return found("approval", "was signed before it was taken back: an old acceptance that was put back");
  if (!accepted) {
    UnixMs& newest = acceptances_ended_[digest];
    newest = std::max(newest, word->accepted_at);
  }
  facts_.acquaintances.push_back({.site = entry.site.text(),
                                  .accepted = accepted,
                                  .fingerprint = federation::membership::site_fingerprint(named),
                                  .person = word->approver,
                                  .index = index_,
                                  .at = at_,
                                  .pinned = by_approver.has_value()});
}

std::optional<std::uint64_t> LedgerRules::last_opened(const RunId& run) const {
  const auto known = attempts_.find(run);
  return known == attempts_.end() ? std::nullopt : std::optional(known->second.index);
}

LedgerRules::Attempt* LedgerRules::attempt_of(const federation::ledger::RoundKey& key) {
  const auto found_attempt = attempts_.find(key.run);
  return found_attempt != attempts_.end() && found_attempt->second.open.key == key ? &found_attempt->second : nullptr;
}

void LedgerRules::on(const federation::ledger::RoundOpen& entry) {
  ++facts_.rounds_opened;
  facts_.runs.insert(entry.key.run.text());
  if (entry.threshold < 2 || entry.cohort < entry.threshold)
    found("order", attempt_name(entry.key) + ": " + counted(entry.cohort, "site") + " under a threshold of " +
                       std::to_string(entry.threshold));
  facts_.cohort_min = std::min(facts_.cohort_min.value_or(entry.cohort), entry.cohort);
  facts_.threshold_min = std::min(facts_.threshold_min.value_or(entry.threshold), entry.threshold);
  const Decision decision = decision_about(entry.plan);
  if (!coordinator_ && !decision.approver)
    found_unless_missed(decision.index, "plan",
                        attempt_name(entry.key) + " was accepted under a plan that is not approved");
  if (!coordinator_ && !rosters_.contains(entry.roster))
    found_unless_missed({}, "round", attempt_name(entry.key) + " names a roster that was never pinned");
  const auto last = attempts_.find(entry.key.run);
  if (last != attempts_.end() && entry.key <= last->second.open.key)
    found("order", attempt_name(entry.key) + " does not come after " + attempt_name(last->second.open.key));
  attempts_[entry.key.run] = Attempt{.open = entry, .index = index_, .closed = false, .chunks = {}, .chunk_bytes = 0};
}

void LedgerRules::on(const federation::ledger::InputSealed& entry) {
  if (coordinator_) found("owner", "a coordinator's ledger holds a site's commitment");
  if (attempt_of(entry.key) == nullptr)
    found_unless_missed(last_opened(entry.key.run), "round",
                        "a commitment for " + attempt_name(entry.key) + ", which is not open");
}

void LedgerRules::on(const EgressIntent& entry) {
  if (coordinator_) found("owner", "a coordinator's ledger holds a site's egress");
  if (entry.site.text() != owner_)
    found("owner", "egress of the site " + entry.site.text() + " in the ledger of " + owner_);
  check_length(entry.length);
  const auto kind = federation::ledger::egress_kind(entry.kind);
  if (kind) check_intent_rules(entry, *kind);
  else found("checks", "\"" + entry.kind + "\" is not a kind of message that sites send");
  if (entry.previous != previous_egress_)
    found_unless_missed(previous_egress_, "chain",
                        "names " + (entry.previous ? std::to_string(*entry.previous) : std::string("none")) +
                            " as the egress before it, that is " +
                            (previous_egress_ ? std::to_string(*previous_egress_) : std::string("none")));
  previous_egress_ = index_;
  check_budget(entry);
  KindTotal& total = facts_.by_kind[entry.kind];
  ++total.messages;
  total.bytes += entry.length;
  destinations_.insert(entry.destination);
  software_.insert(entry.software);
  if (entry.binding) {
    facts_.privacy.insert(entry.binding->privacy);
    facts_.clips.insert(entry.binding->clip);
    facts_.weights.insert(entry.binding->weights.value_or("studies"));  // as every plan of version 0.1 had it
    bytes_left_[entry.key.run] = entry.bytes_left;
  }
  open_intents_.emplace(index_, facts_.transfers.size());
  check_form(entry.body.has_value());
  facts_.transfers.push_back({.index = index_,
                              .site = entry.site.text(),
                              .kind = entry.kind,
                              .payload = entry.payload,
                              .length = entry.length,
                              .body = entry.body,
                              .at = at_,
                              .run = entry.key.run,
                              .round = entry.key.round});
}

void LedgerRules::check_intent_rules(const EgressIntent& entry, MessageKind kind) {
  std::vector<std::string> checks = entry.checks;
  std::erase(checks, std::string(federation::ledger::kOptionalCheck));
  if (checks != federation::ledger::required_checks(kind))
    found("checks", "a " + entry.kind + " left without every check that its kind needs");
  const bool session = federation::ledger::egress_scope(kind) == MessageScope::session;
  if (session == entry.binding.has_value())
    return found("plan", session ? "a session message claims a plan" : "a " + entry.kind + " left without a plan");
  if (!session) check_binding(entry, kind);
}

void LedgerRules::check_binding(const EgressIntent& entry, MessageKind kind) {
  const federation::ledger::PlanBinding& binding = *entry.binding;
  const Decision decision = decision_about(binding.plan);
  if (!decision.approver)
    found_unless_missed(decision.index, "plan",
                        "left under the plan " + short_hash(binding.plan) + ", which was not approved at that time");
  else if (*decision.approver != binding.approver)
    found_unless_missed(decision.index, "plan", "names another approver than the one who approved the plan");
  if (!rosters_.contains(binding.roster)) found_unless_missed({}, "round", "names a roster that was never pinned");
  if (federation::ledger::egress_scope(kind) != MessageScope::round) return;
  Attempt* attempt = attempt_of(entry.key);
  const std::string not_open = "left for " + attempt_name(entry.key) + ", which is not open";
  if (attempt == nullptr) return found_unless_missed(last_opened(entry.key.run), "round", not_open);
  if (attempt->closed) return found("round", not_open);
  const federation::ledger::RoundOpen& open = attempt->open;
  if (open.plan != binding.plan || open.model != binding.model || open.roster != binding.roster)
    found("round", "names another plan, model or roster than its round was opened with");
  check_once(entry, kind, *attempt);
}

void LedgerRules::check_once(const EgressIntent& entry, MessageKind kind, Attempt& attempt) {
  if (kind == MessageKind::unmask_shares) {
    const auto [first, fresh] = unmasked_.try_emplace({entry.key.run, entry.key.round}, entry.payload);
    if (!fresh && first->second != entry.payload)
      found("once", "a second, different answer to \"unmask\" in round " + std::to_string(entry.key.round));
  }
  if (kind != MessageKind::masked_chunk || !attempt.chunks.insert(entry.payload).second) return;
  attempt.chunk_bytes += entry.length;
  const std::size_t chunks = federation::messages::chunk_count(attempt.open.dimension);
  const std::uint64_t allowed = std::uint64_t{attempt.open.dimension} * 4 + chunks * kChunkOverheadMax;
  if (attempt.chunks.size() > chunks || attempt.chunk_bytes > allowed)
    found("once", "more masked bytes left for " + attempt_name(entry.key) + " than its one vector has");
}

void LedgerRules::check_budget(const EgressIntent& entry) {
  Spent& spent = entry.binding ? run_bytes_[entry.key.run] : session_bytes_;
  // The session's count starts again with the program, and each day.
  const bool restarted = !entry.binding && entry.bytes_spent == entry.length;
  if (entry.bytes_spent != spent.bytes + entry.length && !restarted)
    found_unless_missed(spent.index, "budget",
                        "says that " + std::to_string(entry.bytes_spent) +
                            " bytes were spent; the entries before it add up to " +
                            std::to_string(spent.bytes + entry.length));
  spent = {entry.bytes_spent, index_};
}

void LedgerRules::on(const federation::ledger::EgressSent& entry) {
  if (coordinator_) found("owner", "a coordinator's ledger holds a site's confirmation");
  // Intents of a batch lie side by side; other entries never lie between them.
  for (std::uint64_t i = 0; i < entry.count; ++i) {
    const auto intent = open_intents_.find(entry.first + i);
    if (const auto last = intent == open_intents_.end() ? last_missed(entry.first + i) : std::nullopt) {
      ++undecided_;
      i = *last - entry.first;  // all of them at once: how many is only claimed
      continue;
    }
    if (intent == open_intents_.end())
      return found("sent", "confirms entry " + std::to_string(entry.first + i) + ", which is not an open intent");
    facts_.transfers[intent->second].confirmed = true;
    open_intents_.erase(intent);
  }
}

void LedgerRules::on(const federation::ledger::IngressReceipt& entry) {
  if (!coordinator_) found("owner", "a site's ledger holds a coordinator's receipt");
  if (!federation::ledger::egress_kind(entry.kind))
    found("checks", "\"" + entry.kind + "\" is not a kind of message that sites send");
  check_length(entry.length);
  const bool is_stranger = ring_.has_roster() && !ring_.knows_site(entry.site.text());
  if (is_stranger && !lacks_roster_in_force())
    found_unless_missed(roster_index_, "owner", "a receipt for " + entry.site.text() + ", which no roster names");
  KindTotal& total = facts_.by_kind[entry.kind];
  ++total.messages;
  total.bytes += entry.length;
  check_form(entry.proof.has_value());
  const ReceiptProof proof = judge(entry);
  if (proof == ReceiptProof::forged)
    found("receipt", "a receipt for " + entry.site.text() + " that this site did not sign: the coordinator made it up");
  if (proof == ReceiptProof::unknown_key && has_missed(roster_index_)) ++undecided_;
  else if (proof == ReceiptProof::unknown_key || (is_stranger && lacks_roster_in_force()))
    ++facts_.receipts_unjudged[entry.site.text()];
  facts_.transfers.push_back({.index = index_,
                              .site = entry.site.text(),
                              .kind = entry.kind,
                              .payload = entry.payload,
                              .length = entry.length,
                              .confirmed = true,
                              .body = entry.proof ? std::optional(entry.proof->body) : std::nullopt,
                              .proof = proof,
                              .at = at_,
                              .run = entry.key.run,
                              .round = entry.key.round,
                              .log_keys = log_keys_of(entry)});
}

void LedgerRules::on(const federation::ledger::SiteBlamed& entry) {
  if (!coordinator_) found("owner", "a site's ledger holds a coordinator's blame");
  unpardoned_[{entry.site, entry.run, entry.evidence}].push_back(facts_.blames.size());
  facts_.blames.push_back({.index = index_, .blame = entry});
}

void LedgerRules::on(const federation::ledger::SitePardoned& entry) {
  if (!coordinator_) found("owner", "a site's ledger holds a pardon");
  const auto known = unpardoned_.find({entry.site, entry.run, entry.evidence});
  if (known == unpardoned_.end())
    return found_unless_missed({}, "order", "pardons " + entry.site.text() + ", which was not blamed before");
  for (const std::size_t position : known->second) facts_.blames[position].pardoned = true;
  known->second.clear();  // so that pardons without end cost no more than entries do
}

void LedgerRules::on(const federation::ledger::RoundClose& entry) {
  facts_.runs.insert(entry.key.run.text());
  entry.outcome == "applied" ? ++facts_.rounds_applied : ++facts_.rounds_abandoned;
  Attempt* attempt = attempt_of(entry.key);
  if (attempt == nullptr) return;  // a round that passed while the site was away
  attempt->closed = true;
  if (entry.outcome != "applied") return;
  if (entry.cohort < attempt->open.threshold || entry.cohort > attempt->open.cohort)
    return found("order", "a sum over " + counted(entry.cohort, "site") + ", with a threshold of " +
                              std::to_string(attempt->open.threshold) + " and " + std::to_string(attempt->open.cohort) +
                              " in the round");
  facts_.dropped_sites_max = std::max<std::uint64_t>(facts_.dropped_sites_max, attempt->open.cohort - entry.cohort);
}

void LedgerRules::on(const federation::ledger::Incident& entry) { facts_.incidents.emplace_back(index_, entry); }

void LedgerRules::finish() {
  for (const auto& [run, left] : bytes_left_) facts_.bytes_left[run.text()] = left;
  for (const auto& destination : destinations_) facts_.destinations.insert(to_hex(destination));
  for (const Digest& software : software_) facts_.software.insert(to_hex(software));
  for (const auto& [index, position] : open_intents_) ++facts_.by_kind[facts_.transfers[position].kind].unconfirmed;
}

}  // namespace fovea::audit
