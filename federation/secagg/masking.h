// A site's secrets in one attempt, and what is derived from them: share channels, mask seeds.
// Everything is drawn from one fresh 32-byte seed, and wiped with the object.
//
// Derivations (HKDF-SHA-256, salt H(P)): channel key i→j from X25519(c_i, C_j), bound to i, j, C_i, C_j, K: one key for
// one direction and one message; pair seed from X25519(s_i, S_j), bound to lo, hi, S_lo, S_hi, model hash, d; self seed
// likewise from b. Site i adds the pair mask for j when i < j, else subtracts it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/key_agreement.h"
#include "crypto/mask_stream.h"
#include "crypto/random_source.h"
#include "crypto/secret_bytes.h"
#include "crypto/shamir.h"
#include "federation/messages/attempt_ref.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/site_messages.h"
#include "federation/secagg/neighbour_graph.h"
#include "federation/secagg/parameters.h"

namespace fovea::federation::secagg {

// What all sites of an attempt know.
struct AttemptContext {
  RoundParameters parameters;
  Digest parameters_hash{};                // H(P)
  std::optional<NeighbourGraph> graph{};   // none: everybody is everybody's neighbour
  std::vector<messages::ListedKeys> keys;  // U1, ascending; empty until R1 is answered
  Digest key_list{};                       // K

  messages::AttemptRef ref() const { return {parameters.round, parameters.attempt, parameters_hash}; }
  const messages::AdvertisedKeys* find(RosterIndex site) const noexcept;

  // Before R1: P (checked by RoundParameters::decode, or the coordinator's own), its hash and its graph.
  static AttemptContext begin(RoundParameters parameters);
  // After R1: U1 is known, and with it K.
  static AttemptContext after_keys(RoundParameters parameters, std::vector<messages::ListedKeys> keys);

  // Whether two different sites of the attempt share a mask, and hold shares of each other's secrets. In a graph, an
  // index that no site has is nobody's neighbour: lists of others are asked about before anything else is known of
  // them.
  bool are_neighbours(RosterIndex a, RosterIndex b) const {
    return a != b && (!graph || (std::max(a, b) < parameters.graph->roster_sites && graph->are_neighbours(a, b)));
  }
  // Whether `holder` gets a share of each of the dealer's secrets: its neighbours, and in the complete graph itself
  // too.
  bool holds_share(RosterIndex holder, RosterIndex dealer) const {
    return are_neighbours(holder, dealer) || (!graph && holder == dealer);
  }
  // The sites among `sites` whose shares and signatures count for `site` (t of them are needed).
  std::size_t count_holders(RosterIndex site, std::span<const RosterIndex> sites) const;
  // The sites of `sites` that hold shares of `dealer`'s secrets, in the same order.
  std::vector<RosterIndex> holders(RosterIndex dealer, std::span<const RosterIndex> sites) const;
  // The first of `subjects` that has fewer than t holders among `among`: its secrets could not be opened, so its masks
  // would stay in the sum.
  std::optional<RosterIndex> find_isolated(std::span<const RosterIndex> subjects,
                                           std::span<const RosterIndex> among) const;
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

  // R2: shares of s and b for each neighbour of U1, sealed; in the complete graph the own shares stay in `own`.
  // permission_denied: a low-order key. invalid_argument: fewer than t neighbours. Called once.
  struct Dealt {
    std::vector<messages::SealedShares> sealed;  // ascending by recipient
    std::optional<HeldShares> own;
  };
  Result<Dealt> deal(const AttemptContext& context);

  // R3: opens what `dealer` sealed for this site. corruption: unreadable; permission_denied: not what the dealer
  // committed to, or shares for another point.
  Result<HeldShares> open(const AttemptContext& context, const messages::SealedShares& from_dealer) const;

  // R3: the masks of this site's vector: the self mask, and one for each neighbour among the survivors.
  Result<std::vector<crypto::MaskKey>> masks(const AttemptContext& context,
                                             std::span<const RosterIndex> survivors) const;

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

}  // namespace fovea::federation::secagg
