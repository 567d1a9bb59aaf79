#include "audit/describe.h"

#include <array>
#include <cstdio>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "common/console.h"
#include "federation/ledger/egress_rules.h"
#include "federation/membership/approval.h"
#include "federation/membership/signed_document.h"
#include "federation/messages/message_kind.h"

namespace fovea::audit {
namespace {

using federation::ledger::RoundKey;
using federation::messages::MessageKind;

struct KindText {
  MessageKind kind;
  std::string_view meaning, limit;
};

constexpr std::array kKindTexts{
    KindText{MessageKind::hello,
             "a greeting: the last round this site applied, hashes of model and transcript, the program's version",
             "fixed fields and one text of at most 80 bytes, the program's name"},
    KindText{MessageKind::training_progress, "how far the local training is, in thousandths",
             "a round number and a number from 0 to 1000"},
    KindText{MessageKind::training_ready, "that the local training is done, and on which model",
             "a round number and a hash"},
    KindText{MessageKind::keys, "fresh public keys of one round", "two public keys and a signature; drawn at random"},
    KindText{MessageKind::shares, "shares of this round's secret keys, each sealed to one other site",
             "a fixed number of bytes per site; sealed so that the coordinator cannot read them"},
    KindText{MessageKind::masked_chunk, "a piece of this site's update under its masks",
             "as many bytes as the model's trained part has, indistinguishable from random ones until at least the "
             "threshold of sites help to remove the masks, and then only from the sum"},
    KindText{MessageKind::masked_statement, "a signature over the masked update and the list of sites in the round",
             "hashes, a linear hash of the masked update (12 800 bytes), and a signature"},
    KindText{MessageKind::consistency_signature, "a signature that every site saw the same list", "a signature"},
    KindText{MessageKind::unmask_shares, "shares that remove masks from the sum, one kind for each site",
             "one share per site"},
    KindText{MessageKind::attempt_failure, "that this site cannot or will not go on, with a reason from a fixed list",
             "numbers from a fixed list"},
    KindText{MessageKind::beacon_commitment,
             "a promise of this site's part of the random draw from which the sites' neighbours follow, made once per "
             "list of members",
             "two hashes and a signature"},
    KindText{MessageKind::beacon_nonce, "this site's part of that draw, shown once every site has promised its own",
             "two hashes and 32 random bytes"},
};
static_assert(federation::messages::covers(kKindTexts, federation::messages::is_sent_by_site));

const KindText* kind_text(std::string_view name) {
  const auto kind = federation::ledger::egress_kind(name);
  return kind ? federation::messages::find_entry(kKindTexts, *kind) : nullptr;
}

std::string round_text(const RoundKey& key) {
  if (key.round == 0) return "no round";
  std::string text = "round " + std::to_string(key.round);
  if (key.attempt > 0) text += " attempt " + std::to_string(key.attempt);
  return text;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + on_one_line(word);
  return out;
}

// --- one overload an entry type ---

std::string line(const federation::ledger::PlanApproved& e) {
  return "plan " + short_hex(e.plan) + " approved by key " + federation::membership::shortened_key(e.approver);
}
std::string line(const federation::ledger::PlanWithdrawn& e) {
  return "plan " + short_hex(e.plan) + " rejected by key " + federation::membership::shortened_key(e.approver);
}
std::string line(const federation::ledger::RosterEpoch& e) {
  return "roster " + short_hex(e.roster) + ", epoch " + std::to_string(e.epoch) + ", " + counted(e.sites, "site");
}
std::string line(const federation::ledger::RosterAccepted& e) {
  return "site " + e.site.text() + " accepted with identity key " +
         federation::membership::shortened_key(e.identity_key) + " by key " +
         federation::membership::shortened_key(e.approver);
}
std::string line(const federation::ledger::RosterWithdrawn& e) {
  return "acceptance of site " + e.site.text() + " with identity key " + short_hex(e.identity_key) +
         " taken back by key " + short_hex(e.approver);
}
std::string line(const federation::ledger::RoundOpen& e) {
  return round_text(e.key) + ": model " + short_hex(e.model) + ", " + counted(e.cohort, "site") + ", threshold " +
         std::to_string(e.threshold);
}
std::string line(const federation::ledger::InputSealed& e) {
  return round_text(e.key) + ": input committed to, " + short_hex(e.commitment);
}
std::string line(const federation::ledger::EgressIntent& e) {
  return round_text(e.key) + ": " + e.kind + ", " + byte_text(e.length) + ", " + short_hex(e.payload);
}
std::string line(const federation::ledger::EgressSent& e) {
  return e.count == 1 ? "entry " + std::to_string(e.first)
                      : "entries " + std::to_string(e.first) + " to " + std::to_string(e.first + e.count - 1);
}
std::string line(const federation::ledger::IngressReceipt& e) {
  return e.site.text() + ", " + round_text(e.key) + ": " + e.kind + ", " + byte_text(e.length) + ", " +
         short_hex(e.payload);
}
std::string line(const federation::ledger::SiteBlamed& e) {
  return e.site.text() + " left out since round " + std::to_string(e.round) + ": " + e.reason + ", evidence " +
         short_hex(e.evidence);
}
std::string line(const federation::ledger::SitePardoned& e) {
  return e.site.text() + " pardoned, evidence " + short_hex(e.evidence);
}
std::string line(const federation::ledger::RoundClose& e) {
  return round_text(e.key) + ": " + e.outcome +
         (e.outcome == "applied" ? ", sum over " + counted(e.cohort, "site") : "");
}
std::string line(const federation::ledger::Incident& e) { return e.rule + ": " + e.detail; }

// Who decided and why, as the signed document in the entry says; what cannot be read or is another's says nothing.
std::string decision_text(ByteView document, const federation::membership::PublicKeyBytes& approver) {
  const auto signed_document = federation::membership::SignedDocument::parse(document);
  if (!signed_document) return "The signed decision in the entry cannot be read.\n";
  const auto decision = federation::membership::verify_approval(*signed_document, approver);
  if (!decision) return "The decision in the entry is not signed with this key.\n";
  return "The person: " + on_one_line(decision->approver) +
         ". Their reason: " + (decision->reason.empty() ? "none given" : on_one_line(decision->reason)) + ". Signed " +
         utc_text(decision->decided) + ".\n";
}

std::string words(const federation::ledger::PlanApproved& e) {
  return "A person of this site approved the training plan " + to_hex(e.plan) + " with the approver key " +
         to_hex(e.approver) + ". The signed approval itself is part of the entry; `verify` has checked it.\n" +
         decision_text(e.approval, e.approver);
}
std::string words(const federation::ledger::PlanWithdrawn& e) {
  return "A person of this site rejected the training plan " + to_hex(e.plan) + " with the approver key " +
         to_hex(e.approver) + ". From here on nothing may leave under it until a person approves it again.\n" +
         decision_text(e.approval, e.approver);
}
std::string words(const federation::ledger::RosterEpoch& e) {
  return "The site pinned the list of the federation's members, epoch " + std::to_string(e.epoch) + " with " +
         counted(e.sites, "site") + ", hash " + to_hex(e.roster) + ".\n";
}
std::string words(const federation::ledger::RosterAccepted& e) {
  return "A person of this site vouched for the hospital " + e.site.text() +
         ": its keys were compared with that hospital and accepted, with the approver key " + to_hex(e.approver) +
         ". Its identity key is " + to_hex(e.identity_key) +
         ". The signed acceptance itself is part of the entry; `verify` has checked it.\n";
}
std::string words(const federation::ledger::RosterWithdrawn& e) {
  return "A person of this site took back that the hospital " + e.site.text() +
         " was accepted, with the approver key " + to_hex(e.approver) + ". Its identity key is " +
         to_hex(e.identity_key) +
         ". From here on the site counts it as one that works with the coordinator. The signed document itself is part "
         "of the entry; `verify` has checked it.\n";
}
std::string words(const federation::ledger::RoundOpen& e) {
  return "The parameters of " + round_text(e.key) + " of run " + e.key.run.text() +
         " were accepted: " + counted(e.cohort, "site") + ", of which at least " + std::to_string(e.threshold) +
         " must be in the sum. The model is " + to_hex(e.model) +
         "; the site computed it itself from the last sum and compared.\n";
}
std::string words(const federation::ledger::InputSealed& e) {
  return "Before masking, the site committed to the integers it was about to mask: " + to_hex(e.commitment) +
         ". The commitment is salted and says nothing about them.\n";
}
std::string words(const federation::ledger::EgressIntent& e) {
  std::string out = "The site " + e.site.text() + " was about to send a " + on_one_line(e.kind) + " of " +
                    byte_text(e.length) + " for " + round_text(e.key) +
                    (e.key.round > 0 ? " of run " + e.key.run.text() : "") + " to the coordinator (transport key " +
                    to_hex(e.destination) + ").\n";
  out += "What it is: " + std::string(kind_meaning(e.kind)) + ".\n";
  out += "What it can hold: " + std::string(kind_limit(e.kind)) + ".\n";
  out += "Its SHA-256 is " + to_hex(e.payload) + ".\n";
  if (e.binding) {
    out += "Permitted by: plan " + to_hex(e.binding->plan) + ", approved with key " + to_hex(e.binding->approver) +
           ", on model " + to_hex(e.binding->model) + " and roster " + to_hex(e.binding->roster) + ".\n";
    out += "Bound of one number of the update (clipping): " + on_one_line(e.binding->clip) +
           ". Noise: " + on_one_line(e.binding->noise) + ". Privacy mechanism: " + on_one_line(e.binding->privacy) +
           ".\n";
  } else {
    out += "It carries nothing of a plan, and needs no approval.\n";
  }
  out += "Checks passed, in order: " + joined(e.checks) + ".\n";
  return out + "Byte budget: " + byte_text(e.bytes_spent) + " used with this message, " + byte_text(e.bytes_left) +
         " still allowed.\n";
}
std::string words(const federation::ledger::EgressSent& e) {
  return "The site handed to its socket what it had announced in " + line(e) + ".\n";
}
std::string words(const federation::ledger::IngressReceipt& e) {
  return "The coordinator received from " + e.site.text() + " a " + on_one_line(e.kind) + " of " + byte_text(e.length) +
         " for " + round_text(e.key) + ", SHA-256 " + to_hex(e.payload) +
         ".\nWhat it is: " + std::string(kind_meaning(e.kind)) + ".\n" +
         (e.proof
              ? "It holds the site's signature over the contents, SHA-256 " + to_hex(e.proof->body) + ".\n"
              : std::string("It is of version 1, without the site's signature: it proves nothing about the site.\n"));
}
std::string words(const federation::ledger::SiteBlamed& e) {
  return "The coordinator left " + e.site.text() + " (identity key " + to_hex(e.key) + ") out of run " + e.run.text() +
         " from round " + std::to_string(e.round) + " on. Reason: " + on_one_line(e.reason) +
         ". The messages that show it lie in the run's folder at the coordinator; their digest is " +
         to_hex(e.evidence) + ".\n";
}
std::string words(const federation::ledger::SitePardoned& e) {
  return "The administrator with the key " + to_hex(e.administrator) + " took " + e.site.text() + " back into run " +
         e.run.text() + ", from which it was left out on the evidence " + to_hex(e.evidence) + ".\n";
}
std::string words(const federation::ledger::RoundClose& e) {
  if (e.outcome != "applied") return round_text(e.key) + " was abandoned: no sum came of it.\n";
  return round_text(e.key) + " ended: the sum over " + counted(e.cohort, "site") + " was applied and gave the model " +
         to_hex(e.model) + ".\n";
}
std::string words(const federation::ledger::Incident& e) {
  return "Something was refused or went wrong. Rule: " + on_one_line(e.rule) + ". " + on_one_line(e.detail) + ".\n";
}

}  // namespace

std::string byte_text(std::uint64_t bytes) {
  if (bytes < 10'000) return counted(bytes, "byte");
  constexpr std::array<const char*, 4> kUnits{"kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  for (; value >= 999.95 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.1f %s", value, kUnits[unit]);
  return buffer.data();
}

std::string on_one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') out += "\\x0a";
    else if (c == '\t') out += "\\x09";
    else out += c;
  }
  return out;
}

std::string short_hex(ByteView bytes) { return to_hex(bytes.first(4)); }

std::string_view kind_meaning(std::string_view kind) {
  const KindText* text = kind_text(kind);
  return text == nullptr ? "a kind of message that this program does not know" : text->meaning;
}

std::string_view kind_limit(std::string_view kind) {
  const KindText* text = kind_text(kind);
  return text == nullptr ? "unknown" : text->limit;
}

std::size_t kind_count() noexcept { return kKindTexts.size(); }

std::string one_line(const federation::ledger::LedgerEntry& entry) {
  return on_one_line(std::visit([](const auto& body) { return line(body); }, entry));
}

std::string explanation(std::uint64_t index, const federation::ledger::StampedEntry& entry) {
  return "Entry " + std::to_string(index) + ", " + std::string(federation::ledger::entry_type(entry.body)) +
         ", written " + utc_text(entry.at) + " by the clock of its owner.\n" +
         std::visit([](const auto& body) { return words(body); }, entry.body);
}

}  // namespace fovea::audit
