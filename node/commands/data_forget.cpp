// fovea-node data forget: a study's volumes, embeddings and identity are deleted, and the ledger says so.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "common/file_lock.h"
#include "federation/ledger/entry.h"
#include "federation/ledger/ledger.h"
#include "node/commands/command.h"
#include "node/commands/data_commands.h"
#include "node/commands/study_text.h"
#include "node/receive/kept_series.h"
#include "node/store/study_catalogue.h"

namespace fovea::node::commands {
namespace {

// Opened before anything is deleted: an erasure that cannot be recorded does not begin. None where no federation was
// joined.
Result<std::optional<federation::ledger::Ledger>> erasure_ledger(const io::SiteFolder& folder) {
  const Result<federation::membership::Invite> invite = folder.invite();
  const Result<federation::membership::RosterSite> site = folder.site();
  if (!invite || !site) return std::optional<federation::ledger::Ledger>{};
  FOVEA_TRY_ASSIGN(io::SiteKeys keys, folder.keys());
  Result<federation::ledger::Ledger> ledger = federation::ledger::Ledger::open(
      {.folder = folder.ledger(),
       .origin = federation::ledger::ledger_origin(invite->federation, site->id.text()),
       .key = std::move(keys.log),
       .newest = folder.newest_checkpoint(),
       .history = folder.ledger_history()});
  if (!ledger && ledger.error().code == ErrorCode::failed_precondition)
    return failed_precondition("data forget: the running node has the ledger open; stop it, forget, start it again (" +
                               ledger.error().message + ")");
  if (!ledger) return ledger.error();
  return std::optional<federation::ledger::Ledger>(std::move(ledger).value());
}

Result<void> record_erasure(std::optional<federation::ledger::Ledger>& ledger, const std::string& what, UnixMs now) {
  if (!ledger) return {};
  const federation::ledger::LedgerEntry entry = federation::ledger::Incident{"erasure", what};
  FOVEA_TRY(ledger->append(now, {&entry, 1}));
  return ledger->publish();
}

// not_found: there is no such study; failed_precondition: a person at the terminal said no.
Result<void> confirm(const Console& console, const std::filesystem::path& data_folder, const std::string& code,
                     bool agreed) {
  FOVEA_TRY_ASSIGN(const store::StudyCatalogue catalogue, store::StudyCatalogue::open(data_folder, false));
  FOVEA_TRY_ASSIGN(const store::StudyRecord record, catalogue.find(code));
  const std::string what =
      code + " (" + (record.modality.empty() ? "" : record.modality + ", ") + triple(record.geometry.size) + " voxels)";
  if (agreed || console.confirmed("delete the volumes, embeddings and identity of " + what + " for good?")) return {};
  return failed_precondition("data forget: not confirmed; nothing was deleted");
}

}  // namespace

Result<void> run_data_forget(const Console& console, const std::filesystem::path& data_folder, const std::string& code,
                             std::int64_t unix_ms) {
  FOVEA_TRY_ASSIGN(store::StudyCatalogue catalogue, store::StudyCatalogue::open(data_folder, false));
  FOVEA_TRY_ASSIGN(const store::StudyIdentity identity, catalogue.identity(code));
  FOVEA_TRY(receive::forget_kept(data_folder, identity.image));
  FOVEA_TRY(catalogue.forget(code, unix_ms));
  console.data("data forget", {{"code", code}, {"forgotten", true}},
               code + " forgotten: volumes, findings and identity are deleted; the erasure is recorded");
  return {};
}

// Recorded before anything is deleted and again when all is: a crash between leaves the first entry, and a study that
// is still in the list can be forgotten once more.
Result<void> forget_on_record(CommandContext& context, const std::string& code, bool agreed) {
  const std::filesystem::path data = context.folder().data();
  FOVEA_TRY(confirm(context.console, data, code, agreed));
  FOVEA_TRY_ASSIGN(const FileLock lock, wait_for_data(context.console, data, "fovea-node data forget"));
  FOVEA_TRY_ASSIGN(std::optional<federation::ledger::Ledger> ledger, erasure_ledger(context.folder()));
  FOVEA_TRY(record_erasure(ledger, "study " + code + ": is being deleted", context.clock.wall()));
  FOVEA_TRY(run_data_forget(context.console, data, code, context.clock.wall().value));
  return record_erasure(ledger, "study " + code + ": volumes, embeddings and identity were deleted",
                        context.clock.wall());
}

}  // namespace fovea::node::commands
