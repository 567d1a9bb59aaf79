// Small scans for the tests of this room: made from a seed, with any geometry.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "node/volume/volume.h"

namespace fovea::node {

// splitmix64: tests need repeatable numbers, not random ones.
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  std::int64_t below(std::int64_t bound) {
    return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(bound));
  }
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  std::uint64_t state_;
};

// A volume whose voxel value is a known function of its index, with a bright ball off centre so that
// flips and permutations show.
inline volume::Volume make_scan(const volume::Index3& size, std::uint64_t seed) {
  volume::Volume out;
  out.geometry.size = size;
  out.voxels.resize(out.geometry.voxel_count());
  Numbers numbers(seed);
  for (std::int64_t k = 0; k < size[2]; ++k)
    for (std::int64_t j = 0; j < size[1]; ++j)
      for (std::int64_t i = 0; i < size[0]; ++i) {
        const double x = static_cast<double>(i) - 0.3 * static_cast<double>(size[0]);
        const double y = static_cast<double>(j) - 0.4 * static_cast<double>(size[1]);
        const double z = static_cast<double>(k) - 0.6 * static_cast<double>(size[2]);
        const double ball = 900 * std::exp(-(x * x + y * y + z * z) / 40);
        out.voxels[out.geometry.offset(i, j, k)] = static_cast<float>(std::floor(ball + 100 + 20 * numbers.unit()));
      }
  return out;
}

// A rotation about z, then x, in degrees.
inline Eigen::Matrix3d turned(double about_z, double about_x) {
  const double a = about_z * 3.14159265358979 / 180, b = about_x * 3.14159265358979 / 180;
  const double ca = std::cos(a), sa = std::sin(a), cb = std::cos(b), sb = std::sin(b);
  Eigen::Matrix3d out;
  out << ca, -sa, 0, cb * sa, cb * ca, -sb, sb * sa, sb * ca, cb;
  return out;
}

// A folder of its own for each test, removed afterwards.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "fovea-intake-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline volume::Point3 brightest_point(const volume::Volume& volume) {
  std::size_t best = 0;
  for (std::size_t v = 0; v < volume.voxels.size(); ++v)
    if (volume.voxels[v] > volume.voxels[best]) best = v;
  const auto& size = volume.geometry.size;
  const auto index = static_cast<std::int64_t>(best);
  return volume.geometry.to_point({static_cast<double>(index % size[0]), static_cast<double>(index / size[0] % size[1]),
                                   static_cast<double>(index / size[0] / size[1])});
}

}  // namespace fovea::node
