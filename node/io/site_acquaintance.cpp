// Which sites of the roster a person here has accepted: picked up from the folder as soon as it is signed, recorded in
// the ledger, and told to the round machine.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "federation/membership/acquaintance.h"
#include "federation/messages/site_messages.h"
#include "node/io/clock_difference.h"
#include "node/io/site_driver_parts.h"
#include "node/io/site_status.h"

namespace fovea::node::io {

using federation::membership::Acquaintance;
using federation::membership::RosterSite;

namespace {

constexpr std::size_t kNamesMax = 20;  // in a log line or the status

nlohmann::ordered_json names_of(const std::vector<const RosterSite*>& sites) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < std::min(sites.size(), kNamesMax); ++i) out.push_back(sites[i]->id.text());
  return out;
}

std::string name_list(const std::vector<const RosterSite*>& sites, const std::set<SiteId>& changed = {}) {
  std::string out;
  for (std::size_t i = 0; i < std::min(sites.size(), kNamesMax); ++i)
    out += (i == 0 ? "" : ", ") + sites[i]->id.text() +
           (changed.contains(sites[i]->id) ? ": ITS KEYS CHANGED since it was accepted" : "");
  return sites.size() > kNamesMax ? out + ", ..." : out;
}

}  // namespace

std::vector<const RosterSite*> SiteDriver::Parts::strangers() const {
  std::vector<const RosterSite*> out;
  if (!roster) return out;
  for (const RosterSite& site : roster->sites)
    if (site.identity_key != self.identity_key &&
        !gate.acquainted().contains(federation::membership::entry_digest(site)))
      out.push_back(&site);
  return out;
}

void SiteDriver::Parts::show_strangers() {
  const std::vector<const RosterSite*> unknown = strangers();
  if (unknown.empty()) return;
  std::vector<const RosterSite*> changed;
  for (const RosterSite* site : unknown)
    if (gate.acquaintances().knows_other_keys_of(*site)) changed.push_back(site);
  std::set<SiteId> names;
  for (const RosterSite* site : changed) names.insert(site->id);
  spdlog::warn(
      "{}; compare fingerprints by telephone, then: fovea-node --site {} roster accept SITE --by \"your name\"",
      sites_not_accepted(unknown.size(), name_list(unknown, names)), options.folder.root().string());
  events.write("sites_unacquainted", {{"epoch", roster->epoch},
                                      {"count", unknown.size()},
                                      {"sites", names_of(unknown)},
                                      {"keys_changed", names_of(changed)}});
}

// Of the sites on the roster, and of those that were accepted and are not on it: they may come back.
std::vector<Digest> SiteDriver::Parts::entries_to_hear_of() const {
  std::vector<Digest> out;
  if (roster)
    for (const RosterSite& site : roster->sites)
      if (site.identity_key != self.identity_key) out.push_back(federation::membership::entry_digest(site));
  const std::set<Digest> listed(out.begin(), out.end());
  const std::set<Digest>& known = gate.acquainted();
  std::set_difference(known.begin(), known.end(), listed.begin(), listed.end(), std::back_inserter(out));
  return out;
}

Result<void> SiteDriver::Parts::follow_acceptances() {
  std::vector<federation::membership::SignedDocument> found;
  std::vector<Acquaintance> words;
  for (const Digest& entry : entries_to_hear_of()) {
    if (!is_another(acceptances_read, entry, options.folder.acquaintance(entry))) continue;
    auto document = options.folder.acceptance(entry);
    if (document && !*document) continue;
    const auto word = document ? word_about(entry, **document, self) : Result<Acquaintance>(document.error());
    const auto counts = word ? gate.acquaintances().admit(*word) : Result<bool>(word.error());
    if (!counts) {
      const std::string why = options.folder.acquaintance(entry).string() + ": " + counts.error().message;
      spdlog::warn("ignored an acceptance: {}", why);
      events.write("acceptance_ignored", {{"why", why}});
    } else if (*counts) {
      found.push_back(std::move(**document));
      words.push_back(*word);
    }
  }
  if (found.empty()) return {};
  FOVEA_TRY(gate.decide_sites(found));
  refused.clear();
  return act_on(words);
}

// An attempt that began among sites of which one is a stranger now is over at the gate and in the machine, and what was
// queued of it goes with the connection.
Result<void> SiteDriver::Parts::act_on(const std::vector<federation::membership::Acquaintance>& words) {
  std::vector<const RosterSite*> accepted, ended;
  for (const Acquaintance& word : words) (word.ended ? ended : accepted).push_back(&word.accepted);
  policy_due = machine.has_value();
  if (!accepted.empty()) {
    spdlog::info("accepted by a person here: {}", name_list(accepted));
    events.write("sites_accepted", {{"count", accepted.size()}, {"sites", names_of(accepted)}});
  }
  if (ended.empty()) return {};
  spdlog::warn("acceptance taken back by a person here, so that each counts as a colluder: {}", name_list(ended));
  events.write("acceptances_withdrawn", {{"count", ended.size()}, {"sites", names_of(ended)}});
  attempt_ends = true;
  FOVEA_TRY(erase_closed());
  return run ? transport->hang_up() : Result<void>();
}

Result<void> SiteDriver::Parts::wait_for_acceptances(const Error& why) {
  if (acceptances_asked == offer->run) return {};
  acceptances_asked = offer->run;
  events.write("plan_waits_for_acceptances", {{"plan", to_hex(offer->plan.hash)}, {"why", why.message}});
  return refuse_plan(offer->run, federation::messages::RefusalReason::unacquainted_sites,
                     Error{why.code, why.message + ": fovea-node --site " + options.folder.root().string() +
                                         " roster accept SITE --by \"your name\""});
}

void SiteDriver::Parts::note_invalid_roster(const federation::membership::Roster& offered) {
  const std::string why = invalid_roster_text(offered, clock->wall(), clock_ahead_ms);
  if (std::exchange(roster_ignored_why, why) != why) note_ignored("roster_ignored", why);
}

}  // namespace fovea::node::io
