#include "audit/views.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>

#include "audit/describe.h"
#include "common/bytes.h"
#include "common/console.h"

namespace fovea::audit {
namespace {

using nlohmann::ordered_json;

ordered_json count_json(const TransferCount& count) { return {{"messages", count.messages}, {"bytes", count.bytes}}; }

std::string count_text(const TransferCount& count) {
  return std::to_string(count.messages) + " (" + byte_text(count.bytes) + ")";
}

// Beyond those that are listed.
std::uint64_t not_listed(const SiteReconciliation& site) {
  return site.unlogged.messages - site.unlogged_receipts.size();
}

ordered_json receipts_json(const SiteReconciliation& site) {
  ordered_json out = ordered_json::array();
  for (const UnloggedReceipt& receipt : site.unlogged_receipts)
    out.push_back({{"entry", receipt.index}, {"convicts", to_string(receipt.culprit)}, {"why", receipt.why}});
  return out;
}

std::uint64_t bytes_of(const LedgerFacts& facts) {
  std::uint64_t bytes = 0;
  for (const auto& [kind, total] : facts.by_kind) bytes += total.bytes;
  return bytes;
}

ordered_json facts_json(const LedgerFacts& facts) {
  ordered_json kinds = ordered_json::object();
  for (const auto& [kind, total] : facts.by_kind)
    kinds[kind] = {{"messages", total.messages}, {"bytes", total.bytes}, {"unconfirmed", total.unconfirmed}};
  ordered_json decisions = ordered_json::array();
  for (const PlanRecord& record : facts.decisions)
    decisions.push_back({{"entry", record.index},
                         {"plan", to_hex(record.plan)},
                         {"decision", record.approved ? "approved" : "rejected"},
                         {"person", record.person},
                         {"reason", record.reason},
                         {"key_in_roster", record.pinned},
                         {"at_ms", record.at.value}});
  ordered_json blames = ordered_json::array();
  for (const BlameRecord& record : facts.blames)
    blames.push_back({{"entry", record.index},
                      {"site", record.blame.site.text()},
                      {"key", to_hex(record.blame.key)},
                      {"run", record.blame.run.text()},
                      {"round", record.blame.round},
                      {"reason", record.blame.reason},
                      {"evidence", to_hex(record.blame.evidence)},
                      {"pardoned", record.pardoned}});
  ordered_json acquaintances = ordered_json::array();
  for (const AcquaintanceRecord& record : facts.acquaintances)
    acquaintances.push_back({{"entry", record.index},
                             {"site", record.site},
                             {"accepted", record.accepted},
                             {"fingerprint", record.fingerprint},
                             {"person", record.person},
                             {"key_in_roster", record.pinned},
                             {"at_ms", record.at.value}});
  ordered_json rosters = ordered_json::array();
  for (const RosterRecord& record : facts.rosters)
    rosters.push_back({{"entry", record.index},
                       {"epoch", record.named.epoch},
                       {"roster", to_hex(record.named.roster)},
                       {"sites", record.named.sites},
                       {"at_ms", record.at.value}});
  ordered_json incidents = ordered_json::array();
  for (const auto& [index, incident] : facts.incidents)
    incidents.push_back({{"entry", index}, {"rule", incident.rule}, {"detail", incident.detail}});
  return {{"bytes", bytes_of(facts)},
          {"kinds", kinds},
          {"rounds",
           {{"opened", facts.rounds_opened}, {"applied", facts.rounds_applied}, {"abandoned", facts.rounds_abandoned}}},
          {"runs", facts.runs},
          {"destinations", facts.destinations},
          {"software", facts.software},
          {"privacy", facts.privacy},
          {"weights", facts.weights},
          {"bytes_left", facts.bytes_left},
          {"decisions", decisions},
          {"blames", blames},
          {"rosters", rosters},
          {"acquaintances", acquaintances},
          {"incidents", incidents},
          {"first_at_ms", facts.first.value},
          {"last_at_ms", facts.last.value}};
}

std::string verdict_text(Verdict verdict) {
  if (verdict == Verdict::unverified) return "NOT VERIFIED";
  return verdict == Verdict::pass ? "PASS" : "FAIL";
}

// Whose ledgers contradict each other, in a sentence of its own; empty where nobody's do.
std::string forked(const std::vector<AuditedLedger>& ledgers) {
  std::set<std::string> owners;
  for (const AuditedLedger& ledger : ledgers)
    if (ledger.forked) owners.insert(ledger.owner);
  std::string out;
  for (const std::string& owner : owners) out += (out.empty() ? " " : ", ") + owner;
  return out.empty() ? "" : out + " signed two ledgers that contradict each other.";
}

// A ledger with such entries never passes: they may hold anything. Empty where there is none.
std::string of_newer_version(const std::vector<AuditedLedger>& ledgers) {
  std::uint64_t count = 0;
  for (const AuditedLedger& ledger : ledgers) count += ledger.of_newer_version;
  if (count == 0) return "";
  return " (" + counted(count, "entry is of a type or version", "entries are of types or versions") +
         " that only a newer program knows)";
}

// What the auditor lacks of which, each once.
std::string lacking(const Reconciliation& reconciliation) {
  constexpr std::size_t kShown = 5;
  std::size_t count = 0;
  std::string out;
  for (const SiteReconciliation& site : reconciliation.sites)
    for (const std::string& what : site.lacking)
      if (count++ < kShown) out += (out.empty() ? "" : "; ") + on_one_line(what);
  if (count > kShown) out += "; and " + std::to_string(count - kShown) + " more";
  return out;
}

// Of the names that the auditor gave.
std::string canary_text(const AuditedLedger& ledger) {
  const std::string given =
      counted(ledger.canaries_searched, "given name or identifier", "given names and identifiers");
  if (ledger.canary_hits > 0) return "searched for " + given + ", and found them where it is said above";
  return "none of " + given + " occurs in any entry" + (ledger.whole ? "" : " that could be read");
}

std::string not_listed_text(const SiteReconciliation& site) {
  const std::uint64_t listed_against = static_cast<std::uint64_t>(
      std::count_if(site.unlogged_receipts.begin(), site.unlogged_receipts.end(),
                    [](const UnloggedReceipt& receipt) { return receipt.culprit != Culprit::nobody; }));
  const std::uint64_t against = site.against_site.messages + site.against_coordinator.messages - listed_against;
  return counted(not_listed(site), "more of the coordinator's entries has", "more of the coordinator's entries have") +
         " no intent in the site's ledger, " +
         (against == 0
              ? std::string("and convict nobody")
              : "of which " + std::to_string(against) + (against == 1 ? " convicts" : " convict") + " somebody");
}

// What no copy that ends so early can hold, and what it could. Neither accuses anybody: a message may be lost on its
// way.
std::string end_text(const Reconciliation& reconciliation) {
  std::uint64_t all = 0, after = 0;
  for (const SiteReconciliation& site : reconciliation.sites) {
    all += site.unconfirmed.messages;
    after += site.unconfirmed_after.messages;
  }
  if (all == 0 || !reconciliation.coordinator_ends) return "";
  return "the coordinator's copy ends at " + utc_text(*reconciliation.coordinator_ends) + "; of " +
         counted(all, "message") + " sent but unconfirmed " + std::to_string(after) + (after == 1 ? " was" : " were") +
         " announced after it, and " + std::to_string(all - after) + " before" +
         (all == after ? ""
          : reconciliation.compared == Compared::everything
              ? " (lost on the way, on the way when it ended, or never sent)"
              : " (it may be in what cannot be read of that copy)") +
         (after > 0 ? ". A newer copy of the coordinator's ledger shows what became of those after it" : "");
}

// "what it received of dora (3 messages) was not looked at: …"; empty where every ledger was given.
std::string not_looked_at_text(const Reconciliation& reconciliation) {
  const std::vector<std::string> sites = reconciliation.not_looked_at();
  if (sites.empty()) return "";
  constexpr std::size_t kNamesMax = 10;
  TransferCount all;
  for (const SiteReconciliation& site : reconciliation.sites) {
    all.messages += site.not_looked_at.messages;
    all.bytes += site.not_looked_at.bytes;
  }
  std::string names;
  for (std::size_t i = 0; i < std::min(sites.size(), kNamesMax); ++i) names += (i == 0 ? "" : ", ") + sites[i];
  if (sites.size() > kNamesMax) names += " and " + std::to_string(sites.size() - kNamesMax) + " more";
  return "what the coordinator received of " + on_one_line(names) + " (" + counted(all.messages, "message") + ", " +
         byte_text(all.bytes) + ") was not looked at, because " +
         (sites.size() == 1 ? "that ledger was" : "these ledgers were") + " not given";
}

// By the ledgers, and by what was compared.
Verdict verdict_of_records(const std::vector<AuditedLedger>& ledgers, const Reconciliation* reconciliation) {
  Verdict worst = Verdict::pass;
  for (const AuditedLedger& ledger : ledgers) worst = std::max(worst, ledger.verdict());
  if (reconciliation == nullptr || reconciliation->clean()) return worst;
  if (worst == Verdict::fail || reconciliation->convicts()) return Verdict::fail;
  // What a ledger holds that could not be verified, or one that was not given, may be all that is missing.
  return worst == Verdict::unverified || reconciliation->undecided() ? Verdict::unverified : Verdict::fail;
}

// Who is convicted, by name; empty where nobody is.
std::string convicted(const Reconciliation& reconciliation) {
  std::string sites;
  bool coordinator = false;
  for (const SiteReconciliation& site : reconciliation.sites) {
    coordinator = coordinator || site.against_coordinator.messages > 0;
    if (site.against_site.messages > 0) sites += (sites.empty() ? "" : ", ") + site.site;
  }
  std::string out;
  if (!sites.empty()) out += "; signed by " + sites + " and not recorded there";
  if (coordinator) out += "; some are the coordinator's inventions";
  return out;
}

// What the coordinator received, in a sentence of its own after another fault; empty where that convicts nobody.
std::string received_too(const Reconciliation* reconciliation) {
  if (reconciliation == nullptr || !reconciliation->convicts() || convicted(*reconciliation).empty()) return "";
  return " The coordinator received what no site's ledger knows of" + convicted(*reconciliation) + ".";
}

// For the sentence; which files they are is said beside it.
std::string conflicts_text(const std::vector<RosterConflict>& conflicts) {
  std::set<EpochNumber> epochs;
  for (const RosterConflict& conflict : conflicts) epochs.insert(conflict.epoch);
  const std::string given = "different rosters of epoch " + std::to_string(*epochs.begin()) +
                            (epochs.size() == 1 ? "" : " and of " + counted(epochs.size() - 1, "other epoch"));
  if (verdict_of(conflicts) != Verdict::fail)
    return given + " were given, and their signatures were not checked; give the administrators' keys with --admin.";
  return given + " are signed: sites can have been shown different members.";
}

}  // namespace

ordered_json to_json(const AuditedLedger& ledger) {
  ordered_json findings = ordered_json::array();
  for (const Finding& finding : ledger.findings)
    findings.push_back({{"where", finding.where}, {"rule", finding.rule}, {"what", finding.what}});
  return {{"folder", ledger.folder.string()},
          {"origin", ledger.origin},
          {"owner", ledger.owner},
          {"verdict", to_string(ledger.verdict())},
          {"unverified", ledger.unverified},
          {"entries", ledger.checkpoint.size},
          {"root", to_base64(ledger.checkpoint.root)},
          {"key", ledger.key},
          {"unpublished", ledger.unpublished},
          {"of_newer_version", ledger.of_newer_version},
          {"canaries_searched", ledger.canaries_searched},
          {"canary_hits", ledger.canary_hits},
          {"finding_count", ledger.finding_count},
          {"findings", findings},
          {"undecided", ledger.undecided},
          {"notices", ledger.notices},
          {"facts", facts_json(ledger.facts)}};
}

ordered_json to_json(const BlameEvidence& evidence) {
  ordered_json messages = ordered_json::array();
  for (const EvidenceMessage& message : evidence.messages)
    messages.push_back({{"kind", message.kind},
                        {"sender", message.sender},
                        {"payload", to_hex(message.payload)},
                        {"signed", message.is_signed}});
  return {{"file", evidence.file.string()},
          {"verdict", evidence.findings.empty() ? "pass" : "fail"},
          {"site", evidence.blame.site.text()},
          {"run", evidence.blame.run.text()},
          {"round", evidence.blame.round},
          {"reason", evidence.blame.reason},
          {"evidence", to_hex(evidence.blame.digest())},
          {"entry", evidence.entry ? ordered_json(*evidence.entry) : ordered_json()},
          {"messages", messages},
          {"findings", evidence.findings}};
}

ordered_json to_json(const Reconciliation& reconciliation) {
  ordered_json sites = ordered_json::object();
  for (const SiteReconciliation& site : reconciliation.sites)
    sites[site.site] = {{"forked", site.forked},
                        {"matched", count_json(site.matched)},
                        {"unconfirmed", count_json(site.unconfirmed)},
                        {"unlogged", count_json(site.unlogged)},
                        {"against_site", count_json(site.against_site)},
                        {"against_coordinator", count_json(site.against_coordinator)},
                        {"undecided", count_json(site.undecided)},
                        {"lacking", site.lacking},
                        {"not_looked_at", count_json(site.not_looked_at)},
                        {"unconfirmed_after_end", count_json(site.unconfirmed_after)},
                        {"unlogged_receipts", receipts_json(site)},
                        {"not_listed", not_listed(site)}};
  const bool counted_any = reconciliation.compared != Compared::nothing;
  const bool whole = reconciliation.compared == Compared::everything;
  return {{"verdict", reconciliation.clean() && whole                        ? "pass"
                      : reconciliation.clean() || reconciliation.undecided() ? "unverified"
                                                                             : "fail"},
          {"compared", to_string(reconciliation.compared)},
          {"unlogged_bytes", counted_any ? ordered_json(reconciliation.unlogged_bytes()) : ordered_json()},
          {"coordinator_ends_ms",
           reconciliation.coordinator_ends ? ordered_json(reconciliation.coordinator_ends->value) : ordered_json()},
          {"sites", sites}};
}

std::string to_text(const AuditedLedger& ledger) {
  std::string out = verdict_text(ledger.verdict()) + "  " +
                    (ledger.origin.empty() ? "nobody's ledger" : on_one_line(ledger.origin)) + "  ";
  if (!ledger.was_read()) out += "not read";
  else
    out += counted(ledger.checkpoint.size, "entry") + ", " + (ledger.coordinator ? "received " : "sent ") +
           byte_text(bytes_of(ledger.facts)) + ", " + counted(ledger.facts.incidents.size(), "incident");
  out += "  (" + on_one_line(ledger.folder.string()) + ")";
  if (!ledger.unverified.empty()) out += "\n      " + on_one_line(ledger.unverified);
  for (const Finding& finding : ledger.findings)
    out += "\n      " + on_one_line(finding.where + "  [" + finding.rule + "]  " + finding.what);
  if (ledger.finding_count > ledger.findings.size())
    out += "\n      and " + std::to_string(ledger.finding_count - ledger.findings.size()) + " more";
  for (const std::string& notice : ledger.notices) out += "\n      note: " + on_one_line(notice);
  if (ledger.canaries_searched > 0) out += "\n      " + canary_text(ledger);
  return out;
}

std::string to_text(const BlameEvidence& evidence) {
  const federation::membership::Blame& blame = evidence.blame;
  std::string out = std::string(evidence.findings.empty() ? "PASS" : "FAIL") + "  " + blame.site.text() +
                    " was left out of run " + blame.run.text() + " in round " + std::to_string(blame.round) + ": " +
                    on_one_line(blame.reason);
  if (evidence.entry) out += "; entry " + std::to_string(*evidence.entry) + " of the coordinator's ledger names it";
  out += "  (" + evidence.file.string() + ")";
  for (const EvidenceMessage& message : evidence.messages)
    if (message.is_signed)
      out += "\n      " + on_one_line(message.kind + ", signed by " + message.sender) + ", " + to_hex(message.payload);
  if (evidence.messages.empty())
    out += "\n      no message: two sites disagree about a share, and nobody else can tell which of them is right";
  for (const std::string& finding : evidence.findings) out += "\n      " + on_one_line(finding);
  return out;
}

std::string unlogged_text(const Reconciliation& reconciliation) {
  const std::string bytes = std::to_string(reconciliation.unlogged_bytes());
  switch (reconciliation.compared) {
    case Compared::everything: return bytes;
    case Compared::a_part: return bytes + " among what can be read; the rest was not counted";
    case Compared::nothing: return "not counted";
  }
  return "not counted";
}

std::vector<std::string> comparison_notes(const Reconciliation& reconciliation) {
  std::vector<std::string> out;
  for (const SiteReconciliation& site : reconciliation.sites)
    if (not_listed(site) > 0) out.push_back(site.site + ": " + not_listed_text(site));
  if (std::string text = not_looked_at_text(reconciliation); !text.empty()) out.push_back(std::move(text));
  if (std::string text = end_text(reconciliation); !text.empty()) out.push_back(std::move(text));
  return out;
}

std::string to_text(const Reconciliation& reconciliation) {
  if (reconciliation.compared == Compared::nothing)
    return "Nothing was compared, and no byte was counted: no entry of the coordinator's ledger could be believed. "
           "Give "
           "an undamaged copy of its folder.";
  std::vector<std::vector<std::string>> rows{{"site", "matched", "sent but unconfirmed", "unlogged"}};
  for (const SiteReconciliation& site : reconciliation.sites)
    rows.push_back(
        {on_one_line(site.site), count_text(site.matched), count_text(site.unconfirmed),
         site.not_looked_at.messages > 0 && site.unlogged.messages == 0 ? "not looked at" : count_text(site.unlogged)});
  std::string out = text_table(rows);
  while (!out.empty() && out.back() == '\n') out.pop_back();
  for (const SiteReconciliation& site : reconciliation.sites)
    for (const UnloggedReceipt& receipt : site.unlogged_receipts)
      out += "\n" + on_one_line(site.site) + ": the coordinator's entry " + std::to_string(receipt.index) +
             " has no intent in the site's ledger; convicts " + std::string(to_string(receipt.culprit)) + ": " +
             on_one_line(receipt.why);
  for (const std::string& note : comparison_notes(reconciliation)) out += "\nnote: " + on_one_line(note);
  return out + "\nUnlogged bytes: " + unlogged_text(reconciliation);
}

ordered_json to_json(const std::vector<RosterConflict>& conflicts) {
  ordered_json out = ordered_json::array();
  for (const RosterConflict& conflict : conflicts) {
    ordered_json keys = ordered_json::array();
    for (const auto& key : conflict.signed_both) keys.push_back(to_hex(key));
    out.push_back({{"epoch", conflict.epoch},
                   {"files", {conflict.first.string(), conflict.second.string()}},
                   {"rosters", {to_hex(conflict.first_hash), to_hex(conflict.second_hash)}},
                   {"verdict", to_string(verdict_of({conflict}))},
                   {"signed_both", keys}});
  }
  return out;
}

std::string to_text(const RosterConflict& conflict) {
  std::string out = on_one_line(conflict.first.string()) + " and " + on_one_line(conflict.second.string()) +
                    " are two different rosters of epoch " + std::to_string(conflict.epoch);
  if (!conflict.checked) return out + ", and whose they are was not checked";
  if (conflict.signed_both.empty()) return out + "; no administrator given with --admin signed both";
  std::string keys;
  for (const auto& key : conflict.signed_both) keys += (keys.empty() ? "" : ", ") + to_hex(key);
  return out + "; both are signed by the " + (conflict.signed_both.size() == 1 ? "administrator " : "administrators ") +
         keys;
}

Verdict verdict_of(const std::vector<RosterConflict>& conflicts) {
  Verdict worst = Verdict::pass;
  for (const RosterConflict& conflict : conflicts)
    worst = std::max(worst, conflict.checked ? Verdict::fail : Verdict::unverified);
  return worst;
}

Verdict verdict_of(const std::vector<AuditedLedger>& ledgers, const Reconciliation* reconciliation,
                   const std::vector<RosterConflict>& conflicts) {
  return std::max(verdict_of(conflicts), verdict_of_records(ledgers, reconciliation));
}

bool all_sound(const std::vector<AuditedLedger>& ledgers, const Reconciliation* reconciliation,
               const std::vector<RosterConflict>& conflicts) {
  return verdict_of(ledgers, reconciliation, conflicts) == Verdict::pass;
}

std::string verdict_sentence(const std::vector<AuditedLedger>& ledgers, const Reconciliation* reconciliation,
                             const std::vector<RosterConflict>& conflicts) {
  const auto number_of = [&](Verdict verdict) {
    return std::count_if(ledgers.begin(), ledgers.end(), [&](const auto& l) { return l.verdict() == verdict; });
  };
  const auto all = counted(ledgers.size(), "ledger");
  if (const auto broken = number_of(Verdict::fail); broken > 0)
    return "FAIL: " + std::to_string(broken) + " of " + all +
           (broken == 1 ? " is not what was signed, or breaks a rule." : " are not what was signed, or break a rule.") +
           forked(ledgers) + received_too(reconciliation) +
           (verdict_of(conflicts) == Verdict::fail ? " And " + conflicts_text(conflicts) : "");
  if (verdict_of(conflicts) == Verdict::fail)
    return "FAIL: " + conflicts_text(conflicts) + received_too(reconciliation);
  const Verdict verdict = verdict_of(ledgers, reconciliation, conflicts);
  if (const auto unknown = number_of(Verdict::unverified); verdict == Verdict::unverified && unknown > 0)
    return "NOT VERIFIED: " + std::to_string(unknown) + " of " + all + " cannot be judged with what was given" +
           of_newer_version(ledgers) + "; the lines above say what is missing.";
  if (verdict == Verdict::unverified && !conflicts.empty()) return "NOT VERIFIED: " + conflicts_text(conflicts);
  if (verdict == Verdict::unverified)
    return "NOT VERIFIED: the coordinator received " + byte_text(reconciliation->unlogged_bytes()) +
           " that may be recorded in what was not given: " + lacking(*reconciliation) + ".";
  const std::string whole = all + (ledgers.size() == 1 ? " is" : " are") +
                            " complete and unchanged, and every recorded message was permitted when it left";
  if (reconciliation == nullptr) return "PASS: " + whole + ".";
  if (verdict == Verdict::fail)
    return "FAIL: the coordinator received " + byte_text(reconciliation->unlogged_bytes()) +
           " that no site's ledger knows of" +
           (convicted(*reconciliation).empty() ? "; they convict nobody" : convicted(*reconciliation)) + ".";
  const std::string others = not_looked_at_text(*reconciliation);
  if (reconciliation->not_looked_at().size() == reconciliation->sites.size() && !others.empty())
    return "PASS: " + whole + "; nothing was compared: " + others + ".";
  return "PASS: " + whole + "; the coordinator received nothing that the sites " +
         (others.empty() ? "did not record." : "given did not record; " + others + ".");
}

}  // namespace fovea::audit
