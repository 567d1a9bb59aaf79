#include "federation/secagg/masking.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "common/bytes.h"
#include "common/check.h"
#include "common/codec.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/random_source.h"
#include "crypto/secret_bytes.h"
#include "federation/messages/site_messages.h"
#include "federation/secagg/statements.h"

namespace fovea::federation::secagg {
namespace {

// The key seals one message in one direction, so the nonce is constant.
constexpr crypto::AeadNonce kNonce{};

Bytes associated_data(const AttemptContext& context, RosterIndex dealer, RosterIndex recipient) {
  ByteWriter writer;
  writer.sized(std::string_view("FOVEA/1/share-message"));
  writer.raw(context.parameters_hash);
  writer.u16(dealer);
  writer.u16(recipient);
  writer.raw(context.key_list);
  return std::move(writer).take();
}

crypto::SecretKey direction_key(const AttemptContext& context, const crypto::SecretKey& shared, RosterIndex dealer,
                                RosterIndex recipient) {
  ByteWriter info;
  info.sized(std::string_view("FOVEA/1/share-channel"));
  info.u16(dealer);
  info.u16(recipient);
  info.raw(context.find(dealer)->channel);
  info.raw(context.find(recipient)->channel);
  info.raw(context.key_list);
  return crypto::hkdf_sha256({.secret = shared.view(), .salt = context.parameters_hash, .info = info.bytes()});
}

crypto::SecretKey pair_seed_from(const AttemptContext& context, const crypto::SecretKey& shared, RosterIndex a,
                                 RosterIndex b) {
  const RosterIndex lo = std::min(a, b);
  const RosterIndex hi = std::max(a, b);
  ByteWriter info;
  info.sized(std::string_view("FOVEA/1/pair-mask"));
  info.u16(lo);
  info.u16(hi);
  info.raw(context.find(lo)->mask);
  info.raw(context.find(hi)->mask);
  info.raw(context.parameters.model_hash);
  info.u32(context.parameters.dimension);
  return crypto::hkdf_sha256({.secret = shared.view(), .salt = context.parameters_hash, .info = info.bytes()});
}

// Independent secrets from one seed, each under its own label.
crypto::SecretKey expand(const crypto::SecretKey& seed, std::string_view label) {
  ByteWriter info;
  info.sized(label);
  return crypto::hkdf_sha256({.secret = seed.view(), .salt = {}, .info = info.bytes()});
}

// Who gets shares of the dealer's secrets, in roster order.
std::vector<const messages::ListedKeys*> recipients_of(const AttemptContext& context, RosterIndex dealer) {
  std::vector<const messages::ListedKeys*> out;
  for (const messages::ListedKeys& entry : context.keys)
    if (context.holds_share(entry.site, dealer)) out.push_back(&entry);
  return out;
}

}  // namespace

const messages::AdvertisedKeys* AttemptContext::find(RosterIndex site) const noexcept {
  const auto found =
      std::lower_bound(keys.begin(), keys.end(), site,
                       [](const messages::ListedKeys& entry, RosterIndex wanted) { return entry.site < wanted; });
  return found != keys.end() && found->site == site ? &found->keys : nullptr;
}

AttemptContext AttemptContext::begin(RoundParameters parameters) {
  AttemptContext out;
  out.parameters_hash = parameters.hash();
  if (parameters.graph) {
    const Result<crypto::SecretKey> seed = crypto::SecretKey::from(parameters.graph->beacon, "beacon");
    FOVEA_CHECK(seed.has_value());
    crypto::SeededRandom random(*seed);
    auto made = NeighbourGraph::create(shuffled_positions(parameters.graph->roster_sites, random),
                                       parameters.graph->neighbours);
    FOVEA_CHECK(made.has_value());  // RoundParameters::decode checked the bounds
    out.graph = std::move(*made);
  }
  out.parameters = std::move(parameters);
  return out;
}

AttemptContext AttemptContext::after_keys(RoundParameters parameters, std::vector<messages::ListedKeys> keys) {
  AttemptContext out = begin(std::move(parameters));
  out.key_list = key_list_hash(out.parameters_hash, keys);
  out.keys = std::move(keys);
  return out;
}

std::vector<RosterIndex> AttemptContext::holders(RosterIndex dealer, std::span<const RosterIndex> sites) const {
  std::vector<RosterIndex> out;
  for (const RosterIndex site : sites)
    if (holds_share(site, dealer)) out.push_back(site);
  return out;
}

std::size_t AttemptContext::count_holders(RosterIndex site, std::span<const RosterIndex> sites) const {
  return static_cast<std::size_t>(
      std::count_if(sites.begin(), sites.end(), [&](RosterIndex holder) { return holds_share(holder, site); }));
}

std::optional<RosterIndex> AttemptContext::find_isolated(std::span<const RosterIndex> subjects,
                                                         std::span<const RosterIndex> among) const {
  for (const RosterIndex subject : subjects)
    if (count_holders(subject, among) < parameters.thresholds.threshold) return subject;
  return std::nullopt;
}

AttemptSecrets::AttemptSecrets(RosterIndex self, crypto::AgreementKey channel, crypto::AgreementKey mask,
                               crypto::SecretKey self_seed, crypto::SeededRandom coefficients)
    : self_(self),
      channel_(std::move(channel)),
      mask_(std::move(mask)),
      self_seed_(std::move(self_seed)),
      coefficients_(std::move(coefficients)) {}

AttemptSecrets AttemptSecrets::derive(const crypto::SecretKey& seed, RosterIndex self) {
  return AttemptSecrets(self, crypto::AgreementKey::from_private(expand(seed, "FOVEA/1/attempt/channel")),
                        crypto::AgreementKey::from_private(expand(seed, "FOVEA/1/attempt/mask")),
                        expand(seed, "FOVEA/1/attempt/self-seed"),
                        crypto::SeededRandom(expand(seed, "FOVEA/1/attempt/coefficients")));
}

Digest AttemptSecrets::self_seed_commitment(const Digest& parameters) const {
  return secagg::self_seed_commitment(parameters, self_, self_seed_.view());
}

Result<AttemptSecrets::Dealt> AttemptSecrets::deal(const AttemptContext& context) {
  const std::vector<const messages::ListedKeys*> recipients = recipients_of(context, self_);
  std::vector<std::uint32_t> points;
  for (const messages::ListedKeys* recipient : recipients) points.push_back(std::uint32_t{recipient->site} + 1);
  const std::uint32_t threshold = context.parameters.thresholds.threshold;
  FOVEA_TRY_ASSIGN(std::vector<crypto::Share> mask_shares,
                   crypto::split_secret(mask_.private_key(), threshold, points, coefficients_));
  FOVEA_TRY_ASSIGN(std::vector<crypto::Share> seed_shares,
                   crypto::split_secret(self_seed_, threshold, points, coefficients_));
  std::vector<messages::SealedShares> sealed;
  sealed.reserve(recipients.size());
  std::optional<HeldShares> own;
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    const RosterIndex peer = recipients[i]->site;
    if (peer == self_) {
      own.emplace(HeldShares{self_, std::move(mask_shares[i]), std::move(seed_shares[i])});
      continue;
    }
    const auto mask_share = mask_shares[i].encode();
    const auto seed_share = seed_shares[i].encode();
    crypto::SecretArray<2 * crypto::kShareBytes> plain;
    std::copy(mask_share.view().begin(), mask_share.view().end(), plain.span().begin());
    std::copy(seed_share.view().begin(), seed_share.view().end(), plain.span().begin() + crypto::kShareBytes);
    FOVEA_TRY_ASSIGN(const crypto::SecretKey shared, channel_.shared_secret(recipients[i]->keys.channel));
    const Bytes box = crypto::aead_seal(direction_key(context, shared, self_, peer), kNonce,
                                        associated_data(context, self_, peer), plain.view());
    messages::SealedShares entry;
    entry.peer = peer;
    entry.mask_key_commitment =
        share_commitment(context.parameters_hash, {self_, peer, messages::RevealedSecret::mask_key}, mask_share.view());
    entry.self_seed_commitment = share_commitment(
        context.parameters_hash, {self_, peer, messages::RevealedSecret::self_seed}, seed_share.view());
    FOVEA_TRY_ASSIGN(entry.sealed, to_array<messages::kSealedSharesBytes>(box, "sealed shares"));
    sealed.push_back(std::move(entry));
  }
  return Dealt{std::move(sealed), std::move(own)};
}

