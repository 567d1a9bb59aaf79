// The register of a site on disk: what must hold across its runs (node/round/site_marks.h).
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>

#include "common/bytes.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/signature.h"
#include "federation/files/record_file.h"
#include "federation/ledger/entry.h"
#include "node/egress/egress_gate.h"

namespace fovea::node::io {

// What the journals of the runs have and the register lacks is written to it first, at each opening: so deleting it
// frees no model, and a crash while it is made again does no harm. Then the shares
// that may not leave any more are erased from the journals.
Result<federation::files::RecordFile> open_site_register(const std::filesystem::path& path,
                                                         const std::filesystem::path& runs,
                                                         const crypto::SigningKey& log_key);

// What open_site_register() would refuse of register and journals, with nothing on disk changed.
Result<void> check_site_register(const std::filesystem::path& path, const std::filesystem::path& runs,
                                 const crypto::SigningKey& log_key);

// Marks what the site's ledger shows as released, by model, and the register lacks (it was cut, or removed together
// with the journals), so that no second sum on such a model is released. Such a mark lets nothing be repeated. How many
// were missing.
Result<std::size_t> restore_releases(federation::files::RecordFile& site_register,
                                     const std::map<Digest, egress::RecordedRelease>& releases);

// Erases from the journals the shares of what the egress gate has closed (by run, its newest attempt), for which no
// machine may ever open: of a plan that was rejected while its run was not open. Not from that of the `open` run.
Result<void> erase_closed_shares(const std::filesystem::path& runs,
                                 const std::map<RunId, federation::ledger::RoundKey>& closed,
                                 const std::optional<RunId>& open, const crypto::SigningKey& log_key);

}  // namespace fovea::node::io
