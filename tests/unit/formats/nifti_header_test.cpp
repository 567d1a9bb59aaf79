// The NIfTI header check by itself: both versions, both byte orders, and bytes that nobody meant.
#include "node/intake/formats/nifti_header.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "node/intake/manifest.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

// Writes numbers at the format's offsets in either byte order.
class HeaderBytes {
 public:
  HeaderBytes(std::size_t size, bool swapped) : bytes_(size), swapped_(swapped) {}
  template <class T>
  void set(std::size_t offset, T value) {
    auto raw = std::bit_cast<std::array<std::uint8_t, sizeof(T)>>(value);
    if (swapped_) std::reverse(raw.begin(), raw.end());
    std::copy(raw.begin(), raw.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  Bytes bytes() const { return bytes_; }

 private:
  Bytes bytes_;
  bool swapped_;
};

// 10×12×14 int16, qform: a quarter turn about z, 2 mm cubes, offset (5, −6, 7) in RAS.
Bytes version_1(bool swapped) {
  HeaderBytes h(352, swapped);
  h.set<std::int32_t>(0, 348);
  for (std::size_t i = 0; i < 4; ++i)
    h.set<std::int16_t>(40 + 2 * i, static_cast<std::int16_t>(std::array{3, 10, 12, 14}[i]));
  h.set<std::int16_t>(70, 4), h.set<std::int16_t>(72, 16);
  h.set<float>(76, 1);
  for (std::size_t i = 1; i < 4; ++i) h.set<float>(76 + 4 * i, 2);
  h.set<float>(108, 352), h.set<std::int8_t>(123, 2), h.set<std::int16_t>(252, 1);
  h.set<float>(264, std::sqrt(0.5f));
  h.set<float>(268, 5), h.set<float>(272, -6), h.set<float>(276, 7);
  h.set<std::uint8_t>(344, 'n'), h.set<std::uint8_t>(345, '+'), h.set<std::uint8_t>(346, '1');
  return h.bytes();
}

Bytes version_2(bool swapped) {
  HeaderBytes h(544, swapped);
  h.set<std::int32_t>(0, 540);
  h.set<std::uint8_t>(4, 'n'), h.set<std::uint8_t>(5, '+'), h.set<std::uint8_t>(6, '2');
  h.set<std::int16_t>(12, 4), h.set<std::int16_t>(14, 16);
  for (std::size_t i = 0; i < 4; ++i) h.set<std::int64_t>(16 + 8 * i, std::array{3, 10, 12, 14}[i]);
  h.set<double>(104, 1);
  for (std::size_t i = 1; i < 4; ++i) h.set<double>(104 + 8 * i, 2);
  h.set<std::int64_t>(168, 544), h.set<std::int32_t>(344, 1), h.set<std::int32_t>(500, 2);
  h.set<double>(368, std::sqrt(0.5));
  h.set<double>(376, 5), h.set<double>(384, -6), h.set<double>(392, 7);
  return h.bytes();
}

TEST(NiftiHeader, BothVersionsAndByteOrdersGiveTheSameHeader) {
  for (const Bytes& file : {version_1(false), version_1(true), version_2(false), version_2(true)}) {
    const Result<intake::NiftiHeader> header = intake::inspect_nifti(file);
    ASSERT_TRUE(header) << header.error().message;
    EXPECT_EQ(header->geometry.size, (volume::Index3{10, 12, 14}));
    EXPECT_EQ(header->voxel_bytes, 10u * 12 * 14 * 2);
    EXPECT_EQ(header->voxel_offset, file.size());
    for (unsigned a = 0; a < 3; ++a) {
      EXPECT_NEAR(header->geometry.spacing_mm[a], 2, 1e-6);
      EXPECT_NEAR(header->geometry.origin_mm[a], (volume::Point3{-5, 6, 7})[a], 1e-6);
    }
    // i runs to the front in RAS (+y), so to −y in LPS; j to −x in RAS, +x in LPS.
    EXPECT_NEAR(header->geometry.direction(1, 0), -1, 1e-6);
    EXPECT_NEAR(header->geometry.direction(0, 1), 1, 1e-6);
    EXPECT_NEAR(header->geometry.direction(2, 2), 1, 1e-6);
  }
}

// version_1() with an sform too, of rows like its qform's: (0, −2, 0, 5), (2, 0, 0, −6), (0, 0, 2, 7).
HeaderBytes with_sform(float shear, float shift_mm) {
  HeaderBytes h(352, false);
  const Bytes base = version_1(false);
  for (std::size_t i = 0; i < base.size(); ++i) h.set<std::uint8_t>(i, base[i]);
  h.set<std::int16_t>(254, 1);
  const float rows[12] = {shear, -2, 0, 5 + shift_mm, 2, 0, 0, -6, 0, 0, 2, 7};
  for (std::size_t i = 0; i < 12; ++i) h.set<float>(280 + 4 * i, rows[i]);
  return h;
}

TEST(NiftiHeader, AShearedSformGivesWayToAQformNearIt) {
  const Result<intake::NiftiHeader> sound = intake::inspect_nifti(with_sform(0, 0).bytes()),
                                    sheared = intake::inspect_nifti(with_sform(0.01f, 0).bytes()),
                                    elsewhere = intake::inspect_nifti(with_sform(0.01f, 40).bytes());
  ASSERT_TRUE(sound) << sound.error().message;
  EXPECT_EQ(sound->note, "");
  ASSERT_TRUE(sheared) << sheared.error().message;
  EXPECT_NE(sheared->note.find("qform was taken"), std::string::npos) << sheared->note;
  EXPECT_EQ(sheared->geometry, intake::inspect_nifti(version_1(false))->geometry);
  ASSERT_FALSE(elsewhere);
  EXPECT_NE(elsewhere.error().message.find("right angles"), std::string::npos) << elsewhere.error().message;
}

TEST(NiftiHeader, TransformsThatDisagreeOrAreMissingAreSaid) {
  const Result<intake::NiftiHeader> apart = intake::inspect_nifti(with_sform(0, 20).bytes());
  ASSERT_TRUE(apart) << apart.error().message;
  EXPECT_NE(apart->note.find("20.0 mm apart; sform was taken"), std::string::npos) << apart->note;
  EXPECT_EQ(apart->geometry.origin_mm[0], -25);
  HeaderBytes none = with_sform(0, 0);
  none.set<std::int16_t>(252, 0), none.set<std::int16_t>(254, 0);
  const Result<intake::NiftiHeader> unplaced = intake::inspect_nifti(none.bytes());
  ASSERT_TRUE(unplaced) << unplaced.error().message;
  EXPECT_NE(unplaced->note.find("which way is left"), std::string::npos);
}

TEST(NiftiHeader, ASlopeOfZeroOrNaNMeansNoScalingAndAnInfiniteOneIsRefused) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const auto scaled = [](float slope, float intercept) {
    HeaderBytes h = with_sform(0, 0);
    h.set<float>(112, slope), h.set<float>(116, intercept);
    return intake::inspect_nifti(h.bytes());
  };
  for (const auto& [slope, intercept] : {std::pair{nan, nan}, {nan, 7.0f}, {0.0f, 7.0f}, {0.0f, nan}}) {
    const Result<intake::NiftiHeader> header = scaled(slope, intercept);
    ASSERT_TRUE(header) << header.error().message;
    EXPECT_EQ(header->slope, 0);
    EXPECT_EQ(header->intercept, 0);
  }
  for (const auto& [slope, intercept] : {std::pair{inf, 0.0f}, {1.0f, nan}, {2.0f, inf}})
    EXPECT_FALSE(scaled(slope, intercept));
  HeaderBytes unit = with_sform(0, 0);
  unit.set<std::int8_t>(123, 5);
  ASSERT_FALSE(intake::inspect_nifti(unit.bytes()));
  EXPECT_NE(intake::inspect_nifti(unit.bytes()).error().message.find("xyzt_units"), std::string::npos);
}

TEST(NiftiHeader, RandomDamageIsRefusedOrGivesASaneGeometry) {
  const std::uint64_t seed = 2026;
  Numbers numbers(seed);
  for (int step = 0; step < 40'000; ++step) {
    Bytes file = step % 2 == 0 ? version_1(step % 4 == 0) : version_2(step % 3 == 0);
    for (std::int64_t n = 1 + numbers.below(6); n > 0; --n)
      file[static_cast<std::size_t>(numbers.below(static_cast<std::int64_t>(file.size())))] =
          static_cast<std::uint8_t>(numbers.next());
    if (step % 7 == 0) file.resize(static_cast<std::size_t>(numbers.below(static_cast<std::int64_t>(file.size()))));
    const Result<intake::NiftiHeader> header = intake::inspect_nifti(file);
    if (!header) {
      ASSERT_EQ(header.error().code, ErrorCode::invalid_argument) << "seed " << seed << " step " << step;
      continue;
    }
    ASSERT_LE(header->voxel_bytes, 512ull * 1024 * 1024 * 8);
    for (unsigned a = 0; a < 3; ++a) {
      ASSERT_GE(header->geometry.size[a], 2);
      ASSERT_TRUE(header->geometry.spacing_mm[a] > 0 && std::isfinite(header->geometry.origin_mm[a]))
          << "seed " << seed << " step " << step;
    }
    const volume::Point3 there = header->geometry.to_point({1, 2, 3}), back = header->geometry.to_index(there);
    for (unsigned a = 0; a < 3; ++a)
      ASSERT_NEAR(back[a], static_cast<double>(a + 1), 1e-3) << "seed " << seed << " step " << step;
  }
}

TEST(Manifest, RandomDamageNeverGivesARowWithoutItsFields) {
  const std::string sound =
      "study,patient,image,mask,split,label\n\"a\",p,\"x,\"\"y\"\".nii\",m.nii,train,1\r\nb,q,z.nii,,test,0\n";
  const std::uint64_t seed = 4;
  Numbers numbers(seed);
  ASSERT_EQ(intake::parse_manifest(sound, "/")->size(), 2u);
  for (int step = 0; step < 20'000; ++step) {
    std::string text = sound;
    for (std::int64_t n = 1 + numbers.below(4); n > 0; --n)
      text[static_cast<std::size_t>(numbers.below(static_cast<std::int64_t>(text.size())))] =
          "\",\r\n\0ax"[numbers.below(7)];
    const auto rows = intake::parse_manifest(text, "/");
    if (!rows) continue;
    for (const intake::StudySource& row : *rows)
      ASSERT_FALSE(row.identity.study.empty() || row.identity.image.empty()) << "seed " << seed << " step " << step;
  }
}

}  // namespace
}  // namespace fovea::node
