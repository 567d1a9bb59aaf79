#include "federation/model/initial_weights.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"
#include "crypto/hash.h"
#include "crypto/random_source.h"
#include "crypto/secret_bytes.h"
#include "federation/model/layout.h"

namespace fovea::federation::model {
namespace {

// Largest r with r² ≤ value.
std::uint64_t integer_square_root(std::uint64_t value) {
  std::uint64_t root = 0;
  for (std::uint64_t bit = std::uint64_t{1} << 31; bit != 0; bit >>= 1)
    if ((root | bit) * (root | bit) <= value) root |= bit;
  return root;
}

std::size_t fan_in(const TensorSpec& spec) { return spec.size() / spec.shape.front(); }

void fill_kaiming_uniform(const TensorSpec& spec, crypto::RandomSource& random, std::span<float> out) {
  // The bound sqrt(6 / fan_in) with 24 fractional bits; at most 2.45 · 2^24.
  const auto bound = static_cast<std::int64_t>(
      integer_square_root((std::uint64_t{6} << 48) / static_cast<std::uint64_t>(fan_in(spec))));
  Bytes bytes(4 * out.size());
  random.fill(bytes);
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::int64_t word = 0;
    for (std::size_t b = 0; b < 4; ++b) word |= std::int64_t{bytes[4 * i + b]} << (8 * b);
    const std::int64_t signed_24 = (word >> 8) - (std::int64_t{1} << 23);
    // The product is below 2^50, hence exact as a double; the one rounding is IEEE 754's to float.
    out[i] = static_cast<float>(static_cast<double>(signed_24 * bound) * 0x1p-47);
  }
}

}  // namespace

Result<ModelState> initial_model(const ModelLayout& layout, std::uint64_t seed) {
  crypto::TaggedHash hash("FOVEA/1/initial-weights");
  hash.add(layout.architecture()).add_u64(seed);
  const Digest digest = hash.finish();
  FOVEA_TRY_ASSIGN(const crypto::SecretKey key, crypto::SecretKey::from(digest, "initial weights seed"));
  crypto::SeededRandom random(key);

  std::vector<float> values(layout.size());
  for (std::size_t t = 0; t < layout.tensors().size(); ++t) {
    const TensorSpec& spec = layout.tensors()[t];
    const std::span<float> out = std::span(values).subspan(layout.offset(t), spec.size());
    switch (spec.initial) {
      case InitialValue::constant: std::fill(out.begin(), out.end(), spec.constant); break;
      case InitialValue::kaiming_uniform: fill_kaiming_uniform(spec, random, out); break;
    }
  }
  return ModelState::create(layout, std::move(values));
}

}  // namespace fovea::federation::model
