#include "node/intake/parser/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

namespace fovea::node::intake {
namespace {

constexpr std::uint64_t kKeptBytesMax = 64u << 20;  // above, pages go back to the system
constexpr std::uint64_t kPageBytes = 4096;          // where pages are larger, part of one is overwritten by the hole
constexpr std::size_t kKeptMax = 2;                 // an image and its mask

}  // namespace

Result<std::unique_ptr<SharedMemory>> SharedMemory::create(std::uint64_t capacity, Size size) {
  const Error none = unavailable("memory: no room to share with the parser");
  const int descriptor = memfd_create("fovea-scan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0) return none;
  const bool fixed = size == Size::fixed;
  if (fixed && (ftruncate(descriptor, static_cast<off_t>(capacity)) != 0 ||
                fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)) {
    ::close(descriptor);
    return none;
  }
  void* const at = mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  if (at == MAP_FAILED) {
    ::close(descriptor);
    return none;
  }
  return std::unique_ptr<SharedMemory>(new SharedMemory(descriptor, static_cast<std::uint8_t*>(at), capacity));
}

SharedMemory::~SharedMemory() {
  munmap(data_, capacity_);
  ::close(descriptor_);
}

bool SharedMemory::wipe(std::uint64_t kept_bytes, std::uint64_t bytes_max) noexcept {
  struct stat info {};
  if (fstat(descriptor_, &info) != 0 || static_cast<std::uint64_t>(info.st_blocks) * 512 > bytes_max ||
      static_cast<std::uint64_t>(info.st_size) > capacity_)
    return false;
  const auto size = static_cast<off_t>(info.st_size);
  if (kept_bytes < static_cast<std::uint64_t>(info.st_size)) {
    const auto kept = static_cast<off_t>((kept_bytes + kPageBytes - 1) / kPageBytes * kPageBytes);
    if (lseek(descriptor_, kept, SEEK_DATA) >= 0 &&
        fallocate(descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kept, size - kept) != 0)
      return false;
  }
  // The kernel knows which pages were written, wherever a child put them.
  for (off_t at = lseek(descriptor_, 0, SEEK_DATA); at >= 0;) {
    const off_t end = lseek(descriptor_, at, SEEK_HOLE);
    if (end <= at) return false;
    std::memset(data_ + at, 0, static_cast<std::size_t>(end - at));
    at = lseek(descriptor_, end, SEEK_DATA);
  }
  return true;
}

Result<std::unique_ptr<SharedMemory>> SharedMemoryPool::take() {
  if (waiting_.empty()) return SharedMemory::create(capacity_, size_);
  std::unique_ptr<SharedMemory> out = std::move(waiting_.back());
  waiting_.pop_back();
  return out;
}

void SharedMemoryPool::give_back(std::unique_ptr<SharedMemory> memory, std::uint64_t used_bytes) {
  if (memory && waiting_.size() < kKeptMax && memory->wipe(used_bytes, kKeptBytesMax))
    waiting_.push_back(std::move(memory));
}

}  // namespace fovea::node::intake
