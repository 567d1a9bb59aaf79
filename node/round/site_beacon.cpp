// The roster's beacon at a site: commit, show the nonce once for one list, check and keep the result.
#include <utility>

#include "federation/messages/beacon_messages.h"
#include "federation/secagg/epoch_beacon.h"
#include "node/round/site_core.h"

namespace fovea::node::round {

using federation::messages::MessageKind;
using federation::messages::RefusalReason;

void SiteMachine::Core::on_beacon_request(const federation::messages::SignedMessage& message) {
  const auto decoded = federation::messages::BeaconRequest::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  if (decoded->roster != config.roster.hash)
    return refuse(RefusalReason::roster_differs, "a beacon for another roster than the pinned one");
  if (!on_roster) return refuse(RefusalReason::not_a_candidate, "this site is no longer on the roster");
  const federation::messages::BeaconCommitmentMessage answer{
      decoded->roster, federation::secagg::commit_to_beacon(config.identity, decoded->roster, self)};
  send(seal(MessageKind::beacon_commitment, answer.encode(), {}));
}

void SiteMachine::Core::on_beacon_commitments(const federation::messages::SignedMessage& message) {
  const auto decoded = federation::messages::BeaconCommitments::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  const Digest& roster = config.roster.hash;
  if (!on_roster) return refuse(RefusalReason::not_a_candidate, "this site is no longer on the roster");
  const Digest list = federation::secagg::beacon_list_hash(*decoded);
  const auto bound = memory.beacon_lists.find(roster);
  if (bound == memory.beacon_lists.end()) {
    if (auto broken = federation::secagg::check_commitments(*decoded, config.roster)) return refuse(std::move(*broken));
    if (decoded->sites[self] != federation::secagg::commit_to_beacon(config.identity, roster, self))
      return refuse(RefusalReason::own_entry_altered, "another commitment is listed for this site");
    // Durable first: with the nonces known, a second list could be made to give positions of somebody's choice.
    register_mark(BeaconListMark{roster, list});
  } else if (bound->second != list) {
    return refuse(RefusalReason::beacon_differs, "a second list of commitments for this roster");
  }
  const federation::messages::BeaconNonceMessage answer{roster, list,
                                                        federation::secagg::beacon_nonce(config.identity, roster)};
  send(seal(MessageKind::beacon_nonce, answer.encode(), {}));
}

void SiteMachine::Core::on_beacon(const federation::messages::SignedMessage& message) {
  const auto decoded = federation::messages::BeaconTranscript::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  const Digest& roster = config.roster.hash;
  if (memory.beacons.contains(roster)) return;  // one list gives one beacon
  const auto bound = memory.beacon_lists.find(roster);
  if (bound == memory.beacon_lists.end() || bound->second != federation::secagg::beacon_list_hash(decoded->commitments))
    return refuse(RefusalReason::beacon_differs, "a beacon from commitments that this site did not answer");
  // The list is the one whose signatures were checked before it was answered.
  if (auto broken = federation::secagg::check_nonces(*decoded)) return refuse(std::move(*broken));
  register_mark(BeaconMark{roster, federation::secagg::beacon_of(*decoded)});
}

}  // namespace fovea::node::round
