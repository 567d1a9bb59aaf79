// X25519 (RFC 7748).
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "common/result.h"
#include "crypto/key_pair.h"
#include "crypto/random_source.h"
#include "crypto/secret_bytes.h"

namespace fovea::crypto {

using AgreementPublicKey = KeyPair::PublicKey;

// A private key and its public key; move-only. Several threads may use one key at once.
class AgreementKey {
 public:
  static AgreementKey generate(RandomSource& random) { return from_private(random.secret_key()); }
  static AgreementKey from_private(const SecretKey& scalar) {  // any 32 bytes; clamped in use as the RFC says
    return AgreementKey(KeyPair(KeyPair::Algorithm::x25519, scalar));
  }

  const AgreementPublicKey& public_key() const noexcept { return pair_.public_key(); }
  const SecretKey& private_key() const noexcept { return pair_.secret(); }  // what R2 shares among the sites
  AgreementKey copy() const { return AgreementKey(pair_.copy()); }

  // permission_denied for a peer key of low order (all-zero output).
  Result<SecretKey> shared_secret(const AgreementPublicKey& peer) const;

  // One secret for each peer, in order; the derivation is set up once. The error names the position of the bad peer.
  Result<std::vector<SecretKey>> shared_secrets(std::span<const AgreementPublicKey> peers) const;

 private:
  explicit AgreementKey(KeyPair pair) : pair_(std::move(pair)) {}
  KeyPair pair_;
};

// The public key of a revealed private key: how the coordinator checks a reconstructed s_j against S_j.
AgreementPublicKey agreement_public_key(const SecretKey& scalar);

}  // namespace fovea::crypto
