// Authenticates what a program writes to its disk for its own next start. A check without a key tells a torn write;
// only this tells a record of one's own from one that somebody wrote who has the files and no key.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "common/bytes.h"
#include "crypto/secret_bytes.h"

namespace fovea::federation::files {

inline constexpr std::size_t kRecordMacBytes = 16;
using RecordMac = std::array<std::uint8_t, kRecordMacBytes>;

class RecordKey {
 public:
  // HKDF-SHA-256 of `secret`, for one kind of file (`label`: "FOVEA/<n>/<what>") of one owner (`name`).
  static RecordKey derive(const crypto::SecretKey& secret, std::string_view label, std::string_view name);

  // The first 16 bytes of HMAC-SHA-256 over `before` ‖ `record`. `before` stands for all that came before the record,
  // so that none can be moved, doubled or left out.
  RecordMac mac(const Digest& before, ByteView record) const;
  bool wrote(const Digest& before, ByteView record, const RecordMac& mac) const;

 private:
  explicit RecordKey(crypto::SecretKey key) : key_(std::move(key)) {}
  crypto::SecretKey key_;
};

}  // namespace fovea::federation::files
