// A canonical volume on disk in bricks of 64³ voxels, and the counter that says how much of it was read.
//
// File format "FOVBRK3" (little-endian; constants, writer and reader change together, docs/intake.md):
//   64 bytes in clear: magic, version, a random salt;
//   then the header, each brick, and the bricks' lengths, sealed with AES-256-GCM under a key derived from the site's
//   volume key and the salt (HKDF), each 16 bytes longer than its contents.
//   Nonce: 0 for the header, 1 + n for brick n, the one after the last brick's for the lengths.
//   The clear bytes and the volume's name (its file name up to the first dot) are authenticated, so neither bricks nor
//   files can be exchanged.
//   Voxels i fastest, edge bricks clipped to the volume; a row of equal voxels is stored as one.
// A brick is opened, and so checked, when it is first touched. The stored coarse level (pyramid.h) uses the same
// format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"
#include "crypto/secret_bytes.h"
#include "node/store/volume_key.h"
#include "node/volume/intensity.h"
#include "node/volume/volume.h"

namespace fovea::node::store {

constexpr std::int64_t kBrickEdge = 64;

// The bricks of a volume, i fastest: their corner and clipped size.
struct BrickBox {
  volume::Index3 low{}, size{};
  std::size_t voxels() const { return static_cast<std::size_t>(size[0] * size[1] * size[2]); }
};

// Counts full-resolution voxels handed out: distinct() counts a voxel once however often it is read.
class ReadCounter {
 public:
  explicit ReadCounter(const volume::Index3& size);

  // The run of `count` voxels from (i, j, k) along i; all inside the volume.
  void mark(std::int64_t i, std::int64_t j, std::int64_t k, std::int64_t count);
  void reset();

  std::uint64_t distinct() const noexcept { return distinct_; }
  std::uint64_t total() const noexcept { return total_; }  // repeated reads counted again
  double fraction_read() const noexcept { return static_cast<double>(distinct_) / static_cast<double>(voxels_); }

 private:
  volume::Index3 size_;
  std::uint64_t voxels_;
  std::uint64_t distinct_ = 0;
  std::uint64_t total_ = 0;
  std::vector<std::uint64_t> seen_;  // one bit per voxel
};

// Writes a sealed brick file, brick by brick, with memory for one brick; the file appears whole or not at all. Durable
// after sync_filesystem. int16 voxels stand for value · slope + intercept.
struct BrickContents {
  const volume::VolumeGeometry& geometry;
  const volume::IntensityStatistics& statistics;
  volume::VoxelSpan voxels;  // canonical order, geometry.voxel_count() of them
  float slope = 1, intercept = 0;
};
Result<void> write_brick_volume(const std::filesystem::path& path, const VolumeKey& key, const BrickContents& contents);

// Read access to a brick file. Every voxel handed out is counted. Move-only; one thread.
class BrickVolume {
 public:
  // not_found, or corruption naming the file (by its name in the node's own store, a code) and the field; a wrong key
  // is corruption too.
  static Result<BrickVolume> open(const std::filesystem::path& path, const VolumeKey& key);

  const volume::VolumeGeometry& geometry() const noexcept { return geometry_; }
  const volume::IntensityStatistics& statistics() const noexcept { return statistics_; }

  // The box of `size` voxels from index `low`, i fastest, into `out` (size[0]·size[1]·size[2] floats, the scan's
  // units); voxels outside the volume get `outside` and are not counted. corruption: a brick was changed.
  Result<void> read_box(const volume::Index3& low, const volume::Index3& size, std::span<float> out, float outside);

  // A cube of `edge`³ samples, `spacing_mm` apart, along the volume's own axes, its middle at the continuous index
  // `centre` (geometry().to_index(point) for a point in mm). An axis whose spacing is within 1 % of `spacing_mm`
  // snaps to the grid, so that a 32³ crop at 1 mm of a 1 mm volume reads 32³ voxels; along the others the
  // samples are linear between voxels and every voxel used is counted.
  Result<void> read_crop(const volume::Point3& centre, std::int64_t edge, double spacing_mm, std::span<float> out,
                         float outside);

  // Where sample (0, 0, 0) of that cube lies, as a continuous index, after snapping.
  volume::Point3 crop_origin(const volume::Point3& centre, std::int64_t edge, double spacing_mm) const noexcept;

  // Everything, counted as such.
  Result<volume::Volume> read_all();

  const ReadCounter& counter() const noexcept { return counter_; }
  void begin_session() { counter_.reset(); }  // a new count, e.g. for the next evaluation of the same study

 private:
  // The whole file, mapped read-only for as long as this lives.
  class Mapping {
   public:
    Mapping() = default;
    Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    Mapping& operator=(Mapping&& other) noexcept {
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Mapping();
    static Mapping of(const std::filesystem::path& path);  // empty when it cannot be mapped
    ByteView bytes() const noexcept { return bytes_; }

   private:
    ByteView bytes_;
  };
  BrickVolume(Mapping mapping, crypto::SecretKey file_key, const volume::VolumeGeometry& geometry,
              const volume::IntensityStatistics& statistics);
  Result<void> open_brick(std::size_t brick);
  void copy_row(const volume::Index3& at, std::int64_t count, float* out) const noexcept;

  Mapping mapping_;
  crypto::SecretKey file_key_;
  volume::VolumeGeometry geometry_;
  volume::IntensityStatistics statistics_;
  bool is_float_ = false;
  float slope_ = 1, intercept_ = 0;
  volume::Index3 bricks_{};  // along each axis
  std::vector<BrickBox> boxes_;
  std::vector<std::uint64_t> offsets_;  // of each sealed brick in the file, and of the last one's end
  std::vector<Bytes> opened_;           // contents of the bricks that were touched
  ReadCounter counter_;
};

}  // namespace fovea::node::store
