#include "federation/secagg/published_sum.h"

#include <utility>

#include "common/check.h"
#include "crypto/key_agreement.h"
#include "crypto/secret_bytes.h"
#include "federation/messages/site_messages.h"

namespace fovea::federation::secagg {

MasksInSum masks_in_sum(const AttemptContext& context, std::span<const RosterIndex> committed,
                        std::span<const OpenedSecret> opened, crypto::MaskSign sign) {
  const crypto::MaskSign opposite = sign == crypto::MaskSign::add ? crypto::MaskSign::subtract : crypto::MaskSign::add;
  MasksInSum out;
  for (const OpenedSecret& secret : opened) {
    auto value = crypto::SecretKey::from(secret.value, "opened secret");
    FOVEA_CHECK(value.has_value());
    if (secret.kind == messages::RevealedSecret::self_seed) {
      out.keys.push_back({self_mask_seed(context, secret.site, *value), sign});
      continue;
    }
    const auto mask_key = crypto::AgreementKey::from_private(*value);
    for (const RosterIndex peer : committed) {
      if (!context.are_neighbours(secret.site, peer)) continue;
      auto seed = pair_seed(context, mask_key, secret.site, peer);
      if (!seed) {
        out.low_order = peer;
        return out;
      }
      // `peer` added this mask when it is the lower of the two, else it subtracted it.
      out.keys.push_back({std::move(*seed), peer < secret.site ? sign : opposite});
    }
  }
  return out;
}

bool is_sum_of_tagged(const AttemptContext& context, const RoundEvidence& evidence, const crypto::LinearTagSum& tags,
                      std::span<const std::uint32_t> words, std::span<const std::uint16_t> carries,
                      std::uint32_t threads) {
  const MasksInSum masks =
      masks_in_sum(context, messages::sites_of(evidence.committed), evidence.opened, crypto::MaskSign::add);
  if (masks.low_order) return false;
  std::vector<std::uint32_t> masked(words.begin(), words.end());
  crypto::apply_masks(masked, 0, masks.keys, threads);
  return tags.equals(crypto::linear_hash(context.parameters_hash, masked, carries, threads));
}

}  // namespace fovea::federation::secagg
