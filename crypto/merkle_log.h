// The Merkle tree of an append-only log (RFC 6962 section 2.1): hashes, roots, inclusion and consistency proofs.
// A leaf is SHA-256(00 ‖ entry), an inner node SHA-256(01 ‖ left ‖ right), the empty root SHA-256("").
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"

namespace fovea::crypto {

Digest merkle_leaf(ByteView entry);
Digest merkle_node(const Digest& left, const Digest& right);
Digest merkle_empty_root();

// The root over leaf hashes in order. Also what a secure-aggregation statement commits to.
Digest merkle_root(std::span<const Digest> leaves);

// The right edge of a growing tree: enough to append and to know the root, in O(log size) memory.
class MerkleFrontier {
 public:
  void append(const Digest& leaf);
  std::uint64_t size() const noexcept { return size_; }
  Digest root() const;

 private:
  std::uint64_t size_ = 0;
  std::vector<Digest> peaks_;  // roots of the complete subtrees, largest first
};

// Where proofs take hashes from: the root of the complete subtree of 2^level leaves that starts at leaf
// index·2^level. Only asked for subtrees inside the tree.
using SubtreeHash = std::function<Result<Digest>(unsigned level, std::uint64_t index)>;

// The root of the first `size` leaves.
Result<Digest> tree_root(std::uint64_t size, const SubtreeHash& subtree);
// Audit path of leaf `index` in the tree of `size` leaves; invalid_argument unless index < size.
Result<std::vector<Digest>> inclusion_proof(std::uint64_t index, std::uint64_t size, const SubtreeHash& subtree);
// Proof that the tree of `from` leaves is a prefix of the tree of `to`; invalid_argument unless 1 ≤ from ≤ to.
Result<std::vector<Digest>> consistency_proof(std::uint64_t from, std::uint64_t to, const SubtreeHash& subtree);

enum class ProofVerdict {
  valid,
  index_out_of_range,  // index ≥ size, or from = 0, or from > to
  wrong_length,        // more or fewer hashes than a tree of this shape has
  old_root_mismatch,   // the proof does not lead to the older root
  root_mismatch,       // the proof does not lead to the (newer) root
};

std::string_view to_string(ProofVerdict verdict) noexcept;

struct InclusionClaim {
  Digest leaf{};
  std::uint64_t index = 0;
  std::uint64_t size = 0;
  Digest root{};
};

struct ConsistencyClaim {
  std::uint64_t from = 0;
  Digest from_root{};
  std::uint64_t to = 0;
  Digest to_root{};
};

ProofVerdict check_inclusion(const InclusionClaim& claim, std::span<const Digest> proof);
ProofVerdict check_consistency(const ConsistencyClaim& claim, std::span<const Digest> proof);

}  // namespace fovea::crypto
