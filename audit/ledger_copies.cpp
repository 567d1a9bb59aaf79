#include "audit/ledger_copies.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "audit/describe.h"
#include "common/console.h"
#include "crypto/merkle_log.h"
#include "federation/ledger/tile_check.h"

namespace fovea::audit {
namespace {

enum class Relation {
  continues,
  contradicts_signed,    // two checkpoints under one key
  contradicts_unsigned,  // in entries that are newer than a checkpoint: anybody may have written those
  unknown,               // a file that would show it is damaged
};

std::uint64_t entries_of(const AuditedLedger& ledger) { return ledger.checkpoint.size + ledger.unpublished; }

// Whether the smaller tree is the beginning of the larger, by a proof under the larger one's signed root: what its
// files hold is believed no further than that.
Relation compare_signed(const AuditedLedger& smaller, const AuditedLedger& larger) {
  const crypto::Checkpoint& from = smaller.checkpoint;
  const crypto::Checkpoint& to = larger.checkpoint;
  if (from.size == to.size) return from.root == to.root ? Relation::continues : Relation::contradicts_signed;
  if (from.size == 0)
    return from.root == crypto::merkle_empty_root() ? Relation::continues : Relation::contradicts_signed;
  const crypto::SubtreeHash subtrees = federation::ledger::stored_subtrees(larger.folder, to.size);
  const Result<Digest> beginning = crypto::tree_root(from.size, subtrees);
  const Result<std::vector<Digest>> proof = crypto::consistency_proof(from.size, to.size, subtrees);
  if (!beginning || !proof ||
      crypto::check_consistency({from.size, *beginning, to.size, to.root}, *proof) != crypto::ProofVerdict::valid)
    return Relation::unknown;
  return *beginning == from.root ? Relation::continues : Relation::contradicts_signed;
}

// None where the root does not commit to what the files say.
std::optional<Digest> leaf_of(const AuditedLedger& ledger, std::uint64_t index) {
  const std::uint64_t size = ledger.checkpoint.size;
  if (index >= size) return ledger.unpublished_leaves[index - size];
  const crypto::SubtreeHash subtrees = federation::ledger::stored_subtrees(ledger.folder, size);
  const Result<Digest> leaf = subtrees(0, index);
  if (!leaf) return std::nullopt;
  if (ledger.finding_count == 0) return *leaf;
  const auto proof = crypto::inclusion_proof(index, size, subtrees);
  const crypto::InclusionClaim claim{*leaf, index, size, ledger.checkpoint.root};
  if (!proof || crypto::check_inclusion(claim, *proof) != crypto::ProofVerdict::valid) return std::nullopt;
  return *leaf;
}

Relation compare(const AuditedLedger& one, const AuditedLedger& other) {
  const bool in_order = one.checkpoint.size <= other.checkpoint.size;
  const AuditedLedger& smaller = in_order ? one : other;
  const AuditedLedger& larger = in_order ? other : one;
  if (const Relation of_signed = compare_signed(smaller, larger); of_signed != Relation::continues) return of_signed;
  for (std::uint64_t i = smaller.checkpoint.size; i < std::min(entries_of(one), entries_of(other)); ++i) {
    const auto a = leaf_of(smaller, i), b = leaf_of(larger, i);
    if (!a || !b) return Relation::unknown;
    if (*a != *b) return Relation::contradicts_unsigned;
  }
  return Relation::continues;
}

void report_fork(AuditedLedger& ledger, const AuditedLedger& other, bool is_signed) {
  ++ledger.finding_count;
  ledger.forked = ledger.forked || is_signed;
  ledger.whole = ledger.whole && is_signed;
  const std::string where = other.folder.string() + ", of " + counted(entries_of(other), "entry");
  ledger.findings.push_back(
      {is_signed ? "checkpoint" : "journal", "fork",
       is_signed ? ledger.owner + " signed another ledger too (" + where + "), and neither continues the other"
                 : "has other entries after its checkpoint than " + where +
                       "; they are not under a signature and accuse nobody"});
}

// Of the indexes of one owner's ledgers; the longest undamaged one first. Returns those that the first one holds whole.
std::vector<std::size_t> compare_with_longest(std::vector<AuditedLedger>& ledgers,
                                              const std::vector<std::size_t>& copies) {
  std::vector<std::size_t> held;
  AuditedLedger& longest = ledgers[copies.front()];
  for (std::size_t i = 1; i < copies.size(); ++i) {
    AuditedLedger& copy = ledgers[copies[i]];
    copy.copy = true;
    const Relation relation = compare(copy, longest);
    switch (relation) {
      case Relation::continues:
        if (copy.verdict() == Verdict::fail) break;
        held.push_back(copies[i]);
        longest.notices.push_back(
            copy.folder.string() + " is " +
            (entries_of(copy) == entries_of(longest) ? "the same ledger" : "an older copy of it") + ", of " +
            counted(entries_of(copy), "entry") + ": counted once");
        break;
      case Relation::contradicts_signed:
      case Relation::contradicts_unsigned:
        report_fork(copy, longest, relation == Relation::contradicts_signed);
        report_fork(longest, copy, relation == Relation::contradicts_signed);
        break;
      case Relation::unknown:
        copy.notices.push_back("cannot be compared with " + longest.folder.string() +
                               ", another ledger of this owner, where files are damaged");
        break;
    }
  }
  return held;
}

}  // namespace

void compare_copies(std::vector<AuditedLedger>& ledgers) {
  std::map<std::string, std::vector<std::size_t>> by_key;  // which names the origin
  for (std::size_t i = 0; i < ledgers.size(); ++i)
    if (ledgers[i].was_read()) by_key[ledgers[i].key].push_back(i);
  std::vector<std::size_t> held;
  for (auto& [key, copies] : by_key) {
    // A damaged one must hold no other, whatever the order in which they were given.
    const auto rank = [&](std::size_t i) {
      return std::tuple(!ledgers[i].is_damaged(), entries_of(ledgers[i]), ledgers[i].checkpoint.size, ledgers[i].whole);
    };
    std::stable_sort(copies.begin(), copies.end(), [&](auto a, auto b) { return rank(a) > rank(b); });
    const auto of_owner = compare_with_longest(ledgers, copies);
    held.insert(held.end(), of_owner.begin(), of_owner.end());
  }
  std::sort(held.rbegin(), held.rend());
  for (const std::size_t i : held) ledgers.erase(ledgers.begin() + static_cast<std::ptrdiff_t>(i));
}

}  // namespace fovea::audit
