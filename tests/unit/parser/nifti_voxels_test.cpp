// Our reading of NIfTI voxels held against ITK's: every data type, byte order, scaling and order of axes, and real
// files.
#include "node/intake/formats/nifti_voxels.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "node/intake/parser/scan_parser.h"
#include "node/volume/canonical.h"
#include "node/volume/volume.h"
#include "node/volume_files/trusted_reader.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;

struct Kind {
  std::int16_t datatype, bits;
};
std::size_t bytes_of(Kind kind) { return static_cast<std::size_t>(kind.bits) / 8; }
constexpr Kind kKinds[] = {{2, 8},   {4, 16},   {8, 32},   {16, 32},   {64, 64},
                           {256, 8}, {512, 16}, {768, 32}, {1024, 64}, {1280, 64}};

// A NIfTI-1 file of 7×6×5 voxels, byte by byte.
class File {
 public:
  File(Kind kind, bool swapped, std::uint32_t voxel_offset)
      : kind_(kind), swapped_(swapped), offset_(voxel_offset), bytes_(voxel_offset + kVoxels * bytes_of(kind)) {
    put(0, std::int32_t{348});
    for (std::size_t i = 0; i < 4; ++i) put(40 + 2 * i, std::array<std::int16_t, 4>{3, 7, 6, 5}[i]);
    put(70, kind.datatype), put(72, kind.bits);
    for (std::size_t i = 0; i < 4; ++i) put(76 + 4 * i, i == 0 ? 1.0f : 2.0f);
    put(108, static_cast<float>(voxel_offset));
    bytes_[123] = 2, bytes_[344] = 'n', bytes_[345] = '+', bytes_[346] = '1';
    put(254, std::int16_t{1});
  }
  template <class T>
  void put(std::size_t at, T value) {
    std::array<std::uint8_t, sizeof(T)> raw{};
    std::memcpy(raw.data(), &value, sizeof value);
    if (swapped_) std::reverse(raw.begin(), raw.end());
    std::copy(raw.begin(), raw.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(at));
  }
  void set_scaling(float slope, float intercept) { put(112, slope), put(116, intercept); }
  // Which patient axis each voxel axis runs along, and against which ones.
  void set_axes(const std::array<std::size_t, 3>& axes, unsigned flips) {
    for (std::size_t axis = 0; axis < 3; ++axis)
      put(280 + 16 * axes[axis] + 4 * axis, (flips >> axis & 1U) != 0 ? -2.0f : 2.0f);
  }
  void set_voxel(std::size_t v, std::int64_t value) {
    const std::size_t at = offset_ + v * bytes_of(kind_);
    switch (kind_.datatype) {
      case 16: return put(at, static_cast<float>(value));
      case 64: return put(at, static_cast<double>(value));
      case 2:
      case 256: return put(at, static_cast<std::int8_t>(value));
      case 4:
      case 512: return put(at, static_cast<std::int16_t>(value));
      case 8:
      case 768: return put(at, static_cast<std::int32_t>(value));
      default: return put(at, value);
    }
  }
  const Bytes& bytes() const { return bytes_; }
  static constexpr std::size_t kVoxels = 7 * 6 * 5;

 private:
  Kind kind_;
  bool swapped_;
  std::uint32_t offset_;
  Bytes bytes_;
};

std::vector<float> as_floats(const std::byte* memory, std::size_t count, volume::VoxelStorage storage) {
  std::vector<float> out(count);
  for (std::size_t v = 0; v < count; ++v) {
    std::int16_t whole = 0;
    if (storage == volume::VoxelStorage::float32) std::memcpy(&out[v], memory + 4 * v, 4);
    else std::memcpy(&whole, memory + 2 * v, 2), out[v] = whole;
  }
  return out;
}

struct Delivered {
  volume::VolumeGeometry geometry;
  volume::VoxelStorage storage = volume::VoxelStorage::float32;
  std::vector<float> voxels;
};

