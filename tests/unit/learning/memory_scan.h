// A scan in memory, for tests: a ball of noise with bright spheres in it.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"
#include "node/network/random_draws.h"
#include "node/scan_view/coarse_view.h"
#include "node/scan_view/scan_source.h"
#include "node/store/brick_volume.h"
#include "node/store/findings.h"
#include "node/training/training_set.h"
#include "node/volume/volume.h"

namespace fovea::node {

class MemoryScan final : public scan_view::ScanSource {
 public:
  // 1 mm voxels, edge³ of them; the coarse view averages 2³.
  MemoryScan(std::int64_t edge, const std::vector<store::Finding>& findings, std::uint64_t seed)
      : counter_({edge, edge, edge}) {
    fine_.geometry.size = {edge, edge, edge};
    fine_.voxels.resize(fine_.geometry.voxel_count());
    network::RandomDraws random(seed);
    const double middle = static_cast<double>(edge - 1) / 2;
    for (std::int64_t k = 0; k < edge; ++k)
      for (std::int64_t j = 0; j < edge; ++j)
        for (std::int64_t i = 0; i < edge; ++i) {
          const volume::Point3 at{static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)};
          const double far = (at - volume::Point3::Constant(middle)).norm();
          double value = far < middle ? random.uniform(-1, 1) : -4;
          for (const store::Finding& finding : findings)
            if ((at - finding.center_mm).norm() < finding.diameter_mm / 2) value += 2;
          fine_.voxels[fine_.geometry.offset(i, j, k)] = static_cast<float>(value);
        }
    average();
    view_ = scan_view::CoarseView(coarse_, -4);
  }

  const scan_view::CoarseView& coarse() const override { return view_; }
  scan_view::IntensityLevels levels() const override { return {.air = -4, .body = -2}; }
  Result<void> read_region(const volume::Point3& centre_mm, std::span<float> out) override {
    std::size_t at = 0;
    const auto first = [&](unsigned axis) { return std::lround(centre_mm[axis]) - scan_view::kRegionEdge / 2; };
    for (std::int64_t k = first(2); k < first(2) + scan_view::kRegionEdge; ++k)
      for (std::int64_t j = first(1); j < first(1) + scan_view::kRegionEdge; ++j)
        for (std::int64_t i = first(0); i < first(0) + scan_view::kRegionEdge; ++i, ++at) {
          const std::int64_t edge = fine_.geometry.size[0];
          const bool inside = i >= 0 && j >= 0 && k >= 0 && i < edge && j < edge && k < edge;
          out[at] = inside ? fine_.voxels[fine_.geometry.offset(i, j, k)] : -4;
          if (inside) counter_.mark(i, j, k, 1);
        }
    return {};
  }
  double fraction_read() const override { return counter_.fraction_read(); }
  void begin_session() override { counter_.reset(); }

 private:
  void average() {
    coarse_.geometry.size = {fine_.geometry.size[0] / 2, fine_.geometry.size[1] / 2, fine_.geometry.size[2] / 2};
    coarse_.geometry.spacing_mm = {2, 2, 2};
    coarse_.geometry.origin_mm = {0.5, 0.5, 0.5};
    coarse_.voxels.resize(coarse_.geometry.voxel_count());
    const volume::Index3& size = coarse_.geometry.size;
    for (std::int64_t k = 0; k < size[2]; ++k)
      for (std::int64_t j = 0; j < size[1]; ++j)
        for (std::int64_t i = 0; i < size[0]; ++i) {
          float sum = 0;
          for (std::int64_t corner = 0; corner < 8; ++corner)
            sum += fine_.voxels[fine_.geometry.offset(2 * i + corner % 2, 2 * j + corner / 2 % 2, 2 * k + corner / 4)];
          coarse_.voxels[coarse_.geometry.offset(i, j, k)] = sum / 8;
        }
  }
  volume::Volume fine_, coarse_;
  scan_view::CoarseView view_;
  store::ReadCounter counter_;
};

inline training::LearningStudy memory_study(std::string code, std::vector<store::Finding> findings,
                                            std::uint64_t seed) {
  auto scan = std::make_unique<MemoryScan>(64, findings, seed);
  const int label = findings.empty() ? 0 : 1;
  return training::make_learning_study(std::move(code), std::move(scan), label, true, std::move(findings));
}

}  // namespace fovea::node
