// Reading the ledger of a site beside the node that writes it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/result.h"
#include "federation/ledger/entry.h"
#include "node/egress/plan_decisions.h"
#include "node/io/site_folder.h"

namespace fovea::node::commands {

using LedgerVisitor = std::function<void(std::uint64_t index, federation::ledger::StampedEntry entry)>;

// Every entry under the published checkpoint; its tiles are verified as they are read. not_found: there is none yet.
Result<void> read_published(const io::SiteFolder& folder, const LedgerVisitor& visit);

// What the gate goes by, with what waits in the ledger's journal. None before anything was recorded.
Result<egress::PlanDecisions> read_plan_decisions(const io::SiteFolder& folder);

// The same of whom people here have accepted, with the files that a node has yet to read.
struct RecordedSites {
  io::KnownSites known;
  std::string warning{};  // why the ledger could not be asked; empty: it was
};
Result<RecordedSites> read_known_sites(const io::SiteFolder& folder);

}  // namespace fovea::node::commands
