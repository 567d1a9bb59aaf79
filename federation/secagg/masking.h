// A site's secrets in one attempt, and what is derived from them: share channels, mask seeds.
// Everything is drawn from one fresh 32-byte seed, and wiped with the object.
//
// Derivations (HKDF-SHA-256, salt H(P)): channel key i→j from X25519(c_i, C_j), bound to i, j, C_i, C_j, K: one key for
// one direction and one message; pair seed from X25519(s_i, S_j), bound to lo, hi, S_lo, S_hi, model hash, d; self seed
// likewise from b. Site i adds the pair mask for j when i < j, else subtracts it.
#pragma once

#include <span>
#include <vector>

#include "crypto/key_agreement.h"
#include "crypto/mask_stream.h"
#include "crypto/shamir.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/secagg/parameters.h"

namespace fovea::federation {

// What all sites of an attempt know.
struct AttemptContext {
  RoundParameters parameters;
  Digest parameters_hash{};      // H(P)
  std::vector<ListedKeys> keys;  // U1, ascending; empty until R1 is answered
  Digest key_list{};             // K

  AttemptRef ref() const { return {parameters.round, parameters.attempt, parameters_hash}; }
  const AdvertisedKeys* find(RosterIndex site) const noexcept;
};

// The two shares one site holds of another's secrets.
struct HeldShares {
  RosterIndex dealer = 0;
  crypto::Share mask_key;
  crypto::Share self_seed;
};

class AttemptSecrets {
 public:
  // Draws (c, s, b) and the stream of Shamir coefficients from a seed that is used for nothing else, ever.
  static AttemptSecrets derive(const crypto::SecretKey& seed, RosterIndex self);

  RosterIndex self() const noexcept { return self_; }
  const crypto::AgreementPublicKey& channel_key() const noexcept { return channel_.public_key(); }
  const crypto::AgreementPublicKey& mask_key() const noexcept { return mask_.public_key(); }
  Digest self_seed_commitment(const Digest& parameters) const;

  // R2: shares of s and b for every other site of U1, sealed; the own shares stay in `own`.
  // permission_denied: a low-order key. Called once.
  struct Dealt {
    std::vector<SealedShares> sealed;  // ascending by recipient
    HeldShares own;
  };
  Result<Dealt> deal(const AttemptContext& context);

  // R3: opens what `dealer` sealed for this site. corruption: unreadable; permission_denied: not what the dealer committed to,
  // or shares for another point.
  Result<HeldShares> open(const AttemptContext& context, const SealedShares& from_dealer) const;

  // R3: the masks of this site's vector: the self mask, and one for each other survivor.
  Result<std::vector<crypto::MaskKey>> masks(const AttemptContext& context, std::span<const RosterIndex> survivors) const;

 private:
  AttemptSecrets(RosterIndex self, crypto::AgreementKey channel, crypto::AgreementKey mask, crypto::SecretKey self_seed,
                 crypto::SeededRandom coefficients);
  RosterIndex self_ = 0;
  crypto::AgreementKey channel_;
  crypto::AgreementKey mask_;
  crypto::SecretKey self_seed_;
  crypto::SeededRandom coefficients_;
};

// The seed of the mask between two sites, from either's private mask key: what a drop-out's recovered key gives.
Result<crypto::SecretKey> pair_seed(const AttemptContext& context, const crypto::AgreementKey& own, RosterIndex self,
                                    RosterIndex peer);

// The seed of the self mask from b.
crypto::SecretKey self_mask_seed(const AttemptContext& context, RosterIndex site, const crypto::SecretKey& self_seed);

}  // namespace fovea::federation
