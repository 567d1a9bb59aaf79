#include "node/intake/formats/nifti_voxels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "common/check.h"
#include "node/volume/canonical.h"
#include "node/volume/volume.h"

namespace fovea::node::intake {
namespace {

// Voxels at a time: within the first-level cache and few pages of the stack, whatever their type.
constexpr std::size_t kBlock = 1024;

struct Scaling {
  double slope = 1, intercept = 0;
  bool is_used() const noexcept { return slope != 1 || intercept != 0; }
  template <class T>
  float of(T stored) const noexcept {
    return static_cast<float>(static_cast<double>(stored) * slope + intercept);
  }
};
// nifti1.h: a slope of 0 means that there is none.
Scaling scaling_of(const NiftiHeader& header) noexcept {
  return header.slope == 0 ? Scaling{} : Scaling{header.slope, header.intercept};
}

// Calls visit with a value of the C++ type of the header's datatype.
template <class Visit>
auto with_type_of(const NiftiHeader& header, Visit visit) {
  switch (header.datatype) {
    case 2: return visit(std::uint8_t{});
    case 4: return visit(std::int16_t{});
    case 8: return visit(std::int32_t{});
    case 16: return visit(float{});
    case 64: return visit(double{});
    case 256: return visit(std::int8_t{});
    case 512: return visit(std::uint16_t{});
    case 768: return visit(std::uint32_t{});
    case 1024: return visit(std::int64_t{});
    case 1280: return visit(std::uint64_t{});
    default: FOVEA_CHECK(false && "inspect_nifti takes no other type"); return visit(std::uint8_t{});
  }
}

template <class T>
constexpr bool kAlwaysInt16 = std::is_integral_v<T> && (sizeof(T) == 1 || std::is_same_v<T, std::int16_t>);

// Visits all voxels in blocks, copied to where they are aligned.
template <class T, class Visit>
void each_block(std::span<const std::uint8_t> voxels, Visit visit) {
  std::array<T, kBlock> block;
  for (std::size_t at = 0; at < voxels.size();) {
    const std::size_t bytes = std::min(sizeof block, voxels.size() - at);
    std::memcpy(block.data(), voxels.data() + at, bytes);
    if (!visit(std::span<const T>(block.data(), bytes / sizeof(T)))) return;
    at += bytes;
  }
}

// Swaps the byte order in place.
template <std::size_t Size>
void swap_bytes(std::span<std::uint8_t> voxels) {
  using Word =
      std::conditional_t<Size == 2, std::uint16_t, std::conditional_t<Size == 4, std::uint32_t, std::uint64_t>>;
  for (std::size_t at = 0; at + Size <= voxels.size(); at += Size) {
    Word word = 0;
    std::memcpy(&word, voxels.data() + at, Size);
    if constexpr (Size == 2) word = __builtin_bswap16(word);
    else if constexpr (Size == 4) word = __builtin_bswap32(word);
    else word = __builtin_bswap64(word);
    std::memcpy(voxels.data() + at, &word, Size);
  }
}

// What the values of all voxels allow. Written without branches, so that the loops are vectorised.
struct Range {
  bool finite = true, whole = true;  // every one a finite float; every one an int16

