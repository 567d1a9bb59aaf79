// Where the passphrase of a person's key comes from: the terminal, or a file descriptor that a script names. Never from
// the command line or the environment, which other programs can read.
#pragma once

#include <unistd.h>

#include <optional>
#include <string_view>

#include "common/result.h"
#include "crypto/secret_bytes.h"

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

}  // namespace fovea::federation::files
