// X25519 (RFC 7748).
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "common/bytes.h"
#include "crypto/random_source.h"
#include "crypto/secret_bytes.h"

namespace fovea::crypto {

using AgreementPublicKey = std::array<std::uint8_t, 32>;

// A private key and its public key. Several threads may use one key at once.
class AgreementKey {
 public:
  static AgreementKey generate(RandomSource& random);
  static AgreementKey from_private(const SecretKey& scalar);  // any 32 bytes; clamped in use as the RFC says

  const AgreementPublicKey& public_key() const noexcept { return public_; }
  const SecretKey& private_key() const noexcept { return scalar_; }  // what R2 shares among the sites
  AgreementKey copy() const;

  AgreementKey(AgreementKey&&) noexcept;
  AgreementKey& operator=(AgreementKey&&) noexcept;
  ~AgreementKey();

  // permission_denied for a peer key of low order (all-zero output).
  Result<SecretKey> shared_secret(const AgreementPublicKey& peer) const;

  // One secret for each peer, in order; the derivation is set up once. The error names the position of the bad peer.
  Result<std::vector<SecretKey>> shared_secrets(std::span<const AgreementPublicKey> peers) const;

 private:
  struct Prepared;  // the key in OpenSSL's form; making it costs as much as an agreement
  AgreementKey(SecretKey scalar, std::unique_ptr<Prepared> prepared);
  SecretKey scalar_;
  AgreementPublicKey public_{};
  std::unique_ptr<Prepared> prepared_;
};

// The public key of a revealed private key: how the coordinator checks a reconstructed s_j against S_j.
AgreementPublicKey agreement_public_key(const SecretKey& scalar);

}  // namespace fovea::crypto
