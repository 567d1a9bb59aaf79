// Where random bytes come from. The pure machines get a 32-byte seed for each attempt and expand it with
// SeededRandom; only drivers and key generation use SystemRandom.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "crypto/secret_bytes.h"

namespace fovea::crypto {

class RandomSource {
 public:
  virtual ~RandomSource() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;

  SecretKey secret_key() {
    SecretKey key;
    fill(key.span());
    return key;
  }
};

// The operating system's generator through OpenSSL (RAND_priv_bytes). Aborts if it cannot give bytes:
// there is no safe way to go on. Safe to use from several threads.
class SystemRandom final : public RandomSource {
 public:
  void fill(std::span<std::uint8_t> out) override;
};

// The AES-256-CTR keystream of a seed, IV 0: the same seed gives the same bytes, however they are asked for.
// A seed is for one purpose and one use; a mask seed (crypto/mask_stream.h) must never be used here.
// One thread at a time.
class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(const SecretKey& seed);
  SeededRandom(SeededRandom&&) noexcept;
  SeededRandom& operator=(SeededRandom&&) noexcept;
  ~SeededRandom() override;
  void fill(std::span<std::uint8_t> out) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fovea::crypto
