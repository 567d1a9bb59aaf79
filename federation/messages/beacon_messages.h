// The messages by which all sites of a roster draw its beacon together (federation/secagg/epoch_beacon.h). Lists have
// one entry for each site of the roster, in roster order.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "common/bytes.h"
#include "common/codec.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/signature.h"

namespace fovea::federation::messages {

using BeaconNonce = std::array<std::uint8_t, 32>;

// coordinator → sites: "commit yourself to a nonce".
struct BeaconRequest {
  Digest roster{};
  Bytes encode() const;
  static Result<BeaconRequest> decode(ByteView payload);
};

struct BeaconCommitment {
  Digest commitment{};
  crypto::Signature signature{};
  bool operator==(const BeaconCommitment&) const = default;
};

struct BeaconCommitmentMessage {
  Digest roster{};
  BeaconCommitment commitment;
  Bytes encode() const;
  static Result<BeaconCommitmentMessage> decode(ByteView payload);
};

// coordinator → sites: everybody's commitments; only now is a nonce shown.
struct BeaconCommitments {
  Digest roster{};
  std::vector<BeaconCommitment> sites;
  bool operator==(const BeaconCommitments&) const = default;
  Bytes encode() const;
  static Result<BeaconCommitments> decode(ByteView payload);
};

struct BeaconNonceMessage {
  Digest roster{};
  Digest commitments{};  // hash of the list that this nonce answers
  BeaconNonce nonce{};
  Bytes encode() const;
  static Result<BeaconNonceMessage> decode(ByteView payload);
};

// coordinator → sites, and what the coordinator keeps. Without nonces: they are still being collected.
struct BeaconTranscript {
  BeaconCommitments commitments;
  std::vector<BeaconNonce> nonces;
  bool operator==(const BeaconTranscript&) const = default;
  Bytes encode() const;
  static Result<BeaconTranscript> decode(ByteView payload);
};

}  // namespace fovea::federation::messages
