#include "audit/ledger_audit.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

#include "audit/canaries.h"
#include "audit/describe.h"
#include "common/bytes.h"
#include "common/console.h"
#include "common/durable_file.h"
#include "federation/ledger/entry.h"
#include "federation/ledger/journal.h"
#include "federation/ledger/tile.h"
#include "federation/ledger/tile_check.h"
#include "federation/membership/signed_document.h"

namespace fovea::audit {
namespace {

namespace fs = std::filesystem;

std::string entry_name(std::uint64_t index) { return "entry " + std::to_string(index); }

constexpr std::string_view kLeadsToNoRoot = "; it does not lead to the checkpoint's root, and accuses nobody";

// Signed documents inside an entry are base64, and the text in them is JSON within JSON: both hide a canary, so that it
// is searched decoded.
std::string evidence_of(const federation::ledger::LedgerEntry& entry) {
  ByteView bytes;
  if (const auto* approved = std::get_if<federation::ledger::PlanApproved>(&entry)) bytes = approved->approval;
  if (const auto* withdrawn = std::get_if<federation::ledger::PlanWithdrawn>(&entry)) bytes = withdrawn->approval;
  if (const auto* accepted = std::get_if<federation::ledger::RosterAccepted>(&entry)) bytes = accepted->acceptance;
  if (const auto* ended = std::get_if<federation::ledger::RosterWithdrawn>(&entry)) bytes = ended->withdrawal;
  const auto document = federation::membership::SignedDocument::parse(bytes);
  return document ? document->document : std::string(as_text(bytes));
}

// An audit spends its time on JSON and signatures: entries are parsed and receipts verified in batches on all cores,
// then judged in order.
class EntryAuditor {
 public:
  EntryAuditor(std::string origin, const KeyRing& ring, const std::vector<std::string>& canaries)
      : rules_(std::move(origin), ring), ring_(ring), canaries_(canaries) {}

  void take(std::uint64_t index, ByteView bytes) {
    batch_.push_back({index, std::string(as_text(bytes)), std::nullopt, std::nullopt});
    if (batch_.size() == kBatch) flush();
  }

  // To be called before the findings are read.
  void flush() {
    const std::size_t workers = batch_.size() < kBatch ? 1 : std::max(1U, std::thread::hardware_concurrency());
    const auto decode = [this, workers](std::size_t first) {
      for (std::size_t i = first; i < batch_.size(); i += workers) {
        Pending& pending = batch_[i];
        const auto& entry =
            pending.entry.emplace(federation::ledger::decode_entry(as_bytes(pending.bytes), entry_name(pending.index)));
        if (!entry) continue;
        if (const auto* receipt = std::get_if<federation::ledger::IngressReceipt>(&entry->body))
          pending.signer = signer_of(*receipt, ring_);
      }
    };
    {
      std::vector<std::jthread> others;
      for (std::size_t worker = 1; worker < workers; ++worker) others.emplace_back(decode, worker);
      decode(0);
    }
    for (const Pending& pending : batch_) judge(pending);
    batch_.clear();
  }

  // Of an entry that does not lead to the checkpoint's root: whoever holds the folder can have written it. It is no
  // entry of the ledger, and must hold no name either.
  void search_uncovered(std::uint64_t index, ByteView bytes) {
    if (canaries_.empty()) return;
    search(entry_name(index), as_text(bytes), kLeadsToNoRoot);
    const auto entry = federation::ledger::decode_entry(bytes, entry_name(index));
    if (entry) search(entry_name(index), evidence_of(entry->body), kLeadsToNoRoot);
  }

  // After the entries of the tiles: up to `size`, what was not taken is missing.
  void end_tiles(std::uint64_t size) {
    flush();
    if (next_ < size) miss(next_, size - 1);
    next_ = std::max(next_, size);
  }

  // A text that must hold none of them, too.
  void search(const std::string& where, std::string_view text, std::string_view remark = {}) {
    for (const std::size_t i : canaries_.found_in(text)) {
      ++canary_hits_;
      rules_.report(where, "canary",
                    "holds text number " + std::to_string(i + 1) + " of those that must not be in a ledger" +
                        std::string(remark));
    }
  }

