// SHA-256 (FIPS 180-4), HMAC-SHA-256 (RFC 2104) and the domain-separated hash of everything Fovea names by hash.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "common/bytes.h"
#include "crypto/secret_bytes.h"

namespace fovea::crypto {

Digest sha256(ByteView bytes);

// Incremental SHA-256. finish() ends it: update(), so_far() and finish() after that abort (programmer error).
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  Sha256& update(ByteView bytes);
  Digest so_far() const;  // of the bytes up to here; more may follow
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// SHA-256 over: u32 length of label, label, then for each field u64 length, bytes. All little-endian.
// Two sequences of fields never give the same input, and two labels never share one.
// Labels read "FOVEA/1/<what>".
class TaggedHash {
 public:
  explicit TaggedHash(std::string_view label);

  TaggedHash& add(ByteView field);
  TaggedHash& add(std::string_view field) { return add(as_bytes(field)); }
  TaggedHash& add_u64(std::uint64_t value);  // a field of 8 bytes, little-endian

  // A long field given in pieces: begin with its exact length, then append until it is complete.
  // Appending too much, or finishing early, aborts.
  TaggedHash& begin_field(std::uint64_t length);
  TaggedHash& append(ByteView piece);

  Digest finish();

 private:
  Sha256 hash_;
  std::uint64_t open_ = 0;  // bytes the open field still lacks
};

SecretKey hmac_sha256(ByteView key, ByteView message);

// True when equal, in time that depends on the lengths only. The way to compare MACs and secrets.
bool constant_time_equal(ByteView a, ByteView b) noexcept;

}  // namespace fovea::crypto
