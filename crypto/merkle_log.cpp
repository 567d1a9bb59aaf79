#include "crypto/merkle_log.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <string>

#include "common/result.h"
#include "crypto/hash.h"

namespace fovea::crypto {
namespace {

// The largest power of two below `size` (size ≥ 2): where RFC 6962 splits a tree.
std::uint64_t split_point(std::uint64_t size) { return std::uint64_t{1} << (std::bit_width(size - 1) - 1); }

Digest fold_peaks(std::span<const Digest> peaks) {
  Digest root = peaks.back();
  for (std::size_t i = peaks.size() - 1; i-- > 0;) root = merkle_node(peaks[i], root);
  return root;
}

// The root of leaves [begin, end), where begin is a multiple of the largest power of two in it.
Result<Digest> range_root(std::uint64_t begin, std::uint64_t end, const SubtreeHash& subtree) {
  std::vector<Digest> peaks;
  while (begin < end) {
    const auto level = static_cast<unsigned>(std::bit_width(end - begin) - 1);
    FOVEA_TRY_ASSIGN(const Digest peak, subtree(level, begin >> level));
    peaks.push_back(peak);
    begin += std::uint64_t{1} << level;
  }
  return fold_peaks(peaks);
}

// Consumes the proof from its front and keeps its own count of what is left.
class ProofReader {
 public:
  explicit ProofReader(std::span<const Digest> proof) : rest_(proof) {}
  const Digest* next() {
    if (rest_.empty()) return nullptr;
    const Digest* out = &rest_.front();
    rest_ = rest_.subspan(1);
    return out;
  }
  bool finished() const noexcept { return rest_.empty(); }

