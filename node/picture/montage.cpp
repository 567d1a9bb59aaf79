#include "node/picture/montage.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace fovea::node::picture {
namespace {

constexpr std::size_t kTilesMax = 64;

std::uint8_t grey_level(float value, float low, float high) {
  return static_cast<std::uint8_t>(std::lround(255 * std::clamp((value - low) / (high - low), 0.0f, 1.0f)));
}

// From the scan's slice to a square tile: isotropic in mm, the longer side filling it.
struct TileScale {
  double pixels_per_mm, spacing_x, spacing_y;
  std::int64_t width, height;
  TileScale(const volume::VolumeGeometry& geometry, int tile_pixels)
      : spacing_x(geometry.spacing_mm[0]),
        spacing_y(geometry.spacing_mm[1]),
        width(geometry.size[0]),
        height(geometry.size[1]) {
    const double longer = std::max(static_cast<double>(width) * spacing_x, static_cast<double>(height) * spacing_y);
    pixels_per_mm = tile_pixels / longer;
  }
  // Canonical i grows to the patient's left, j to the back: drawn as they are, right is on the left and front on top.
  int x(double i) const { return static_cast<int>(std::floor((i + 0.5) * spacing_x * pixels_per_mm)); }
  int y(double j) const { return static_cast<int>(std::floor((j + 0.5) * spacing_y * pixels_per_mm)); }
  std::int64_t i(int x) const {
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(x / (spacing_x * pixels_per_mm)), 0, width - 1);
  }
  std::int64_t j(int y) const {
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(y / (spacing_y * pixels_per_mm)), 0, height - 1);
  }
};

std::vector<std::int64_t> slices_to_draw(const volume::VolumeGeometry& geometry, const std::vector<MarkedBox>& boxes,
                                         std::size_t tiles) {
  std::vector<std::int64_t> out;
  for (std::size_t t = 0; t < tiles; ++t) {
    const double k = boxes.empty() ? static_cast<double>(geometry.size[2]) * (static_cast<double>(t) + 0.5) /
                                         static_cast<double>(tiles)
                                   : std::round(geometry.to_index(boxes[t].center_mm)[2]);
    out.push_back(
        std::clamp<std::int64_t>(static_cast<std::int64_t>(std::clamp(k, -1e6, 1e6)), 0, geometry.size[2] - 1));
  }
  return out;
}

struct Tile {
  int left, top, pixels;
};

volume::HuWindow window_of(const MontageSettings& settings, const volume::IntensityStatistics& statistics) {
  const auto [low, high] = settings.window.value_or(volume::HuWindow{statistics.minimum, statistics.p99});
  return {low, std::max(high, std::nextafter(low, std::numeric_limits<float>::max()))};
}

void draw_slice(Picture& picture, const Tile& tile, const std::vector<float>& slice,
                const volume::VolumeGeometry& geometry, const volume::HuWindow& window) {
  const TileScale scale(geometry, tile.pixels);
  const auto [low, high] = window;
  const int width = std::min(tile.pixels, scale.x(static_cast<double>(scale.width) - 0.5));
  const int height = std::min(tile.pixels, scale.y(static_cast<double>(scale.height) - 0.5));
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const float value = slice[static_cast<std::size_t>(scale.j(y) * scale.width + scale.i(x))];
      const std::uint8_t level = grey_level(value, low, high);
      picture.set(tile.left + x, tile.top + y, {level, level, level});
    }
}

void draw_box(Picture& picture, const Tile& tile, const volume::VolumeGeometry& geometry, const MarkedBox& box,
              bool with_caption) {
  const TileScale scale(geometry, tile.pixels);
  const volume::Point3 at = geometry.to_index(box.center_mm);
  const double half_i = 0.5 * box.edge_mm / geometry.spacing_mm[0], half_j = 0.5 * box.edge_mm / geometry.spacing_mm[1];
  const auto inside = [&](int value) { return std::clamp(value, 0, tile.pixels - 1); };
  const int x0 = tile.left + inside(scale.x(at[0] - half_i)), x1 = tile.left + inside(scale.x(at[0] + half_i));
  const int y0 = tile.top + inside(scale.y(at[1] - half_j)), y1 = tile.top + inside(scale.y(at[1] + half_j));
  picture.rectangle(x0, y0, x1, y1, box.colour);
  if (with_caption) picture.text(x0 + 2, std::max(tile.top, y0 - 9), box.caption, box.colour);
}

// The tile's own box bright and with its caption, on top of the others that cross the slice.
void draw_boxes(Picture& picture, const Tile& tile, std::int64_t slice, const volume::VolumeGeometry& geometry,
                const std::vector<MarkedBox>& boxes, std::size_t own) {
  for (std::size_t b = 0; b < boxes.size(); ++b) {
    const double distance_mm =
        std::abs(geometry.to_index(boxes[b].center_mm)[2] - static_cast<double>(slice)) * geometry.spacing_mm[2];
    if (b == own || distance_mm > 0.5 * boxes[b].edge_mm) continue;
    MarkedBox dim = boxes[b];
    for (std::uint8_t& part : dim.colour) part /= 2;
    draw_box(picture, tile, geometry, dim, false);
  }
  if (own < boxes.size()) draw_box(picture, tile, geometry, boxes[own], true);
}

}  // namespace

Result<Picture> draw_montage(store::BrickVolume& volume, const std::vector<MarkedBox>& boxes,
                             const MontageSettings& settings) {
  if (settings.tile_pixels < 32 || settings.tile_pixels > 1024)
    return invalid_argument("tile: " + std::to_string(settings.tile_pixels) + " pixels; expected 32–1024");
  const volume::VolumeGeometry& geometry = volume.geometry();
  const std::size_t most = std::clamp<std::size_t>(settings.tiles_max, 1, kTilesMax);
  const std::size_t tiles = boxes.empty() ? most : std::min(most, boxes.size());
  const auto columns = static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(tiles))));
  const std::size_t rows = (tiles + columns - 1) / columns;
  Picture picture(settings.tile_pixels * static_cast<int>(columns), settings.tile_pixels * static_cast<int>(rows));
  const std::vector<std::int64_t> slices = slices_to_draw(geometry, boxes, tiles);
  std::vector<float> slice(static_cast<std::size_t>(geometry.size[0] * geometry.size[1]));
  const volume::HuWindow window = window_of(settings, volume.statistics());
  for (std::size_t t = 0; t < tiles; ++t) {
    FOVEA_TRY(volume.read_box({0, 0, slices[t]}, {geometry.size[0], geometry.size[1], 1}, slice, 0));
    const Tile tile{settings.tile_pixels * static_cast<int>(t % columns),
                    settings.tile_pixels * static_cast<int>(t / columns), settings.tile_pixels};
    draw_slice(picture, tile, slice, geometry, window);
    draw_boxes(picture, tile, slices[t], geometry, boxes, t);
    picture.text(tile.left + 4, tile.top + tile.pixels - 12, "SLICE " + std::to_string(slices[t]), {160, 160, 160});
  }
  return picture;
}

}  // namespace fovea::node::picture
