// What a start asks of a site's folder before it connects, for `fovea-node start` and for `doctor`, which looks without
// changing anything.
#pragma once

#include <cstdint>

#include "common/result.h"
#include "federation/ledger/ledger.h"
#include "node/io/node_config.h"
#include "node/io/site_folder.h"

namespace fovea::node::io {

// That node.toml is the one of this site; invalid_argument names the setting.
Result<void> check_settings(const SiteFolder& folder, const NodeConfig& config,
                            const federation::membership::RosterSite& self);

// That lock and events.jsonl are files, or can be made: invalid_argument or permission_denied names the one that is
// not, and what to do. It makes none.
Result<void> check_own_files(const SiteFolder& folder);

federation::ledger::LedgerOptions ledger_options(const SiteFolder& folder,
                                                 const federation::membership::RosterSite& self,
                                                 const federation::membership::Invite& invite, const SiteKeys& keys);

}  // namespace fovea::node::io
