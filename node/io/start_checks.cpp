#include "node/io/start_checks.h"

#include "federation/ledger/entry.h"

namespace fovea::node::io {

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
