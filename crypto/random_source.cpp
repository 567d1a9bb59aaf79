#include "crypto/random_source.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "common/check.h"
#include "crypto/openssl_objects.h"

namespace fovea::crypto {

namespace {
constexpr std::size_t kPieceMax = 1U << 20;  // OpenSSL counts in int
}

void SystemRandom::fill(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const std::size_t size = std::min(out.size(), kPieceMax);
    FOVEA_CHECK(RAND_priv_bytes(out.data(), static_cast<int>(size)) == 1);
    out = out.subspan(size);
  }
}

struct SeededRandom::State {
  openssl::CipherContext cipher = openssl::new_cipher_context();
};

SeededRandom::SeededRandom(const SecretKey& seed) : state_(std::make_unique<State>()) {
  const std::array<std::uint8_t, 16> iv{};
  FOVEA_CHECK(
      EVP_EncryptInit_ex2(state_->cipher.get(), openssl::aes_256_ctr(), seed.view().data(), iv.data(), nullptr) == 1);
}
SeededRandom::SeededRandom(SeededRandom&&) noexcept = default;
SeededRandom& SeededRandom::operator=(SeededRandom&&) noexcept = default;
SeededRandom::~SeededRandom() = default;

void SeededRandom::fill(std::span<std::uint8_t> out) {
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  while (!out.empty()) {
    const std::size_t size = std::min(out.size(), kPieceMax);
    int written = 0;
    FOVEA_CHECK(EVP_EncryptUpdate(state_->cipher.get(), out.data(), &written, out.data(), static_cast<int>(size)) == 1);
    FOVEA_CHECK(written == static_cast<int>(size));
    out = out.subspan(size);
  }
}

}  // namespace fovea::crypto
