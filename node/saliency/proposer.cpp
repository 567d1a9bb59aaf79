#include "node/saliency/proposer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>

#include "node/saliency/tiling.h"

namespace fovea::node::saliency {
namespace {

constexpr std::size_t kTilesAtOnce = 4;  // a batch of one takes a slow path in float32
constexpr TileSettings kTiles{.edge_max = 64, .overlap = 16, .step = kProposerStride};

struct Outputs {
  at::Tensor heat;    // N × cells, logits
  at::Tensor radius;  // N × cells, ln(mm)
};

// Lateral connection: the coarse features, with the fine ones' channels and on their grid, added to them.
at::Tensor joined(const network::NetworkParameters& parameters, const std::string& name, const at::Tensor& coarse,
                  const at::Tensor& fine) {
  const auto size = fine.sizes();
  const at::Tensor lateral = network::convolution(parameters, name, coarse, 1, 0);
  return at::upsample_nearest3d(lateral, {size[2], size[3], size[4]}) + fine;
}

Outputs forward(const network::NetworkParameters& parameters, const at::Tensor& images) {
  // Every strided step covers whole cells without padding, so a cell's middle stays where its voxels are, and the
  // network treats a flipped crop alike.
  const at::Tensor first =
      network::convolution_relu_in_cells(parameters, "proposer.first", network::standardised(parameters, images));
  const at::Tensor stem = network::convolution_norm(parameters, "proposer.stem", first, {.padding = 0});
  const at::Tensor fine = network::convolution_norm(parameters, "proposer.fine", stem, {});
  at::Tensor middle = network::convolution_norm(parameters, "proposer.down1", fine, {.stride = 2, .padding = 0});
  middle = network::convolution_norm(parameters, "proposer.middle", middle, {});
  at::Tensor coarse = network::convolution_norm(parameters, "proposer.down2", middle, {.stride = 2, .padding = 0});
  coarse = network::convolution_norm(parameters, "proposer.coarse", coarse, {});
  // Adding instead of concatenating halves the multiply-adds of the whole network.
  const at::Tensor up1 = network::convolution_norm(parameters, "proposer.up1",
                                                   joined(parameters, "proposer.lateral1", coarse, middle), {});
  const at::Tensor up2 =
      network::convolution_norm(parameters, "proposer.up2", joined(parameters, "proposer.lateral2", up1, fine), {});
  const auto head = [&](const std::string& name) {
    return at::conv3d(up2, parameters[name + ".weight"], parameters[name + ".bias"]).squeeze(1);
  };
  return {head("proposer.heat"), head("proposer.radius")};
}

// Zhou et al. 2019, equation 1 with α = 2 and β = 4, and the L1 loss of the log radius at the centres.
at::Tensor loss_of(const Outputs& outputs, const ProposerBatch& batch) {
  const std::int64_t cells = batch.edge / kCellVoxels;
  const std::vector<std::int64_t> shape{batch.count, cells, cells, cells};
  const at::Tensor target = network::view_of(batch.heat, shape);
  const at::Tensor weight = network::view_of(batch.radius_weight, shape);
  const at::Tensor log_chance = at::log_sigmoid(outputs.heat);
  const at::Tensor log_absence = log_chance - outputs.heat;  // log(1 - sigmoid(x))
  const at::Tensor chance = at::sigmoid(outputs.heat);
  const at::Tensor is_centre = target.ge(0.999F).to(at::kFloat);
  const at::Tensor found = (1 - chance).square() * log_chance * is_centre;
  const at::Tensor rejected = (1 - target).square().square() * chance.square() * log_absence * (1 - is_centre);
  const at::Tensor centres = is_centre.sum().clamp_min(1);
  const at::Tensor heat_loss = -(found + rejected).sum() / centres;
  const at::Tensor radius_loss =
      ((outputs.radius - network::view_of(batch.log_radius, shape)).abs() * weight).sum() / weight.sum().clamp_min(1);
  return heat_loss + 0.2 * radius_loss;
}

using TileAt = std::array<AxisTiles::Tile, 3>;

volume::Index3 corner_of(const TileAt& at) { return {at[0].begin, at[1].begin, at[2].begin}; }

// One past the last cell that a tile owns along an axis of `cells` cells.
std::int64_t owned_end(const AxisTiles::Tile& tile, std::int64_t cells) {
  return std::min((tile.own_end + kCellVoxels - 1) / kCellVoxels, cells);
}

// Copies the cells that the tile owns and the prior holds into the heat map.
void keep_owned(const Outputs& outputs, std::int64_t tile, const TileAt& at, const volume::Index3& edge,
                const Prior& prior, HeatMap& heat) {
  const volume::VolumeGeometry& geometry = prior.grid.geometry;
  const at::Tensor heat_tensor = outputs.heat[tile].contiguous(), radius_tensor = outputs.radius[tile].contiguous();
  const float* logits = heat_tensor.data_ptr<float>();
  const float* radii = radius_tensor.data_ptr<float>();
  const std::array<std::int64_t, 2> cells{edge[0] / kCellVoxels, edge[1] / kCellVoxels};
  for (std::int64_t k = at[2].own_begin / kCellVoxels; k < owned_end(at[2], geometry.size[2]); ++k)
    for (std::int64_t j = at[1].own_begin / kCellVoxels; j < owned_end(at[1], geometry.size[1]); ++j)
      for (std::int64_t i = at[0].own_begin / kCellVoxels; i < owned_end(at[0], geometry.size[0]); ++i) {
        const std::size_t to = geometry.offset(i, j, k);
        if (prior.weights[to] <= 0) continue;
        const std::int64_t from =
            ((k - at[2].begin / kCellVoxels) * cells[1] + j - at[1].begin / kCellVoxels) * cells[0] + i -
            at[0].begin / kCellVoxels;
        heat.logits[to] = logits[from];
        heat.log_radius[to] = radii[from];
      }
}

bool owns_prior(const TileAt& at, const Prior& prior) {
  const volume::VolumeGeometry& geometry = prior.grid.geometry;
  for (std::int64_t k = at[2].own_begin / kCellVoxels; k < owned_end(at[2], geometry.size[2]); ++k)
    for (std::int64_t j = at[1].own_begin / kCellVoxels; j < owned_end(at[1], geometry.size[1]); ++j)
      for (std::int64_t i = at[0].own_begin / kCellVoxels; i < owned_end(at[0], geometry.size[0]); ++i)
        if (prior.weights[geometry.offset(i, j, k)] > 0) return true;
  return false;
}

std::vector<TileAt> tiles_of(const std::array<AxisTiles, 3>& axes, const Prior& prior) {
  std::vector<TileAt> tiles;
  for (const AxisTiles::Tile& z : axes[2].tiles)
    for (const AxisTiles::Tile& y : axes[1].tiles)
      for (const AxisTiles::Tile& x : axes[0].tiles)
        if (const TileAt at{x, y, z}; owns_prior(at, prior)) tiles.push_back(at);
  return tiles;
}

}  // namespace

Result<double> accumulate_proposer_gradient(network::NetworkParameters& parameters, const ProposerBatch& batch) {
  return network::guarded("proposer", [&]() -> Result<double> {
    const Outputs outputs =
        forward(parameters, network::view_of(batch.images, {batch.count, 1, batch.edge, batch.edge, batch.edge}));
    const at::Tensor loss = loss_of(outputs, batch);
    loss.backward();
    return loss.item<double>();
  });
}

Result<HeatMap> find_heat(const network::NetworkParameters& parameters, const scan_view::CoarseView& coarse,
                          const Prior& prior) {
  HeatMap heat{std::vector<float>(prior.weights.size(), kNoHeat), std::vector<float>(prior.weights.size(), 0)};
  const CellBox box = box_of_cells_above(prior, 0);
  if (box.empty()) return heat;
  std::array<AxisTiles, 3> axes;
  volume::Index3 edge{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t end = std::min(box.high[axis] * kCellVoxels, coarse.geometry().size[axis]);
    axes[axis] = tile_axis(box.low[axis] * kCellVoxels, end, kTiles);
    edge[axis] = axes[axis].edge;
  }
  const std::vector<TileAt> tiles = tiles_of(axes, prior);
  const auto voxels = static_cast<std::size_t>(edge[0] * edge[1] * edge[2]);
  return network::guarded("proposer", [&]() -> Result<HeatMap> {
    const c10::NoGradGuard no_gradient;
    std::vector<float> images;
    for (std::size_t begin = 0; begin < tiles.size(); begin += kTilesAtOnce) {
      const std::size_t count = std::min(kTilesAtOnce, tiles.size() - begin);
      images.resize(count * voxels);
      for (std::size_t t = 0; t < count; ++t)
        coarse.copy_box(corner_of(tiles[begin + t]), edge, std::span(images).subspan(t * voxels, voxels));
      const Outputs outputs = forward(
          parameters, network::view_of(images, {static_cast<std::int64_t>(count), 1, edge[2], edge[1], edge[0]}));
      for (std::size_t t = 0; t < count; ++t)
        keep_owned(outputs, static_cast<std::int64_t>(t), tiles[begin + t], edge, prior, heat);
    }
    return std::move(heat);
  });
}

}  // namespace fovea::node::saliency