Result<Delivered> deliver(const Bytes& file) {
  FOVEA_TRY_ASSIGN(const intake::NiftiHeader header,
                   intake::inspect_nifti(ByteView(file).first(std::min(file.size(), intake::kNiftiHeaderBytesMax))));
  Bytes stored(file.begin() + static_cast<std::ptrdiff_t>(header.voxel_offset), file.end());
  std::vector<std::byte> memory;
  Delivered out;
  FOVEA_TRY(intake::deliver_nifti(
      header, stored, [&](const volume::VolumeGeometry& geometry, volume::VoxelStorage storage) -> Result<std::byte*> {
        memory.resize(geometry.voxel_count() * volume::bytes_per_voxel(storage));
        out.geometry = geometry;
        out.storage = storage;
        return memory.data();
      }));
  out.voxels = as_floats(memory.data(), out.geometry.voxel_count(), out.storage);
  if (!intake::can_stay_in_place(header)) return out;
  // Where it can be done in place, that gives the same.
  std::vector<std::uint32_t> room((intake::bytes_in_place(header) + 3) / 4);
  auto* place = reinterpret_cast<std::uint8_t*>(room.data());
  std::memcpy(place, file.data() + header.voxel_offset, header.voxel_bytes);
  FOVEA_TRY_ASSIGN(const volume::VoxelStorage storage,
                   intake::deliver_nifti_in_place(header, {place, intake::bytes_in_place(header)}));
  EXPECT_EQ(storage, out.storage);
  EXPECT_EQ(as_floats(reinterpret_cast<const std::byte*>(place), out.voxels.size(), storage), out.voxels);
  return out;
}

void expect_as_itk(const fs::path& path, const Bytes& file, const std::string& what) {
  ASSERT_TRUE(replace_file(path, file));
  const Result<volume::Volume> reference = volume_files::read_trusted_volume(path);
  ASSERT_TRUE(reference) << what << ": " << reference.error().message;
  const Result<Delivered> ours = deliver(file);
  ASSERT_TRUE(ours) << what << ": " << ours.error().message;
  EXPECT_EQ(ours->geometry, reference->geometry) << what;
  EXPECT_EQ(ours->voxels, reference->voxels) << what;
}

TEST(NiftiVoxels, EveryTypeByteOrderAndScalingIsReadAsByItk) {
  ScratchFolder folder;
  Numbers numbers(11);
  for (const Kind kind : kKinds)
    for (const bool swapped : {false, true})
      for (const bool wide : {false, true})
        for (const auto& [slope, intercept] : {std::pair{0.0f, 0.0f}, {1.0f, 0.0f}, {0.5f, -30.25f}, {-3.0f, 1.0f}}) {
          File file(kind, swapped, 352);
          file.set_axes({0, 1, 2}, 3);
          file.set_scaling(slope, intercept);
          // Narrow values fit int16 in every type; wide ones fill the smaller types and leave int16 in the larger ones.
          for (std::size_t v = 0; v < File::kVoxels; ++v)
            file.set_voxel(v, wide ? numbers.below(4'000'000) : numbers.below(120));
          expect_as_itk(folder.path() / "scan.nii", file.bytes(),
                        "type " + std::to_string(kind.datatype) + " slope " + std::to_string(slope));
        }
}

// nifti1.h (and nibabel): "if the scl_slope field is nonzero". ITK adds the intercept all the same.
TEST(NiftiVoxels, ASlopeOfZeroMeansNoScalingAtAll) {
  File file({4, 16}, false, 352);
  file.set_axes({0, 1, 2}, 0);
  for (std::size_t v = 0; v < File::kVoxels; ++v) file.set_voxel(v, static_cast<std::int64_t>(v));
  const Result<Delivered> plain = deliver(file.bytes());
  file.set_scaling(0, 5);
  const Result<Delivered> zero = deliver(file.bytes());
  file.set_scaling(1, 5);
  const Result<Delivered> shifted = deliver(file.bytes());
  ASSERT_TRUE(plain && zero && shifted);
  EXPECT_EQ(zero->voxels, plain->voxels);
  EXPECT_NE(shifted->voxels, plain->voxels);
}

