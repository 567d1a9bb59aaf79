#include "federation/files/record_key.h"

#include <algorithm>

#include "common/codec.h"
#include "crypto/hash.h"
#include "crypto/hkdf.h"

namespace fovea::federation::files {

RecordKey RecordKey::derive(const crypto::SecretKey& secret, std::string_view label, std::string_view name) {
  ByteWriter info;
  info.sized(label);
  info.sized(name);
  return RecordKey(crypto::hkdf_sha256({.secret = secret.view(), .salt = {}, .info = info.bytes()}));
}

RecordMac RecordKey::mac(const Digest& before, ByteView record) const {
  ByteWriter message;
  message.reserve(before.size() + record.size());
  message.raw(before);
  message.raw(record);
  const crypto::SecretKey full = crypto::hmac_sha256(key_.view(), message.bytes());
  RecordMac out{};
  std::copy_n(full.view().begin(), out.size(), out.begin());
  return out;
}

bool RecordKey::wrote(const Digest& before, ByteView record, const RecordMac& mac) const {
  return crypto::constant_time_equal(this->mac(before, record), mac);
}

}  // namespace fovea::federation::files
