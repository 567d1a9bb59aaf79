#include "crypto/key_agreement.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "common/check.h"
#include "common/result.h"
#include "crypto/openssl_objects.h"

namespace fovea::crypto {

namespace {

// Derives with one private key again and again.
class Deriver {
 public:
  explicit Deriver(const KeyPair& key) : context_(EVP_PKEY_CTX_new_from_pkey(nullptr, key.handle(), nullptr)) {
    FOVEA_CHECK(context_ != nullptr && EVP_PKEY_derive_init(context_.get()) == 1);
  }

  Result<SecretKey> derive(const AgreementPublicKey& peer) {
    const openssl::KeyHandle handle(
        EVP_PKEY_new_raw_public_key_ex(nullptr, "X25519", nullptr, peer.data(), peer.size()));
    FOVEA_CHECK(handle != nullptr);  // any 32 bytes are a key in form
    FOVEA_CHECK(EVP_PKEY_derive_set_peer_ex(context_.get(), handle.get(), 0) == 1);
    SecretKey secret;
    std::size_t size = SecretKey::size();
    // OpenSSL fails on the all-zero output; it is looked for here as well, since R1 rests on it.
    const bool derived = EVP_PKEY_derive(context_.get(), secret.span().data(), &size) == 1;
    std::uint8_t any = 0;
    for (const std::uint8_t byte : secret.view()) any = static_cast<std::uint8_t>(any | byte);
    if (!derived || size != SecretKey::size() || any == 0)
      return permission_denied("X25519 peer key: of low order, the shared secret would be zero; exclude this peer");
    return secret;
  }

 private:
  openssl::KeyContext context_;
};

}  // namespace

Result<SecretKey> AgreementKey::shared_secret(const AgreementPublicKey& peer) const {
  return Deriver(pair_).derive(peer);
}

Result<std::vector<SecretKey>> AgreementKey::shared_secrets(std::span<const AgreementPublicKey> peers) const {
  Deriver deriver(pair_);
  std::vector<SecretKey> secrets;
  secrets.reserve(peers.size());
  for (std::size_t i = 0; i < peers.size(); ++i) {
    Result<SecretKey> secret = deriver.derive(peers[i]);
    if (!secret) return secret.error().with_context("peer " + std::to_string(i));
    secrets.push_back(std::move(secret).value());
  }
  return secrets;
}

AgreementPublicKey agreement_public_key(const SecretKey& scalar) {
  return KeyPair(KeyPair::Algorithm::x25519, scalar).public_key();
}

}  // namespace fovea::crypto
