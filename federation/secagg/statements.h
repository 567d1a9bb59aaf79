// The bytes that are signed and the hashes that name things in a round. Every one is a TaggedHash under its own
// "FOVEA/1/…" label, bound to H(P). A signature is over the 32 bytes of the hash.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"
#include "crypto/hash.h"
#include "crypto/linear_hash.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/site_messages.h"
#include "federation/secagg/parameters.h"

namespace fovea::federation::secagg {

// R1: "these are my keys for this attempt".
Digest keys_statement(const Digest& parameters, RosterIndex site, const messages::AdvertisedKeys& keys);

// K: the list of keys of U1, signatures included.
Digest key_list_hash(const Digest& parameters, std::span<const messages::ListedKeys> keys);

// Bcom = H("FOVEA/1/b", H(P), i, b).
Digest self_seed_commitment(const Digest& parameters, RosterIndex site, ByteView self_seed);

// Commitment to one share that `dealer` makes for `recipient`. A share has more than 250 bits of entropy, so the
// hash hides it; it lets anyone see who changed a share.
struct ShareOwner {
  RosterIndex dealer = 0;
  RosterIndex recipient = 0;
  messages::RevealedSecret secret = messages::RevealedSecret::self_seed;
};
Digest share_commitment(const Digest& parameters, const ShareOwner& owner, ByteView encoded_share);

// H(U2).
Digest survivors_hash(const Digest& parameters, std::span<const RosterIndex> survivors);

// H(y) from the payload digests of its chunks, in order. The same for the published sum, under another kind.
class VectorHash {
 public:
  VectorHash(const Digest& parameters, std::size_t words);
  void add_chunk(const Digest& payload_digest);
  Digest finish();  // aborts when chunks are missing

 private:
  crypto::TaggedHash hash_;
  std::size_t chunks_left_ = 0;
};

// R3: "this is my masked vector, and these are the sites I masked it for".
struct MaskedCommitment {
  RosterIndex site = 0;
  Digest vector_hash{};
  Digest survivors_hash{};
  Digest self_seed_commitment{};
  Digest tag_hash{};
};
Digest tag_hash(const Digest& parameters, RosterIndex site, const crypto::LinearTag& tag);
Digest masked_statement(const Digest& parameters, const MaskedCommitment& commitment);

// Merkle root (RFC 6962 shape) over {site, H(y), Bcom, hash of the tag} of U3: with another tag of an honest site it is
// another statement, which that site has not signed.
Digest committed_root(const Digest& parameters, std::span<const messages::CommittedVector> committed);

// R4: (H(P), K, U2, U3, root): what t sites must have signed identically before any share is released.
struct ConsistencyContent {
  Digest key_list{};
  std::span<const RosterIndex> survivors;
  std::span<const messages::CommittedVector> committed;
};
Digest consistency_statement(const Digest& parameters, const ConsistencyContent& content);

// Names a finished round; the next round's P carries it.
Digest transcript_hash(const Digest& parameters, const Digest& consistency, const Digest& sum_hash);

}  // namespace fovea::federation::secagg
