// HKDF-SHA-256 (RFC 5869): from a shared secret to keys of one purpose each.
#pragma once

#include <cstddef>

#include "common/bytes.h"
#include "common/result.h"
#include "crypto/secret_bytes.h"

namespace fovea::crypto {

// The inputs of one derivation; views live for the call.
struct HkdfInput {
  ByteView secret;  // input keying material
  ByteView salt;    // may be empty
  ByteView info;    // labels and all the key is bound to, length-prefixed by the caller; below 1 MiB
};

SecretKey hkdf_sha256(const HkdfInput& input);

// `length` bytes; invalid_argument outside 1–8160 (255 blocks).
Result<SecretBytes> hkdf_sha256(const HkdfInput& input, std::size_t length);

}  // namespace fovea::crypto
