#include "node/intake/parser/child/job_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/codec.h"
#include "node/volume/volume.h"

namespace fovea::node::intake {

std::string virtual_path(std::string_view folder, std::size_t number, std::string_view ending) {
  return std::string(folder) + std::to_string(number) + std::string(ending);
}

void leave_answer(int result, const Bytes& answer) {
  if (answer.size() > kAnswerBytesMax - 8) _exit(3);
  void* at = mmap(nullptr, answer.size() + 8, PROT_READ | PROT_WRITE, MAP_SHARED, result, 0);
  if (at == MAP_FAILED) _exit(3);
  auto* memory = static_cast<std::uint8_t*>(at);
  std::copy(answer.begin(), answer.end(), memory + 8);
  ByteWriter length;
  length.u64(answer.size());
  std::copy(length.bytes().begin(), length.bytes().end(), memory);
  munmap(at, answer.size() + 8);
}

// Maps every page now, since a fault for each would cost more. Those that an earlier file left in the memory come
// sixteen at a time when one of them is read (the kernel's fault-around); new ones are made by the kernel in one go.
void populate(int memory, std::uint64_t offset, std::span<std::uint8_t> bytes) {
  constexpr std::size_t kAtATime = std::size_t{16} * 4096;
  const off_t hole = lseek(memory, static_cast<off_t>(offset), SEEK_HOLE);
  const std::size_t present = hole < 0 ? 0
                                       : std::min<std::size_t>(static_cast<std::uint64_t>(hole) - offset, bytes.size());
  for (std::size_t at = 0; at < present; at += kAtATime)
    [[maybe_unused]] const std::uint8_t read = static_cast<const volatile std::uint8_t&>(bytes[at]);
  const std::size_t page = present / 4096 * 4096;
  if (page < bytes.size())
    madvise(bytes.data() + page, bytes.size() - page, MADV_POPULATE_WRITE);  // from Linux 5.14 on; before, by faults
}

Result<MappedMemory> MappedMemory::map(int memory, std::uint64_t offset, std::uint64_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, static_cast<off_t>(offset));
  if (at == MAP_FAILED) return invalid_argument("memory: the file needs more than the parser may use");
  const std::span<std::uint8_t> mapped(static_cast<std::uint8_t*>(at), bytes);
  populate(memory, offset, mapped);
  return MappedMemory(mapped);
}

MappedMemory::MappedMemory(MappedMemory&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedMemory& MappedMemory::operator=(MappedMemory&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedMemory::~MappedMemory() {
  if (bytes_.data() != nullptr) munmap(bytes_.data(), bytes_.size());
}

Result<std::byte*> VoxelMemory::map(std::size_t bytes) {
  if (mapped_ || bytes > kResultBytes - kVoxelOffset) return invalid_argument("memory: the voxels do not fit");
  FOVEA_TRY_ASSIGN(mapped_, MappedMemory::map(result_, kVoxelOffset, bytes));
  return reinterpret_cast<std::byte*>(mapped_->bytes().data());
}

volume::VoxelAllocator VoxelMemory::into(VolumeAnswer& answer) {
  return [this, &answer](const volume::VolumeGeometry& geometry, volume::VoxelStorage storage) -> Result<std::byte*> {
    answer.geometry = geometry;
    answer.storage = storage;
    return map(geometry.voxel_count() * volume::bytes_per_voxel(storage));
  };
}

Result<Bytes> read_head(int input, std::size_t size_max) {
  Bytes head(size_max);
  std::size_t done = 0;
  while (done < head.size()) {
    const ssize_t got = pread(input, head.data() + done, head.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unavailable("the file cannot be read");
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  head.resize(done);
  return head;
}

bool holds_something(int memory) {
  for (off_t at = lseek(memory, 0, SEEK_DATA); at >= 0;) {
    const off_t end = lseek(memory, at, SEEK_HOLE);
    Bytes bytes(static_cast<std::size_t>(std::max<off_t>(end - at, 0)));
    if (bytes.empty() || pread(memory, bytes.data(), bytes.size(), at) != end - at) return true;
    if (std::any_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte != 0; })) return true;
    at = lseek(memory, end, SEEK_DATA);
  }
  return false;
}

}  // namespace fovea::node::intake
