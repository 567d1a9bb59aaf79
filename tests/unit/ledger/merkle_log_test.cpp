// Failure class: a tree that another implementation of RFC 6962 would not agree with, or a proof accepted for
// something that is not in the log.
#include "crypto/merkle_log.h"

#include <gtest/gtest.h>

#include "tests/support/hex.h"

namespace fovea::crypto {
namespace {

using test::hex_array;

// The eight entries and nine roots of the reference tests of Certificate Transparency (merkletree/*_test).
const std::vector<Bytes>& known_entries() {
  static const std::vector<Bytes> entries = {{},
                                             test::hex("00"),
                                             test::hex("10"),
                                             test::hex("2021"),
                                             test::hex("3031"),
                                             test::hex("40414243"),
                                             test::hex("5051525354555657"),
                                             test::hex("606162636465666768696a6b6c6d6e6f")};
  return entries;
}
constexpr const char* kKnownRoots[] = {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                                       "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                                       "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                                       "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
                                       "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                                       "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
                                       "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                                       "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                                       "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};

// The definition of RFC 6962 section 2.1, word by word: slow and recursive.
Digest naive_root(std::span<const Digest> leaves) {
  if (leaves.empty()) return merkle_empty_root();
  if (leaves.size() == 1) return leaves[0];
  std::size_t k = 1;
  while (k * 2 < leaves.size()) k *= 2;
  return merkle_node(naive_root(leaves.first(k)), naive_root(leaves.subspan(k)));
}

std::vector<Digest> naive_path(std::size_t m, std::span<const Digest> leaves) {
  if (leaves.size() == 1) return {};
  std::size_t k = 1;
  while (k * 2 < leaves.size()) k *= 2;
  std::vector<Digest> path = m < k ? naive_path(m, leaves.first(k)) : naive_path(m - k, leaves.subspan(k));
  path.push_back(m < k ? naive_root(leaves.subspan(k)) : naive_root(leaves.first(k)));
  return path;
}

std::vector<Digest> naive_subproof(std::size_t m, std::span<const Digest> leaves, bool known) {
  if (m == leaves.size()) return known ? std::vector<Digest>{} : std::vector<Digest>{naive_root(leaves)};
  std::size_t k = 1;
  while (k * 2 < leaves.size()) k *= 2;
  std::vector<Digest> proof = m <= k ? naive_subproof(m, leaves.first(k), known)
                                     : naive_subproof(m - k, leaves.subspan(k), false);
  proof.push_back(m <= k ? naive_root(leaves.subspan(k)) : naive_root(leaves.first(k)));
  return proof;
}

std::vector<Digest> numbered_leaves(std::size_t count) {
  std::vector<Digest> leaves;
  for (std::size_t i = 0; i < count; ++i) leaves.push_back(merkle_leaf(as_bytes("leaf " + std::to_string(i))));
  return leaves;
}

SubtreeHash subtrees_of(const std::vector<Digest>& leaves) {
  return [&leaves](unsigned level, std::uint64_t index) -> Result<Digest> {
    const std::size_t size = std::size_t{1} << level;
    if ((index + 1) * size > leaves.size()) return invalid_argument("asked outside the tree");
    return naive_root(std::span(leaves).subspan(index * size, size));
  };
}

TEST(MerkleLog, HasTheKnownRootsOfCertificateTransparency) {
  std::vector<Digest> leaves;
  EXPECT_EQ(merkle_root(leaves), hex_array(kKnownRoots[0]));
  EXPECT_EQ(merkle_empty_root(), hex_array(kKnownRoots[0]));
  for (std::size_t i = 0; i < known_entries().size(); ++i) {
    leaves.push_back(merkle_leaf(known_entries()[i]));
    EXPECT_EQ(merkle_root(leaves), hex_array(kKnownRoots[i + 1])) << i + 1;
    EXPECT_EQ(tree_root(leaves.size(), subtrees_of(leaves)).value(), hex_array(kKnownRoots[i + 1])) << i + 1;
  }
}

TEST(MerkleLog, HasTheKnownPathsOfCertificateTransparency) {
  std::vector<Digest> leaves;
  for (const Bytes& entry : known_entries()) leaves.push_back(merkle_leaf(entry));
  const auto path = inclusion_proof(0, 8, subtrees_of(leaves)).value();
  ASSERT_EQ(path.size(), 3U);
  EXPECT_EQ(path[0], hex_array("96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"));
  EXPECT_EQ(path[1], hex_array("5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"));
  EXPECT_EQ(path[2], hex_array("6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"));
}

TEST(MerkleLog, AgreesWithTheNaiveTreeAtEverySize) {
  const std::vector<Digest> leaves = numbered_leaves(530);
  MerkleFrontier frontier;
  for (std::size_t size = 0; size <= leaves.size(); ++size) {
    EXPECT_EQ(frontier.root(), naive_root(std::span(leaves).first(size))) << size;
    EXPECT_EQ(frontier.size(), size);
    if (size < leaves.size()) frontier.append(leaves[size]);
  }
}

TEST(MerkleLog, ProvesEveryLeafOfEverySmallTreeAndNothingElse) {
  const std::vector<Digest> leaves = numbered_leaves(40);
  for (std::uint64_t size = 1; size <= leaves.size(); ++size) {
    const auto tree = std::span(leaves).first(size);
    const Digest root = naive_root(tree);
    for (std::uint64_t index = 0; index < size; ++index) {
      auto proof = inclusion_proof(index, size, subtrees_of(leaves)).value();
      EXPECT_EQ(proof, naive_path(index, tree));
      const InclusionClaim claim{leaves[index], index, size, root};
      EXPECT_EQ(check_inclusion(claim, proof), ProofVerdict::valid);
      InclusionClaim other = claim;
      other.leaf = merkle_leaf(as_bytes("another"));
      EXPECT_EQ(check_inclusion(other, proof), ProofVerdict::root_mismatch);
      for (std::uint64_t wrong = 0; wrong < size; ++wrong) {
        if (wrong == index) continue;
        other = claim;
        other.index = wrong;
        EXPECT_NE(check_inclusion(other, proof), ProofVerdict::valid) << size << " " << index << " " << wrong;
      }
      for (Digest& hash : proof) {
        hash[7] ^= 1U;
        EXPECT_EQ(check_inclusion(claim, proof), ProofVerdict::root_mismatch);
        hash[7] ^= 1U;
      }
      proof.push_back(root);
      EXPECT_EQ(check_inclusion(claim, proof), ProofVerdict::wrong_length);
      proof.pop_back();
      if (!proof.empty()) {
        proof.pop_back();
        EXPECT_EQ(check_inclusion(claim, proof), ProofVerdict::wrong_length);
      }
    }
  }
  EXPECT_EQ(check_inclusion({leaves[0], 1, 1, leaves[0]}, {}), ProofVerdict::index_out_of_range);
  EXPECT_EQ(check_inclusion({leaves[0], 0, 0, leaves[0]}, {}), ProofVerdict::index_out_of_range);
  EXPECT_FALSE(inclusion_proof(3, 3, subtrees_of(leaves)));
}

TEST(MerkleLog, ProvesThatEverySmallTreeOnlyGrew) {
  const std::vector<Digest> leaves = numbered_leaves(40);
  for (std::uint64_t to = 1; to <= leaves.size(); ++to)
    for (std::uint64_t from = 1; from <= to; ++from) {
      auto proof = consistency_proof(from, to, subtrees_of(leaves)).value();
      EXPECT_EQ(proof, naive_subproof(from, std::span(leaves).first(to), true)) << from << " " << to;
      const ConsistencyClaim claim{from, naive_root(std::span(leaves).first(from)), to,
                                   naive_root(std::span(leaves).first(to))};
      EXPECT_EQ(check_consistency(claim, proof), ProofVerdict::valid) << from << " " << to;
      ConsistencyClaim rewritten = claim;
      rewritten.from_root[0] ^= 1U;
      EXPECT_NE(check_consistency(rewritten, proof), ProofVerdict::valid);
      rewritten = claim;
      rewritten.to_root[0] ^= 1U;
      EXPECT_EQ(check_consistency(rewritten, proof), ProofVerdict::root_mismatch);
      for (Digest& hash : proof) {
        hash[0] ^= 1U;
        EXPECT_NE(check_consistency(claim, proof), ProofVerdict::valid);
        hash[0] ^= 1U;
      }
      proof.push_back(claim.to_root);
      EXPECT_EQ(check_consistency(claim, proof), ProofVerdict::wrong_length);
      proof.pop_back();
      if (proof.empty()) continue;
      proof.pop_back();
      EXPECT_EQ(check_consistency(claim, proof), ProofVerdict::wrong_length);
    }
  EXPECT_EQ(check_consistency({0, {}, 5, {}}, {}), ProofVerdict::index_out_of_range);
  EXPECT_EQ(check_consistency({6, {}, 5, {}}, {}), ProofVerdict::index_out_of_range);
  EXPECT_FALSE(consistency_proof(0, 5, subtrees_of(leaves)));
  EXPECT_FALSE(consistency_proof(6, 5, subtrees_of(leaves)));
}

TEST(MerkleLog, NamesTheOlderRootWhenOnlyItIsWrong) {
  const std::vector<Digest> leaves = numbered_leaves(11);
  const auto proof = consistency_proof(7, 11, subtrees_of(leaves)).value();
  ConsistencyClaim claim{7, naive_root(std::span(leaves).first(7)), 11, naive_root(leaves)};
  claim.from_root[31] ^= 1U;
  EXPECT_EQ(check_consistency(claim, proof), ProofVerdict::old_root_mismatch);
}

}  // namespace
}  // namespace fovea::crypto
