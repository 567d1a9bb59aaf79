#include "node/intake/dicom/pixel_stream.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "node/intake/formats/stored_amount.h"

namespace fovea::node::intake {
namespace {

constexpr std::uint8_t kEndOfImage = 0xd9, kStartOfScan = 0xda, kTables = 0xc4, kRestartInterval = 0xdd;
constexpr std::uint8_t kBaseline = 0xc0, kExtended = 0xc1, kLossless = 0xc3;

Error damaged() { return invalid_argument("pixels: damaged or cut off, they cannot be decoded (copy the file again)"); }
Error no_end() {
  return invalid_argument(
      "pixels: their compressed data has no end (cut off, or still being copied; copy the file again)");
}

// Padded to an even length, and by some to a block.
bool has_end_marker(ByteView stream) noexcept {
  while (!stream.empty() && stream.back() == 0) stream = stream.first(stream.size() - 1);
  if (!stream.empty() && stream.back() == 0xff) stream = stream.first(stream.size() - 1);
  return stream.size() >= 2 && stream[stream.size() - 2] == 0xff && stream.back() == kEndOfImage;
}

// T.81 annex C: which code of up to 16 bits begins the next bits.
class HuffmanTable {
 public:
  static std::optional<HuffmanTable> make(ByteView counts, ByteView values) {
    HuffmanTable out;
    out.codes_.assign(1u << 16, {});
    std::size_t code = 0, next = 0;
    for (unsigned length = 1; length <= 16; ++length, code <<= 1)
      for (unsigned n = 0; n < counts[length - 1]; ++n, ++code, ++next) {
        const std::size_t begin = code << (16 - length), end = (code + 1) << (16 - length);
        if (end > out.codes_.size() || next >= values.size()) return std::nullopt;
        std::fill(out.codes_.begin() + static_cast<std::ptrdiff_t>(begin),
                  out.codes_.begin() + static_cast<std::ptrdiff_t>(end),
                  Code{static_cast<std::uint8_t>(length), values[next]});
      }
    return out;
  }
  struct Code {
    std::uint8_t bits = 0, value = 0;  // 0 bits: no code begins like this
  };
  Code at(std::uint32_t bits) const { return codes_[bits]; }

 private:
  std::vector<Code> codes_;
};

// The bits of an entropy-coded segment: up to a marker, without the zero bytes behind 0xff.
class ScanBits {
 public:
  ScanBits(ByteView bytes, std::size_t at) : bytes_(bytes), at_(at) {}

  // None: no such code, or the segment is over.
  std::optional<unsigned> code(const HuffmanTable& table) {
    fill();
    const std::uint64_t next = have_ >= 16 ? buffer_ >> (have_ - 16) : buffer_ << (16 - have_);
    const HuffmanTable::Code found = table.at(static_cast<std::uint32_t>(next & 0xffff));
    if (found.bits == 0 || found.bits > have_) return std::nullopt;
    have_ -= found.bits;
    return found.value;
  }
  bool skip(unsigned bits) {
    fill();
    if (bits > have_) return false;
    have_ -= bits;
    return true;
  }
  // To the next restart marker, and behind it.
  bool restart() {
    have_ = 0;
    while (at_ + 1 < bytes_.size() && (bytes_[at_] != 0xff || bytes_[at_ + 1] == 0 || bytes_[at_ + 1] == 0xff)) ++at_;
    if (at_ + 1 >= bytes_.size() || bytes_[at_ + 1] < 0xd0 || bytes_[at_ + 1] > 0xd7) return false;
    at_ += 2;
    return true;
  }

 private:
  void fill() {
    while (have_ <= 48 && at_ < bytes_.size()) {
      const std::uint8_t byte = bytes_[at_];
      if (byte == 0xff && (at_ + 1 >= bytes_.size() || bytes_[at_ + 1] != 0)) return;
      at_ += byte == 0xff ? 2 : 1;
      buffer_ = buffer_ << 8 | byte;
      have_ += 8;
    }
  }
  ByteView bytes_;
  std::size_t at_;
  std::uint64_t buffer_ = 0;
  unsigned have_ = 0;
};

class JpegImage {
 public:
  JpegImage(ByteView stream, const FramePixels& frame) : stream_(stream), frame_(frame) {}

