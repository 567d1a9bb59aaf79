// Secret keys on disk, mode 0600; a file that others can read is refused. Two formats:
//
//   plain      64 hex digits and a newline: keys of programs that start unattended
//   protected  a person's Ed25519 key under a passphrase: PKCS#8 in PEM, PBES2 with AES-256-CBC and scrypt (RFC 8018,
//              7914). `openssl pkey -in FILE` reads it too
#pragma once

#include <cstddef>
#include <filesystem>

#include "common/result.h"
#include "crypto/secret_bytes.h"
#include "crypto/signature.h"

namespace fovea::crypto {

Result<void> write_key_file(const std::filesystem::path& path, const SecretKey& key);
// permission_denied when group or others may read the file; corruption when it is not a key.
Result<SecretKey> read_key_file(const std::filesystem::path& path);

inline constexpr std::size_t kPassphraseCharactersMin = 8;
inline constexpr std::size_t kPassphraseBytesMax = 1024;

// invalid_argument when a passphrase is too short, or too long, for a new key.
Result<void> check_new_passphrase(const SecretBytes& passphrase);
// invalid_argument as above; an older file is replaced.
Result<void> write_protected_key_file(const std::filesystem::path& path, const SigningKey& key,
                                      const SecretBytes& passphrase);
// The same for a new key: failed_precondition where a file of that name is there, however lately it was made.
Result<void> create_protected_key_file(const std::filesystem::path& path, const SigningKey& key,
                                       const SecretBytes& passphrase);
// Whether there is such a key, without its passphrase. permission_denied: others may read the file; corruption: it is
// none.
Result<void> check_protected_key_file(const std::filesystem::path& path);
// permission_denied: the passphrase is wrong, or others may read the file; corruption: it is not such a key.
Result<SigningKey> read_protected_key_file(const std::filesystem::path& path, const SecretBytes& passphrase);

// Of a public key that a person handed over: invalid_argument when no such file can hold its secret, because it is no
// point of the curve, or one under which many messages verify.
Result<void> check_public_key(const VerifyKey& key);

}  // namespace fovea::crypto
