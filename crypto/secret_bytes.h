// Owners of secret bytes: keys, seeds, shares, plaintexts. They are move-only, wiped before their memory
// is released, cannot be printed, and have no ==: compare with constant_time_equal (crypto/hash.h).
// A copy has to be asked for by name. view() is how bytes reach a primitive; never keep one longer than its owner.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"

namespace fovea::crypto {

// Overwrites memory in a way no optimiser removes.
void wipe(std::span<std::uint8_t> bytes) noexcept;

// Wipes memory before it gives it back, also when a vector grows.
template <class T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <class U>
  WipingAllocator(const WipingAllocator<U>&) noexcept {}
  T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* memory, std::size_t count) noexcept {
    wipe({reinterpret_cast<std::uint8_t*>(memory), count * sizeof(T)});
    std::allocator<T>().deallocate(memory, count);
  }
  bool operator==(const WipingAllocator&) const = default;
};

// A secret of a length known at run time.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::size_t size) : bytes_(size) {}  // zeros
  static SecretBytes copy_of(ByteView bytes);

  SecretBytes(SecretBytes&&) noexcept = default;
  SecretBytes& operator=(SecretBytes&&) noexcept = default;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() = default;

  SecretBytes copy() const { return copy_of(bytes_); }
  std::size_t size() const noexcept { return bytes_.size(); }
  bool empty() const noexcept { return bytes_.empty(); }
  ByteView view() const noexcept { return bytes_; }
  std::span<std::uint8_t> span() noexcept { return bytes_; }

  bool operator==(const SecretBytes&) const = delete;

 private:
  std::vector<std::uint8_t, WipingAllocator<std::uint8_t>> bytes_;
};

// A secret of N bytes. A moved-from array is all zeros.
template <std::size_t N>
class SecretArray {
 public:
  SecretArray() = default;  // zeros
  SecretArray(SecretArray&& other) noexcept : bytes_(other.bytes_) { wipe(other.bytes_); }
  SecretArray& operator=(SecretArray&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      wipe(other.bytes_);
    }
    return *this;
  }
  SecretArray(const SecretArray&) = delete;
  SecretArray& operator=(const SecretArray&) = delete;
  ~SecretArray() { wipe(bytes_); }

  // invalid_argument names `field` when the length is not N.
  static Result<SecretArray> from(ByteView bytes, std::string_view field) {
    if (bytes.size() != N)
      return invalid_argument(std::string(field) + ": expected " + std::to_string(N) + " bytes, found " +
                              std::to_string(bytes.size()));
    SecretArray out;
    for (std::size_t i = 0; i < N; ++i) out.bytes_[i] = bytes[i];
    return out;
  }

  SecretArray copy() const {
    SecretArray out;
    out.bytes_ = bytes_;
    return out;
  }
  static constexpr std::size_t size() noexcept { return N; }
  std::span<const std::uint8_t, N> view() const noexcept { return bytes_; }
  std::span<std::uint8_t, N> span() noexcept { return bytes_; }

  bool operator==(const SecretArray&) const = delete;

 private:
  std::array<std::uint8_t, N> bytes_{};
};

using SecretKey = SecretArray<32>;  // an AES-256 key, a seed, an HKDF output

std::ostream& operator<<(std::ostream&, const SecretBytes&) = delete;
template <std::size_t N>
std::ostream& operator<<(std::ostream&, const SecretArray<N>&) = delete;

}  // namespace fovea::crypto
