#include "node/store/brick_volume.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "common/check.h"
#include "common/codec.h"
#include "common/durable_file.h"
#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/random_source.h"
#include "node/volume/canonical.h"
#include "node/volume/geometry_codec.h"
#include "node/volume/intensity_codec.h"

namespace fovea::node::store {
namespace {

constexpr std::string_view kMagic = "FOVBRK3\n";
constexpr std::uint32_t kVersion = 3;
constexpr std::size_t kSaltBytes = 32;
constexpr std::size_t kPrefixBytes = 64;   // magic, version, salt, zeros
constexpr std::size_t kHeaderBytes = 240;  // before sealing, zeros behind its fields
constexpr std::size_t kDataOffset = kPrefixBytes + kHeaderBytes + crypto::kAeadTagBytes;  // where the bricks begin
constexpr std::size_t kBrickBytesMax =
    sizeof(float) * kBrickEdge * kBrickEdge * kBrickEdge + kBrickEdge * kBrickEdge / 8;  // before sealing
constexpr std::uint32_t kStoredInt16 = 1;
constexpr std::uint32_t kStoredFloat = 2;

std::int64_t bricks_along(std::int64_t size) { return (size + kBrickEdge - 1) / kBrickEdge; }

std::vector<BrickBox> brick_boxes(const volume::Index3& size) {
  std::vector<BrickBox> out;
  for (std::int64_t k = 0; k < size[2]; k += kBrickEdge)
    for (std::int64_t j = 0; j < size[1]; j += kBrickEdge)
      for (std::int64_t i = 0; i < size[0]; i += kBrickEdge)
        out.push_back({{i, j, k},
                       {std::min(kBrickEdge, size[0] - i), std::min(kBrickEdge, size[1] - j),
                        std::min(kBrickEdge, size[2] - k)}});
  return out;
}

struct Header {
  volume::VolumeGeometry geometry;
  volume::IntensityStatistics statistics;
  bool is_float = false;
  float slope = 1, intercept = 0;
};

Bytes make_prefix() {
  crypto::SystemRandom random;
  std::array<std::uint8_t, kSaltBytes> salt{};
  random.fill(salt);
  ByteWriter out;
  out.raw(as_bytes(kMagic));
  out.u32(kVersion);
  out.raw(salt);
  Bytes bytes = std::move(out).take();
  bytes.resize(kPrefixBytes);
  return bytes;
}

crypto::SecretKey file_key(const VolumeKey& key, ByteView prefix) {
  const ByteView salt = prefix.subspan(kMagic.size() + sizeof kVersion, kSaltBytes);
  return crypto::hkdf_sha256({.secret = key->view(), .salt = salt, .info = as_bytes("FOVEA/3/brick file")});
}

// One file key seals each nonce once: its salt is drawn anew for every file.
crypto::AeadNonce nonce_of(std::uint64_t number) {
  crypto::AeadNonce out{};
  for (std::size_t byte = 0; byte < 8; ++byte) out[byte] = static_cast<std::uint8_t>(number >> (8 * byte));
  return out;
}

// What the header is bound to: the clear bytes and the volume's name.
Bytes associated_data(ByteView prefix, const std::filesystem::path& path) {
  const std::string file = path.filename().string();
  ByteWriter out;
  out.raw(prefix);
  out.sized(file.substr(0, file.find('.')));
  return std::move(out).take();
}

Bytes encode_header(const Header& header) {
  ByteWriter out;
  out.u32(header.is_float ? kStoredFloat : kStoredInt16);
  volume::put_geometry(out, header.geometry);
  volume::put_statistics(out, header.statistics);
  out.f32(header.slope);
  out.f32(header.intercept);
  Bytes bytes = std::move(out).take();
  FOVEA_CHECK(bytes.size() <= kHeaderBytes);
  bytes.resize(kHeaderBytes);
  return bytes;
}

Result<volume::VolumeGeometry> decode_geometry(ByteReader& in) {
  FOVEA_TRY_ASSIGN(const volume::VolumeGeometry out, volume::get_geometry(in));
  for (const std::int64_t size : out.size)
    if (size < 1) return corruption("size: out of bounds");
  if (out.size[0] * out.size[1] * out.size[2] > volume::kVolumeVoxelsMax) return corruption("size: out of bounds");
  for (const double value : out.spacing_mm)
    if (!(value > 0)) return corruption("spacing: not positive");
  return out;
}

Result<void> check_prefix(ByteView file) {
  if (file.size() < kDataOffset) return corruption("header: cut off");
  ByteReader in(file.first(kPrefixBytes));
  FOVEA_TRY_ASSIGN(const ByteView magic, in.raw("magic", kMagic.size()));
  if (as_text(magic) != kMagic) return corruption("magic: not a brick file of this version (ingest the study again)");
  FOVEA_TRY_ASSIGN(const std::uint32_t version, in.u32("version"));
  if (version != kVersion)
    return corruption("version: " + std::to_string(version) + ", expected " + std::to_string(kVersion));
  return {};
}

Result<Header> decode_header(ByteView bytes) {
  ByteReader in(bytes);
  Header out;
  FOVEA_TRY_ASSIGN(const std::uint32_t storage, in.u32("storage"));
  if (storage != kStoredInt16 && storage != kStoredFloat) return corruption("storage: unknown");
  out.is_float = storage == kStoredFloat;
  FOVEA_TRY_ASSIGN(out.geometry, decode_geometry(in));
  FOVEA_TRY_ASSIGN(out.statistics, volume::get_statistics(in));
  FOVEA_TRY_ASSIGN(out.slope, in.f32("slope"));
  FOVEA_TRY_ASSIGN(out.intercept, in.f32("intercept"));
  return out;
}

// The mask has a bit for each row (j, k) of a brick, in whole words: set where all voxels of the row are equal.
std::size_t row_mask_bytes(const BrickBox& box) {
  return static_cast<std::size_t>((box.size[1] * box.size[2] + 31) / 32) * 4;
}

// Packs a brick as it is stored: the mask of constant rows, then the rows, a constant one as a single voxel; half of
// many scans is air. Returns the bytes used.
template <class T>
std::size_t pack_brick(std::span<const T> voxels, const volume::Index3& size, const BrickBox& box,
                       std::span<std::uint8_t> out) {
  const std::size_t row_bytes = static_cast<std::size_t>(box.size[0]) * sizeof(T), mask_bytes = row_mask_bytes(box);
  std::fill_n(out.begin(), mask_bytes, std::uint8_t{0});
  std::uint8_t* to = out.data() + mask_bytes;
  std::size_t row = 0;
  for (std::int64_t k = 0; k < box.size[2]; ++k)
    for (std::int64_t j = 0; j < box.size[1]; ++j, ++row) {
      const T* from = voxels.data() + ((box.low[2] + k) * size[1] + box.low[1] + j) * size[0] + box.low[0];
      const bool is_constant = std::memcmp(from, from + 1, row_bytes - sizeof(T)) == 0;
      if (is_constant) out[row / 8] = static_cast<std::uint8_t>(out[row / 8] | 1U << row % 8);
      const std::size_t bytes = is_constant ? sizeof(T) : row_bytes;
      std::memcpy(to, from, bytes);
      to += bytes;
    }
  return static_cast<std::size_t>(to - out.data());
}

// The voxels of a packed brick, i fastest; empty when the bytes are not those of such a brick.
template <class T>
Bytes unpack_brick(ByteView packed, const BrickBox& box) {
  const std::size_t row_voxels = static_cast<std::size_t>(box.size[0]),
                    rows = static_cast<std::size_t>(box.size[1] * box.size[2]);
  if (packed.size() < row_mask_bytes(box)) return {};
  Bytes out(box.voxels() * sizeof(T));
  ByteView left = packed.subspan(row_mask_bytes(box));
  for (std::size_t row = 0; row < rows; ++row) {
    const bool is_constant = (packed[row / 8] >> row % 8 & 1U) != 0;
    const std::size_t bytes = (is_constant ? 1 : row_voxels) * sizeof(T);
    if (left.size() < bytes) return {};
    std::uint8_t* const to = out.data() + row * row_voxels * sizeof(T);
    T value{};
    std::memcpy(&value, left.data(), sizeof value);
    if (is_constant)
      for (std::size_t v = 0; v < row_voxels; ++v) std::memcpy(to + v * sizeof(T), &value, sizeof value);
    else std::memcpy(to, left.data(), bytes);
    left = left.subspan(bytes);
  }
  return left.empty() ? out : Bytes{};
}

// Where each brick of a file begins, and where the last ends: from their lengths, which lie sealed at the end.
Result<std::vector<std::uint64_t>> brick_offsets(const crypto::SecretKey& key, ByteView file, std::size_t bricks) {
  const std::size_t index_bytes = bricks * sizeof(std::uint32_t) + crypto::kAeadTagBytes;
  if (file.size() < kDataOffset + index_bytes) return corruption("cut off (ingest the study again)");
  const auto plain = crypto::aead_open(key, nonce_of(bricks + 1), {}, file.last(index_bytes));
  if (!plain) return corruption("the lengths of its bricks were changed, or it was cut off (ingest the study again)");
  ByteReader in(plain->view());
  std::vector<std::uint64_t> out{kDataOffset};
  for (std::size_t brick = 0; brick < bricks; ++brick) {
    FOVEA_TRY_ASSIGN(const std::uint32_t bytes, in.u32("brick length"));
    if (bytes <= crypto::kAeadTagBytes || bytes > kBrickBytesMax + crypto::kAeadTagBytes)
      return corruption("brick length: out of bounds");
    out.push_back(out.back() + bytes);
  }
  if (out.back() != file.size() - index_bytes)
    return corruption(std::to_string(file.size()) + " bytes, not what its bricks add up to (ingest the study again)");
  return out;
}

}  // namespace

ReadCounter::ReadCounter(const volume::Index3& size)
    : size_(size), voxels_(static_cast<std::uint64_t>(size[0] * size[1] * size[2])), seen_((voxels_ + 63) / 64) {}

void ReadCounter::reset() {
  std::fill(seen_.begin(), seen_.end(), 0);
  distinct_ = total_ = 0;
}

void ReadCounter::mark(std::int64_t i, std::int64_t j, std::int64_t k, std::int64_t count) {
  auto bit = static_cast<std::uint64_t>((k * size_[1] + j) * size_[0] + i);
  auto left = static_cast<std::uint64_t>(count);
  FOVEA_CHECK(bit + left <= voxels_);
  total_ += left;
  while (left > 0) {
    const std::uint64_t shift = bit % 64;
    const std::uint64_t run = std::min<std::uint64_t>(left, 64 - shift);
    const std::uint64_t mask = (run == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << run) - 1) << shift;
    std::uint64_t& word = seen_[bit / 64];
    distinct_ += static_cast<std::uint64_t>(std::popcount(mask & ~word));
    word |= mask;
    bit += run;
    left -= run;
  }
}