Result<HeldShares> AttemptSecrets::open(const AttemptContext& context,
                                        const messages::SealedShares& from_dealer) const {
  const RosterIndex dealer = from_dealer.peer;
  FOVEA_CHECK(context.find(dealer) != nullptr && context.find(self_) != nullptr);
  FOVEA_TRY_ASSIGN(const crypto::SecretKey shared, channel_.shared_secret(context.find(dealer)->channel));
  FOVEA_TRY_ASSIGN(const crypto::SecretBytes plain,
                   crypto::aead_open(direction_key(context, shared, dealer, self_), kNonce,
                                     associated_data(context, dealer, self_), from_dealer.sealed));
  if (plain.size() != 2 * crypto::kShareBytes) return corruption("sealed shares: wrong length");
  const ByteView mask_bytes = plain.view().first(crypto::kShareBytes);
  const ByteView seed_bytes = plain.view().subspan(crypto::kShareBytes);
  const Digest& hash = context.parameters_hash;
  if (share_commitment(hash, {dealer, self_, messages::RevealedSecret::mask_key}, mask_bytes) !=
          from_dealer.mask_key_commitment ||
      share_commitment(hash, {dealer, self_, messages::RevealedSecret::self_seed}, seed_bytes) !=
          from_dealer.self_seed_commitment)
    return permission_denied("sealed shares: not what the dealer committed to");
  auto mask_share = crypto::Share::decode(mask_bytes);
  auto seed_share = crypto::Share::decode(seed_bytes);
  const std::uint32_t point = std::uint32_t{self_} + 1;
  if (!mask_share || !seed_share || mask_share->point() != point || seed_share->point() != point)
    return permission_denied("sealed shares: not a share for this site");
  return HeldShares{dealer, std::move(*mask_share), std::move(*seed_share)};
}

