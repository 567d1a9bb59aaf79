#include "node/intake/formats/gzip_file.h"

#include <libdeflate.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>

#include "common/check.h"
#include "node/intake/formats/nifti_header.h"

namespace fovea::node::intake {
namespace {

constexpr std::size_t kBlockBytes = 256 * 1024;
constexpr std::size_t kHeadBlockBytes = 4096;
constexpr std::uint64_t kTrailingBytesMax = 16u << 20;  // after the bytes a header promises

// A gzip stream, in pieces, from the start of the file.
class GzipStream {
 public:
  GzipStream(int input, std::size_t block_bytes)
      : input_(input), size_(block_bytes), block_(std::make_unique_for_overwrite<std::uint8_t[]>(block_bytes)) {
    stream_.next_in = block_.get();
    good_ = inflateInit2(&stream_, 15 + 16) == Z_OK;
  }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;
  ~GzipStream() { inflateEnd(&stream_); }

  // Up to `size` bytes; fewer at the end of the stream.
  Result<std::size_t> read(std::uint8_t* out, std::size_t size) {
    std::size_t done = 0;
    while (good_ && !ended_ && done < size) {
      if (stream_.avail_in == 0 && !refill()) return invalid_argument("gzip data: cut off (copy the file again)");
      stream_.next_out = out + done;
      const std::size_t room = std::min<std::size_t>(size - done, 1u << 30);
      stream_.avail_out = static_cast<unsigned>(room);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      done += room - stream_.avail_out;
      if (status == Z_STREAM_END) end_of_member();
      else if (status != Z_OK && status != Z_BUF_ERROR) good_ = false;
    }
    if (!good_) return invalid_argument("gzip data: damaged, it fails its own check (copy the file again)");
    return done;
  }

 private:
  bool refill() {
    ssize_t got = -1;
    do got = pread(input_, block_.get(), size_, position_);
    while (got < 0 && errno == EINTR);
    stream_.next_in = block_.get();
    stream_.avail_in = got > 0 ? static_cast<unsigned>(got) : 0;
    position_ += std::max<ssize_t>(got, 0);
    return got > 0;
  }
  // RFC 1952: members may follow each other; anything else behind one is padding.
  void end_of_member() {
    if (stream_.avail_in == 0) refill();
    if (looks_like_gzip({stream_.next_in, stream_.avail_in})) good_ = inflateReset2(&stream_, 15 + 16) == Z_OK;
    else ended_ = true;
  }

  int input_;
  std::size_t size_;
  off_t position_ = 0;
  std::unique_ptr<std::uint8_t[]> block_;
  z_stream stream_{};
  bool good_ = false, ended_ = false;
};

// The common case, one member with exactly that many bytes: libdeflate takes half of zlib's time and checks the same
// CRC. False: anything else, for zlib to read or to refuse.
bool unpack_whole(int input, std::span<std::uint8_t> out) {
  struct stat info {};
  if (syscall(SYS_fstat, input, &info) != 0 || info.st_size <= 0) return false;
  const auto packed = static_cast<std::size_t>(info.st_size);
  void* const at = mmap(nullptr, packed, PROT_READ, MAP_PRIVATE | MAP_POPULATE, input, 0);
  if (at == MAP_FAILED) return false;
  std::size_t used = 0, got = 0;
  libdeflate_decompressor* const machine = libdeflate_alloc_decompressor();
  const bool whole = machine != nullptr &&
                     libdeflate_gzip_decompress_ex(machine, at, packed, out.data(), out.size(), &used, &got) ==
                         LIBDEFLATE_SUCCESS &&
                     used == packed && got == out.size();
  libdeflate_free_decompressor(machine);
  munmap(at, packed);
  return whole;
}

// Exactly the bytes a header promises, and no more: a bomb is not unpacked, a cut-off file is named as such.
Result<void> unpack_in_pieces(int input, std::span<std::uint8_t> out) {
  GzipStream stream(input, kBlockBytes);
  FOVEA_TRY_ASSIGN(const std::size_t got, stream.read(out.data(), out.size()));
  if (got < out.size())
    return invalid_argument("voxels: cut off after " + std::to_string(got) + " of " + std::to_string(out.size()) +
                            " bytes (copy the file again)");
  const auto block = std::make_unique_for_overwrite<std::uint8_t[]>(kBlockBytes);
  for (std::uint64_t trailing = 0;;) {
    FOVEA_TRY_ASSIGN(const std::size_t more, stream.read(block.get(), kBlockBytes));
    if (more == 0) return {};
    if ((trailing += more) > kTrailingBytesMax)
      return invalid_argument("gzip data: far more than its header promises (a decompression bomb?)");
  }
}

}  // namespace

Result<Bytes> gzip_head(int input, std::size_t size_max) {
  GzipStream stream(input, kHeadBlockBytes);
  Bytes out(size_max);
  FOVEA_TRY_ASSIGN(const std::size_t got, stream.read(out.data(), out.size()));
  out.resize(got);
  return out;
}

Result<void> unpack_gzip(int input, std::span<std::uint8_t> out) {
  if (unpack_whole(input, out)) return {};
  return unpack_in_pieces(input, out);
}

void warm_up_gzip() {
  // An empty stored block. Asking the processor what it can do is slow where it is a virtual one.
  constexpr std::array<std::uint8_t, 23> kEmpty{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1, 0, 0, 255, 255};
  std::array<std::uint8_t, 1> out{};
  std::size_t used = 0, got = 0;
  libdeflate_decompressor* const machine = libdeflate_alloc_decompressor();
  FOVEA_CHECK(machine != nullptr && libdeflate_gzip_decompress_ex(machine, kEmpty.data(), kEmpty.size(), out.data(),
                                                                  out.size(), &used, &got) == LIBDEFLATE_SUCCESS);
  libdeflate_free_decompressor(machine);
}

}  // namespace fovea::node::intake
