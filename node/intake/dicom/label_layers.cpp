#include "node/intake/dicom/label_layers.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <string>

namespace fovea::node::intake {

Result<void> LabelLayers::add(std::int32_t label, std::span<const std::uint32_t> voxels) {
  if (label < 1 || label > std::numeric_limits<std::int16_t>::max())
    return invalid_argument("labels: number " + std::to_string(label) +
                            "; expected 1–32767 (number the segments or regions again)");
  std::uint16_t taken = 0;
  for (const std::uint32_t voxel : voxels) taken = static_cast<std::uint16_t>(taken | taken_[voxel]);
  const auto layer = static_cast<std::uint32_t>(std::countr_one(taken));
  if (layer >= kLabelLayersMax)
    return invalid_argument("labels: more than " + std::to_string(kLabelLayersMax) +
                            " structures share a voxel; choose fewer");
  for (const std::uint32_t voxel : voxels) {
    taken_[voxel] = static_cast<std::uint16_t>(taken_[voxel] | 1u << layer);
    if (layer == wanted_) kept_[voxel] = static_cast<std::int16_t>(label);
  }
  count_ = std::max(count_, layer + 1);
  return {};
}

}  // namespace fovea::node::intake