Result<std::vector<crypto::MaskKey>> AttemptSecrets::masks(const AttemptContext& context,
                                                           std::span<const RosterIndex> survivors) const {
  std::vector<crypto::AgreementPublicKey> peer_keys;
  std::vector<RosterIndex> peers;
  for (const RosterIndex site : survivors) {
    if (site == self_) continue;
    const messages::AdvertisedKeys* keys = context.find(site);
    if (keys == nullptr) return invalid_argument("survivors: a site without keys");
    if (!context.are_neighbours(self_, site)) continue;
    peers.push_back(site);
    peer_keys.push_back(keys->mask);
  }
  FOVEA_TRY_ASSIGN(const std::vector<crypto::SecretKey> shared, mask_.shared_secrets(peer_keys));
  std::vector<crypto::MaskKey> out;
  out.reserve(peers.size() + 1);
  out.push_back({self_mask_seed(context, self_, self_seed_), crypto::MaskSign::add});
  for (std::size_t i = 0; i < peers.size(); ++i)
    out.push_back({pair_seed_from(context, shared[i], self_, peers[i]),
                   self_ < peers[i] ? crypto::MaskSign::add : crypto::MaskSign::subtract});
  return out;
}

Result<crypto::SecretKey> pair_seed(const AttemptContext& context, const crypto::AgreementKey& own, RosterIndex self,
                                    RosterIndex peer) {
  const messages::AdvertisedKeys* keys = context.find(peer);
  if (keys == nullptr || context.find(self) == nullptr) return invalid_argument("pair seed: a site without keys");
  FOVEA_TRY_ASSIGN(const crypto::SecretKey shared, own.shared_secret(keys->mask));
  return pair_seed_from(context, shared, self, peer);
}

crypto::SecretKey self_mask_seed(const AttemptContext& context, RosterIndex site, const crypto::SecretKey& self_seed) {
  ByteWriter info;
  info.sized(std::string_view("FOVEA/1/self-mask"));
  info.u16(site);
  info.raw(context.parameters.model_hash);
  info.u32(context.parameters.dimension);
  return crypto::hkdf_sha256({.secret = self_seed.view(), .salt = context.parameters_hash, .info = info.bytes()});
}

}  // namespace fovea::federation::secagg
