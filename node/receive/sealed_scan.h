// Received scans until they are ingested: sealed from the first byte that touches a disk. The receiver, which talks to
// machines that nobody here controls, holds a public key only: it can seal a scan and open none, not even one that it
// has just sealed.
//
// File: "FOVSCN1\n", an ephemeral X25519 public key (32), then the contents in pieces of 64 KiB, each with AES-256-GCM
// and 16 bytes longer; the last piece, which may be empty, is marked (STREAM: Hoang, Reyhanitabar, Rogaway, Vizar,
// CRYPTO 2015). Key: HKDF-SHA-256 of the X25519 secret, salt = ephemeral key then the node's key, info =
// "FOVEA/1/received scan". Nonce: number of the piece (u64, little-endian), 1 for the last else 0, three zero bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "common/descriptor.h"
#include "common/result.h"
#include "crypto/key_agreement.h"

namespace fovea::node::receive {

inline constexpr std::string_view kSealedScanEnding = ".sealed";

// Bytes of the sealed file of a scan of that many bytes.
std::uint64_t sealed_scan_bytes(std::uint64_t scan_bytes) noexcept;

struct SealedStream {
  std::uint64_t scan_bytes = 0;
  bool whole = false;  // false: there were more than allowed; what was written is no sealed scan
};
// Reads `in` (a pipe) to its end and writes it, sealed, to `out`. Beyond `bytes_max` the rest is read and dropped.
// unavailable: reading or writing failed (is the disk full?).
Result<SealedStream> seal_stream(int in, int out, std::uint64_t bytes_max, const crypto::AgreementPublicKey& node);

// The scan in anonymous memory that nobody can change any more, at offset 0.
// not_found: no such file; corruption: cut off, changed, or sealed for another node; invalid_argument: above
// `bytes_max`; unavailable: no memory.
Result<Descriptor> open_sealed_scan(const std::filesystem::path& file, std::uint64_t bytes_max,
                                    const crypto::AgreementKey& node);

}  // namespace fovea::node::receive