  Result<void> check() {
    std::size_t at = 2;  // behind the start marker
    while (at + 4 <= stream_.size()) {
      if (stream_[at] != 0xff) return damaged();
      const std::uint8_t marker = stream_[at + 1];
      if (marker == 0xff) {
        ++at;  // fill bytes may stand before a marker
        continue;
      }
      const std::size_t size = static_cast<std::size_t>(stream_[at + 2]) << 8 | stream_[at + 3];
      if (size < 2 || at + 2 + size > stream_.size()) return damaged();
      const ByteView segment = stream_.subspan(at + 4, size - 2);
      at += 2 + size;
      if (marker == kStartOfScan) return check_scan(segment, at);
      FOVEA_TRY(take(marker, segment));
    }
    return no_end();
  }

 private:
  Result<void> take(std::uint8_t marker, ByteView segment) {
    if (marker == kTables) return take_tables(segment);
    if (marker == kRestartInterval && segment.size() >= 2)
      restart_interval_ = static_cast<std::uint64_t>(segment[0]) << 8 | segment[1];
    const bool is_frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc8 && marker != 0xcc;
    if (!is_frame) return {};
    if (segment.size() < 6) return damaged();
    kind_ = marker;
    const std::uint64_t rows = static_cast<std::uint64_t>(segment[1]) << 8 | segment[2],
                        columns = static_cast<std::uint64_t>(segment[3]) << 8 | segment[4];
    components_ = segment[5];
    if ((rows != 0 && rows != frame_.rows) || columns != frame_.columns)
      return invalid_argument("pixels: a picture of " + std::to_string(columns) + "×" + std::to_string(rows) +
                              " where Columns and Rows say " + std::to_string(frame_.columns) + "×" +
                              std::to_string(frame_.rows));
    return {};
  }

  Result<void> take_tables(ByteView segment) {
    while (segment.size() >= 17) {
      std::size_t values = 0;
      for (std::size_t n = 1; n <= 16; ++n) values += segment[n];
      const std::size_t slot = (segment[0] >> 4 & 1u) * 4u + (segment[0] & 3u);
      if (17 + values > segment.size()) return damaged();
      tables_[slot] = HuffmanTable::make(segment.subspan(1, 16), segment.subspan(17, values));
      if (!tables_[slot]) return damaged();
      segment = segment.subspan(17 + values);
    }
    return {};
  }

  Result<void> check_scan(ByteView segment, std::size_t at) {
    const bool is_lossless = kind_ == kLossless, is_sequential = kind_ == kBaseline || kind_ == kExtended;
    if ((!is_lossless && !is_sequential) || components_ != 1) return {};  // several scans, or no scan of a patient
    if (segment.size() < 3 || segment[0] != 1) return damaged();
    const std::optional<HuffmanTable>& first = tables_[segment[2] >> 4 & 3u];
    const std::optional<HuffmanTable>& rest = tables_[4u + (segment[2] & 3u)];
    if (!first || (is_sequential && !rest)) return damaged();
    ScanBits bits(stream_, at);
    const std::uint64_t units = is_lossless ? frame_.rows * frame_.columns
                                            : ((frame_.rows + 7) / 8) * ((frame_.columns + 7) / 8);
    for (std::uint64_t unit = 0; unit < units; ++unit) {
      const bool resumes = restart_interval_ == 0 || unit == 0 || unit % restart_interval_ != 0 || bits.restart();
      const bool taken = resumes && (is_lossless ? take_sample(bits, *first) : take_block(bits, *first, *rest));
      if (taken) continue;
      const std::uint64_t pixels = is_lossless ? 1 : 64;
      FOVEA_TRY(check_stored("pixels", unit * pixels, units * pixels, "pixels"));
    }
    return {};
  }

