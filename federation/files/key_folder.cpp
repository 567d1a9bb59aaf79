#include "federation/files/key_folder.h"

#include <string>
#include <system_error>

#include "common/durable_file.h"
#include "crypto/key_file.h"
#include "crypto/secret_bytes.h"

namespace fovea::federation::files {

std::filesystem::path KeyFolder::file(std::string_view name) const { return folder_ / (std::string(name) + ".key"); }

std::filesystem::path KeyFolder::protected_file(std::string_view name) const {
  return folder_ / (std::string(name) + ".pem");
}

Result<void> KeyFolder::create() const {
  FOVEA_TRY(create_directories_durably(folder_));
  std::error_code ignored;  // each file is closed to others by itself
  std::filesystem::permissions(folder_, std::filesystem::perms::owner_all, ignored);
  return {};
}

Result<crypto::SigningKey> KeyFolder::create_signing_key(std::string_view name, crypto::RandomSource& random) const {
  crypto::SigningKey key = crypto::SigningKey::create(random);
  FOVEA_TRY(crypto::write_key_file(file(name), key.seed()));
  return key;
}

Result<crypto::SigningKey> KeyFolder::create_protected_key(std::string_view name, crypto::RandomSource& random,
                                                           const crypto::SecretBytes& passphrase) const {
  crypto::SigningKey key = crypto::SigningKey::create(random);
  FOVEA_TRY(crypto::write_protected_key_file(protected_file(name), key, passphrase));
  return key;
}

Result<crypto::AgreementKey> KeyFolder::create_agreement_key(std::string_view name,
                                                             crypto::RandomSource& random) const {
  crypto::AgreementKey key = crypto::AgreementKey::generate(random);
  FOVEA_TRY(crypto::write_key_file(file(name), key.private_key()));
  return key;
}

Result<crypto::SigningKey> KeyFolder::signing_key(std::string_view name) const {
  FOVEA_TRY_ASSIGN(const crypto::SecretKey seed, crypto::read_key_file(file(name)));
  return crypto::SigningKey::from_seed(seed);
}

Result<crypto::AgreementKey> KeyFolder::agreement_key(std::string_view name) const {
  FOVEA_TRY_ASSIGN(const crypto::SecretKey value, crypto::read_key_file(file(name)));
  return crypto::AgreementKey::from_private(value);
}

}  // namespace fovea::federation::files
