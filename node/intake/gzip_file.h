// gzip files (RFC 1952) from a descriptor, inside the parser's walls: never more bytes than somebody checked first.
#pragma once

#include <cstdint>

#include "common/bytes.h"
#include "common/result.h"

namespace fovea::node {

// The first `size_max` decompressed bytes, fewer when the file is shorter. invalid_argument: damaged or cut off.
Result<Bytes> gzip_head(int input, std::size_t size_max);

// A whole decompressed file of a size known from its own header, in the anonymous file `scratch`, mapped while this lives.
class UnpackedFile {
 public:
  // invalid_argument: fewer than `size` bytes, more than a little padding behind them (a bomb), a checksum that fails, or no memory.
  static Result<UnpackedFile> unpack(int input, int scratch, std::uint64_t size);
  UnpackedFile(UnpackedFile&& other) noexcept;
  UnpackedFile& operator=(UnpackedFile&&) = delete;
  ~UnpackedFile();

  ByteView bytes() const noexcept { return {data_, size_}; }

 private:
  UnpackedFile(std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  std::uint8_t* data_;
  std::size_t size_;
};

}  // namespace fovea::node