  LedgerRules& rules() noexcept { return rules_; }
  std::uint64_t canary_hits() const noexcept { return canary_hits_; }
  bool has_gap() const noexcept { return !gaps_.empty(); }
  std::vector<IndexRange> take_gaps() noexcept { return std::move(gaps_); }  // missing, or not what was committed to
  std::uint64_t of_newer_version() const noexcept { return of_newer_version_; }
  std::uint64_t first_of_newer_version() const noexcept { return first_of_newer_version_; }
  const std::string& newer_version() const noexcept { return newer_version_; }  // what is said of the first

 private:
  void miss(std::uint64_t first, std::uint64_t last) {
    gaps_.push_back({first, last});
    rules_.missed(first, last);
  }
  static constexpr std::size_t kBatch = 8192;
  struct Pending {
    std::uint64_t index;
    std::string bytes;
    std::optional<Result<federation::ledger::StampedEntry>> entry;
    std::optional<federation::membership::PublicKeyBytes> signer;  // of a receipt
  };

  void judge(const Pending& pending) {
    if (pending.index > next_) miss(next_, pending.index - 1);
    next_ = pending.index + 1;
    const std::string name = entry_name(pending.index);
    search(name, pending.bytes);
    const Result<federation::ledger::StampedEntry>& entry = *pending.entry;
    if (!entry && entry.error().code == ErrorCode::failed_precondition) {
      if (of_newer_version_++ == 0) {
        first_of_newer_version_ = pending.index;
        newer_version_ = entry.error().message;
      }
      return rules_.missed(pending.index, pending.index);
    }
    if (!entry) return rules_.report(name, "form", entry.error().message);
    search(name, evidence_of(entry->body));
    rules_.check(pending.index, *entry, pending.signer);
  }

