// Memory that a node shares with the parser's children, one after the other. New pages cost more than overwriting old
// ones, so it is reused; between two files every written byte is set to zero, wherever it lies, so that a child finds
// what it would find in fresh memory.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/result.h"

namespace fovea::node::intake {

class SharedMemory {
 public:
  enum class Size { fixed, free };  // fixed: sealed, whoever holds the descriptor cannot change the size

  // `capacity` bytes of address space; pages come when they are touched. A free one has size 0 at first. unavailable:
  // no memory.
  static Result<std::unique_ptr<SharedMemory>> create(std::uint64_t capacity, Size size);
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory();

  int descriptor() const noexcept { return descriptor_; }
  const std::uint8_t* data() const noexcept { return data_; }  // of a free one, only below its size
  std::uint64_t capacity() const noexcept { return capacity_; }

  // Overwrites every page that was written below `kept_bytes` and releases those above, if they are at most `bytes_max`
  // in all. False: not done; release the memory instead. Nobody else may hold it any more.
  bool wipe(std::uint64_t kept_bytes, std::uint64_t bytes_max) noexcept;

 private:
  SharedMemory(int descriptor, std::uint8_t* data, std::uint64_t capacity)
      : descriptor_(descriptor), data_(data), capacity_(capacity) {}
  int descriptor_;
  std::uint8_t* data_;
  std::uint64_t capacity_;
};

// Memories of one kind, kept for the next file. One thread.
class SharedMemoryPool {
 public:
  SharedMemoryPool(std::uint64_t capacity, SharedMemory::Size size) : capacity_(capacity), size_(size) {}
  Result<std::unique_ptr<SharedMemory>> take();
  // `used_bytes`: where the last file's bytes ended, as far as is known. Pages above are from a larger one before:
  // kept, they would be overwritten after every small file.
  void give_back(std::unique_ptr<SharedMemory> memory, std::uint64_t used_bytes = UINT64_MAX);

 private:
  std::uint64_t capacity_;
  SharedMemory::Size size_;
  std::vector<std::unique_ptr<SharedMemory>> waiting_;
};

}  // namespace fovea::node::intake
