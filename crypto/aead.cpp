#include "crypto/aead.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "common/check.h"
#include "common/result.h"
#include "crypto/openssl_objects.h"

namespace fovea::crypto {

namespace {

constexpr std::size_t kPieceMax = 1U << 30;  // OpenSSL counts in int

// One direction of EVP's update over any length; `out` null means associated data.
template <auto Update>
void update(EVP_CIPHER_CTX* context, std::uint8_t* out, ByteView in) {
  while (!in.empty()) {
    const std::size_t size = std::min(in.size(), kPieceMax);
    int written = 0;
    FOVEA_CHECK(Update(context, out, &written, in.data(), static_cast<int>(size)) == 1);
    FOVEA_CHECK(written == static_cast<int>(size));
    if (out != nullptr) out += size;
    in = in.subspan(size);
  }
}

openssl::CipherContext begin_sealing(const SecretKey& key, const AeadNonce& nonce) {
  openssl::CipherContext context = openssl::new_cipher_context();
  FOVEA_CHECK(EVP_EncryptInit_ex2(context.get(), openssl::aes_256_gcm(), key.view().data(), nonce.data(), nullptr) ==
              1);
  return context;
}

void end_sealing(const openssl::CipherContext& context, std::uint8_t* tag) {
  int written = 0;
  FOVEA_CHECK(EVP_EncryptFinal_ex(context.get(), tag, &written) == 1 && written == 0);
  FOVEA_CHECK(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kAeadTagBytes, tag) == 1);
}

}  // namespace

void aead_seal_into(const SecretKey& key, const AeadNonce& nonce, ByteView associated_data, ByteView plaintext,
                    std::span<std::uint8_t> sealed) {
  FOVEA_CHECK(sealed.size() == plaintext.size() + kAeadTagBytes);
  const openssl::CipherContext context = begin_sealing(key, nonce);
  update<EVP_EncryptUpdate>(context.get(), nullptr, associated_data);
  update<EVP_EncryptUpdate>(context.get(), sealed.data(), plaintext);
  end_sealing(context, sealed.data() + plaintext.size());
}

Bytes aead_seal(const SecretKey& key, const AeadNonce& nonce, ByteView associated_data, ByteView plaintext) {
  Bytes sealed(plaintext.size() + kAeadTagBytes);
  aead_seal_into(key, nonce, associated_data, plaintext, sealed);
  return sealed;
}

Result<void> aead_open_into(const SecretKey& key, const AeadNonce& nonce, ByteView associated_data, ByteView sealed,
                            std::span<std::uint8_t> plaintext) {
  if (sealed.size() < kAeadTagBytes)
    return corruption("sealed message: expected at least " + std::to_string(kAeadTagBytes) + " bytes, found " +
                      std::to_string(sealed.size()));
  FOVEA_CHECK(sealed.size() == plaintext.size() + kAeadTagBytes);
  const ByteView ciphertext = sealed.first(sealed.size() - kAeadTagBytes);
  std::array<std::uint8_t, kAeadTagBytes> tag{};
  std::copy(sealed.end() - static_cast<std::ptrdiff_t>(kAeadTagBytes), sealed.end(), tag.begin());

  const openssl::CipherContext context = openssl::new_cipher_context();
  FOVEA_CHECK(EVP_DecryptInit_ex2(context.get(), openssl::aes_256_gcm(), key.view().data(), nonce.data(), nullptr) ==
              1);
  update<EVP_DecryptUpdate>(context.get(), nullptr, associated_data);
  update<EVP_DecryptUpdate>(context.get(), plaintext.data(), ciphertext);
  FOVEA_CHECK(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kAeadTagBytes, tag.data()) == 1);
  std::uint8_t nothing = 0;
  int written = 0;
  if (EVP_DecryptFinal_ex(context.get(), &nothing, &written) != 1)
    return corruption("sealed message: the tag does not match its key, nonce, associated data and bytes");
  return {};
}

Result<SecretBytes> aead_open(const SecretKey& key, const AeadNonce& nonce, ByteView associated_data, ByteView sealed) {
  SecretBytes plaintext(sealed.size() - std::min(sealed.size(), kAeadTagBytes));
  FOVEA_TRY(aead_open_into(key, nonce, associated_data, sealed, plaintext.span()));
  return plaintext;
}

struct Gmac::State {
  openssl::CipherContext context;
};

Gmac::Gmac(const SecretKey& key) : state_(std::make_unique<State>(State{begin_sealing(key, AeadNonce{})})) {}
Gmac::~Gmac() = default;

Gmac& Gmac::update(ByteView bytes) {
  FOVEA_CHECK(state_ != nullptr);
  crypto::update<EVP_EncryptUpdate>(state_->context.get(), nullptr, bytes);
  return *this;
}

GmacTag Gmac::finish() {
  FOVEA_CHECK(state_ != nullptr);
  const std::unique_ptr<State> state = std::move(state_);
  GmacTag tag{};
  end_sealing(state->context, tag.data());
  return tag;
}

}  // namespace fovea::crypto