Result<void> write_brick_volume(const std::filesystem::path& path, const VolumeKey& key,
                                const BrickContents& contents) {
  FOVEA_CHECK(volume::voxel_count(contents.voxels) == contents.geometry.voxel_count());
  const bool is_float = std::holds_alternative<std::span<const float>>(contents.voxels);
  const volume::Index3& size = contents.geometry.size;
  const Bytes prefix = make_prefix();
  const crypto::SecretKey sealing = file_key(key, prefix);
  const Bytes header =
      encode_header({contents.geometry, contents.statistics, is_float, contents.slope, contents.intercept});
  FOVEA_TRY_ASSIGN(StagedFile file, StagedFile::create(path, FileMode::secret));
  FOVEA_TRY(file.append(prefix));
  FOVEA_TRY(file.append(crypto::aead_seal(sealing, nonce_of(0), associated_data(prefix, path), header)));
  thread_local Bytes plain(kBrickBytesMax),
      sealed(kBrickBytesMax + crypto::kAeadTagBytes);  // reused by this thread's next volume
  std::uint64_t number = 0;
  ByteWriter lengths;
  for (const BrickBox& box : brick_boxes(size)) {
    const std::size_t packed =
        std::visit([&](const auto& voxels) { return pack_brick(voxels, size, box, plain); }, contents.voxels);
    const std::span<std::uint8_t> out = std::span(sealed).first(packed + crypto::kAeadTagBytes);
    crypto::aead_seal_into(sealing, nonce_of(++number), {}, ByteView(plain).first(packed), out);
    FOVEA_TRY(file.append(out));
    lengths.u32(static_cast<std::uint32_t>(out.size()));
  }
  FOVEA_TRY(file.append(crypto::aead_seal(sealing, nonce_of(++number), {}, lengths.bytes())));
  return file.finish();
}

