#include "federation/model/state.h"

#include <bit>
#include <cmath>

#include "crypto/hash.h"

namespace fovea::federation {
namespace {

Bytes little_endian(std::span<const float> values) {
  Bytes bytes(values.size() * 4);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto word = std::bit_cast<std::uint32_t>(values[i]);
    for (std::size_t b = 0; b < 4; ++b) bytes[4 * i + b] = static_cast<std::uint8_t>(word >> (8 * b));
  }
  return bytes;
}

}  // namespace

Result<ModelState> ModelState::create(ModelLayout layout, std::vector<float> values) {
  if (values.size() != layout.size())
    return invalid_argument("model " + layout.architecture() + ": expected " + std::to_string(layout.size()) +
                            " values, found " + std::to_string(values.size()));
  for (std::size_t t = 0; t < layout.tensors().size(); ++t) {
    const std::size_t offset = layout.offset(t);
    for (std::size_t i = 0; i < layout.tensors()[t].size(); ++i)
      if (!std::isfinite(values[offset + i])) return invalid_argument(layout.tensors()[t].name + ": a value is not finite");
  }
  return ModelState(std::move(layout), std::move(values));
}

Digest ModelState::digest() const { return digest_of("").value(); }

Result<Digest> ModelState::digest_of(const std::string& prefix) const {
  const std::string prefixes[] = {prefix};
  FOVEA_TRY(layout_.ranges(prefixes));
  crypto::TaggedHash hash("FOVEA/1/model-state");
  hash.add(layout_.architecture());
  for (std::size_t t = 0; t < layout_.tensors().size(); ++t) {
    const TensorSpec& spec = layout_.tensors()[t];
    if (!spec.name.starts_with(prefix)) continue;
    hash.add(spec.name).add_u64(spec.shape.size());
    for (const std::uint32_t extent : spec.shape) hash.add_u64(extent);
    hash.add(little_endian(values().subspan(layout_.offset(t), spec.size())));
  }
  return hash.finish();
}

}  // namespace fovea::federation
