#include "node/intake/job_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/codec.h"

namespace fovea::node {

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

Result<MappedMemory> MappedMemory::map(int memory, std::uint64_t offset, std::uint64_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memory, static_cast<off_t>(offset));
  if (at == MAP_FAILED) return invalid_argument("memory: the file needs more than the parser may use");
  return MappedMemory({static_cast<std::uint8_t*>(at), bytes});
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

VoxelAllocator VoxelMemory::into(VolumeAnswer& answer) {
  return [this, &answer](const VolumeGeometry& geometry, VoxelStorage storage) -> Result<std::byte*> {
    answer.geometry = geometry;
    answer.storage = storage;
    return map(geometry.voxel_count() * bytes_per_voxel(storage));
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

}  // namespace fovea::node