BrickVolume::Mapping::~Mapping() {
  if (bytes_.data() != nullptr) munmap(const_cast<std::uint8_t*>(bytes_.data()), bytes_.size());
}

BrickVolume::Mapping BrickVolume::Mapping::of(const std::filesystem::path& path) {
  Mapping out;
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat info {};
  if (descriptor >= 0 && fstat(descriptor, &info) == 0 && info.st_size > 0) {
    const auto size = static_cast<std::size_t>(info.st_size);
    void* at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (at != MAP_FAILED) out.bytes_ = ByteView(static_cast<const std::uint8_t*>(at), size);
  }
  if (descriptor >= 0) ::close(descriptor);
  return out;
}

BrickVolume::BrickVolume(Mapping mapping, crypto::SecretKey file_key, const volume::VolumeGeometry& geometry,
                         const volume::IntensityStatistics& statistics)
    : mapping_(std::move(mapping)),
      file_key_(std::move(file_key)),
      geometry_(geometry),
      statistics_(statistics),
      bricks_{bricks_along(geometry.size[0]), bricks_along(geometry.size[1]), bricks_along(geometry.size[2])},
      counter_(geometry.size) {}

Result<BrickVolume> BrickVolume::open(const std::filesystem::path& path, const VolumeKey& key) {
  FOVEA_CHECK(key != nullptr);
  const std::string name = path.filename().string();
  std::error_code failed;
  if (!std::filesystem::exists(path, failed))
    return not_found(name + ": no such volume in the store (ingest the study again)");
  Mapping mapping = Mapping::of(path);
  const ByteView file = mapping.bytes();
  if (file.empty()) return corruption(name + ": empty, or it cannot be mapped (ingest the study again)");
  if (const Result<void> prefix = check_prefix(file); !prefix) return prefix.error().with_context(name);
  const ByteView prefix = file.first(kPrefixBytes);
  crypto::SecretKey opening = file_key(key, prefix);
  const auto plain = crypto::aead_open(opening, nonce_of(0), associated_data(prefix, path),
                                       file.subspan(kPrefixBytes, kDataOffset - kPrefixBytes));
  if (!plain)
    return corruption(name +
                      ": its header was changed, or it was sealed under another key or name (ingest the study again)");
  Result<Header> header = decode_header(plain->view());
  if (!header) return header.error().with_context(name);
  BrickVolume out(std::move(mapping), std::move(opening), header->geometry, header->statistics);
  out.is_float_ = header->is_float;
  out.slope_ = header->slope;
  out.intercept_ = header->intercept;
  out.boxes_ = brick_boxes(out.geometry_.size);
  Result<std::vector<std::uint64_t>> offsets = brick_offsets(out.file_key_, file, out.boxes_.size());
  if (!offsets) return offsets.error().with_context(name);
  out.offsets_ = std::move(*offsets);
  out.opened_.resize(out.boxes_.size());
  return out;
}

