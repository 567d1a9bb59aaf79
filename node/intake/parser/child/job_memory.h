// The memories that a job of the parser works in, seen from its child.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/result.h"
#include "node/intake/parser/scan_protocol.h"
#include "node/volume/voxel_storage.h"

namespace fovea::node::intake {

// The path that stands for handed descriptor `number`, where libraries want one.
constexpr std::string_view kVirtualFolder = "/scan/";
std::string virtual_path(std::string_view folder, std::size_t number, std::string_view ending);

struct JobDescriptors {
  int result = -1;              // sealed memory of kResultBytes
  int scratch = -1;             // an empty anonymous file
  std::span<const int> inputs;  // the scratch is the last of them, so that it has a virtual path too
  std::string folder = std::string(kVirtualFolder);  // where libraries find them by name
};

// Leaves an answer: its bytes first, then its length, which says that it is whole. Ends the process when it cannot.
void leave_answer(int result, const Bytes& answer);

// Part of a memory, mapped for reading and writing while this lives. All pages at once: cheaper than a fault for each.
class MappedMemory {
 public:
  static Result<MappedMemory> map(int memory, std::uint64_t offset, std::uint64_t bytes);  // offset: of whole pages
  MappedMemory(MappedMemory&& other) noexcept;
  MappedMemory& operator=(MappedMemory&& other) noexcept;
  ~MappedMemory();
  std::span<std::uint8_t> bytes() const noexcept { return bytes_; }

 private:
  explicit MappedMemory(std::span<std::uint8_t> bytes) : bytes_(bytes) {}
  std::span<std::uint8_t> bytes_;
};

// The result's voxels, mapped as far as a volume needs them; unmapped again before the node reads them.
class VoxelMemory {
 public:
  explicit VoxelMemory(int result) : result_(result) {}
  Result<std::byte*> map(std::size_t bytes);
  // What a reader asks for memory, noting what it is about to deliver. Both must outlive it.
  volume::VoxelAllocator into(VolumeAnswer& answer);

 private:
  int result_;
  std::optional<MappedMemory> mapped_;
};

// The first `size_max` bytes of a file, fewer when it is shorter. unavailable: it cannot be read.
Result<Bytes> read_head(int input, std::size_t size_max);

// Whether a byte of the memory is not zero: for the self-test that looks for what an earlier file left.
bool holds_something(int memory);

}  // namespace fovea::node::intake
