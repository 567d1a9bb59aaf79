// Labels that may overlap, packed into as few label maps as they need: two structures that share a voxel lie in
// different layers, so that none hides part of another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/result.h"
#include "node/intake/formats/scan_facts.h"

namespace fovea::node::intake {

class LabelLayers {
 public:
  // Layers of `voxels` voxels, of which only layer `wanted` is kept.
  LabelLayers(std::size_t voxels, std::uint32_t wanted) : taken_(voxels), kept_(voxels), wanted_(wanted) {}

  // Puts a structure into the first layer where its voxels are free. invalid_argument: the label is outside 1–32767,
  // or more than kLabelLayersMax structures share a voxel.
  Result<void> add(std::int32_t label, std::span<const std::uint32_t> voxels);

  std::uint32_t count() const noexcept { return count_; }
  const std::vector<std::int16_t>& kept() const noexcept { return kept_; }

 private:
  std::vector<std::uint16_t> taken_;  // a bit for each layer
  std::vector<std::int16_t> kept_;
  std::uint32_t wanted_, count_ = 0;
};

}  // namespace fovea::node::intake
