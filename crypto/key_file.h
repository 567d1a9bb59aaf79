// Secret keys on disk: 64 hex digits and a newline, mode 0600. A file that others can read is refused.
#pragma once

#include <filesystem>

#include "common/result.h"
#include "crypto/secret_bytes.h"

namespace fovea::crypto {

Result<void> write_key_file(const std::filesystem::path& path, const SecretKey& key);
// permission_denied when group or others may read the file; corruption when it is not a key.
Result<SecretKey> read_key_file(const std::filesystem::path& path);

}  // namespace fovea::crypto
