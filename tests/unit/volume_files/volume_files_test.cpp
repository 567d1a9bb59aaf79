// Volumes through NIfTI files and back, in mm, for axis flips, permutations and oblique directions.
#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <string>

#include "node/volume/canonical.h"
#include "node/volume_files/nifti_writer.h"
#include "node/volume_files/trusted_reader.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

// Every voxel of `file` must lie where `scan` has the same value.
void expect_same_in_space(const volume::Volume& scan, const volume::Volume& read, double tolerance_mm) {
  ASSERT_EQ(scan.voxels.size(), read.voxels.size());
  const auto& size = read.geometry.size;
  for (std::int64_t k = 0; k < size[2]; ++k)
    for (std::int64_t j = 0; j < size[1]; ++j)
      for (std::int64_t i = 0; i < size[0]; ++i) {
        const volume::Point3 point =
            read.geometry.to_point({static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)});
        const volume::Point3 index = scan.geometry.to_index(point);
        const volume::Index3 at{std::lround(index[0]), std::lround(index[1]), std::lround(index[2])};
        const volume::Point3 back = scan.geometry.to_point(
            {static_cast<double>(at[0]), static_cast<double>(at[1]), static_cast<double>(at[2])});
        ASSERT_LE((point - back).norm(), tolerance_mm);
        ASSERT_EQ(read.voxels[read.geometry.offset(i, j, k)], scan.voxels[scan.geometry.offset(at[0], at[1], at[2])]);
      }
}

TEST(VolumeFiles, EveryAxisOrderAndFlipComesBackCanonicalAndInPlace) {
  ScratchFolder folder;
  volume::Volume scan = make_scan({9, 11, 7}, 1);
  scan.geometry.spacing_mm = {0.8, 1.1, 2.5};
  scan.geometry.origin_mm = {-40.25, 12.5, 103};
  constexpr unsigned kOrders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const auto& order : kOrders)
    for (unsigned flips = 0; flips < 8; ++flips) {
      scan.geometry.direction.fill(0);
      for (unsigned axis = 0; axis < 3; ++axis)
        scan.geometry.direction(order[axis], axis) = (flips >> axis & 1u) != 0 ? -1 : 1;
      const auto path = folder.path() / "scan.nii";
      ASSERT_TRUE(volume_files::write_nifti(path, scan, volume_files::VoxelType::int16, false));
      const Result<volume::Volume> read = volume_files::read_trusted_volume(path);
      ASSERT_TRUE(read) << read.error().message;
      for (unsigned axis = 0; axis < 3; ++axis) EXPECT_NEAR(read->geometry.direction(axis, axis), 1, 1e-6);
      expect_same_in_space(scan, *read, 1e-3);
    }
}

TEST(VolumeFiles, ObliqueDirectionKeepsItsAngleAndItsPoints) {
  ScratchFolder folder;
  volume::Volume scan = make_scan({12, 10, 8}, 2);
  scan.geometry.spacing_mm = {1.5, 1.25, 3};
  scan.geometry.origin_mm = {30, -22, 7};
  scan.geometry.direction = turned(17, -23);
  const auto path = folder.path() / "scan.nii.gz";
  ASSERT_TRUE(volume_files::write_nifti(path, scan, volume_files::VoxelType::float32, true));
  const Result<volume::Volume> read = volume_files::read_trusted_volume(path);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_NEAR(read->geometry.direction(0, 1), scan.geometry.direction(0, 1), 1e-5);
  expect_same_in_space(scan, *read, 1e-3);
}

TEST(VolumeFiles, IntegerTypesRoundAndClip) {
  ScratchFolder folder;
  volume::Volume scan = make_scan({4, 4, 4}, 3);
  scan.voxels[0] = -7.6f;
  scan.voxels[1] = 70000;
  scan.voxels[2] = 12.4f;
  ASSERT_TRUE(volume_files::write_nifti(folder.path() / "a.nii", scan, volume_files::VoxelType::int16, false));
  ASSERT_TRUE(volume_files::write_nifti(folder.path() / "b.nii", scan, volume_files::VoxelType::uint8, false));
  const Result<volume::Volume> wide = volume_files::read_trusted_volume(folder.path() / "a.nii");
  const Result<volume::Volume> narrow = volume_files::read_trusted_volume(folder.path() / "b.nii");
  ASSERT_TRUE(wide && narrow);
  EXPECT_EQ(wide->voxels[0], -8);
  EXPECT_EQ(wide->voxels[1], 32767);
  EXPECT_EQ(wide->voxels[2], 12);
  EXPECT_EQ(narrow->voxels[0], 0);
  EXPECT_EQ(narrow->voxels[1], 255);
}

TEST(VolumeFiles, AFileThatContradictsItsNameOrIsAbsentIsRefused) {
  ScratchFolder folder;
  const volume::Volume scan = make_scan({4, 4, 4}, 4);
  EXPECT_EQ(
      volume_files::write_nifti(folder.path() / "a.nii.gz", scan, volume_files::VoxelType::int16, false).error().code,
      ErrorCode::invalid_argument);
  EXPECT_EQ(volume_files::write_nifti(folder.path() / "no" / "a.nii", scan, volume_files::VoxelType::int16, false)
                .error()
                .code,
            ErrorCode::unavailable);
  EXPECT_EQ(volume_files::read_trusted_volume(folder.path() / "none.nii").error().code, ErrorCode::not_found);
  EXPECT_EQ(volume_files::read_trusted_volume(folder.path()).error().code, ErrorCode::invalid_argument);
}

TEST(VolumeFiles, TheTemplateBrainLiesInTalairachSpace) {
  const std::filesystem::path path = "/usr/share/mricron/templates/ch2.nii.gz";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "mricron-data is not installed";
  const auto start = std::chrono::steady_clock::now();
  const Result<volume::Volume> brain = volume_files::read_trusted_volume(path);
  ASSERT_TRUE(brain) << brain.error().message;
  RecordProperty(
      "read_ms",
      static_cast<int>(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count()));
  EXPECT_EQ(brain->geometry.size, (volume::Index3{181, 217, 181}));
  // The file's voxel (0,0,0) is at RAS (−90, −125, −71): the right, back, bottom corner.
  EXPECT_NEAR(brain->geometry.origin_mm[0], -90, 1e-6);
  EXPECT_NEAR(brain->geometry.origin_mm[1], -91, 1e-6);
  EXPECT_NEAR(brain->geometry.origin_mm[2], -71, 1e-6);
}

}  // namespace
}  // namespace fovea::node
