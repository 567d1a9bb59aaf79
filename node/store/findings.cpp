#include "node/store/findings.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>
#include <variant>

#include "common/numbers.h"

namespace fovea::node::store {
namespace {

constexpr std::int32_t kLabelMax = 1'000'000;
constexpr std::size_t kChosenLabelsMax = 512;  // as many as a parser's job carries (scan_facts.h)
constexpr std::size_t kRunsMax = 64u * 1024 * 1024;

// Consecutive voxels of one label along i.
struct Run {
  std::int64_t begin = 0, end = 0;  // along i
  std::int32_t label = 0;
  std::uint32_t parent = 0;  // union-find
};

// The runs of each row (j, k), in order.
struct Runs {
  std::vector<Run> all;
  std::vector<std::uint32_t> row_begin;  // rows + 1 entries
};

bool chosen(std::int32_t label, std::span<const std::int32_t> labels) {
  if (labels.empty()) return label > 0;
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

// A scaled label map (NIfTI scl_slope 1.0000153) holds 3.00005 for 3.
constexpr float kLabelTolerance = 1e-3f, kLabelOffMax = 0.25f;  // relative, and between two labels

Result<std::int32_t> label_of(float value) {
  const float whole = std::round(value);
  const float tolerance = std::min(kLabelTolerance * std::max(1.0f, std::abs(whole)), kLabelOffMax);
  if (!(std::abs(value - whole) <= tolerance && std::abs(whole) <= static_cast<float>(kLabelMax)))
    return invalid_argument("mask: holds values that are not whole labels; give a label map, not a probability map");
  return static_cast<std::int32_t>(whole);
}
Result<std::int32_t> label_of(std::int16_t value) { return std::int32_t{value}; }

template <class T>
Result<Runs> collect_runs(const volume::Index3& size, std::span<const T> mask, std::span<const std::int32_t> labels) {
  Runs out;
  const auto rows = static_cast<std::size_t>(size[1] * size[2]);
  out.row_begin.reserve(rows + 1);
  for (std::size_t row = 0; row < rows; ++row) {
    out.row_begin.push_back(static_cast<std::uint32_t>(out.all.size()));
    const T* at = mask.data() + row * static_cast<std::size_t>(size[0]);
    for (std::int64_t i = 0; i < size[0];) {
      const T value = at[i];
      std::int64_t end = i + 1;
      while (end < size[0] && at[end] == value) ++end;
      if (value != 0) {
        FOVEA_TRY_ASSIGN(const std::int32_t label, label_of(value));
        const bool goes_on = out.all.size() > out.row_begin.back() && out.all.back().end == i &&
                             out.all.back().label == label;  // 2.9999 beside 3.0001
        if (chosen(label, labels) && goes_on) out.all.back().end = end;
        else if (chosen(label, labels)) out.all.push_back({i, end, label, static_cast<std::uint32_t>(out.all.size())});
        if (out.all.size() > kRunsMax) return invalid_argument("mask: too fragmented to be an annotation");
      }
      i = end;
    }
  }
  out.row_begin.push_back(static_cast<std::uint32_t>(out.all.size()));
  return out;
}

std::uint32_t root_of(std::vector<Run>& runs, std::uint32_t at) {
  while (runs[at].parent != at) at = runs[at].parent = runs[runs[at].parent].parent;
  return at;
}

void join(std::vector<Run>& runs, std::uint32_t a, std::uint32_t b) {
  a = root_of(runs, a);
  b = root_of(runs, b);
  if (a != b) runs[std::max(a, b)].parent = std::min(a, b);
}

// Joins runs of two rows that touch, corners included (26 neighbours).
void join_rows(Runs& runs, std::size_t row, std::size_t other) {
  std::uint32_t b = runs.row_begin[other];
  const std::uint32_t b_end = runs.row_begin[other + 1];
  for (std::uint32_t a = runs.row_begin[row]; a < runs.row_begin[row + 1]; ++a) {
    while (b < b_end && runs.all[b].end < runs.all[a].begin) ++b;
    for (std::uint32_t c = b; c < b_end && runs.all[c].begin <= runs.all[a].end; ++c)
      if (runs.all[c].label == runs.all[a].label) join(runs.all, a, c);
  }
}

void join_neighbours(Runs& runs, const volume::Index3& size) {
  for (std::int64_t k = 0; k < size[2]; ++k)
    for (std::int64_t j = 0; j < size[1]; ++j) {
      const auto row = static_cast<std::size_t>(k * size[1] + j);
      if (runs.row_begin[row] == runs.row_begin[row + 1]) continue;
      if (j > 0) join_rows(runs, row, row - 1);
      if (k == 0) continue;
      const std::size_t below = row - static_cast<std::size_t>(size[1]);
      if (j > 0) join_rows(runs, row, below - 1);
      join_rows(runs, row, below);
      if (j + 1 < size[1]) join_rows(runs, row, below + 1);
    }
}

struct Sum {
  volume::Point3 index = volume::Point3::Zero();
  std::uint64_t voxels = 0;
};

Result<std::vector<Finding>> summarise(Runs& runs, const volume::VolumeGeometry& geometry) {
  std::vector<Sum> sums;
  std::vector<std::uint32_t> roots;
  std::vector<std::uint32_t> number(runs.all.size());
  const auto rows = runs.row_begin.size() - 1;
  for (std::size_t row = 0; row < rows; ++row)
    for (std::uint32_t r = runs.row_begin[row]; r < runs.row_begin[row + 1]; ++r) {
      const std::uint32_t root = root_of(runs.all, r);  // never after r: roots are the smallest of their set
      if (root == r) {
        if (roots.size() == kFindingsMax)
          return invalid_argument("mask: more than " + std::to_string(kFindingsMax) +
                                  " separate findings; this is noise, not annotation");
        number[r] = static_cast<std::uint32_t>(roots.size());
        roots.push_back(r);
        sums.emplace_back();
      }
      const Run& run = runs.all[r];
      Sum& sum = sums[number[root]];
      const double count = static_cast<double>(run.end - run.begin);
      sum.voxels += static_cast<std::uint64_t>(run.end - run.begin);
      sum.index[0] += 0.5 * count * static_cast<double>(run.begin + run.end - 1);
      sum.index[1] += count * static_cast<double>(static_cast<std::int64_t>(row) % geometry.size[1]);
      sum.index[2] += count * static_cast<double>(static_cast<std::int64_t>(row) / geometry.size[1]);
    }
  const double voxel_mm3 = geometry.spacing_mm.prod();
  std::vector<Finding> out;
  for (std::size_t f = 0; f < sums.size(); ++f) {
    const double count = static_cast<double>(sums[f].voxels);
    out.push_back({geometry.to_point(sums[f].index / count), std::cbrt(6 * count * voxel_mm3 / std::numbers::pi),
                   runs.all[roots[f]].label, sums[f].voxels});
  }
  return out;
}

}  // namespace

Result<std::vector<std::int32_t>> parse_finding_labels(std::string_view text) {
  std::vector<std::int32_t> out;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    const std::int32_t label = read_whole<std::int32_t>(part).value_or(0);
    if (label < 1 || label > kLabelMax)
      return invalid_argument("finding labels: \"" + std::string(part.substr(0, 20)) +
                              "\"; expected whole numbers from 1 separated by commas, e.g. 3,4");
    if (out.size() == kChosenLabelsMax)
      return invalid_argument("finding labels: more than " + std::to_string(kChosenLabelsMax));
    out.push_back(label);
    text.remove_prefix(part.size());
    if (text.empty()) break;
    text.remove_prefix(1);
    if (text.empty()) return invalid_argument("finding labels: a comma at the end; expected e.g. 3,4");
  }
  return out;
}

Result<std::vector<Finding>> find_components(const volume::VolumeGeometry& geometry, const volume::VoxelSpan& mask,
                                             std::span<const std::int32_t> labels) {
  if (volume::voxel_count(mask) != geometry.voxel_count())
    return invalid_argument("mask: its voxels do not fill its grid");
  Result<Runs> runs = std::visit([&](const auto& span) { return collect_runs(geometry.size, span, labels); }, mask);
  if (!runs) return std::move(runs).error();
  join_neighbours(*runs, geometry.size);
  return summarise(*runs, geometry);
}

bool same_grid(const volume::VolumeGeometry& a, const volume::VolumeGeometry& b, double tolerance_mm) {
  if (a.size != b.size) return false;
  for (unsigned corner = 0; corner < 8; ++corner) {
    volume::Point3 index = volume::Point3::Zero();
    for (unsigned axis = 0; axis < 3; ++axis)
      if ((corner >> axis & 1u) != 0) index[axis] = static_cast<double>(a.size[axis] - 1);
    if (!((a.to_point(index) - b.to_point(index)).norm() <= tolerance_mm)) return false;
  }
  return true;
}

}  // namespace fovea::node::store
