#include "node/saliency/prior.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace fovea::node::saliency {
namespace {

constexpr std::array<volume::Index3, 6> kNeighbours{
    {{1, 0, 0}, {-1, 0, 0}, {0, 1, 0}, {0, -1, 0}, {0, 0, 1}, {0, 0, -1}}};

template <class Visit>
void for_neighbours(const volume::Index3& size, std::size_t at, Visit visit) {
  const volume::Index3 here = cell_index(size, at);
  for (const volume::Index3& step : kNeighbours) {
    const volume::Index3 next{here[0] + step[0], here[1] + step[1], here[2] + step[2]};
    if (next[0] < 0 || next[1] < 0 || next[2] < 0 || next[0] >= size[0] || next[1] >= size[1] || next[2] >= size[2])
      continue;
    visit(static_cast<std::size_t>((next[2] * size[1] + next[1]) * size[0] + next[0]));
  }
}

// Marks the cells that can be reached from `seeds` over cells equal to `value` with `mark`, and counts them.
std::size_t flood(const volume::Index3& size, std::vector<std::uint8_t>& cells, std::vector<std::size_t> seeds,
                  std::uint8_t value, std::uint8_t mark) {
  for (const std::size_t seed : seeds) cells[seed] = mark;
  std::size_t count = seeds.size();
  while (!seeds.empty()) {
    const std::size_t at = seeds.back();
    seeds.pop_back();
    for_neighbours(size, at, [&](std::size_t next) {
      if (cells[next] != value) return;
      cells[next] = mark;
      ++count;
      seeds.push_back(next);
    });
  }
  return count;
}

std::vector<std::uint8_t> foreground_cells(const scan_view::CoarseView& coarse, const CellGrid& grid, float level) {
  std::vector<std::uint8_t> cells(grid.geometry.voxel_count(), 0);
  const volume::Index3& size = coarse.geometry().size;
  std::vector<float> row(static_cast<std::size_t>(size[0]));
  for (std::int64_t k = 0; k < size[2]; ++k)
    for (std::int64_t j = 0; j < size[1]; ++j) {
      coarse.copy_row({0, j, k}, row);
      for (std::int64_t i = 0; i < size[0]; ++i)
        if (row[static_cast<std::size_t>(i)] > level)
          cells[grid.geometry.offset(i / kCellVoxels, j / kCellVoxels, k / kCellVoxels)] = 1;
    }
  return cells;
}

// 1 stays in the largest 6-connected part only.
void keep_largest(const volume::Index3& size, std::vector<std::uint8_t>& cells) {
  std::size_t best = 0;
  for (std::size_t at = 0; at < cells.size(); ++at) {
    if (cells[at] != 1) continue;
    const std::size_t count = flood(size, cells, {at}, 1, 2);
    if (count > best) {
      best = count;
      std::replace(cells.begin(), cells.end(), std::uint8_t{4}, std::uint8_t{3});
      std::replace(cells.begin(), cells.end(), std::uint8_t{2}, std::uint8_t{4});
    } else {
      std::replace(cells.begin(), cells.end(), std::uint8_t{2}, std::uint8_t{3});
    }
  }
  for (std::uint8_t& cell : cells) cell = cell == 4 ? 1 : 0;
}

// What cannot be reached from the border over background lies inside the body.
void fill_holes(const volume::Index3& size, std::vector<std::uint8_t>& cells) {
  std::vector<std::size_t> border;
  for (std::size_t at = 0; at < cells.size(); ++at) {
    std::size_t inside = 0;
    for_neighbours(size, at, [&](std::size_t) { ++inside; });
    if (inside < 6 && cells[at] == 0) border.push_back(at);
  }
  flood(size, cells, border, 0, 2);
  for (std::uint8_t& cell : cells) cell = cell == 2 ? 0 : 1;
}

}  // namespace

volume::Index3 cell_index(const volume::Index3& size, std::size_t offset) noexcept {
  const auto at = static_cast<std::int64_t>(offset);
  return {at % size[0], at / size[0] % size[1], at / (size[0] * size[1])};
}

CellBox box_of_cells_above(const Prior& prior, float weight) noexcept {
  const volume::Index3& size = prior.grid.geometry.size;
  CellBox box{size, {0, 0, 0}};
  for (std::size_t cell = 0; cell < prior.weights.size(); ++cell) {
    if (!(prior.weights[cell] > weight)) continue;
    const volume::Index3 at = cell_index(size, cell);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      box.low[axis] = std::min(box.low[axis], at[axis]);
      box.high[axis] = std::max(box.high[axis], at[axis] + 1);
    }
  }
  return box;
}

CellGrid CellGrid::over(const volume::VolumeGeometry& coarse) {
  CellGrid grid{coarse};
  constexpr double kMiddle = static_cast<double>(kCellVoxels - 1) / 2;
  grid.geometry.origin_mm = coarse.to_point(volume::Point3::Constant(kMiddle));
  grid.geometry.spacing_mm = coarse.spacing_mm * static_cast<double>(kCellVoxels);
  for (std::size_t axis = 0; axis < 3; ++axis)
    grid.geometry.size[axis] = (coarse.size[axis] + kCellVoxels - 1) / kCellVoxels;
  return grid;
}

Prior body_prior(const scan_view::CoarseView& coarse, const scan_view::IntensityLevels& levels) {
  Prior prior{CellGrid::over(coarse.geometry()), {}};
  const volume::Index3& size = prior.grid.geometry.size;
  std::vector<std::uint8_t> cells = foreground_cells(coarse, prior.grid, levels.body);
  keep_largest(size, cells);
  if (std::none_of(cells.begin(), cells.end(), [](std::uint8_t cell) { return cell != 0; })) {
    prior.weights.assign(cells.size(), 1);
    return prior;
  }
  fill_holes(size, cells);
  prior.weights.resize(cells.size());
  std::transform(cells.begin(), cells.end(), prior.weights.begin(),
                 [](std::uint8_t cell) { return cell != 0 ? 1.0F : 0.0F; });
  for (int ring = 0; ring < 2; ++ring) {
    std::vector<std::uint8_t> grown = cells;
    for (std::size_t at = 0; at < cells.size(); ++at)
      if (cells[at] != 0)
        for_neighbours(size, at, [&](std::size_t next) {
          if (cells[next] != 0) return;
          grown[next] = 1;
          prior.weights[next] = kMarginPrior;
        });
    cells = std::move(grown);
  }
  return prior;
}

}  // namespace fovea::node::saliency
