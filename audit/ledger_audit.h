// One ledger folder, audited offline: signature, tiles, entries, rules, and texts that must not be in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/key_ring.h"
#include "audit/ledger_rules.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "crypto/merkle_log.h"
#include "crypto/signed_note.h"

namespace fovea::audit {

enum class Verdict {
  pass,
  unverified,  // no fault was found, and the keys that were given cannot judge all of it
  fail,
};
std::string_view to_string(Verdict verdict) noexcept;  // in the JSON: "pass" and so on

struct IndexRange {
  std::uint64_t first = 0, last = 0;
};

struct AuditedLedger {
  std::filesystem::path folder;
  std::string origin;  // "<federation>/<owner>"
  std::string owner;
  bool coordinator = false;
  crypto::Checkpoint checkpoint;
  std::string key;  // that signed it, in text form
  std::vector<Finding> findings;
  // Every entry under the checkpoint is the one committed to and of a version that this program knows, and what is
  // newer could be read and is not contested.
  bool whole = false;
  std::vector<IndexRange> gaps;     // of the entries under the checkpoint, those not committed to; ascending
  std::uint64_t finding_count = 0;  // findings are listed up to a bound
  // Faults of later entries that may be no more than what an unreadable entry held: told once, as a notice.
  std::uint64_t undecided = 0;
  std::string unverified;            // what cannot be judged with the keys that were given; empty: nothing
  std::vector<std::string> notices;  // worth knowing, no fault
  std::uint64_t unpublished = 0;     // entries newer than the checkpoint: read, not yet signed
  std::vector<Digest> unpublished_leaves;
  std::optional<UnixMs> ends;          // when the newest entry under the checkpoint was written; none: it is empty
  std::uint64_t of_newer_version = 0;  // entries that a newer program wrote: not judged
  // Where those alone keep the ledger from being whole: the first of them. All entries before it are known.
  std::optional<std::uint64_t> known_until;
  // Among several of one owner, by compare_copies():
  bool copy = false;                    // another one given is longer
  bool forked = false;                  // another one given is signed too, and neither continues the other
  std::uint64_t canaries_searched = 0;  // none where the ledger could not be read
  std::uint64_t canary_hits = 0;
  LedgerFacts facts;

  bool was_read() const noexcept { return !key.empty(); }  // a key that was given has signed it
  // Whether the entry's bytes lead to the root that was signed. An entry for which this is false speaks against nobody:
  // whoever had the folder can have written it, with the tiles above it.
  bool covers(std::uint64_t index) const noexcept;
  // Some entry under the checkpoint is missing, or leads to no root. Such a folder stands for no other one.
  bool is_damaged() const noexcept { return !gaps.empty(); }
  Verdict verdict() const noexcept {
    if (finding_count > 0) return Verdict::fail;
    return unverified.empty() && undecided == 0 ? Verdict::pass : Verdict::unverified;
  }
  bool sound() const noexcept { return verdict() == Verdict::pass; }
};

// The folder that holds the ledger: `folder` itself or its "ledger" (a site's or the coordinator's folder). not_found.
Result<std::filesystem::path> find_ledger(const std::filesystem::path& folder);

// Faults of the ledger are findings, not errors; one whose signer's key the ring lacks is unverified. not_found: no
// ledger.
// A canary is a text that must not occur (canaries.h); a finding names it by its position only, never by its text.
Result<AuditedLedger> audit_ledger(const std::filesystem::path& folder, const KeyRing& ring,
                                   const std::vector<std::string>& canaries = {});

}  // namespace fovea::audit