  // T.81 H.1.2.2: how many bits the difference has, then those bits; none for 16.
  static bool take_sample(ScanBits& bits, const HuffmanTable& table) {
    const std::optional<unsigned> size = bits.code(table);
    return size && *size <= 16 && bits.skip(*size == 16 ? 0 : *size);
  }

  // T.81 F.1.2: the mean, then runs of zeros and what ends them.
  static bool take_block(ScanBits& bits, const HuffmanTable& first, const HuffmanTable& rest) {
    const std::optional<unsigned> mean = bits.code(first);
    if (!mean || *mean > 16 || !bits.skip(*mean)) return false;
    for (unsigned k = 1; k < 64; ++k) {
      const std::optional<unsigned> run = bits.code(rest);
      if (!run) return false;
      const unsigned size = *run & 15u;
      if (size == 0 && *run != 0xf0) return true;
      k += *run >> 4;
      if (!bits.skip(size)) return false;
    }
    return true;
  }

  ByteView stream_;
  FramePixels frame_;
  std::uint8_t kind_ = 0;
  unsigned components_ = 0;
  std::uint64_t restart_interval_ = 0;
  std::array<std::optional<HuffmanTable>, 8> tables_;
};

std::uint32_t little_endian(ByteView bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} | std::uint32_t{bytes[at + 1]} << 8 | std::uint32_t{bytes[at + 2]} << 16 |
         std::uint32_t{bytes[at + 3]} << 24;
}

// PS3.5 G: one segment for each byte of a pixel, in runs (PackBits).
std::uint64_t unpacked_bytes(ByteView segment, std::uint64_t most) {
  std::uint64_t out = 0;
  for (std::size_t at = 0; at < segment.size() && out < most;) {
    const unsigned control = segment[at++];
    if (control == 128) continue;
    const std::size_t stored = control < 128 ? control + 1 : 1;
    if (at + stored > segment.size()) return out + (control < 128 ? segment.size() - at : 0);
    at += stored;
    out += control < 128 ? control + 1 : 257 - control;
  }
  return out;
}

Result<void> check_run_length(ByteView stream, const FramePixels& frame) {
  constexpr std::size_t kHeaderBytes = 64;
  if (stream.size() < kHeaderBytes) return no_end();
  const std::uint32_t segments = little_endian(stream, 0);
  if (segments < 1 || segments > 15) return damaged();
  FOVEA_TRY(check_stored("pixels", segments, frame.pixel_bytes, "segments"));
  for (std::uint32_t n = 0; n < segments; ++n) {
    const std::size_t begin = little_endian(stream, 4 + 4 * n),
                      end = n + 1 < segments ? little_endian(stream, 8 + 4 * n) : stream.size();
    if (begin < kHeaderBytes || begin > end) return damaged();
    if (begin > stream.size()) return no_end();
    const ByteView segment = stream.subspan(begin, std::min(end, stream.size()) - begin);
    const std::uint64_t asked = frame.rows * frame.columns;
    FOVEA_TRY(check_stored("pixels", unpacked_bytes(segment, asked), asked, "pixels"));
  }
  return {};
}

}  // namespace

Result<void> check_pixel_stream(ByteView stream, PixelCoding coding, const FramePixels& frame) {
  if (coding == PixelCoding::none) return {};
  if (coding == PixelCoding::run_length) return check_run_length(stream, frame);
  if (!has_end_marker(stream)) return no_end();
  return coding == PixelCoding::jpeg ? JpegImage(stream, frame).check() : Result<void>();
}

bool begins_a_frame(ByteView fragment) noexcept {
  return fragment.size() >= 3 && fragment[0] == 0xff &&
         ((fragment[1] == 0xd8 && fragment[2] == 0xff) || (fragment[1] == 0x4f && fragment[2] == 0xff));
}

}  // namespace fovea::node::intake
