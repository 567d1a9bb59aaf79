#include "audit/report.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "audit/describe.h"
#include "audit/views.h"
#include "common/bytes.h"
#include "common/console.h"
#include "common/ids.h"
#include "federation/membership/plan.h"
#include "federation/membership/roster.h"
#include "federation/membership/signed_document.h"

namespace fovea::audit {
namespace {

constexpr std::string_view kStyle = R"(
body{font:11pt/1.45 Georgia,serif;max-width:52em;margin:2em auto;padding:0 1em;color:#111}
h1{font-size:1.6em;margin-bottom:.2em}h2{font-size:1.15em;margin-top:1.8em;border-bottom:1px solid #999}
table{border-collapse:collapse;width:100%;margin:.6em 0}
th,td{text-align:left;vertical-align:top;padding:.3em .6em .3em 0;border-bottom:1px solid #ddd}
code{font:9pt/1.3 monospace;overflow-wrap:anywhere}
.verdict{font-size:1.2em;padding:.7em 1em;border:2px solid}
.pass{border-color:#1a6b2f;background:#eef7f0}.fail{border-color:#a11;background:#fbeeee}
.small{font-size:.85em;color:#444}@media print{body{margin:0}h2{break-after:avoid}tr{break-inside:avoid}}
)";

// As text, and as what it looks like: a name with marks of direction could turn a verdict around.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string row(std::initializer_list<std::string> cells) {
  std::string out = "<tr>";
  for (const std::string& cell : cells) out += "<td>" + cell + "</td>";
  return out + "</tr>\n";
}

std::string heading_row(std::initializer_list<std::string_view> cells) {
  std::string out = "<tr>";
  for (const std::string_view cell : cells) out += "<th>" + std::string(cell) + "</th>";
  return out + "</tr>\n";
}

std::string code(std::string_view text) { return "<code>" + escaped(text) + "</code>"; }

std::string codes(const std::set<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : "<br>") + code(text);
  return out.empty() ? "none" : out;
}

std::string scope_section(const ReportInput& input) {
  std::string out = "<h2>What was examined</h2>\n<table>\n" +
                    heading_row({"Ledger", "Entries", "Period", "Programs (SHA-256)", "Signed by"});
  for (const AuditedLedger& ledger : input.ledgers)
    out +=
        row({escaped(ledger.origin), ledger.was_read() ? std::to_string(ledger.checkpoint.size) : "not read",
             ledger.facts.entries == 0 ? "empty" : utc_text(ledger.facts.first) + " to " + utc_text(ledger.facts.last),
             ledger.coordinator ? "see the sites" : codes(ledger.facts.software), code(ledger.key)});
  out += "</table>\n<p class=small>";
  if (!input.roster_given) out += "The keys were given one by one by the person who ran the audit.";
  else if (input.roster_pinned)
    out += "The keys come from a roster whose signatures by the federation's administrators were checked.";
  else out += "The keys come from a roster file whose administrators were not pinned: the file itself is trusted.";
  if (input.canaries > 0)
    out += " " + counted(input.canaries, "name or identifier was", "names and identifiers were") +
           " searched for in every entry that could be read; where one was found, the exceptions say.";
  return out + "</p>\n";
}

std::string departure_section(const ReportInput& input) {
  std::string out = "<h2>What left each site</h2>\n";
  for (const AuditedLedger& ledger : input.ledgers) {
    if (ledger.coordinator || !ledger.was_read()) continue;
    std::uint64_t bytes = 0;
    out += "<h3>" + escaped(ledger.owner) + "</h3>\n<table>\n" +
           heading_row({"Kind", "Messages", "Bytes", "What it is", "What it can hold"});
    for (const auto& [kind, total] : ledger.facts.by_kind) {
      bytes += total.bytes;
      out += row({escaped(kind), std::to_string(total.messages), std::to_string(total.bytes),
                  escaped(kind_meaning(kind)), escaped(kind_limit(kind))});
    }
    out += "</table>\n<p>Together " + byte_text(bytes) + ", to the transport key " + codes(ledger.facts.destinations) +
           ", in " + counted(ledger.facts.rounds_opened, "round attempt") + " (" +
           std::to_string(ledger.facts.rounds_applied) + " applied).</p>\n";
  }
  return out;
}

bool weighted(const ReportInput& input, federation::membership::SiteWeights weights) {
  return std::any_of(input.ledgers.begin(), input.ledgers.end(), [&](const AuditedLedger& ledger) {
    return ledger.facts.weights.contains(std::string(federation::membership::to_string(weights)));
  });
}

std::string never_leaves_section(const ReportInput& input) {
  return "<h2>What never leaves</h2>\n"
         "<p>Scans, parts of scans, masks, labels, embeddings, patient lists, file names and patient identifiers, a "
         "single site's update in clear, its losses and its numbers of studies. The gate through which every message "
         "goes knows " +
         std::to_string(kind_count()) +
         " kinds of message, reads each of them field by field before it leaves, and refuses a message with a byte too "
         "many; none of the kinds has a field for any of these. Updates, counts and losses travel only inside a masked "
         "vector" +
         std::string(weighted(input, federation::membership::SiteWeights::studies)
                         ? "; numbers of studies are in the sums, since a plan weights sites by them: see guarantees "
                           "not in force"
                         : "") +
         ".</p>\n";
}

struct Guarantee {
  std::string promise, rests_on, broken_by;
};

std::string guarantee_table(const std::vector<Guarantee>& guarantees) {
  std::string out = "<table>\n" + heading_row({"Guarantee", "Why", "Who could break it"});
  for (const Guarantee& guarantee : guarantees)
    out += row({guarantee.promise, guarantee.rests_on, guarantee.broken_by});
  return out + "</table>\n";
}

// As far as the auditor was told: a site holds rosters to the quorum of the founding document that it pinned.
void add_who_decides(const ReportInput& input, std::vector<Guarantee>& in_force, std::vector<Guarantee>& not_in_force) {
  if (!input.roster_given || !input.roster_pinned)
    return not_in_force.push_back({"Who decides who takes part.",
                                   "No roster whose administrators' signatures were checked was given.",
                                   "Whoever wrote the keys down for this audit."});
  if (input.quorum < 2)
    return not_in_force.push_back({"That more than one person decides who takes part.",
                                   "One administrator's signature on a roster was enough for this audit: as far as it "
                                   "shows, one person alone decides who takes part.",
                                   "An administrator, or whoever has that key and its passphrase."});
  const std::string quorum = std::to_string(input.quorum);
  in_force.push_back({"No hospital takes part that " + quorum + " of " + std::to_string(input.administrators) +
                          " administrators have not signed for.",
                      "Their signatures on each roster given were verified here.",
                      quorum + " of these administrators together."});
}

// Or what was compared and does not agree.
std::string why_not_compared(const Reconciliation* reconciliation) {
  if (reconciliation == nullptr) return "The coordinator's ledger was not given, or could not be verified.";
  if (!reconciliation->clean()) return "It received what no site's ledger that was given knows of: see the comparison.";
  if (!reconciliation->not_looked_at().empty())
    return "Not every site's ledger was given: see the comparison for which were.";
  return "Not all of the coordinator's ledger could be read: see the exceptions.";
}

std::string guarantees_section(const ReportInput& input) {
  std::optional<std::uint32_t> threshold;
  for (const AuditedLedger& ledger : input.ledgers)
    if (ledger.facts.threshold_min)
      threshold = std::min(threshold.value_or(*ledger.facts.threshold_min), *ledger.facts.threshold_min);
  const std::string least = threshold ? std::to_string(*threshold) : "the threshold of";
  const bool given = input.reconciliation != nullptr;
  const bool compared = given && input.reconciliation->complete();
  std::vector<Guarantee> in_force{
      {"The ledgers are complete and in the order in which they were written.",
       "Merkle tree (RFC 6962) under a signature; each egress names the one before it.",
       compared ? "A site's administrator together with the coordinator."
                : "A site's administrator who rewrites the whole ledger."},
      {"A message is recorded before a byte of it is sent.", "The node's gate: one durable write, then the socket.",
       "Whoever replaces the node's program at the site; its hash is above."},
      {"Nothing of a plan leaves without a person's approval.",
       "A signed approval of the plan's exact bytes, kept in the ledger and verified here.",
       "The holder of the site's approver key, or whoever replaces the node's program."},
      {"The coordinator sees sums over at least " + least + " sites, never one site's update.",
       "Secure aggregation: masks that cancel only in the sum; sites check each other's signatures.",
       "The coordinator together with more sites than the plan's number of colluders."},
      {"All sites train the same model.",
       "Each site computes the model itself from the last sum, which it checks to be that of the vectors that were "
       "signed.",
       "Nobody without changing the site's program, or a collision of the hash by which sums are checked."}};
  if (compared)
    in_force.push_back({"The coordinator received nothing that the sites did not record.",
                        "Both ledgers name every message by hash and length.", "A site and the coordinator together."});
  std::vector<Guarantee> not_in_force{
      {"Differential privacy.", "No noise is added. What the sum itself tells about patients is not bounded.",
       "Everyone who sees the sums: coordinator and sites."},
      {"That training was done honestly on real data.", "Nobody sees a site's data, which is the point.", "Any site."},
      {"Independent witnesses.", "No other organisation has countersigned these ledgers yet: a site could keep two.",
       compared ? "A site together with the coordinator." : "A site alone."},
      {"Replay of a round inside the site.",
       "No commitment to what went under the mask is recorded yet, from which it could be computed again.",
       "Any site."},
      {"Secrecy of who takes part, when, how fast it trains and how many bytes it sends.",
       "Messages are encrypted on the way and neither hidden nor padded.",
       "The coordinator, and whoever carries the traffic."},
      {"The operating system's own count of sent bytes.",
       "Not compared. The ledgers count message bytes; transport adds framing and encryption.",
       "A site's administrator."},
      {"Secrecy against a future quantum computer.", "Key agreement is X25519.", "Whoever recorded the traffic."}};
  add_who_decides(input, in_force, not_in_force);
  using federation::membership::SiteWeights;
  if (weighted(input, SiteWeights::studies))
    not_in_force.push_back(
        {"Secrecy of a site's number of studies.",
         "A plan has weights \"studies\": " + std::string(federation::membership::meaning(SiteWeights::studies)) + ".",
         "Everyone who sees two such sums: coordinator and sites."});
  else if (weighted(input, SiteWeights::equal))
    in_force.push_back({"No number of studies or findings is in a sum.",
                        "Weights \"equal\": every site's weight is 1, and its losses are counted once.",
                        "Nobody without changing the site's program."});
  if (!compared)
    not_in_force.push_back({"That the coordinator received only what is recorded.",
                            why_not_compared(input.reconciliation), "A site alone."});
  const bool sound = all_sound(input.ledgers, input.reconciliation, input.conflicts);
  return "<h2>Guarantees in force</h2>\n" +
         std::string(sound ? ""
                           : "<p><b>This audit did not pass.</b> Of a ledger with a finding, or that could not be "
                             "verified, nothing below can be said.</p>\n") +
         guarantee_table(in_force) + "<h2>Guarantees not in force</h2>\n" + guarantee_table(not_in_force);
}

std::string approvals_section(const ReportInput& input) {
  std::string out = "<h2>Approvals</h2>\n<table>\n" +
                    heading_row({"Site", "When", "Decision", "Person", "Reason", "Plan (SHA-256)", "Key in roster"});
  for (const AuditedLedger& ledger : input.ledgers)
    for (const PlanRecord& record : ledger.facts.decisions)
      out += row({escaped(ledger.owner), utc_text(record.at), record.approved ? "approved" : "rejected",
                  escaped(record.person), escaped(record.reason.empty() ? "none given" : record.reason),
                  code(to_hex(record.plan)), record.pinned ? "yes" : "not checked"});
  return out + "</table>\n";
}

std::string acquaintance_section(const ReportInput& input) {
  std::string rows;
  for (const AuditedLedger& ledger : input.ledgers)
    for (const AcquaintanceRecord& record : ledger.facts.acquaintances)
      rows += row({escaped(ledger.owner), escaped(record.site), utc_text(record.at),
                   record.accepted ? "accepted" : "taken back", escaped(record.person), code(record.fingerprint),
                   record.pinned ? "yes" : "not checked"});
  const std::string table =
      "<table>\n" +
      heading_row({"Site", "About", "When", "Decision", "Person", "Fingerprint compared", "Key in roster"}) + rows +
      "</table>\n";
  return "<h2>Who vouched for whom</h2>\n<p>A site counts every other site that nobody there has accepted, or whose "
         "acceptance was taken back, as one that works with the coordinator.</p>\n" +
         (rows.empty() ? std::string("<p>No acceptance is recorded.</p>\n") : table);
}

std::string budget_section(const ReportInput& input) {
  std::string out =
      "<h2>Budgets</h2>\n<table>\n" +
      heading_row({"Site", "Run", "Bytes still allowed", "Privacy mechanism", "Bound of one coordinate", "Weights"});
  const auto joined = [](const std::set<std::string>& texts) {
    std::string text;
    for (const std::string& word : texts) text += (text.empty() ? "" : ", ") + word;
    return text;
  };
  for (const AuditedLedger& ledger : input.ledgers)
    for (const auto& [run, left] : ledger.facts.bytes_left)
      out += row({escaped(ledger.owner), code(run), byte_text(left), escaped(joined(ledger.facts.privacy)),
                  escaped(joined(ledger.facts.clips)), escaped(joined(ledger.facts.weights))});
  return out +
         "</table>\n<p>A privacy mechanism of \"none\" means that no privacy budget exists and none is claimed.</p>\n";
}

// A roster that a ledger names, or that was given to the auditor.
struct Epoch {
  EpochNumber number = 0;
  Digest roster{};
  const KnownRoster* known = nullptr;
  std::uint32_t sites = 0;
  std::optional<UnixMs> first_named;  // in any ledger
};

std::vector<Epoch> epochs_of(const ReportInput& input) {
  std::map<std::pair<EpochNumber, Digest>, Epoch> out;
  for (const auto& [hash, known] : input.rosters)
    out[{known.roster.epoch, hash}] = {
        known.roster.epoch, hash, &known, static_cast<std::uint32_t>(known.roster.sites.size()), {}};
  for (const AuditedLedger& ledger : input.ledgers)
    for (const RosterRecord& record : ledger.facts.rosters) {
      const auto known = input.rosters.find(record.named.roster);
      const EpochNumber number = known == input.rosters.end() ? record.named.epoch : known->second.roster.epoch;
      Epoch& epoch = out.try_emplace({number, record.named.roster},
                                     Epoch{number, record.named.roster, nullptr, record.named.sites, {}})
                         .first->second;
      if (!epoch.first_named || record.at.value < epoch.first_named->value) epoch.first_named = record.at;
    }
  std::vector<Epoch> sorted;
  for (const auto& [key, epoch] : out) sorted.push_back(epoch);
  return sorted;
}

// What a roster changes against the one given before it.
std::string changes_text(const federation::membership::Roster& before, const federation::membership::Roster& after) {
  std::string added, changed, removed;
  const auto list = [](std::string& out, const SiteId& site) { out += (out.empty() ? "" : ", ") + site.text(); };
  for (const federation::membership::RosterSite& site : after.sites) {
    const federation::membership::RosterSite* old = before.find(site.id);
    if (old == nullptr) list(added, site.id);
    else if (federation::membership::entry_digest(*old) != federation::membership::entry_digest(site))
      list(changed, site.id);
  }
  for (const federation::membership::RosterSite& site : before.sites)
    if (after.find(site.id) == nullptr) list(removed, site.id);
  std::string out;
  for (const auto& [what, sites] :
       {std::pair<const char*, const std::string&>("added", added), {"removed", removed}, {"other keys", changed}})
    if (!sites.empty()) out += (out.empty() ? "" : "; ") + std::string(what) + ": " + sites;
  return out.empty() ? "nobody" : out;
}

std::string signers_text(const ReportInput& input, const KnownRoster& roster) {
  if (!input.roster_pinned) return "not checked";
  std::string out = std::to_string(roster.signers.size()) + " of " + std::to_string(input.administrators) + ":";
  for (const auto& key : roster.signers) out += "<br>" + code(federation::membership::shortened_key(key));
  return out;
}

std::string members_section(const ReportInput& input) {
  std::string rows;
  const federation::membership::Roster* before = nullptr;
  for (const Epoch& epoch : epochs_of(input)) {
    const std::string named = epoch.first_named ? utc_text(*epoch.first_named) : "in no ledger given";
    if (epoch.known == nullptr) {
      rows += row({std::to_string(epoch.number), named, "this roster was not given", std::to_string(epoch.sites),
                   "not checked", "unknown", code(to_hex(epoch.roster))});
      continue;
    }
    const federation::membership::Roster& roster = epoch.known->roster;
    const std::string changes =
        before == nullptr ? changes_text({}, roster) + " (the first that was given)"
                          : changes_text(*before, roster) + ", against epoch " + std::to_string(before->epoch);
    rows += row({std::to_string(epoch.number), named,
                 utc_text(roster.valid_from) + " to " + utc_text(roster.valid_until), std::to_string(epoch.sites),
                 signers_text(input, *epoch.known), escaped(changes), code(to_hex(epoch.roster))});
    before = &roster;
  }
  std::string conflicts;
  for (const RosterConflict& conflict : input.conflicts)
    conflicts += "<p><b>" + escaped(to_text(conflict)) + ".</b></p>\n";
  if (rows.empty()) return "<h2>Who took part, roster by roster</h2>\n<p>No roster is recorded.</p>\n";
  return "<h2>Who took part, roster by roster</h2>\n<p>A site that is removed was revoked by the administrators. Two "
         "rosters of one epoch would show different members to different sites.</p>\n<table>\n" +
         heading_row({"Epoch", "First in a ledger", "Valid", "Sites", "Administrators who signed", "Changes",
                      "Roster (SHA-256)"}) +
         rows + "</table>\n" + conflicts;
}

std::string refusals_section(const ReportInput& input) {
  struct Reason {
    std::uint64_t count = 0, last = 0;
    std::string detail;
  };
  std::string rows;
  for (const AuditedLedger& ledger : input.ledgers) {
    std::map<std::string, Reason> reasons;
    for (const auto& [index, incident] : ledger.facts.incidents) {
      Reason& reason = reasons[incident.rule];
      reason = {reason.count + 1, index, incident.detail};
    }
    for (const auto& [rule, reason] : reasons)
      rows += row({escaped(ledger.origin), escaped(rule), std::to_string(reason.count),
                   "entry " + std::to_string(reason.last) + ": " + escaped(reason.detail)});
  }
  const std::string table =
      "<table>\n" + heading_row({"Ledger", "Reason", "How often", "The newest"}) + rows + "</table>\n";
  return "<h2>Refused messages and other incidents, by reason</h2>\n" +
         (rows.empty() ? std::string("<p>None is recorded.</p>\n") : table) +
         "<p class=small>A ledger records what a site's gate held back and that a member sent too much. What a program "
         "refused to read or to follow stands in its event file alone.</p>\n";
}

std::string exceptions_section(const ReportInput& input) {
  std::string rows;
  for (const AuditedLedger& ledger : input.ledgers) {
    for (const Finding& finding : ledger.findings)
      rows += row({escaped(ledger.origin), escaped(finding.where), "<b>finding</b>: " + escaped(finding.rule),
                   escaped(finding.what)});
    if (!ledger.unverified.empty())
      rows += row({escaped(ledger.origin), "", "<b>not verified</b>", escaped(ledger.unverified)});
    for (const std::string& notice : ledger.notices)
      rows += row({escaped(ledger.origin), "", "notice", escaped(notice)});
    for (const auto& [index, incident] : ledger.facts.incidents)
      rows += row({escaped(ledger.origin), "entry " + std::to_string(index), "incident: " + escaped(incident.rule),
                   escaped(incident.detail)});
    for (const BlameRecord& record : ledger.facts.blames)
      rows += row(
          {escaped(ledger.origin), "entry " + std::to_string(record.index), "blame: " + escaped(record.blame.reason),
           escaped(record.blame.site.text()) + " was left out of run " + code(record.blame.run.text()) + " in round " +
               std::to_string(record.blame.round) + ", evidence " + code(to_hex(record.blame.evidence)) +
               (record.pardoned ? "; pardoned by an administrator since" : "")});
    std::uint64_t unconfirmed = 0;
    for (const auto& [kind, total] : ledger.facts.by_kind) unconfirmed += total.unconfirmed;
    if (unconfirmed > 0)
      rows += row({escaped(ledger.origin), "", "unconfirmed",
                   counted(unconfirmed, "message was", "messages were") +
                       " announced and not confirmed as sent (a crash in between); the bytes are counted as sent"});
  }
  const std::string table = "<table>\n" + heading_row({"Ledger", "Where", "What", "Details"}) + rows + "</table>\n";
  return "<h2>Exceptions</h2>\n" + (rows.empty() ? std::string("<p>None.</p>\n") : table);
}

std::string reconciliation_section(const ReportInput& input) {
  if (input.reconciliation == nullptr) return "";
  if (input.reconciliation->compared == Compared::nothing)
    return "<h2>Sites and coordinator compared</h2>\n<p>" + escaped(to_text(*input.reconciliation)) + "</p>\n";
  std::string out = "<h2>Sites and coordinator compared</h2>\n<table>\n" +
                    heading_row({"Site", "In both ledgers", "Sent, not confirmed by the coordinator",
                                 "Received, not in the site's ledger"});
  const auto count = [](const TransferCount& c) {
    return counted(c.messages, "message") + ", " + counted(c.bytes, "byte");
  };
  for (const SiteReconciliation& site : input.reconciliation->sites)
    out +=
        row({escaped(site.site), count(site.matched), count(site.unconfirmed),
             site.not_looked_at.messages > 0 && site.unlogged.messages == 0 ? "not looked at" : count(site.unlogged)});
  out += "</table>\n";
  for (const SiteReconciliation& site : input.reconciliation->sites)
    for (const UnloggedReceipt& receipt : site.unlogged_receipts)
      out += "<p>" + escaped(site.site) + ", entry " + std::to_string(receipt.index) +
             " of the coordinator's ledger convicts " + std::string(to_string(receipt.culprit)) + ": " +
             escaped(receipt.why) + ".</p>\n";
  for (const std::string& note : comparison_notes(*input.reconciliation)) out += "<p>" + escaped(note) + ".</p>\n";
  return out + "<p>Unlogged bytes: <b>" + unlogged_text(*input.reconciliation) + "</b></p>\n";
}

}  // namespace

std::string html_report(const ReportInput& input) {
  const bool sound = all_sound(input.ledgers, input.reconciliation, input.conflicts);
  std::string out =
      "<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>Audit of what left</title><style>" +
      std::string(kStyle) +
      "</style></head><body>\n<h1>What left, and why it was allowed</h1>\n<p class=small>Audit of " +
      utc_text(input.now) + "</p>\n";
  out += "<p class=\"verdict " + std::string(sound ? "pass" : "fail") + "\">" +
         escaped(verdict_sentence(input.ledgers, input.reconciliation, input.conflicts)) + "</p>\n";
  out += scope_section(input) + departure_section(input) + never_leaves_section(input) + reconciliation_section(input) +
         guarantees_section(input) + members_section(input) + acquaintance_section(input) + approvals_section(input) +
         budget_section(input) + refusals_section(input) + exceptions_section(input);
  out +=
      "<h2>How to check this page</h2>\n<p>On a machine without a network, with copies of the ledger folders and the "
      "same keys:</p>\n";
  for (const std::string& command : input.commands) out += "<p>" + code(command) + "</p>\n";
  out +=
      "<p class=small>The ledgers are in the open C2SP format (tlog-tiles, signed notes); other programs can "
      "verify them too.</p>\n";
  out += "<table>\n" + heading_row({"Ledger", "Entries", "Root hash"});
  for (const AuditedLedger& ledger : input.ledgers)
    out +=
        row({escaped(ledger.origin), std::to_string(ledger.checkpoint.size), code(to_base64(ledger.checkpoint.root))});
  return out + "</table>\n</body></html>\n";
}

}  // namespace fovea::audit
