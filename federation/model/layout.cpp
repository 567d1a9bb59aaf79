#include "federation/model/layout.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/numbers.h"
#include "federation/model/fovea_1_layout.h"

namespace fovea::federation::model {
namespace {

bool name_is_valid(std::string_view name) {
  if (name.empty() || name.size() > kTensorNameMax) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_'; });
}

Result<void> check_spec(const TensorSpec& spec) {
  if (!name_is_valid(spec.name))
    return invalid_argument("tensor name: expected 1–" + std::to_string(kTensorNameMax) +
                            " characters of a–z, 0–9, '.', '_'");
  if (spec.shape.empty() || spec.shape.size() > 5)
    return invalid_argument(spec.name + ": expected 1–5 dimensions, found " + std::to_string(spec.shape.size()));
  std::size_t size = 1;
  for (const std::uint32_t extent : spec.shape) {
    if (extent == 0) return invalid_argument(spec.name + ": a dimension is 0");
    if (extent > kModelSizeMax / size) return invalid_argument(spec.name + ": larger than a model may be");
    size *= extent;
  }
  return {};
}

Result<ModelLayout> make_probe_layout(std::string_view architecture) {
  const std::string_view digits = architecture.substr(6);
  const std::uint32_t size = read_whole<std::uint32_t>(digits).value_or(0);
  if (size == 0 || size > kModelSizeMax || digits.front() == '0')
    return invalid_argument("architecture: expected probe-N with 1 ≤ N ≤ " + std::to_string(kModelSizeMax));
  // Random values, so that another seed is another model: a site takes part in one sum per model.
  return ModelLayout::create(
      std::string(architecture),
      {TensorSpec{.name = "probe.values", .shape = {size}, .initial = InitialValue::kaiming_uniform}});
}

}  // namespace

std::size_t TensorSpec::size() const noexcept {
  std::size_t product = 1;
  for (const std::uint32_t extent : shape) product *= extent;
  return product;
}

Result<ModelLayout> ModelLayout::create(std::string architecture, std::vector<TensorSpec> tensors) {
  if (tensors.empty()) return invalid_argument("model layout: no tensors");
  ModelLayout layout;
  std::set<std::string_view> names;
  for (const TensorSpec& spec : tensors) {
    FOVEA_TRY(check_spec(spec));
    if (!names.insert(spec.name).second) return invalid_argument(spec.name + ": two tensors have this name");
    layout.offsets_.push_back(layout.size_);
    if (spec.size() > kModelSizeMax - layout.size_) return invalid_argument("model layout: larger than a model may be");
    layout.size_ += spec.size();
  }
  layout.architecture_ = std::move(architecture);
  layout.tensors_ = std::move(tensors);
  return layout;
}

Result<FlatRange> ModelLayout::find(std::string_view name) const {
  for (std::size_t i = 0; i < tensors_.size(); ++i)
    if (tensors_[i].name == name) return FlatRange{offsets_[i], tensors_[i].size()};
  return not_found("model " + architecture_ + " has no tensor of that name");
}

Result<std::vector<FlatRange>> ModelLayout::ranges(std::span<const std::string> prefixes) const {
  std::vector<bool> used(prefixes.size(), false);
  std::vector<FlatRange> ranges;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    bool wanted = false;
    for (std::size_t p = 0; p < prefixes.size(); ++p) {
      if (!tensors_[i].name.starts_with(prefixes[p])) continue;
      used[p] = true;
      wanted = true;
    }
    if (!wanted) continue;
    if (!ranges.empty() && ranges.back().offset + ranges.back().size == offsets_[i])
      ranges.back().size += tensors_[i].size();
    else ranges.push_back({offsets_[i], tensors_[i].size()});
  }
  for (std::size_t p = 0; p < prefixes.size(); ++p)
    if (!used[p])
      return invalid_argument("trains: no tensor of " + architecture_ + " starts with \"" + prefixes[p] + "\"");
  return ranges;
}

std::size_t total_size(std::span<const FlatRange> ranges) noexcept {
  std::size_t total = 0;
  for (const FlatRange& range : ranges) total += range.size;
  return total;
}

Result<ModelLayout> make_layout(std::string_view architecture) {
  if (architecture == "fovea-1") return make_fovea_1_layout();
  if (architecture.starts_with("probe-") && architecture.size() > 6) return make_probe_layout(architecture);
  return invalid_argument("architecture: expected \"fovea-1\" or \"probe-N\"");
}

}  // namespace fovea::federation::model
