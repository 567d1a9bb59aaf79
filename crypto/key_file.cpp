#include "crypto/key_file.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/check.h"
#include "common/durable_file.h"
#include "common/result.h"
#include "crypto/openssl_objects.h"
#include "crypto/random_source.h"

namespace fovea::crypto {
namespace {

constexpr std::size_t kKeyFileBytes = 65;
// The most that OpenSSL 3 reads back is 32 MiB of memory; five passes over 16 MiB cost an attacker what one pass over
// 128 MiB does (OWASP's table of equal strengths).
constexpr std::uint64_t kScryptN = std::uint64_t{1} << 14U;
constexpr std::uint64_t kScryptR = 8;
constexpr std::uint64_t kScryptP = 5;
constexpr std::size_t kSaltBytes = 16;

using Bio = std::unique_ptr<BIO, openssl::Freer<BIO_free_all>>;
using PlainInfo = std::unique_ptr<PKCS8_PRIV_KEY_INFO, openssl::Freer<PKCS8_PRIV_KEY_INFO_free>>;
using SealedInfo = std::unique_ptr<X509_SIG, openssl::Freer<X509_SIG_free>>;
using AlgorithmId = std::unique_ptr<X509_ALGOR, openssl::Freer<X509_ALGOR_free>>;
using BigNumber = std::unique_ptr<BIGNUM, openssl::Freer<BN_free>>;
using BigNumberScratch = std::unique_ptr<BN_CTX, openssl::Freer<BN_CTX_free>>;

BigNumber big_number(std::uint64_t word = 0) {
  BigNumber out(BN_new());
  FOVEA_CHECK(out != nullptr && BN_set_word(out.get(), word) == 1);
  return out;
}

// Whether some x has -x² + y² = 1 + d·x²·y² over 2^255 - 19 (RFC 8032, 5.1.3): x² = (y² - 1) / (d·y² + 1) must be a
// square. Public values only.
bool is_on_curve(VerifyKey encoding) {
  encoding[31] &= 0x7f;  // the top bit is the sign of x
  const BigNumberScratch scratch(BN_CTX_new());
  const BigNumber p = big_number(), y2 = big_number(), d = big_number(121'666), u = big_number(), v = big_number();
  bool ok = scratch != nullptr && BN_set_bit(p.get(), 255) == 1 && BN_sub_word(p.get(), 19) == 1;
  BN_CTX* const c = scratch.get();
  // d = -121665 / 121666
  ok = ok && BN_mod_inverse(d.get(), d.get(), p.get(), c) != nullptr && BN_mul_word(d.get(), 121'665) == 1 &&
       BN_mod(d.get(), d.get(), p.get(), c) == 1 && BN_sub(d.get(), p.get(), d.get()) == 1;
  ok = ok && BN_lebin2bn(encoding.data(), static_cast<int>(encoding.size()), u.get()) != nullptr &&
       BN_mod_sqr(y2.get(), u.get(), p.get(), c) == 1;
  ok = ok && BN_mod_mul(v.get(), d.get(), y2.get(), p.get(), c) == 1 && BN_add_word(v.get(), 1) == 1;
  ok = ok && BN_mod_sub(u.get(), y2.get(), BN_value_one(), p.get(), c) == 1;
  // u / v is a square when u·v is: v is never 0, for -1/d is none.
  ok = ok && BN_mod_mul(u.get(), u.get(), v.get(), p.get(), c) == 1;
  FOVEA_CHECK(ok);
  const int symbol = BN_kronecker(u.get(), p.get(), c);
  FOVEA_CHECK(symbol >= -1);
  return symbol >= 0;
}

int hex_digit(std::uint8_t c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// What holds no key is said to be none, before anybody is told to close it to others.
Result<Bytes> read_key_bytes(const std::filesystem::path& path, const std::string& no_key) {
  std::error_code error;
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error))
    return corruption(path.string() + ": is not a regular file, and so no key; name the key's file");
  constexpr std::size_t kBytesMax = 4096;
  auto bytes = read_file(path, kBytesMax);
  if (!bytes && bytes.error().code == ErrorCode::invalid_argument &&
      std::filesystem::file_size(path, error) > kBytesMax)
    return corruption(path.string() + no_key);
  return bytes;
}

Result<void> check_closed_to_others(const std::filesystem::path& path) {
  std::error_code error;
  const auto mode = std::filesystem::status(path, error).permissions();
  constexpr auto kOthers = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
  if (!error && mode != std::filesystem::perms::unknown && (mode & kOthers) != std::filesystem::perms::none)
    return permission_denied(path.string() + ": others can read this key; run: chmod 600 " + path.string());
  return {};
}

const char* text_of(const SecretBytes& passphrase) { return reinterpret_cast<const char*>(passphrase.view().data()); }

SealedInfo seal(const SigningKey& key, const SecretBytes& passphrase) {
  const openssl::KeyHandle handle(
      EVP_PKEY_new_raw_private_key_ex(nullptr, "ED25519", nullptr, key.seed().view().data(), SecretKey::size()));
  FOVEA_CHECK(handle != nullptr);
  const PlainInfo plain(EVP_PKEY2PKCS8(handle.get()));
  FOVEA_CHECK(plain != nullptr);
  std::array<std::uint8_t, kSaltBytes> salt{};
  SystemRandom().fill(salt);
  AlgorithmId algorithm(PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), salt.data(), static_cast<int>(salt.size()), nullptr,
                                              kScryptN, kScryptR, kScryptP));
  FOVEA_CHECK(algorithm != nullptr);
  SealedInfo sealed(
      PKCS8_set0_pbe(text_of(passphrase), static_cast<int>(passphrase.size()), plain.get(), algorithm.get()));
  FOVEA_CHECK(sealed != nullptr);
  static_cast<void>(algorithm.release());  // now `sealed` owns it
  return sealed;
}

Bio sealed_text(const SigningKey& key, const SecretBytes& passphrase) {
  const SealedInfo sealed = seal(key, passphrase);
  Bio out(BIO_new(BIO_s_mem()));
  FOVEA_CHECK(out != nullptr && PEM_write_bio_PKCS8(out.get(), sealed.get()) == 1);
  return out;
}

ByteView bytes_in(const Bio& memory) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  FOVEA_CHECK(size > 0);
  return as_bytes(std::string_view(text, static_cast<std::size_t>(size)));
}