TEST(NiftiVoxels, EveryOrderOfAxesIsReadAsByItk) {
  ScratchFolder folder;
  Numbers numbers(12);
  constexpr std::array<std::size_t, 3> kOrders[] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const Kind kind : {kKinds[0], kKinds[1], kKinds[3], kKinds[4]})
    for (const auto& order : kOrders)
      for (unsigned flips = 0; flips < 8; ++flips) {
        File file(kind, false, 352 + 16 * flips);
        file.set_axes(order, flips);
        for (std::size_t v = 0; v < File::kVoxels; ++v) file.set_voxel(v, numbers.below(100'000));
        expect_as_itk(folder.path() / "scan.nii", file.bytes(), "flips " + std::to_string(flips));
      }
}

TEST(NiftiVoxels, VoxelsAtAnyAlignmentAreRead) {
  for (const Kind kind : kKinds) {
    File even(kind, false, 352), odd(kind, false, 355);
    for (File* file : {&even, &odd}) {
      file->set_axes({1, 2, 0}, 1);
      for (std::size_t v = 0; v < File::kVoxels; ++v) file->set_voxel(v, static_cast<std::int64_t>(v) % 100);
    }
    const Result<Delivered> a = deliver(even.bytes()), b = deliver(odd.bytes());
    ASSERT_TRUE(a && b);
    EXPECT_EQ(a->voxels, b->voxels) << kind.datatype;
  }
}

TEST(NiftiVoxels, VoxelsNotFiniteBeforeOrAfterScalingAreRefused) {
  for (const bool swapped : {false, true}) {
    File file({16, 32}, swapped, 352);
    file.set_axes({0, 1, 2}, 0);
    for (std::size_t v = 0; v < File::kVoxels; ++v) file.set_voxel(v, 1);
    ASSERT_TRUE(deliver(file.bytes()));
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      File broken = file;
      broken.put(352 + 4 * 100, bad);
      const Result<Delivered> refused = deliver(broken.bytes());
      ASSERT_FALSE(refused);
      EXPECT_NE(refused.error().message.find("not numbers"), std::string::npos);
    }
    file.put(352 + 4 * 100, 1e30f);
    ASSERT_TRUE(deliver(file.bytes()));
    file.set_scaling(1e20f, 0);  // 1e50 is no float
    EXPECT_FALSE(deliver(file.bytes()));
  }
}

TEST(NiftiVoxels, FlippingInPlaceEqualsCopyingInCanonicalOrder) {
  Numbers numbers(13);
  for (int round = 0; round < 60; ++round) {
    volume::VolumeGeometry geometry;
    for (std::int64_t& size : geometry.size) size = 2 + numbers.below(9);
    for (unsigned axis = 0; axis < 3; ++axis) geometry.direction(axis, axis) = numbers.below(2) == 0 ? 1 : -1;
    std::vector<std::int16_t> voxels(geometry.voxel_count()), copied(voxels.size());
    for (std::int16_t& v : voxels) v = static_cast<std::int16_t>(numbers.below(1000));
    const volume::CanonicalOrder order = volume::canonical_order(geometry);
    volume::copy_canonical(voxels.data(), geometry, order, copied.data(), [](std::int16_t v) { return v; });
    volume::flip_in_place(voxels.data(), geometry.size, order);
    EXPECT_EQ(voxels, copied) << round;
  }
}

TEST(NiftiVoxels, RealFilesThroughTheParserAreReadAsByItk) {
  const fs::path data = fs::path(FOVEA_SOURCE_DIR) / ".." / "shared" / "data";
  if (!fs::exists(data)) GTEST_SKIP() << "shared/data is absent";
  Result<intake::ScanParser> parser = intake::ScanParser::start(fs::path(FOVEA_BIN_DIR) / "fovea-scan-parser", {});
  ASSERT_TRUE(parser) << parser.error().message;
  std::size_t compared = 0;
  for (const char* folder :
       {"hippocampus/images", "head-neck-ct", "soft-tissue-sarcoma/pet", "soft-tissue-sarcoma/mr-t1"}) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(data / folder)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (std::size_t n = 0; n < files.size(); n += std::max<std::size_t>(1, files.size() / 12)) {
      const Result<volume::Volume> reference = volume_files::read_trusted_volume(files[n]);
      const Result<intake::ParsedVolume> ours = parser->read_volume(files[n]);
      ASSERT_TRUE(reference && ours) << files[n];
      EXPECT_EQ(ours->geometry(), reference->geometry) << files[n];
      const std::vector<float> voxels =
          std::visit([](const auto& span) { return std::vector<float>(span.begin(), span.end()); }, ours->voxels());
      EXPECT_TRUE(voxels == reference->voxels) << files[n];
      ++compared;
    }
  }
  EXPECT_GT(compared, 40U);
}

}  // namespace
}  // namespace fovea::node
