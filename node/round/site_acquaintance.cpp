// Who is in the sum. The roster says who may take part; a person at this site says who of them is known. A coordinator
// that holds every administrator's key can sign a roster of invented sites around one victim; but it cannot make a
// person at the victim's site accept them, and a site that nobody accepted counts here as one more colluder.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "node/round/site_core.h"

namespace fovea::node::round {

using federation::messages::Refusal;
using federation::messages::RefusalReason;

namespace {

std::string names_of(std::span<const RosterIndex> sites, const federation::membership::Roster& roster) {
  constexpr std::size_t kShownMax = 8;
  std::string out;
  for (std::size_t i = 0; i < std::min(sites.size(), kShownMax); ++i) {
    out += i == 0 ? "" : ", ";
    out += sites[i] < roster.sites.size() ? roster.sites[sites[i]].id.text() : "number " + std::to_string(sites[i]);
  }
  if (sites.size() > kShownMax) out += " and " + std::to_string(sites.size() - kShownMax) + " more";
  return out;
}

Refusal refuse_strangers(std::span<const RosterIndex> strangers, std::size_t sites,
                         const federation::membership::Roster& roster, const Refusal& broken) {
  return federation::messages::refused(RefusalReason::unacquainted_sites,
                                       std::to_string(strangers.size()) + " of " + std::to_string(sites) +
                                           " sites are not accepted at this site and count as colluders (" +
                                           names_of(strangers, roster) + "): " + broken.detail +
                                           "; compare their fingerprints by telephone, then: fovea-node roster accept");
}

}  // namespace

// A site that is not on the roster is nobody's acquaintance either: the evidence of a sum is counted before its sites
// are looked up.
std::vector<RosterIndex> SiteMachine::Core::unacquainted(std::span<const RosterIndex> sites,
                                                         const federation::membership::Roster& roster) const {
  std::vector<RosterIndex> out;
  for (const RosterIndex site : sites) {
    const bool known = site < roster.sites.size() &&
                       (roster.sites[site].identity_key == config.identity.verify_key() ||
                        config.policy.acquainted.contains(federation::membership::entry_digest(roster.sites[site])));
    if (!known) out.push_back(site);
  }
  return out;
}

std::optional<Refusal> SiteMachine::Core::check_cohort(std::size_t sites, std::string_view set) const {
  if (sites >= config.policy.cohort_min) return std::nullopt;
  return federation::messages::refused(RefusalReason::cohort_too_small,
                                       std::to_string(sites) + " sites in " + std::string(set) +
                                           ", this site's policy asks for " + std::to_string(config.policy.cohort_min));
}

// The site's own m and h, not the coordinator's: t is checked against the larger demand.
std::optional<Refusal> SiteMachine::Core::check_demands(const federation::secagg::RoundParameters& p,
                                                        std::span<const RosterIndex> sites,
                                                        const federation::membership::Roster& roster,
                                                        Speech speech) const {
  if (auto few = check_cohort(sites.size(), "the round")) return few;
  if (p.signatures_min() < config.policy.threshold_min)
    return federation::messages::refused(RefusalReason::threshold_too_low,
                                         "a sum of " + std::to_string(p.signatures_min()) +
                                             " sites, the plan asks for " +
                                             std::to_string(config.policy.threshold_min));
  const auto m = std::max<std::uint32_t>(p.thresholds.colluders_max, config.policy.colluders_max);
  const auto h = std::max<std::uint32_t>(p.thresholds.honest_min, config.policy.honest_min);
  const std::vector<RosterIndex> strangers = unacquainted(sites, roster);
  const auto c = m + static_cast<std::uint32_t>(strangers.size());
  auto broken = check_counts(p, {sites.size(), c, h}, roster, speech);
  if (!broken || strangers.empty()) return broken;
  if (auto anyway = check_counts(p, {sites.size(), m, h}, roster, speech)) return anyway;
  return refuse_strangers(strangers, sites.size(), roster, *broken);
}

// What held for U1 holds for fewer of its sites, unless this site's policy became stricter meanwhile; only the least
// cohort has to be asked for again in any case.
std::optional<Refusal> SiteMachine::Core::check_survivors(const federation::secagg::AttemptContext& context,
                                                          std::span<const RosterIndex> sites,
                                                          std::string_view set) const {
  if (auto few = check_neighbourhood(context, sites, set)) return few;
  if (auto few = check_cohort(sites.size(), set)) return few;
  const federation::secagg::RoundParameters& p = context.parameters;
  const std::vector<RosterIndex> strangers = unacquainted(sites, config.roster);
  const std::uint32_t c = std::max<std::uint32_t>(p.thresholds.colluders_max, config.policy.colluders_max) +
                          static_cast<std::uint32_t>(strangers.size());
  const auto h = std::max<std::uint32_t>(p.thresholds.honest_min, config.policy.honest_min);
  const auto keyed = static_cast<std::uint32_t>(context.keys.size());
  // In a graph t counts neighbours, and s is what the sum and its statement rest on.
  const std::uint32_t majority =
      federation::secagg::threshold_min(p.graph ? static_cast<std::uint32_t>(p.candidates.size()) : keyed, c);
  if (p.signatures_min() >= majority && p.signatures_min() >= c + h) return std::nullopt;
  const Refusal broken = federation::messages::refused(
      p.signatures_min() < majority ? RefusalReason::threshold_too_low : RefusalReason::honest_too_few,
      std::to_string(p.signatures_min()) + " of " + std::to_string(keyed) + " sites sign " + std::string(set) +
          " with m = " + std::to_string(c) + ", h = " + std::to_string(h));
  return strangers.empty() ? broken : refuse_strangers(strangers, sites.size(), config.roster, broken);
}

// Asked wherever the roster decides something: a coordinator that holds the next roster back must not keep a revoked
// site in the sum beyond the validity of this one.
std::optional<Refusal> SiteMachine::Core::check_roster_valid() const {
  const federation::membership::Roster& roster = config.roster;
  if (roster.check_valid_at(wall)) return std::nullopt;
  // Whether it is the clock or the roster, the driver knows.
  return federation::messages::refused(RefusalReason::roster_expired,
                                       "the roster of epoch " + std::to_string(roster.epoch) +
                                           (wall < roster.valid_from ? " is not valid yet" : " has run out") +
                                           " by this machine's clock");
}

}  // namespace fovea::node::round
