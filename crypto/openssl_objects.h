// OpenSSL's objects with owners, and algorithms fetched once (a fetch costs more than a short hash).
// Included by crypto/*.cpp only.
#pragma once

#include <openssl/evp.h>

#include <memory>

#include "common/check.h"

namespace fovea::crypto::openssl {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

using KeyHandle = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freer<EVP_PKEY_CTX_free>>;
using HashContext = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Freer<EVP_CIPHER_CTX_free>>;

inline const EVP_MD* sha256() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  FOVEA_CHECK(algorithm != nullptr);
  return algorithm;
}

inline const EVP_CIPHER* aes_256_ctr() {
  static const EVP_CIPHER* const algorithm = EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr);
  FOVEA_CHECK(algorithm != nullptr);
  return algorithm;
}

inline const EVP_CIPHER* aes_256_gcm() {
  static const EVP_CIPHER* const algorithm = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  FOVEA_CHECK(algorithm != nullptr);
  return algorithm;
}

inline CipherContext new_cipher_context() {
  CipherContext context(EVP_CIPHER_CTX_new());
  FOVEA_CHECK(context != nullptr);
  return context;
}

}  // namespace fovea::crypto::openssl
