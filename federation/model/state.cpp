#include "federation/model/state.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "common/numbers.h"
#include "common/result.h"
#include "crypto/hash.h"

namespace fovea::federation::model {

static_assert(std::endian::native == std::endian::little, "values are hashed as they lie in memory");

Result<ModelState> ModelState::create(ModelLayout layout, std::vector<float> values) {
  if (values.size() != layout.size())
    return invalid_argument("model " + layout.architecture() + ": expected " + std::to_string(layout.size()) +
                            " values, found " + std::to_string(values.size()));
  for (std::size_t t = 0; t < layout.tensors().size(); ++t) {
    const TensorSpec& spec = layout.tensors()[t];
    if (!all_finite(std::span(values).subspan(layout.offset(t), spec.size())))
      return invalid_argument(spec.name + ": a value is not finite");
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
    const std::span<const float> tensor = values().subspan(layout_.offset(t), spec.size());
    hash.add(ByteView(reinterpret_cast<const std::uint8_t*>(tensor.data()), tensor.size_bytes()));
  }
  return hash.finish();
}

}  // namespace fovea::federation::model
