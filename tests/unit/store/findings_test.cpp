// Connected components against a naive flood fill, and what a mask must not hold.
#include "node/store/findings.h"

#include <algorithm>
#include <numbers>

#include "tests/support/scans.h"

namespace fovea::node {
namespace {

struct Blob {
  std::int32_t label;
  std::uint64_t voxels;
  volume::Point3 centre = volume::Point3::Zero();
};

// 26-connected flood fill in scan order.
std::vector<Blob> flood(const volume::VolumeGeometry& geometry, std::vector<std::int16_t> mask) {
  std::vector<Blob> out;
  const auto& size = geometry.size;
  for (std::int64_t start = 0; start < static_cast<std::int64_t>(mask.size()); ++start) {
    const std::int16_t label = mask[static_cast<std::size_t>(start)];
    if (label <= 0) continue;
    Blob blob{.label = label, .voxels = 0};
    std::vector<std::int64_t> open{start};
    mask[static_cast<std::size_t>(start)] = 0;
    volume::Point3 sum = volume::Point3::Zero();
    while (!open.empty()) {
      const std::int64_t at = open.back();
      open.pop_back();
      const volume::Index3 p{at % size[0], at / size[0] % size[1], at / size[0] / size[1]};
      ++blob.voxels;
      for (unsigned a = 0; a < 3; ++a) sum[a] += static_cast<double>(p[a]);
      for (std::int64_t n = 0; n < 27; ++n) {
        const volume::Index3 q{p[0] + n % 3 - 1, p[1] + n / 3 % 3 - 1, p[2] + n / 9 - 1};
        if (q[0] < 0 || q[1] < 0 || q[2] < 0 || q[0] >= size[0] || q[1] >= size[1] || q[2] >= size[2]) continue;
        const std::size_t next = geometry.offset(q[0], q[1], q[2]);
        if (mask[next] != label) continue;
        mask[next] = 0;
        open.push_back(static_cast<std::int64_t>(next));
      }
    }
    blob.centre = geometry.to_point(sum / static_cast<double>(blob.voxels));
    out.push_back(blob);
  }
  return out;
}

TEST(Findings, AgreeWithAFloodFillOnRandomMasks) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Numbers numbers(seed);
    volume::VolumeGeometry geometry;
    geometry.size = {5 + numbers.below(20), 4 + numbers.below(15), 3 + numbers.below(12)};
    geometry.spacing_mm = {0.8, 1.2, 3};
    geometry.origin_mm = {10, -20, 30};
    geometry.direction = turned(30, -12);
    std::vector<std::int16_t> mask(geometry.voxel_count());
    const std::int64_t density = 3 + numbers.below(30);
    for (std::int16_t& voxel : mask)
      if (numbers.below(density) == 0) voxel = static_cast<std::int16_t>(1 + numbers.below(3));
    const std::vector<Blob> expected = flood(geometry, mask);
    const Result<std::vector<store::Finding>> found =
        store::find_components(geometry, std::span<const std::int16_t>(mask), {});
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_EQ(found->size(), expected.size()) << "seed " << seed;
    for (std::size_t f = 0; f < expected.size(); ++f) {
      const store::Finding& finding = (*found)[f];
      EXPECT_EQ(finding.label, expected[f].label);
      EXPECT_EQ(finding.voxels, expected[f].voxels);
      for (unsigned a = 0; a < 3; ++a)
        EXPECT_NEAR(finding.center_mm[a], expected[f].centre[a], 1e-6) << "seed " << seed;
      const double volume = std::numbers::pi / 6 * finding.diameter_mm * finding.diameter_mm * finding.diameter_mm;
      EXPECT_NEAR(volume, static_cast<double>(finding.voxels) * 0.8 * 1.2 * 3, 1e-6);
    }
  }
}

TEST(Findings, OnlyChosenLabelsCountInFloatMasksToo) {
  volume::VolumeGeometry geometry;
  geometry.size = {6, 2, 2};
  std::vector<float> mask(24);
  mask[0] = 1, mask[2] = 3, mask[3] = 3, mask[5] = 4;
  const std::vector<std::int32_t> labels{3, 4};
  const Result<std::vector<store::Finding>> found =
      store::find_components(geometry, std::span<const float>(mask), labels);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ((*found)[0].label, 3);
  EXPECT_EQ((*found)[0].voxels, 2u);
  EXPECT_EQ((*found)[1].label, 4);
}

TEST(Findings, FractionsAndNoiseAreRefused) {
  volume::VolumeGeometry geometry;
  geometry.size = {4, 4, 4};
  std::vector<float> fractions(64, 0.25f);
  EXPECT_FALSE(store::find_components(geometry, std::span<const float>(fractions), {}));
  geometry.size = {64, 64, 64};
  std::vector<std::int16_t> noise(geometry.voxel_count());
  for (std::int64_t k = 0; k < 64; k += 2)
    for (std::int64_t j = 0; j < 64; j += 2)
      for (std::int64_t i = 0; i < 64; i += 2) noise[geometry.offset(i, j, k)] = 1;
  EXPECT_FALSE(store::find_components(geometry, std::span<const std::int16_t>(noise), {}));
}

TEST(Findings, LabelsOfAScaledMapRoundAndOthersAreRefused) {
  volume::VolumeGeometry geometry;
  geometry.size = {8, 4, 4};
  std::vector<float> mask(geometry.voxel_count());
  for (const std::int64_t i : {2, 3, 4}) mask[geometry.offset(i, 1, 1)] = 3.0000459f;
  mask[geometry.offset(3, 1, 1)] = 2.9999f;  // one region all the same
  mask[geometry.offset(6, 3, 3)] = 301.0046f;
  mask[geometry.offset(0, 0, 0)] = 0.0005f;  // background
  const auto found = store::find_components(geometry, std::span<const float>(mask), {});
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ((*found)[0].label, 3);
  EXPECT_EQ((*found)[0].voxels, 3u);
  EXPECT_EQ((*found)[1].label, 301);
  for (const float wrong : {3.01f, 0.5f, 0.002f, 1000.3f, 32767.5f}) {
    mask[geometry.offset(6, 3, 3)] = wrong;
    EXPECT_FALSE(store::find_components(geometry, std::span<const float>(mask), {})) << wrong;
  }
}

TEST(Findings, LabelsAreParsedStrictly) {
  EXPECT_EQ(*store::parse_finding_labels("3,4"), (std::vector<std::int32_t>{3, 4}));
  EXPECT_TRUE(store::parse_finding_labels("")->empty());
  for (const char* bad : {"0", "-1", "3,", ",3", "a", "3;4", "99999999999"})
    EXPECT_FALSE(store::parse_finding_labels(bad)) << bad;
  std::string many = "1";
  for (int n = 1; n < 512; ++n) many += ",1";
  EXPECT_TRUE(store::parse_finding_labels(many));
  EXPECT_FALSE(store::parse_finding_labels(many + ",1"));
}

TEST(Findings, GridsAreComparedInMillimetres) {
  volume::VolumeGeometry a;
  a.size = {100, 100, 100};
  volume::VolumeGeometry b = a;
  EXPECT_TRUE(store::same_grid(a, b, 0.1));
  b.spacing_mm[0] = 1.0005;  // 0.05 mm at the far corner
  EXPECT_TRUE(store::same_grid(a, b, 0.1));
  b.spacing_mm[0] = 1.01;
  EXPECT_FALSE(store::same_grid(a, b, 0.1));
  b = a;
  b.size[2] = 99;
  EXPECT_FALSE(store::same_grid(a, b, 0.1));
}

}  // namespace
}  // namespace fovea::node
