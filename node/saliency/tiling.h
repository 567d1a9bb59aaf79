// How a box is covered with equal overlapping tiles. Group statistics of a network differ between a crop and a
// whole volume, so inference sees tiles of about the size that training saw.
#pragma once

#include <cstdint>
#include <vector>

namespace fovea::node::saliency {

struct TileSettings {
  std::int64_t edge_max = 0;  // multiple of `step`
  std::int64_t overlap = 0;   // multiple of `step`, below edge_max
  std::int64_t step = 1;      // edges and positions are multiples of it
};

// One axis: tiles of one edge at ascending starts. Each tile owns [own_begin, own_end); these cover the axis once.
struct AxisTiles {
  struct Tile {
    std::int64_t begin = 0;
    std::int64_t own_begin = 0, own_end = 0;
  };
  std::int64_t edge = 0;
  std::vector<Tile> tiles;
};

// Covers [begin, end). `begin` is rounded down to the step; the last tile may reach beyond `end`.
AxisTiles tile_axis(std::int64_t begin, std::int64_t end, const TileSettings& settings);

}  // namespace fovea::node::saliency
