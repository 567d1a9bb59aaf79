// The beacon of the roster, drawn once with all its sites while they train. The list of commitments is durable before
// any site sees it, because sites show their nonces for one list only.
#include <cstdint>
#include <utility>
#include <vector>

#include "coordinator/round/round_core.h"

namespace fovea::coordinator::round {

using federation::messages::MessageKind;
using federation::messages::RefusalReason;

std::vector<RosterIndex> RoundMachine::Core::beacon_silent() const {
  std::vector<RosterIndex> out;
  for (RosterIndex site = 0; site < setup.roster.sites.size(); ++site)
    if (!(beacon ? beacon_nonces.contains(site) : beacon_commitments.contains(site))) out.push_back(site);
  return out;
}

void RoundMachine::Core::ask_beacon(const std::vector<RosterIndex>& sites) {
  if (has_beacon()) return send(sites, MessageKind::beacon, beacon->encode());
  if (beacon) return send(sites, MessageKind::beacon_commitments, beacon->commitments.encode());
  send(sites, MessageKind::beacon_request, federation::messages::BeaconRequest{setup.roster.hash}.encode());
}

void RoundMachine::Core::on_beacon_commitment(const federation::messages::SignedMessage& message, RosterIndex site) {
  const auto decoded = federation::messages::BeaconCommitmentMessage::decode(message.payload());
  if (!decoded) return refuse_to(site, message, RefusalReason::malformed, decoded.error().message);
  if (!may_need_beacon() || beacon) return;  // a repetition
  if (decoded->roster != setup.roster.hash)
    return refuse_to(site, message, RefusalReason::roster_differs, "a beacon for another roster");
  if (!federation::secagg::is_commitment_of(decoded->commitment, setup.roster, site)) {
    refuse_to(site, message, RefusalReason::bad_signature, "signature of the beacon commitment");
    return blame(site, RefusalReason::bad_signature, {message.wire()});
  }
  beacon_commitments[site] = decoded->commitment;
  if (beacon_commitments.size() < setup.roster.sites.size()) return;
  federation::messages::BeaconTranscript fixed{.commitments = {.roster = setup.roster.hash, .sites = {}}, .nonces = {}};
  for (const auto& [from, commitment] : beacon_commitments) fixed.commitments.sites.push_back(commitment);
  beacon = fixed;
  effects.beacon = std::move(fixed);
  ask_beacon(beacon_silent());
}

void RoundMachine::Core::on_beacon_nonce(const federation::messages::SignedMessage& message, RosterIndex site) {
  const auto decoded = federation::messages::BeaconNonceMessage::decode(message.payload());
  if (!decoded) return refuse_to(site, message, RefusalReason::malformed, decoded.error().message);
  if (!beacon || has_beacon()) return;  // a repetition
  if (decoded->roster != setup.roster.hash ||
      decoded->commitments != federation::secagg::beacon_list_hash(beacon->commitments))
    return refuse_to(site, message, RefusalReason::beacon_differs, "a nonce for another list of commitments");
  if (!federation::secagg::is_committed_nonce(beacon->commitments, site, decoded->nonce)) {
    refuse_to(site, message, RefusalReason::beacon_differs, "another nonce than this site committed to");
    return blame(site, RefusalReason::beacon_differs, {message.wire()});
  }
  beacon_nonces[site] = decoded->nonce;
  if (beacon_nonces.size() < setup.roster.sites.size()) return;
  for (const auto& [from, nonce] : beacon_nonces) beacon->nonces.push_back(nonce);
  effects.beacon = beacon;
  std::vector<RosterIndex> everybody;
  for (const auto& [from, nonce] : beacon_nonces) everybody.push_back(from);
  ask_beacon(everybody);
  consider_start();
}

federation::secagg::GraphParameters RoundMachine::Core::graph_parameters() const {
  return {.roster_sites = static_cast<std::uint16_t>(setup.roster.sites.size()),
          .neighbours = static_cast<std::uint16_t>(neighbours.neighbours),
          .survivors_min = setup.thresholds.threshold,
          .beacon = federation::secagg::beacon_of(*beacon)};
}

}  // namespace fovea::coordinator::round
