#include "node/commands/site_ledger.h"

#include <optional>
#include <string>
#include <utility>

#include "federation/ledger/journal.h"
#include "federation/ledger/tile_check.h"

namespace fovea::node::commands {
namespace {

Result<crypto::NoteKey> note_key(const io::SiteFolder& folder) {
  FOVEA_TRY_ASSIGN(const federation::membership::RosterSite site, folder.site());
  FOVEA_TRY_ASSIGN(const federation::membership::Invite invite, folder.invite());
  return crypto::NoteKey::create(federation::ledger::ledger_origin(invite.federation, site.id.text()), site.log_key);
}

}  // namespace

Result<void> read_published(const io::SiteFolder& folder, const LedgerVisitor& visit) {
  FOVEA_TRY_ASSIGN(const crypto::NoteKey key, note_key(folder));
  FOVEA_TRY_ASSIGN(const auto checkpoint, federation::ledger::read_checkpoint(folder.ledger(), key));
  std::optional<Error> unreadable;
  const federation::ledger::TileCheck check =
      federation::ledger::check_tiles(folder.ledger(), checkpoint.checkpoint, [&](std::uint64_t index, ByteView bytes) {
        auto entry = federation::ledger::decode_entry(bytes, "entry " + std::to_string(index));
        if (entry) visit(index, std::move(*entry));
        else if (!unreadable) unreadable = entry.error();
      });
  if (unreadable) return *unreadable;
  for (const federation::ledger::LedgerProblem& problem : check.problems)
    if (problem.kind != federation::ledger::ProblemKind::uncovered)
      return corruption(problem.where + ": " + problem.what + "; run fovea-audit verify for the whole picture");
  return {};
}

namespace {

// The journal first: what a publish moves into tiles meanwhile is found there.
template <class Learner>
Result<void> read_into(Learner& out, const io::SiteFolder& folder) {
  if (!folder.invite()) return {};  // no node can have run here
  FOVEA_TRY_ASSIGN(const auto journal, federation::ledger::read_ledger_journal(folder.ledger() / "journal"));
  std::uint64_t published = 0;
  const auto read = read_published(folder, [&](std::uint64_t index, const federation::ledger::StampedEntry& entry) {
    out.learn(entry.body);
    published = index + 1;
  });
  if (!read && read.error().code != ErrorCode::not_found) return read.error();
  for (const federation::ledger::LedgerJournalEntry& record : journal.entries) {
    if (record.index < published) continue;
    FOVEA_TRY_ASSIGN(const auto entry,
                     federation::ledger::decode_entry(as_bytes(record.entry), "entry " + std::to_string(record.index)));
    out.learn(entry.body);
  }
  return {};
}

}  // namespace

Result<egress::PlanDecisions> read_plan_decisions(const io::SiteFolder& folder) {
  FOVEA_TRY_ASSIGN(const federation::membership::RosterSite site, folder.site());
  egress::PlanDecisions out(site.id, site.approver_key);
  FOVEA_TRY(read_into(out, folder));
  return out;
}

Result<RecordedSites> read_known_sites(const io::SiteFolder& folder) {
  FOVEA_TRY_ASSIGN(const federation::membership::RosterSite site, folder.site());
  egress::SiteAcquaintances recorded(site.id, site.approver_key);
  const auto read = read_into(recorded, folder);
  if (!read) recorded = egress::SiteAcquaintances(site.id, site.approver_key);
  return RecordedSites{
      folder.known_sites(std::move(recorded)),
      read ? "" : "the ledger cannot be read, so only the files in acquaintances/ count here: " + read.error().message};
}

}  // namespace fovea::node::commands