  LedgerRules rules_;
  std::uint64_t next_ = 0;  // the entry to judge; what check_tiles() leaves out was changed or is missing
  const KeyRing& ring_;
  std::vector<Pending> batch_;
  const CanarySearch canaries_;
  std::uint64_t canary_hits_ = 0, of_newer_version_ = 0, first_of_newer_version_ = 0;
  std::string newer_version_;
  std::vector<IndexRange> gaps_;
};

// The first line of the note, unverified: it only chooses the key to verify with.
std::string claimed_origin(ByteView note) {
  const std::string_view text = as_text(note);
  return std::string(text.substr(0, text.find('\n')));
}

// What an auditor does who has the newest roster alone.
constexpr std::string_view kEarlierRosters =
    "give the earlier rosters too: --roster FILE may be repeated, and sites and coordinator keep them in rosters/";

// Whoever handed the folder over can have written what is newer than the checkpoint.
constexpr std::string_view kUnsigned = "; no checkpoint covers this, and it accuses nobody: let the program end once";

// Of files that the program had written since the checkpoint, or not yet.
constexpr std::string_view kCopiedMeanwhile =
    "the copy was made while the program ran. No checkpoint covers it, and it shows nothing";

// permission_denied: none of the keys given has signed it.
Result<void> verify_checkpoint(AuditedLedger& out, const KeyRing& ring) {
  const Result<Bytes> read = read_file(out.folder / "checkpoint", crypto::kNoteBytesMax);
  if (!read && read.error().code == ErrorCode::not_found)
    return permission_denied(
        "the file checkpoint is missing, and without its signature nothing here is anybody's ledger: copy the file "
        "checkpoint too, before the folder tile");
  if (!read) return read.error();
  const Bytes& note = *read;
  out.origin = claimed_origin(note);
  out.owner = out.origin.substr(out.origin.rfind('/') + 1);
  out.coordinator = out.owner == federation::ledger::kCoordinatorOwner;
  std::string fault;
  for (const crypto::NoteKey& key : ring.log_keys(out.origin)) {
    const auto signed_checkpoint = federation::ledger::read_checkpoint(out.folder, key);
    if (signed_checkpoint) {
      out.key = key.text();
      out.checkpoint = signed_checkpoint->checkpoint;
      return {};
    }
    if (signed_checkpoint.error().code != ErrorCode::permission_denied) fault = signed_checkpoint.error().message;
  }
  if (!fault.empty()) return corruption(fault);
  // A site that was revoked or has new keys is not on the newest roster. With a changed name in it the file looks like
  // somebody else's ledger, too: the message says both.
  const bool has_name = !ring.log_keys(out.origin).empty();
  return permission_denied(
      "its checkpoint is signed as \"" + out.origin.substr(0, 80) + "\"" +
      (has_name ? " with another key than those that were given" : ", for which no key was given") + "; " +
      std::string(kEarlierRosters) + "; or its key (--key). Else it was changed");
}

void audit_journal(AuditedLedger& out, EntryAuditor& auditor) {
  const auto journal = federation::ledger::read_ledger_journal(out.folder / "journal");
  // As if the copy ended with the checkpoint; but what is in there nobody has searched.
  if (!journal && journal.error().code == ErrorCode::failed_precondition) {
    out.unverified =
        "its journal is of another version's format and was not read: audit it with that version, or let the program "
        "that wrote it end once and copy the folder again";
    return;
  }
  if (!journal) {
    out.whole = false;
    return auditor.rules().report("journal", "integrity", journal.error().message);
  }
  std::uint64_t expected = out.checkpoint.size;
  for (const federation::ledger::LedgerJournalEntry& record : journal->entries) {
    if (record.index < expected) continue;
    if (record.index > expected) {
      out.notices.push_back("the journal begins with entry " + std::to_string(record.index) +
                            ", after a checkpoint of " + std::to_string(expected) + ": " +
                            std::string(kCopiedMeanwhile));
      for (const federation::ledger::LedgerJournalEntry& later : journal->entries)
        auditor.search(entry_name(later.index), later.entry);
      return;
    }
    auditor.take(record.index, as_bytes(record.entry));
    out.unpublished_leaves.push_back(crypto::merkle_leaf(as_bytes(record.entry)));
    ++expected;
  }
  out.unpublished = expected - out.checkpoint.size;
  if (out.unpublished > 0)
    out.notices.push_back(counted(out.unpublished, "entry is", "entries are") +
                          " newer than the checkpoint and not under its signature: the program is running, "
                          "or was killed; let it end once");
  if (journal->torn_bytes > 0)
    out.notices.push_back("the journal ends in " + counted(journal->torn_bytes, "unreadable byte") +
                          ", as an interrupted write leaves them: nothing of it was sent");
}

// Whole tiles that no checkpoint in the copy names. They prove nothing, and must hold no name either.
void tell_of_asides(AuditedLedger& out, const federation::ledger::TileCheck& tiles, EntryAuditor& auditor) {
  using federation::ledger::ProblemKind;
  for (const federation::ledger::LedgerProblem& aside : tiles.asides) {
    const auto name = federation::ledger::TileName::parse(aside.where);
    if (aside.kind != ProblemKind::other_publish || !name || name->level) continue;
    const auto bytes = read_file(out.folder / aside.where, federation::ledger::kBundleBytesMax);
    if (!bytes) continue;
    for (const ByteView entry : federation::ledger::decode_bundle(*bytes, name->width).entries)
      auditor.search(aside.where, as_text(entry));
  }
  if (tiles.aside_count == 0) return;
  const federation::ledger::LedgerProblem& first = tiles.asides.front();
  out.notices.push_back(first.where + " " + first.what +
                        (tiles.aside_count > 1 ? " (and " + std::to_string(tiles.aside_count - 1) + " more)" : "") +
                        ": " + std::string(kCopiedMeanwhile));
}

// One note for all that they hold. The findings name the files.
void tell_what_leads_to_no_root(AuditedLedger& out) {
  std::uint64_t entries = 0;
  for (const IndexRange& gap : out.gaps) entries += gap.last - gap.first + 1;
  if (entries > 0 && entries == out.checkpoint.size)
    out.notices.push_back(
        "nothing in this folder leads to the root that " + out.owner +
        " signed: whoever had it can have written all of it, and it was neither judged nor counted. That accuses "
        "nobody. Audit an undamaged copy, in which checkpoint and tile/ are of one ledger");
}

void tell_what_was_missed(AuditedLedger& out, EntryAuditor& auditor) {
  out.of_newer_version = auditor.of_newer_version();
  // One that no checkpoint covers anybody may have written: it excuses nothing.
  const bool is_signed = out.of_newer_version > 0 && auditor.first_of_newer_version() < out.checkpoint.size;
  if (is_signed && out.whole) out.known_until = auditor.first_of_newer_version();
  out.whole = out.whole && !is_signed;
  if (out.of_newer_version > 0)
    out.unverified =
        auditor.newer_version() +
        (out.of_newer_version > 1 ? "; so were " + std::to_string(out.of_newer_version - 1) + " more" : "");
  out.undecided = auditor.rules().undecided();
  if (out.undecided == 0) return;
  const std::string because = "because " + auditor.rules().missed_text();
  const bool several = auditor.rules().missed_several();
  out.notices.push_back(counted(out.undecided, "check") + " of later entries cannot be decided, " + because +
                        (auditor.has_gap() ? std::string(several ? " were changed or are" : " was changed or is") +
                                                 " missing; that accuses nobody. Audit an undamaged copy of this ledger"
                                           : " cannot be read by this version of the program; that accuses nobody"));
}

void add_unverified(AuditedLedger& out, std::string why) {
  out.unverified += (out.unverified.empty() ? "" : ". ") + std::move(why);
}

void tell_what_was_not_judged(AuditedLedger& out, const KeyRing& ring) {
  for (const auto& [site, count] : out.facts.receipts_unjudged) {
    std::string why =
        counted(count, "receipt") + " for " + site +
        " could not be judged: no roster that was given was in force and names the site's identity key; " +
        std::string(kEarlierRosters);
    if (ring.has_roster()) add_unverified(out, std::move(why));
    else out.notices.push_back(std::move(why));
  }
  if (out.facts.approvals_unjudged > 0)
    add_unverified(out, counted(out.facts.approvals_unjudged, "decision") +
                            " of a person here could not be judged: the key is on no roster that was given, and the "
                            "one that was in force then was not given; " +
                            std::string(kEarlierRosters));
}

}  // namespace

bool AuditedLedger::covers(std::uint64_t index) const noexcept {
  if (!was_read() || index >= checkpoint.size) return false;
  const auto after = std::upper_bound(gaps.begin(), gaps.end(), index,
                                      [](std::uint64_t value, const IndexRange& gap) { return value < gap.first; });
  return after == gaps.begin() || std::prev(after)->last < index;
}

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::pass: return "pass";
    case Verdict::unverified: return "unverified";
    case Verdict::fail: return "fail";
  }
  return "fail";
}

