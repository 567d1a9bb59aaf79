// A picture of one study: slices with boxes drawn on them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "node/picture/png.h"
#include "node/store/brick_volume.h"
#include "node/volume/intensity.h"
#include "node/volume/volume.h"

namespace fovea::node::picture {

// A cube to draw: the middle and edge length in mm, a colour, and a few upper-case characters beside it.
struct MarkedBox {
  volume::Point3 center_mm = volume::Point3::Zero();
  double edge_mm = 0;
  Rgb colour{255, 96, 0};
  std::string caption;
};

struct MontageSettings {
  std::size_t tiles_max = 12;  // the first boxes get a tile each; without boxes, evenly spaced axial slices
  int tile_pixels = 256;       // edge of a tile
  // Black and white of a CT; without it, the scan's minimum and p99.
  std::optional<volume::HuWindow> window{};
};

// One axial slice through each of the first boxes, which is drawn bright and with its caption; others that cross the
// slice are dim. Right of the patient on the left as radiologists read it; grey within the window. Reads whole slices:
// counted by the volume.
Result<Picture> draw_montage(store::BrickVolume& volume, const std::vector<MarkedBox>& boxes,
                             const MontageSettings& settings);

}  // namespace fovea::node::picture
