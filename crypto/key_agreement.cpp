#include "crypto/key_agreement.h"

#include "crypto/openssl_objects.h"

namespace fovea::crypto {

namespace {

openssl::KeyHandle private_handle(const SecretKey& scalar) {
  openssl::KeyHandle handle(
      EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, scalar.view().data(), SecretKey::size()));
  FOVEA_CHECK(handle != nullptr);
  return handle;
}

AgreementPublicKey public_of(const openssl::KeyHandle& handle) {
  AgreementPublicKey out{};
  std::size_t size = out.size();
  FOVEA_CHECK(EVP_PKEY_get_raw_public_key(handle.get(), out.data(), &size) == 1 && size == out.size());
  return out;
}

// Derives with one private key again and again.
class Deriver {
 public:
  explicit Deriver(const openssl::KeyHandle& key) : context_(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr)) {
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

struct AgreementKey::Prepared {
  openssl::KeyHandle handle;
};

AgreementKey::AgreementKey(SecretKey scalar, std::unique_ptr<Prepared> prepared)
    : scalar_(std::move(scalar)), public_(public_of(prepared->handle)), prepared_(std::move(prepared)) {}
AgreementKey::AgreementKey(AgreementKey&&) noexcept = default;
AgreementKey& AgreementKey::operator=(AgreementKey&&) noexcept = default;
AgreementKey::~AgreementKey() = default;

AgreementKey AgreementKey::generate(RandomSource& random) { return from_private(random.secret_key()); }

AgreementKey AgreementKey::from_private(const SecretKey& scalar) {
  return AgreementKey(scalar.copy(), std::make_unique<Prepared>(Prepared{private_handle(scalar)}));
}

AgreementKey AgreementKey::copy() const {
  FOVEA_CHECK(prepared_ != nullptr && EVP_PKEY_up_ref(prepared_->handle.get()) == 1);
  return AgreementKey(scalar_.copy(),
                      std::make_unique<Prepared>(Prepared{openssl::KeyHandle(prepared_->handle.get())}));
}

Result<SecretKey> AgreementKey::shared_secret(const AgreementPublicKey& peer) const {
  FOVEA_CHECK(prepared_ != nullptr);
  return Deriver(prepared_->handle).derive(peer);
}

Result<std::vector<SecretKey>> AgreementKey::shared_secrets(std::span<const AgreementPublicKey> peers) const {
  FOVEA_CHECK(prepared_ != nullptr);
  Deriver deriver(prepared_->handle);
  std::vector<SecretKey> secrets;
  secrets.reserve(peers.size());
  for (std::size_t i = 0; i < peers.size(); ++i) {
    Result<SecretKey> secret = deriver.derive(peers[i]);
    if (!secret) return secret.error().with_context("peer " + std::to_string(i));
    secrets.push_back(std::move(secret).value());
  }
  return secrets;
}

AgreementPublicKey agreement_public_key(const SecretKey& scalar) { return public_of(private_handle(scalar)); }

}  // namespace fovea::crypto
