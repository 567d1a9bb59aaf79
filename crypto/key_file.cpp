#include "crypto/key_file.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "common/result.h"

namespace fovea::crypto {
namespace {

constexpr std::size_t kKeyFileBytes = 65;

int hex_digit(std::uint8_t c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
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
  std::error_code error;
  const auto mode = std::filesystem::status(path, error).permissions();
  constexpr auto kOthers = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
  if (!error && mode != std::filesystem::perms::unknown && (mode & kOthers) != std::filesystem::perms::none)
    return permission_denied(path.string() + ": others can read this key; run: chmod 600 " + path.string());
  FOVEA_TRY_ASSIGN(Bytes bytes, read_file(path, kKeyFileBytes));
  SecretKey key;
  bool valid = bytes.size() == kKeyFileBytes && bytes.back() == '\n';
  for (std::size_t i = 0; valid && i < key.size(); ++i) {
    const int high = hex_digit(bytes[2 * i]);
    const int low = hex_digit(bytes[2 * i + 1]);
    valid = high >= 0 && low >= 0;
    if (valid) key.span()[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  wipe(bytes);
  if (!valid)
    return corruption(path.string() + ": is not a key (64 hex digits and a newline); restore it from your backup");
  return key;
}

}  // namespace fovea::crypto
