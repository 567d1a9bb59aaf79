// Which sites of the roster a person here has accepted: picked up from the folder as soon as it is signed, recorded in
// the ledger, and told to the round machine.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "crypto/hash.h"
#include "federation/membership/acquaintance.h"
#include "federation/messages/site_messages.h"
#include "node/io/clock_difference.h"
#include "node/io/site_driver_parts.h"
#include "node/io/site_status.h"

namespace fovea::node::io {

using federation::membership::RosterSite;

namespace {

constexpr std::size_t kNamesMax = 20;  // in a log line or the status

nlohmann::ordered_json names_of(const std::vector<const RosterSite*>& sites) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < std::min(sites.size(), kNamesMax); ++i) out.push_back(sites[i]->id.text());
  return out;
}

std::string name_list(const std::vector<const RosterSite*>& sites) {
  std::string out;
  for (std::size_t i = 0; i < std::min(sites.size(), kNamesMax); ++i) out += (i == 0 ? "" : ", ") + sites[i]->id.text();
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
  spdlog::warn(
      "{}; compare fingerprints by telephone, then: fovea-node --site {} roster accept SITE --by \"your name\"",
      sites_not_accepted(unknown.size(), name_list(unknown)), options.folder.root().string());
  events.write("sites_unacquainted",
               {{"epoch", roster->epoch}, {"count", unknown.size()}, {"sites", names_of(unknown)}});
}

Result<void> SiteDriver::Parts::look_for_acceptances() {
  std::vector<federation::membership::SignedDocument> found;
  std::vector<const RosterSite*> whom;
  for (const RosterSite* site : strangers()) {
    const Digest entry = federation::membership::entry_digest(*site);
    auto document = options.folder.acceptance(entry);
    if (document && !*document) continue;
    const Digest file = document ? crypto::sha256((*document)->serialize()) : Digest{};
    if (const auto known = acceptances_ignored.find(entry); known != acceptances_ignored.end() && known->second == file)
      continue;
    const auto holds = document ? federation::membership::verify_acquaintance(**document, self, *site)
                                : Result<federation::membership::Acquaintance>(document.error());
    if (!holds) {
      acceptances_ignored[entry] = file;
      spdlog::warn("ignored an acceptance of {}: {}", site->id.text(), holds.error().message);
      events.write("acceptance_ignored", {{"site", site->id.text()}, {"why", holds.error().message}});
      continue;
    }
    found.push_back(std::move(**document));
    whom.push_back(site);
  }
  if (found.empty()) return {};
  FOVEA_TRY(gate.accept_sites(found));
  spdlog::info("accepted by a person here: {}", name_list(whom));
  events.write("sites_accepted", {{"count", whom.size()}, {"sites", names_of(whom)}});
  return machine ? feed(round::PolicyChanged{site_policy(), refusal_of(run->plan())}) : Result<void>();
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
