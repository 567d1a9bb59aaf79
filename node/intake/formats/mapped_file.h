// A file's bytes as memory, for reading: what a check of a whole file looks at.
#pragma once

#include <cstddef>
#include <filesystem>
#include <utility>

#include "common/bytes.h"
#include "common/result.h"

namespace fovea::node::intake {

class MappedFile {
 public:
  // invalid_argument: it cannot be opened, or more than this process may map. An empty file maps to nothing.
  static Result<MappedFile> open(const std::filesystem::path& file);
  MappedFile(MappedFile&& other) noexcept
      : at_(std::exchange(other.at_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile();

  ByteView bytes() const noexcept { return {at_, size_}; }

 private:
  MappedFile(const std::uint8_t* at, std::size_t size) noexcept : at_(at), size_(size) {}
  const std::uint8_t* at_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace fovea::node::intake
