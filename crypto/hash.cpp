#include "crypto/hash.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include <array>
#include <cstddef>
#include <limits>

#include "common/check.h"
#include "crypto/openssl_objects.h"

namespace fovea::crypto {

Digest sha256(ByteView bytes) {
  Digest digest{};
  unsigned int size = 0;
  FOVEA_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, openssl::sha256(), nullptr) == 1);
  FOVEA_CHECK(size == digest.size());
  return digest;
}

struct Sha256::State {
  openssl::HashContext context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  FOVEA_CHECK(state_->context != nullptr);
  FOVEA_CHECK(EVP_DigestInit_ex2(state_->context.get(), openssl::sha256(), nullptr) == 1);
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

Sha256& Sha256::update(ByteView bytes) {
  FOVEA_CHECK(state_ != nullptr);
  FOVEA_CHECK(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
  return *this;
}

namespace {

Digest end(EVP_MD_CTX* context) {
  Digest digest{};
  unsigned int size = 0;
  FOVEA_CHECK(EVP_DigestFinal_ex(context, digest.data(), &size) == 1);
  FOVEA_CHECK(size == digest.size());
  return digest;
}

}  // namespace

Digest Sha256::so_far() const {
  FOVEA_CHECK(state_ != nullptr);
  const openssl::HashContext copy{EVP_MD_CTX_new()};
  FOVEA_CHECK(copy != nullptr && EVP_MD_CTX_copy_ex(copy.get(), state_->context.get()) == 1);
  return end(copy.get());
}

Digest Sha256::finish() {
  FOVEA_CHECK(state_ != nullptr);
  const Digest digest = end(state_->context.get());
  state_.reset();
  return digest;
}

namespace {

template <std::size_t N>
std::array<std::uint8_t, N> little_endian(std::uint64_t value) {
  std::array<std::uint8_t, N> out{};
  for (std::size_t i = 0; i < N; ++i) out[i] = static_cast<std::uint8_t>(value >> (8 * i));
  return out;
}

}  // namespace

TaggedHash::TaggedHash(std::string_view label) {
  FOVEA_CHECK(!label.empty() && label.size() <= 255);
  hash_.update(little_endian<4>(label.size())).update(as_bytes(label));
}

TaggedHash& TaggedHash::add(ByteView field) { return begin_field(field.size()).append(field); }

TaggedHash& TaggedHash::add_u64(std::uint64_t value) { return add(little_endian<8>(value)); }

TaggedHash& TaggedHash::begin_field(std::uint64_t length) {
  FOVEA_CHECK(open_ == 0);
  hash_.update(little_endian<8>(length));
  open_ = length;
  return *this;
}

TaggedHash& TaggedHash::append(ByteView piece) {
  FOVEA_CHECK(piece.size() <= open_);
  hash_.update(piece);
  open_ -= piece.size();
  return *this;
}

Digest TaggedHash::finish() {
  FOVEA_CHECK(open_ == 0);
  return hash_.finish();
}

SecretKey hmac_sha256(ByteView key, ByteView message) {
  FOVEA_CHECK(key.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  static constexpr std::uint8_t kNothing = 0;  // HMAC() takes a null key to mean "the last one"
  SecretKey mac;
  unsigned int size = 0;
  FOVEA_CHECK(HMAC(openssl::sha256(), key.empty() ? &kNothing : key.data(), static_cast<int>(key.size()),
                   message.empty() ? &kNothing : message.data(), message.size(), mac.span().data(), &size) != nullptr);
  FOVEA_CHECK(size == SecretKey::size());
  return mac;
}

bool constant_time_equal(ByteView a, ByteView b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace fovea::crypto
