// Where the passphrase of a person's key comes from: the terminal, or a file descriptor that a script names. Never from
// the command line or the environment, which other programs can read.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string_view>

#include "common/result.h"
#include "crypto/secret_bytes.h"
#include "crypto/signature.h"

namespace fovea::federation::files {

struct PassphraseSource {
  std::optional<int> descriptor{};  // --passphrase-fd: its first line is the passphrase
  int terminal = STDIN_FILENO;

  // `key` is what the person is asked for: "the key admin.pem". failed_precondition: there is neither a terminal nor a
  // descriptor, or the person gave up; unavailable: it cannot be read; invalid_argument: it is empty or too long.
  Result<crypto::SecretBytes> existing(std::string_view key) const;
  // For a key that is made now: asked twice at a terminal, and refused when too short (crypto/key_file.h).
  Result<crypto::SecretBytes> fresh(std::string_view key) const;
};

// Puts a person's key (crypto/key_file.h) under another passphrase: asks for the one in force, and then for the new
// one, which with a descriptor is its next line. The key stays the same. A cut at any moment leaves the file whole,
// under the one passphrase or the other. permission_denied: the old one is wrong; invalid_argument: the new one is too
// short, or the old one again; then nothing was changed.
Result<crypto::SigningKey> change_passphrase(const std::filesystem::path& key_file, const PassphraseSource& source);

}  // namespace fovea::federation::files