Result<void> BrickVolume::open_brick(std::size_t brick) {
  Bytes& plain = opened_[brick];
  if (!plain.empty()) return {};
  const ByteView sealed = mapping_.bytes().subspan(offsets_[brick], offsets_[brick + 1] - offsets_[brick]);
  Bytes packed(sealed.size() - crypto::kAeadTagBytes);
  const bool intact = crypto::aead_open_into(file_key_, nonce_of(brick + 1), {}, sealed, packed).has_value();
  if (intact)
    plain = is_float_ ? unpack_brick<float>(packed, boxes_[brick]) : unpack_brick<std::int16_t>(packed, boxes_[brick]);
  if (plain.empty())
    return corruption("brick " + std::to_string(brick) + ": was changed on the disk (ingest the study again)");
  return {};
}

// `count` voxels from `at` along i, all inside one brick.
void BrickVolume::copy_row(const volume::Index3& at, std::int64_t count, float* out) const noexcept {
  const volume::Index3 brick{at[0] / kBrickEdge, at[1] / kBrickEdge, at[2] / kBrickEdge};
  const auto number = static_cast<std::size_t>((brick[2] * bricks_[1] + brick[1]) * bricks_[0] + brick[0]);
  const std::int64_t width = std::min(kBrickEdge, geometry_.size[0] - brick[0] * kBrickEdge);
  const std::int64_t height = std::min(kBrickEdge, geometry_.size[1] - brick[1] * kBrickEdge);
  const auto within =
      static_cast<std::size_t>((at[2] % kBrickEdge * height + at[1] % kBrickEdge) * width + at[0] % kBrickEdge);
  const std::uint8_t* data = opened_[number].data();
  const auto voxels = static_cast<std::size_t>(count);
  if (is_float_) {
    std::memcpy(out, data + within * sizeof(float), voxels * sizeof(float));
    return;
  }
  const auto* stored = reinterpret_cast<const std::int16_t*>(data) + within;
  for (std::size_t v = 0; v < voxels; ++v) out[v] = static_cast<float>(stored[v]) * slope_ + intercept_;
}