  template <class Value>
  void look_at(std::span<const Value> values) noexcept {
    constexpr auto kLow = static_cast<Value>(std::numeric_limits<std::int16_t>::min()),
                   kHigh = static_cast<Value>(std::numeric_limits<std::int16_t>::max());
    constexpr auto kLargest = static_cast<double>(std::numeric_limits<float>::max());
    if constexpr (std::is_integral_v<Value>) {
      for (const Value value : values) {
        if constexpr (std::is_signed_v<Value>) whole &= value >= kLow && value <= kHigh;
        else whole &= value <= kHigh;
      }
    } else {
      std::uint32_t numbers = 1, inside = 1, small = 1;
      for (const Value value : values)
        numbers &= static_cast<std::uint32_t>(std::abs(value) <= static_cast<Value>(kLargest));
      finite = finite && numbers != 0;
      if (!whole || !finite) return;
      // Two loops: what is outside must not be cast, and a condition in the second would keep it from being vectorised.
      for (const Value value : values)
        inside &= static_cast<std::uint32_t>(value >= kLow) & static_cast<std::uint32_t>(value <= kHigh);
      whole = inside != 0;
      if (!whole) return;
      for (const Value value : values)
        small &= static_cast<std::uint32_t>(static_cast<Value>(static_cast<std::int32_t>(value)) == value);
      whole = small != 0;
    }
  }
};

// Of the values that the stored voxels stand for: themselves, or scaled.
template <class T>
Range range_of(std::span<const std::uint8_t> voxels, const Scaling& scaling) {
  Range range;
  if (!scaling.is_used() && kAlwaysInt16<T>) return range;
  std::array<double, kBlock> scaled;
  each_block<T>(voxels, [&](std::span<const T> block) {
    if (!scaling.is_used()) {
      range.look_at(block);
    } else {
      for (std::size_t v = 0; v < block.size(); ++v) scaled[v] = static_cast<double>(scaling.of(block[v]));
      range.look_at(std::span<const double>(scaled.data(), block.size()));
    }
    return range.finite && (range.whole || std::is_floating_point_v<T> || scaling.is_used());
  });
  return range;
}

Error not_numbers() {
  return invalid_argument("voxels: some are not numbers (NaN or infinite); replace them, e.g. by 0, and export again");
}

// Converts where the voxels lie: forward where they shrink, else backward, so that nothing is overwritten before it is
// read.
template <class From, class To, class Convert>
void convert_in_place(std::uint8_t* memory, std::size_t count, Convert convert) {
  std::array<From, kBlock> from;
  std::array<To, kBlock> to;
  const std::size_t blocks = (count + kBlock - 1) / kBlock;
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t first = (sizeof(To) <= sizeof(From) ? b : blocks - 1 - b) * kBlock;
    const std::size_t voxels = std::min(kBlock, count - first);
    std::memcpy(from.data(), memory + first * sizeof(From), voxels * sizeof(From));
    for (std::size_t v = 0; v < voxels; ++v) to[v] = convert(from[v]);
    std::memcpy(memory + first * sizeof(To), to.data(), voxels * sizeof(To));
  }
}

template <class T>
bool holds_negative_zero(std::span<const T> values) noexcept {
  std::uint32_t found = 0;
  if constexpr (std::is_floating_point_v<T>)
    for (const T value : values)
      found |= static_cast<std::uint32_t>(std::signbit(value)) & static_cast<std::uint32_t>(value == 0);
  return found != 0;
}

// Converts whole numbers to int16 in the same pass that checks them, since most scans can shrink. False: some voxel
// does not fit (or is −0, which would come back as 0), and the voxels before it were converted back.
template <class T>
bool shrink_in_place(std::span<std::uint8_t> memory) {
  std::array<T, kBlock> block;
  std::array<std::int16_t, kBlock> small;
  Range range;
  const std::size_t count = memory.size() / sizeof(T);
  for (std::size_t first = 0; first < count; first += kBlock) {
    const std::span<const T> values(block.data(), std::min(kBlock, count - first));
    std::memcpy(block.data(), memory.data() + first * sizeof(T), values.size_bytes());
    range.look_at(values);
    if (!range.finite || !range.whole || holds_negative_zero(values)) {
      convert_in_place<std::int16_t, T>(memory.data(), first, [](std::int16_t v) { return static_cast<T>(v); });
      return false;
    }
    for (std::size_t v = 0; v < values.size(); ++v) small[v] = static_cast<std::int16_t>(values[v]);
    std::memcpy(memory.data() + first * sizeof small[0], small.data(), values.size() * sizeof small[0]);
  }
  return true;
}

template <class T, class To>
void store_in_place(const NiftiHeader& header, const Scaling& scaling, std::uint8_t* memory) {
  const std::size_t count = header.geometry.voxel_count();
  if (scaling.is_used())
    convert_in_place<T, To>(memory, count, [scaling](T v) { return static_cast<To>(scaling.of(v)); });
  else if constexpr (!std::is_same_v<T, To>)
    convert_in_place<T, To>(memory, count, [](T v) { return static_cast<To>(v); });
  volume::flip_in_place(reinterpret_cast<To*>(memory), header.geometry.size, volume::canonical_order(header.geometry));
}

template <class T, class To>
void store(const NiftiHeader& header, const Scaling& scaling, const T* voxels, To* out) {
  const volume::CanonicalOrder order = volume::canonical_order(header.geometry);
  if (scaling.is_used())
    volume::copy_canonical(voxels, header.geometry, order, out,
                           [scaling](T v) { return static_cast<To>(scaling.of(v)); });
  else volume::copy_canonical(voxels, header.geometry, order, out, [](T v) { return static_cast<To>(v); });
}

void to_native(const NiftiHeader& header, std::span<std::uint8_t> voxels) {
  if (!header.swapped) return;
  with_type_of(header, [&](auto type) {
    if constexpr (sizeof type > 1) swap_bytes<sizeof type>(voxels);
  });
}

}  // namespace

