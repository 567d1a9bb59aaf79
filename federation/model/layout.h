// The names, shapes and order of a model's tensors: one flat vector of float32 that coordinator, sites
// and auditors cut in the same places. Pure data, no torch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace fovea::federation::model {

inline constexpr std::size_t kModelSizeMax = std::size_t{1} << 26;  // floats
inline constexpr std::size_t kTensorNameMax = 120;                  // bytes

// How a tensor starts (initial_weights.h).
enum class InitialValue {
  constant,         // every element is `constant`
  kaiming_uniform,  // uniform in ±sqrt(6 / fan_in), fan_in = product of all but the first dimension
};

struct TensorSpec {
  std::string name;                  // a–z 0–9 '.' '_', at most kTensorNameMax bytes
  std::vector<std::uint32_t> shape;  // 1–5 dimensions, each ≥ 1, slowest first
  InitialValue initial = InitialValue::constant;
  float constant = 0;

  std::size_t size() const noexcept;
  bool operator==(const TensorSpec&) const = default;
};

// A run of floats of the flat model.
struct FlatRange {
  std::size_t offset = 0;
  std::size_t size = 0;
  bool operator==(const FlatRange&) const = default;
};

class ModelLayout {
 public:
  // invalid_argument: a bad or repeated name, a bad shape, more than kModelSizeMax floats.
  static Result<ModelLayout> create(std::string architecture, std::vector<TensorSpec> tensors);

  const std::string& architecture() const noexcept { return architecture_; }
  std::span<const TensorSpec> tensors() const noexcept { return tensors_; }
  std::size_t size() const noexcept { return size_; }  // floats of the whole model
  std::size_t offset(std::size_t tensor_index) const { return offsets_.at(tensor_index); }
  Result<FlatRange> find(std::string_view name) const;  // not_found

  // The tensors whose name starts with one of the prefixes, in layout order, neighbours merged.
  // invalid_argument names a prefix that matches no tensor.
  Result<std::vector<FlatRange>> ranges(std::span<const std::string> prefixes) const;
  bool operator==(const ModelLayout&) const = default;

 private:
  ModelLayout() = default;
  std::string architecture_;
  std::vector<TensorSpec> tensors_;
  std::vector<std::size_t> offsets_;
  std::size_t size_ = 0;
};

// Floats in these ranges: the length of a delta or of a sum.
std::size_t total_size(std::span<const FlatRange> ranges) noexcept;

// "fovea-1", or "probe-N" (one tensor "probe.values" of N floats, 1 ≤ N ≤ kModelSizeMax).
// invalid_argument names an unknown architecture.
Result<ModelLayout> make_layout(std::string_view architecture);

}  // namespace fovea::federation::model
