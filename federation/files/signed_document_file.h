// Signed documents on disk: rosters, invites, join requests, approvals.
#pragma once

#include <filesystem>
#include <vector>

#include "common/result.h"
#include "federation/membership/roster.h"
#include "federation/membership/signed_document.h"

namespace fovea::federation::files {

// Shape only; nothing is verified yet. not_found when absent; invalid_argument names the file.
Result<membership::SignedDocument> read_signed_document(const std::filesystem::path& path);

// Of the founding documents NAME.json in a folder, those that count: what rosters had to satisfy before the founding
// document was replaced.
std::vector<membership::RosterTrust> former_trusts(const std::filesystem::path& folder);

}  // namespace fovea::federation::files