Result<SealedInfo> read_sealed(const std::filesystem::path& path) {
  const std::string no_key =
      ": is not a key under a passphrase (PEM, ENCRYPTED PRIVATE KEY); restore it from your backup, or make a new key "
      "if "
      "it is of an older version";
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_key_bytes(path, no_key));
  const Bio in(bytes.empty() ? nullptr : BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
  SealedInfo sealed(in == nullptr ? nullptr : PEM_read_bio_PKCS8(in.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (sealed == nullptr) return corruption(path.string() + no_key);
  FOVEA_TRY(check_closed_to_others(path));
  return sealed;
}

}  // namespace

Result<void> write_key_file(const std::filesystem::path& path, const SecretKey& key) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  SecretBytes text(kKeyFileBytes);
  for (std::size_t i = 0; i < key.size(); ++i) {
    text.span()[2 * i] = static_cast<std::uint8_t>(kDigits[key.view()[i] >> 4U]);
    text.span()[2 * i + 1] = static_cast<std::uint8_t>(kDigits[key.view()[i] & 15U]);
  }
  text.span()[kKeyFileBytes - 1] = '\n';
  return write_file_durably(path, text.view(), FileMode::secret);
}

Result<SecretKey> read_key_file(const std::filesystem::path& path) {
  const std::string no_key = ": is not a key (64 hex digits and a newline); restore it from your backup";
  FOVEA_TRY_ASSIGN(Bytes bytes, read_key_bytes(path, no_key));
  SecretKey key;
  bool valid = bytes.size() == kKeyFileBytes && bytes.back() == '\n';
  for (std::size_t i = 0; valid && i < key.size(); ++i) {
    const int high = hex_digit(bytes[2 * i]);
    const int low = hex_digit(bytes[2 * i + 1]);
    valid = high >= 0 && low >= 0;
    if (valid) key.span()[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  wipe(bytes);
  if (!valid) return corruption(path.string() + no_key);
  FOVEA_TRY(check_closed_to_others(path));
  return key;
}

Result<void> check_new_passphrase(const SecretBytes& passphrase) {
  const ByteView bytes = passphrase.view();
  const auto characters =
      std::count_if(bytes.begin(), bytes.end(), [](std::uint8_t c) { return (c & 0xC0U) != 0x80U; });
  if (static_cast<std::size_t>(characters) < kPassphraseCharactersMin)
    return invalid_argument("passphrase: expected at least " + std::to_string(kPassphraseCharactersMin) +
                            " characters; several words are best");
  if (bytes.size() > kPassphraseBytesMax)
    return invalid_argument("passphrase: expected at most " + std::to_string(kPassphraseBytesMax) + " bytes");
  return {};
}

Result<void> write_protected_key_file(const std::filesystem::path& path, const SigningKey& key,
                                      const SecretBytes& passphrase) {
  FOVEA_TRY(check_new_passphrase(passphrase));
  const Bio sealed = sealed_text(key, passphrase);
  return write_file_durably(path, bytes_in(sealed), FileMode::secret);
}

Result<void> create_protected_key_file(const std::filesystem::path& path, const SigningKey& key,
                                       const SecretBytes& passphrase) {
  FOVEA_TRY(check_new_passphrase(passphrase));
  const Bio sealed = sealed_text(key, passphrase);
  FOVEA_TRY_ASSIGN(const bool made, create_file_durably(path, bytes_in(sealed), FileMode::secret));
  if (!made) return failed_precondition(path.string() + ": exists already; choose another file for a new key");
  return {};
}

Result<void> check_protected_key_file(const std::filesystem::path& path) {
  FOVEA_TRY(read_sealed(path));
  return {};
}

Result<SigningKey> read_protected_key_file(const std::filesystem::path& path, const SecretBytes& passphrase) {
  FOVEA_TRY_ASSIGN(const SealedInfo sealed, read_sealed(path));
  const PlainInfo plain(PKCS8_decrypt(sealed.get(), text_of(passphrase), static_cast<int>(passphrase.size())));
  const openssl::KeyHandle handle(plain == nullptr ? nullptr : EVP_PKCS82PKEY(plain.get()));
  ERR_clear_error();
  SecretKey seed;
  std::size_t size = SecretKey::size();
  if (handle == nullptr)
    return permission_denied(path.string() +
                             ": the passphrase is wrong (or the file is damaged: then restore it from your backup)");
  if (EVP_PKEY_is_a(handle.get(), "ED25519") != 1 ||
      EVP_PKEY_get_raw_private_key(handle.get(), seed.span().data(), &size) != 1 || size != SecretKey::size())
    return corruption(path.string() + ": holds a key of another kind than Ed25519");
  return SigningKey::from_seed(seed);
}

Result<void> check_public_key(const VerifyKey& key) {
  const SignatureVerdict verdict = check_signature(key, {}, Signature{});
  const bool usable = verdict != SignatureVerdict::non_canonical_key && verdict != SignatureVerdict::small_order_key;
  if (usable && is_on_curve(key)) return {};
  return invalid_argument("is no public key of Ed25519: no secret key belongs to it");
}

}  // namespace fovea::crypto
