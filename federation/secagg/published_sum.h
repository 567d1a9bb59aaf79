// What binds a published sum to the vectors that the sites of U3 signed. The secrets that R5 opened give the masks that
// are still in Σ y: the coordinator takes them out, and every site puts them back into the published Σ x to check it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/ids.h"
#include "crypto/linear_hash.h"
#include "crypto/mask_stream.h"
#include "federation/secagg/masking.h"
#include "federation/secagg/round_evidence.h"

namespace fovea::federation::secagg {

struct MasksInSum {
  std::vector<crypto::MaskKey> keys;
  std::optional<RosterIndex> low_order;  // a site of U3 whose mask key is of low order; `keys` is then incomplete
};

// `sign`: add puts the masks into a sum of plain vectors, subtract takes them out of one of masked vectors. `committed`
// is U3; `opened` has one secret for each site of U2, of the right kind (check_evidence).
MasksInSum masks_in_sum(const AttemptContext& context, std::span<const RosterIndex> committed,
                        std::span<const OpenedSecret> opened, crypto::MaskSign sign);

// Whether `words` are Σ x of the vectors whose tags add up to `tags`. The masks put back, and with the carries, they
// must be an integer vector T with h(T) = Σ h(y_i): h is linear over the integers, and two such T with entries below
// |U3| · 2^32 would be a collision of it (docs/linear-hash.md). So no two sites can be given two different sums, nor
// any site another sum than that of the vectors that were committed to. `words` and `carries` have equal lengths.
bool is_sum_of_tagged(const AttemptContext& context, const RoundEvidence& evidence, const crypto::LinearTagSum& tags,
                      std::span<const std::uint32_t> words, std::span<const std::uint16_t> carries,
                      std::uint32_t threads);

}  // namespace fovea::federation::secagg
