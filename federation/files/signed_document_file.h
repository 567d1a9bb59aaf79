// Signed documents on disk: rosters, invites, join requests, approvals.
#pragma once

#include <filesystem>

#include "common/result.h"
#include "federation/membership/signed_document.h"

namespace fovea::federation::files {

// Shape only; nothing is verified yet. not_found when absent; invalid_argument names the file.
Result<membership::SignedDocument> read_signed_document(const std::filesystem::path& path);

}  // namespace fovea::federation::files
