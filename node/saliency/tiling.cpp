#include "node/saliency/tiling.h"

#include "common/check.h"

namespace fovea::node::saliency {
namespace {

std::int64_t rounded_up(std::int64_t value, std::int64_t step) { return (value + step - 1) / step * step; }

}  // namespace

AxisTiles tile_axis(std::int64_t begin, std::int64_t end, const TileSettings& settings) {
  FOVEA_CHECK(settings.step > 0 && settings.overlap < settings.edge_max && begin >= 0 && begin < end);
  const std::int64_t start = begin / settings.step * settings.step;
  const std::int64_t length = end - start;
  const std::int64_t stride_max = settings.edge_max - settings.overlap;
  const std::int64_t count = length <= settings.edge_max ? 1
                                                         : (length - settings.overlap + stride_max - 1) / stride_max;
  AxisTiles out;
  out.edge = rounded_up((length + (count - 1) * settings.overlap + count - 1) / count, settings.step);
  for (std::int64_t t = 0; t < count; ++t) {
    AxisTiles::Tile tile;
    tile.begin = start + t * (out.edge - settings.overlap);
    tile.own_begin = t == 0 ? start : tile.begin + settings.overlap / 2;
    tile.own_end = t + 1 == count ? end : tile.begin + out.edge - settings.overlap / 2;
    out.tiles.push_back(tile);
  }
  return out;
}

}  // namespace fovea::node::saliency
