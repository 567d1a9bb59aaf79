#include "federation/secagg/statements.h"

#include <cstddef>
#include <cstdint>

#include "common/bytes.h"
#include "common/check.h"
#include "common/ids.h"
#include "federation/messages/site_messages.h"
#include "federation/messages/vector_chunk.h"

namespace fovea::federation::secagg {
namespace {

using crypto::TaggedHash;

// RFC 6962 section 2.1: split at the largest power of two below the count.
Digest merkle_root(std::span<const Digest> leaves) {
  if (leaves.size() == 1) return leaves[0];
  std::size_t split = 1;
  while (2 * split < leaves.size()) split *= 2;
  const Digest left = merkle_root(leaves.first(split));
  const Digest right = merkle_root(leaves.subspan(split));
  return TaggedHash("FOVEA/1/node").add(left).add(right).finish();
}

void add_sites(TaggedHash& hash, std::span<const RosterIndex> sites) {
  hash.add_u64(sites.size());
  for (const RosterIndex site : sites) hash.add_u64(site);
}

}  // namespace

Digest keys_statement(const Digest& parameters, RosterIndex site, const messages::AdvertisedKeys& keys) {
  return TaggedHash("FOVEA/1/keys").add(parameters).add_u64(site).add(keys.channel).add(keys.mask).finish();
}

Digest key_list_hash(const Digest& parameters, std::span<const messages::ListedKeys> keys) {
  TaggedHash hash("FOVEA/1/key-list");
  hash.add(parameters).add_u64(keys.size());
  for (const messages::ListedKeys& entry : keys)
    hash.add_u64(entry.site).add(entry.keys.channel).add(entry.keys.mask).add(entry.keys.signature);
  return hash.finish();
}

Digest self_seed_commitment(const Digest& parameters, RosterIndex site, ByteView self_seed) {
  return TaggedHash("FOVEA/1/b").add(parameters).add_u64(site).add(self_seed).finish();
}

Digest share_commitment(const Digest& parameters, const ShareOwner& owner, ByteView encoded_share) {
  return TaggedHash("FOVEA/1/share")
      .add(parameters)
      .add_u64(owner.dealer)
      .add_u64(owner.recipient)
      .add_u64(static_cast<std::uint64_t>(owner.secret))
      .add(encoded_share)
      .finish();
}

Digest survivors_hash(const Digest& parameters, std::span<const RosterIndex> survivors) {
  TaggedHash hash("FOVEA/1/survivors");
  hash.add(parameters);
  add_sites(hash, survivors);
  return hash.finish();
}

VectorHash::VectorHash(const Digest& parameters, std::size_t words)
    : hash_("FOVEA/1/vector"), chunks_left_(messages::chunk_count(words)) {
  hash_.add(parameters).add_u64(words);
}

void VectorHash::add_chunk(const Digest& payload_digest) {
  FOVEA_CHECK(chunks_left_ > 0);
  --chunks_left_;
  hash_.add(payload_digest);
}

Digest VectorHash::finish() {
  FOVEA_CHECK(chunks_left_ == 0);
  return hash_.finish();
}

Digest tag_hash(const Digest& parameters, RosterIndex site, const crypto::LinearTag& tag) {
  return TaggedHash("FOVEA/2/tag").add(parameters).add_u64(site).add(tag).finish();
}

Digest masked_statement(const Digest& parameters, const MaskedCommitment& commitment) {
  return TaggedHash("FOVEA/2/masked")
      .add(parameters)
      .add_u64(commitment.site)
      .add(commitment.vector_hash)
      .add(commitment.survivors_hash)
      .add(commitment.self_seed_commitment)
      .add(commitment.tag_hash)
      .finish();
}

Digest committed_root(const Digest& parameters, std::span<const messages::CommittedVector> committed) {
  std::vector<Digest> leaves;
  leaves.reserve(committed.size());
  for (const messages::CommittedVector& entry : committed)
    leaves.push_back(TaggedHash("FOVEA/2/leaf")
                         .add(parameters)
                         .add_u64(entry.site)
                         .add(entry.vector_hash)
                         .add(entry.self_seed_commitment)
                         .add(entry.tag_hash)
                         .finish());
  return leaves.empty() ? TaggedHash("FOVEA/1/node").finish() : merkle_root(leaves);
}

Digest consistency_statement(const Digest& parameters, const ConsistencyContent& content) {
  TaggedHash hash("FOVEA/1/consistency");
  hash.add(parameters).add(content.key_list);
  add_sites(hash, content.survivors);
  hash.add_u64(content.committed.size());
  for (const messages::CommittedVector& entry : content.committed) hash.add_u64(entry.site);
  hash.add(committed_root(parameters, content.committed));
  return hash.finish();
}

Digest transcript_hash(const Digest& parameters, const Digest& consistency, const Digest& sum_hash) {
  return TaggedHash("FOVEA/1/transcript").add(parameters).add(consistency).add(sum_hash).finish();
}

}  // namespace fovea::federation::secagg
