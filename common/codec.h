// The canonical byte codec of everything that is sent, hashed or signed: little-endian fixed-width
// integers, IEEE 754 floats and u32-length-prefixed byte strings, in a fixed order. One value has one encoding; a
// reader refuses bytes that are left over, so a message cannot be re-encoded under an unchanged signature.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "common/bytes.h"
#include "common/result.h"

namespace fovea {

class ByteWriter {
 public:
  void u8(std::uint8_t value) { out_.push_back(value); }
  void u16(std::uint16_t value) { put(value, 2); }
  void u32(std::uint32_t value) { put(value, 4); }
  void u64(std::uint64_t value) { put(value, 8); }
  void f32(float value) { u32(std::bit_cast<std::uint32_t>(value)); }   // IEEE 754 bits: every value survives,
  void f64(double value) { u64(std::bit_cast<std::uint64_t>(value)); }  // NaN and -0 too
  void raw(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }  // fixed-size fields
  void sized(ByteView bytes);                                                        // u32 length, then bytes
  void sized(std::string_view text) { sized(as_bytes(text)); }
  void reserve(std::size_t bytes) { out_.reserve(bytes); }

  const Bytes& bytes() const& noexcept { return out_; }
  Bytes take() && noexcept { return std::move(out_); }

 private:
  void put(std::uint64_t value, int width);
  Bytes out_;
};

// Reads what ByteWriter wrote. Each error is invalid_argument and names the field. The view must
// outlive the reader and what `raw` and `sized` return.
class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) : rest_(bytes) {}

  Result<std::uint8_t> u8(std::string_view field);
  Result<std::uint16_t> u16(std::string_view field);
  Result<std::uint32_t> u32(std::string_view field);
  Result<std::uint64_t> u64(std::string_view field);
  Result<float> f32(std::string_view field);
  Result<double> f64(std::string_view field);
  Result<ByteView> raw(std::string_view field, std::size_t size);
  Result<ByteView> sized(std::string_view field, std::size_t size_max);
  Result<std::string> text(std::string_view field, std::size_t size_max);

  template <std::size_t N>
  Result<std::array<std::uint8_t, N>> array(std::string_view field) {
    FOVEA_TRY_ASSIGN(const ByteView view, raw(field, N));
    return to_array<N>(view, field);
  }

  std::size_t left() const noexcept { return rest_.size(); }
  Result<void> finish(std::string_view message) const;  // bytes left over are an error

 private:
  Result<std::uint64_t> get(std::string_view field, std::size_t width);
  ByteView rest_;
};

}  // namespace fovea
