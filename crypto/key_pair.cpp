#include "crypto/key_pair.h"

#include <openssl/evp.h>

#include <cstddef>
#include <utility>

#include "common/check.h"

namespace fovea::crypto {

void KeyPair::Free::operator()(evp_pkey_st* handle) const noexcept { EVP_PKEY_free(handle); }

KeyPair::KeyPair(Algorithm algorithm, const SecretKey& secret)
    : KeyPair(secret, std::unique_ptr<evp_pkey_st, Free>(EVP_PKEY_new_raw_private_key_ex(
                          nullptr, algorithm == Algorithm::x25519 ? "X25519" : "ED25519", nullptr, secret.view().data(),
                          SecretKey::size()))) {}

KeyPair::KeyPair(const SecretKey& secret, std::unique_ptr<evp_pkey_st, Free> handle)
    : secret_(secret.copy()), handle_(std::move(handle)) {
  FOVEA_CHECK(handle_ != nullptr);
  std::size_t size = public_.size();
  FOVEA_CHECK(EVP_PKEY_get_raw_public_key(handle_.get(), public_.data(), &size) == 1 && size == public_.size());
}

KeyPair KeyPair::copy() const {
  FOVEA_CHECK(EVP_PKEY_up_ref(handle()) == 1);
  return KeyPair(secret_, std::unique_ptr<evp_pkey_st, Free>(handle()));
}

evp_pkey_st* KeyPair::handle() const {
  FOVEA_CHECK(handle_ != nullptr);
  return handle_.get();
}

}  // namespace fovea::crypto
