// The beacon of a roster: 32 bytes that nobody could choose or foresee when the roster was closed, from which the
// neighbours of rounds with more than 128 sites follow. All sites commit to a nonce, and only when every commitment is
// known are the nonces shown; the beacon is the hash of all of them.
//
// A site that has seen the others' nonces can stop the beacon by holding its own back, but it cannot choose another
// one: every honest site refuses a second list of commitments for one roster, so the administrators must sign a new
// roster, without that site.
#pragma once

#include <optional>

#include "common/bytes.h"
#include "common/ids.h"
#include "crypto/signature.h"
#include "federation/membership/roster.h"
#include "federation/messages/beacon_messages.h"
#include "federation/messages/refusal_reason.h"

namespace fovea::federation::secagg {

// A site's nonce for a roster, from its identity key alone: the same after a restart, and unknown to everyone else.
messages::BeaconNonce beacon_nonce(const crypto::SigningKey& identity, const Digest& roster);

messages::BeaconCommitment commit_to_beacon(const crypto::SigningKey& identity, const Digest& roster, RosterIndex site);

// Whether `site` of the roster signed this commitment.
bool is_commitment_of(const messages::BeaconCommitment& commitment, const membership::Roster& roster, RosterIndex site);

// Names one list of commitments.
Digest beacon_list_hash(const messages::BeaconCommitments& commitments);

// One entry for each site of the roster, each signed by it. None when all hold; beacon_differs or bad_signature.
std::optional<messages::Refusal> check_commitments(const messages::BeaconCommitments& commitments,
                                                   const membership::Roster& roster);

// Whether `nonce` is what `site` committed itself to.
bool is_committed_nonce(const messages::BeaconCommitments& commitments, RosterIndex site,
                        const messages::BeaconNonce& nonce);

// None when each of the commitments, which were checked before, has its nonce; beacon_differs.
std::optional<messages::Refusal> check_nonces(const messages::BeaconTranscript& transcript);

// The beacon of a complete transcript.
Digest beacon_of(const messages::BeaconTranscript& transcript);

}  // namespace fovea::federation::secagg