Result<void> BrickVolume::read_box(const volume::Index3& low, const volume::Index3& size, std::span<float> out,
                                   float outside) {
  FOVEA_CHECK(size[0] >= 0 && size[1] >= 0 && size[2] >= 0);
  FOVEA_CHECK(out.size() == static_cast<std::size_t>(size[0] * size[1] * size[2]));
  volume::Index3 from{}, to{};  // the part inside the volume, in scan indices
  for (std::size_t axis = 0; axis < 3; ++axis) {
    from[axis] = std::clamp<std::int64_t>(low[axis], 0, geometry_.size[axis]);
    to[axis] = std::clamp<std::int64_t>(low[axis] + size[axis], from[axis], geometry_.size[axis]);
  }
  const bool whole = from == low && to[0] - from[0] == size[0] && to[1] - from[1] == size[1] &&
                     to[2] - from[2] == size[2];
  if (!whole) std::fill(out.begin(), out.end(), outside);
  if (from[0] == to[0] || from[1] == to[1] || from[2] == to[2]) return {};

  for (std::int64_t k = from[2] / kBrickEdge; k <= (to[2] - 1) / kBrickEdge; ++k)
    for (std::int64_t j = from[1] / kBrickEdge; j <= (to[1] - 1) / kBrickEdge; ++j)
      for (std::int64_t i = from[0] / kBrickEdge; i <= (to[0] - 1) / kBrickEdge; ++i)
        FOVEA_TRY(open_brick(static_cast<std::size_t>((k * bricks_[1] + j) * bricks_[0] + i)));
  for (std::int64_t k = from[2]; k < to[2]; ++k)
    for (std::int64_t j = from[1]; j < to[1]; ++j) {
      counter_.mark(from[0], j, k, to[0] - from[0]);
      float* row = out.data() + ((k - low[2]) * size[1] + (j - low[1])) * size[0] - low[0];
      for (std::int64_t i = from[0]; i < to[0];) {
        const std::int64_t end = std::min(to[0], (i / kBrickEdge + 1) * kBrickEdge);
        copy_row({i, j, k}, end - i, row + i);
        i = end;
      }
    }
  return {};
}

Result<volume::Volume> BrickVolume::read_all() {
  volume::Volume out{geometry_, std::vector<float>(geometry_.voxel_count())};
  FOVEA_TRY(read_box({0, 0, 0}, geometry_.size, out.voxels, 0));
  return out;
}

}  // namespace fovea::node::store
