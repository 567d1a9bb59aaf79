#include "node/io/start_checks.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>

#include "federation/ledger/entry.h"

namespace fovea::node::io {
namespace {

namespace fs = std::filesystem;

// Whether the file that a link names could be made: its folder is there.
bool leads_into_a_folder(fs::path link) {
  std::error_code error;
  for (int followed = 0; followed < 40 && fs::is_symlink(link, error); ++followed)
    link = link.parent_path() / fs::read_symlink(link, error);  // an absolute one replaces the folder
  return fs::is_directory(link.parent_path(), error);
}

Result<void> check_can_be_written(const fs::path& path) {
  const auto refused = [&](const std::string& why) {
    return invalid_argument(path.string() + ": " + why +
                            "\n  fix: move it away; the next start makes it anew, and no record rests on it");
  };
  std::error_code error;
  const fs::file_type type = fs::status(path, error).type();
  if (type == fs::file_type::not_found && (!fs::is_symlink(path, error) || leads_into_a_folder(path))) return {};
  if (type == fs::file_type::not_found) return refused("is a link into a folder that is not there");
  if (type == fs::file_type::none) return refused("cannot be looked at: " + error.message());
  if (type == fs::file_type::directory) return refused("is a folder, not a file");
  if (type == fs::file_type::fifo || type == fs::file_type::socket) return refused("is a pipe or a socket, not a file");
  if (::access(path.c_str(), W_OK) == 0) return {};
  return permission_denied(path.string() + ": cannot be written: " + std::strerror(errno) +
                           "\n  fix: give it to the user that the node runs as, who must be able to write it");
}

}  // namespace

Result<void> check_own_files(const SiteFolder& folder) {
  FOVEA_TRY(check_can_be_written(folder.root() / "lock"));
  return check_can_be_written(folder.events());
}

Result<void> check_settings(const SiteFolder& folder, const NodeConfig& config,
                            const federation::membership::RosterSite& self) {
  if (config.site == self.id) return {};
  return invalid_argument(folder.config().string() + "  site.id\n  expected \"" + self.id.text() +
                          "\", the name this folder was made for\n  fix: id = \"" + self.id.text() + "\"");
}

federation::ledger::LedgerOptions ledger_options(const SiteFolder& folder,
                                                 const federation::membership::RosterSite& self,
                                                 const federation::membership::Invite& invite, const SiteKeys& keys) {
  return {.folder = folder.ledger(),
          .origin = federation::ledger::ledger_origin(invite.federation, self.id.text()),
          .key = keys.log.copy(),
          .newest = folder.newest_checkpoint(),
          .history = folder.ledger_history()};
}

}  // namespace fovea::node::io