Result<fs::path> find_ledger(const fs::path& folder) {
  std::error_code error;
  for (const fs::path& candidate : {folder, folder / "ledger"})
    if (fs::exists(candidate / "checkpoint", error) || fs::exists(candidate / "tile", error)) return candidate;
  return not_found(
      folder.string() +
      ": holds no ledger (no checkpoint and no tiles); give a site's folder, the coordinator's, or the ledger in it");
}

Result<AuditedLedger> audit_ledger(const fs::path& folder, const KeyRing& ring,
                                   const std::vector<std::string>& canaries) {
  AuditedLedger out;
  FOVEA_TRY_ASSIGN(out.folder, find_ledger(folder));
  if (const Result<void> verified = verify_checkpoint(out, ring); !verified) {
    if (verified.error().code == ErrorCode::permission_denied) {
      out.unverified = verified.error().message;
      return out;
    }
    out.findings.push_back({"checkpoint", "integrity", verified.error().message});
    out.finding_count = 1;
    return out;
  }
  out.canaries_searched = canaries.size();
  EntryAuditor auditor(out.origin, ring, canaries);
  const federation::ledger::TileCheck tiles = federation::ledger::check_tiles(
      out.folder, out.checkpoint, [&auditor](std::uint64_t index, ByteView bytes) { auditor.take(index, bytes); },
      [&auditor](std::uint64_t index, ByteView bytes) { auditor.search_uncovered(index, bytes); });
  auditor.end_tiles(out.checkpoint.size);
  out.ends = auditor.rules().last_at();
  out.whole = !auditor.has_gap();
  const std::size_t signed_findings = auditor.rules().findings().size();
  audit_journal(out, auditor);
  auditor.flush();
  tell_of_asides(out, tiles, auditor);
  auditor.rules().finish();
  for (const federation::ledger::LedgerProblem& problem : tiles.problems)
    out.findings.push_back({problem.where, "integrity", problem.what});
  const std::vector<Finding>& broken = auditor.rules().findings();
  for (std::size_t i = 0; i < broken.size(); ++i) {
    out.findings.push_back(broken[i]);
    if (i >= signed_findings) out.findings.back().what += kUnsigned;
  }
  out.finding_count = tiles.problem_count + auditor.rules().finding_count();
  tell_what_was_missed(out, auditor);
  out.gaps = auditor.take_gaps();
  tell_what_leads_to_no_root(out);
  out.canary_hits = auditor.canary_hits();
  out.facts = auditor.rules().take_facts();
  tell_what_was_not_judged(out, ring);
  return out;
}

}  // namespace fovea::audit