Result<void> deliver_nifti(const NiftiHeader& header, std::span<std::uint8_t> voxels,
                           const volume::VoxelAllocator& allocate) {
  FOVEA_CHECK(voxels.size() == header.voxel_bytes);
  to_native(header, voxels);
  const Scaling scaling = scaling_of(header);
  return with_type_of(header, [&](auto type) -> Result<void> {
    using T = decltype(type);
    const Range range = range_of<T>(voxels, scaling);
    if (!range.finite) return not_numbers();
    const volume::VolumeGeometry canonical =
        volume::reordered(header.geometry, volume::canonical_order(header.geometry));
    FOVEA_TRY_ASSIGN(std::byte* const out,
                     allocate(canonical, range.whole ? volume::VoxelStorage::int16 : volume::VoxelStorage::float32));
    const auto* stored = reinterpret_cast<const T*>(voxels.data());
    std::vector<T> aligned;
    if (reinterpret_cast<std::uintptr_t>(voxels.data()) % alignof(T) != 0) {
      aligned.resize(header.geometry.voxel_count());
      std::memcpy(aligned.data(), voxels.data(), voxels.size());
      stored = aligned.data();
    }
    if (range.whole) store(header, scaling, stored, reinterpret_cast<std::int16_t*>(out));
    else store(header, scaling, stored, reinterpret_cast<float*>(out));
    return {};
  });
}

bool can_stay_in_place(const NiftiHeader& header) noexcept {
  return volume::only_flips(volume::canonical_order(header.geometry)) &&
         header.voxel_bytes <= header.geometry.voxel_count() * sizeof(float);
}

std::uint64_t bytes_in_place(const NiftiHeader& header) noexcept {
  const bool stays_small = !scaling_of(header).is_used() &&
                           with_type_of(header, [](auto type) { return kAlwaysInt16<decltype(type)>; });
  return header.geometry.voxel_count() *
         volume::bytes_per_voxel(stays_small ? volume::VoxelStorage::int16 : volume::VoxelStorage::float32);
}

Result<volume::VoxelStorage> deliver_nifti_in_place(const NiftiHeader& header, std::span<std::uint8_t> memory) {
  FOVEA_CHECK(can_stay_in_place(header) && memory.size() == bytes_in_place(header));
  FOVEA_CHECK(reinterpret_cast<std::uintptr_t>(memory.data()) % alignof(float) == 0);
  const std::span<std::uint8_t> voxels = memory.first(header.voxel_bytes);
  to_native(header, voxels);
  const Scaling scaling = scaling_of(header);
  return with_type_of(header, [&](auto type) -> Result<volume::VoxelStorage> {
    using T = decltype(type);
    if constexpr (sizeof(T) > sizeof(std::int16_t))
      if (!scaling.is_used() && shrink_in_place<T>(voxels)) {
        volume::flip_in_place(reinterpret_cast<std::int16_t*>(memory.data()), header.geometry.size,
                              volume::canonical_order(header.geometry));
        return volume::VoxelStorage::int16;
      }
    const Range range = range_of<T>(voxels, scaling);
    if (!range.finite) return not_numbers();
    if (range.whole) store_in_place<T, std::int16_t>(header, scaling, memory.data());
    else store_in_place<T, float>(header, scaling, memory.data());
    return range.whole ? volume::VoxelStorage::int16 : volume::VoxelStorage::float32;
  });
}

}  // namespace fovea::node::intake