 private:
  std::span<const Digest> rest_;
};

}  // namespace

Digest merkle_leaf(ByteView entry) {
  static constexpr std::uint8_t kPrefix = 0x00;
  // One buffer and one call: the incremental interface allocates, which would take most of the time at 10^6 entries.
  thread_local Bytes buffer;
  buffer.assign(1, kPrefix);
  buffer.insert(buffer.end(), entry.begin(), entry.end());
  return sha256(buffer);
}

Digest merkle_node(const Digest& left, const Digest& right) {
  std::array<std::uint8_t, 65> buffer{};
  buffer[0] = 0x01;
  std::copy(left.begin(), left.end(), buffer.begin() + 1);
  std::copy(right.begin(), right.end(), buffer.begin() + 33);
  return sha256(buffer);
}

Digest merkle_empty_root() { return sha256({}); }

Digest merkle_root(std::span<const Digest> leaves) {
  MerkleFrontier frontier;
  for (const Digest& leaf : leaves) frontier.append(leaf);
  return frontier.root();
}

void MerkleFrontier::append(const Digest& leaf) {
  Digest node = leaf;
  // One peak is merged for each trailing one bit of the size.
  for (std::uint64_t bits = size_; (bits & 1U) != 0; bits >>= 1U) {
    node = merkle_node(peaks_.back(), node);
    peaks_.pop_back();
  }
  peaks_.push_back(node);
  ++size_;
}

Digest MerkleFrontier::root() const { return peaks_.empty() ? merkle_empty_root() : fold_peaks(peaks_); }

Result<Digest> tree_root(std::uint64_t size, const SubtreeHash& subtree) {
  if (size == 0) return merkle_empty_root();
  return range_root(0, size, subtree);
}

Result<std::vector<Digest>> inclusion_proof(std::uint64_t index, std::uint64_t size, const SubtreeHash& subtree) {
  if (index >= size)
    return invalid_argument("inclusion proof: index " + std::to_string(index) + " is not below size " +
                            std::to_string(size));
  std::vector<Digest> proof;  // filled from the root down, so reversed at the end
  std::uint64_t begin = 0;
  std::uint64_t end = size;
  while (end - begin > 1) {
    const std::uint64_t middle = begin + split_point(end - begin);
    const bool left = index < middle;
    FOVEA_TRY_ASSIGN(const Digest sibling,
                     left ? range_root(middle, end, subtree) : range_root(begin, middle, subtree));
    proof.push_back(sibling);
    (left ? end : begin) = middle;
  }
  return std::vector<Digest>(proof.rbegin(), proof.rend());
}

Result<std::vector<Digest>> consistency_proof(std::uint64_t from, std::uint64_t to, const SubtreeHash& subtree) {
  if (from == 0 || from > to)
    return invalid_argument("consistency proof: sizes " + std::to_string(from) + " and " + std::to_string(to) +
                            " are not 1 <= from <= to");
  std::vector<Digest> proof;
  if (from == to) return proof;
  std::uint64_t begin = 0;
  std::uint64_t end = to;
  // Walk down to the place where the older tree ends; `end == from` means that what is left is complete in it.
  while (end != from) {
    const std::uint64_t middle = begin + split_point(end - begin);
    const bool left = from <= middle;
    FOVEA_TRY_ASSIGN(const Digest sibling,
                     left ? range_root(middle, end, subtree) : range_root(begin, middle, subtree));
    proof.push_back(sibling);
    (left ? end : begin) = middle;
  }
  // The verifier knows the older root already when the older tree is one complete subtree at the start.
  if (begin != 0) {
    FOVEA_TRY_ASSIGN(const Digest rest, range_root(begin, end, subtree));
    proof.push_back(rest);
  }
  return std::vector<Digest>(proof.rbegin(), proof.rend());
}

std::string_view to_string(ProofVerdict verdict) noexcept {
  switch (verdict) {
    case ProofVerdict::valid: return "valid";
    case ProofVerdict::index_out_of_range: return "index out of range";
    case ProofVerdict::wrong_length: return "wrong number of hashes";
    case ProofVerdict::old_root_mismatch: return "does not lead to the older root";
    case ProofVerdict::root_mismatch: return "does not lead to the root";
  }
  return "unknown verdict";
}

// RFC 9162 section 2.1.3.2: walk up; at the right border levels without a sibling are skipped.
ProofVerdict check_inclusion(const InclusionClaim& claim, std::span<const Digest> proof) {
  if (claim.index >= claim.size) return ProofVerdict::index_out_of_range;
  ProofReader reader(proof);
  std::uint64_t node = claim.index;
  std::uint64_t last = claim.size - 1;
  Digest hash = claim.leaf;
  while (last > 0) {
    if ((node & 1U) != 0) {
      const Digest* sibling = reader.next();
      if (sibling == nullptr) return ProofVerdict::wrong_length;
      hash = merkle_node(*sibling, hash);
    } else if (node < last) {
      const Digest* sibling = reader.next();
      if (sibling == nullptr) return ProofVerdict::wrong_length;
      hash = merkle_node(hash, *sibling);
    }
    node >>= 1U;
    last >>= 1U;
  }
  if (!reader.finished()) return ProofVerdict::wrong_length;
  return hash == claim.root ? ProofVerdict::valid : ProofVerdict::root_mismatch;
}

// RFC 9162 section 2.1.4.2.
ProofVerdict check_consistency(const ConsistencyClaim& claim, std::span<const Digest> proof) {
  if (claim.from == 0 || claim.from > claim.to) return ProofVerdict::index_out_of_range;
  if (claim.from == claim.to) {
    if (!proof.empty()) return ProofVerdict::wrong_length;
    return claim.from_root == claim.to_root ? ProofVerdict::valid : ProofVerdict::root_mismatch;
  }
  ProofReader reader(proof);
  std::uint64_t node = claim.from - 1;
  std::uint64_t last = claim.to - 1;
  for (; (node & 1U) != 0; last >>= 1U) node >>= 1U;
  const Digest* first = node == 0 ? &claim.from_root : reader.next();
  if (first == nullptr) return ProofVerdict::wrong_length;
  Digest older = *first;
  Digest newer = *first;
  while (last > 0) {
    const bool right_child = (node & 1U) != 0;
    if (right_child || node < last) {
      const Digest* sibling = reader.next();
      if (sibling == nullptr) return ProofVerdict::wrong_length;
      if (right_child) {
        older = merkle_node(*sibling, older);
        newer = merkle_node(*sibling, newer);
      } else {
        newer = merkle_node(newer, *sibling);
      }
    }
    node >>= 1U;
    last >>= 1U;
  }
  if (!reader.finished()) return ProofVerdict::wrong_length;
  if (older != claim.from_root) return ProofVerdict::old_root_mismatch;
  return newer == claim.to_root ? ProofVerdict::valid : ProofVerdict::root_mismatch;
}

}  // namespace fovea::crypto
