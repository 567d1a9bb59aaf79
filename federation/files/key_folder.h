// The folder with the secret keys of a site or the coordinator: one file per key (crypto/key_file.h), each readable by
// its owner only. The keys of a program, which starts unattended, are plain (NAME.key); those of a person are under a
// passphrase (NAME.pem).
#pragma once

#include <filesystem>
#include <string_view>
#include <utility>

#include "common/result.h"
#include "crypto/key_agreement.h"
#include "crypto/random_source.h"
#include "crypto/secret_bytes.h"
#include "crypto/signature.h"

namespace fovea::federation::files {

class KeyFolder {
 public:
  explicit KeyFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // `name` without its ending.
  std::filesystem::path file(std::string_view name) const;
  std::filesystem::path protected_file(std::string_view name) const;

  // Makes the folder, which nobody but its owner may enter.
  Result<void> create() const;
  // Draw a key and write its file, durably; an older key of the name is lost.
  Result<crypto::SigningKey> create_signing_key(std::string_view name, crypto::RandomSource& random) const;
  Result<crypto::AgreementKey> create_agreement_key(std::string_view name, crypto::RandomSource& random) const;

  // Of a person. invalid_argument: the passphrase is too short.
  Result<crypto::SigningKey> create_protected_key(std::string_view name, crypto::RandomSource& random,
                                                  const crypto::SecretBytes& passphrase) const;

  // permission_denied: others can read the file; corruption: it is not a key.
  Result<crypto::SigningKey> signing_key(std::string_view name) const;
  Result<crypto::AgreementKey> agreement_key(std::string_view name) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace fovea::federation::files
