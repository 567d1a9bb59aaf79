#include "node/receive/sealed_scan.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>

#include "common/bytes.h"
#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/random_source.h"
#include "crypto/secret_bytes.h"

namespace fovea::node::receive {
namespace {

constexpr std::string_view kMagic = "FOVSCN1\n";
constexpr std::size_t kHeaderBytes = 8 + 32;
constexpr std::size_t kPieceBytes = 64 * 1024;
constexpr std::size_t kSealedPieceBytes = kPieceBytes + crypto::kAeadTagBytes;

crypto::SecretKey scan_key(const crypto::SecretKey& shared, const crypto::AgreementPublicKey& ephemeral,
                           const crypto::AgreementPublicKey& node) {
  Bytes salt(ephemeral.begin(), ephemeral.end());
  salt.insert(salt.end(), node.begin(), node.end());
  return crypto::hkdf_sha256({.secret = shared.view(), .salt = salt, .info = as_bytes("FOVEA/1/received scan")});
}

crypto::AeadNonce nonce_of(std::uint64_t piece, bool last) {
  crypto::AeadNonce out{};
  for (std::size_t n = 0; n < 8; ++n) out[n] = static_cast<std::uint8_t>(piece >> (8 * n));
  out[8] = last ? 1 : 0;
  return out;
}

// Fills `out`; less only at the end of the input.
Result<std::size_t> read_up_to(int in, std::span<std::uint8_t> out) {
  std::size_t have = 0;
  while (have < out.size()) {
    const ssize_t got = ::read(in, out.data() + have, out.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unavailable(std::string("received scan: cannot be read: ") + std::strerror(errno));
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  return have;
}

Result<void> write_all(int out, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(out, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return unavailable(std::string("received scan: cannot be written: ") + std::strerror(errno));
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

// The pieces behind the header, opened one after the other into `out`, from its offset 0 on.
Result<void> open_pieces(int in, int out, const crypto::SecretKey& key) {
  Bytes sealed(kSealedPieceBytes);
  crypto::SecretBytes plain(kPieceBytes);
  for (std::uint64_t piece = 0, offset = 0;; ++piece) {
    FOVEA_TRY_ASSIGN(const std::size_t got, read_up_to(in, sealed));
    if (got < crypto::kAeadTagBytes) return corruption("received scan: cut off (have it sent again)");
    const auto opened = plain.span().first(got - crypto::kAeadTagBytes);
    const bool last = got < kSealedPieceBytes;
    if (!crypto::aead_open_into(key, nonce_of(piece, last), {}, ByteView(sealed).first(got), opened))
      return corruption("received scan: changed, cut off, or sealed for another node (have it sent again)");
    for (std::size_t done = 0; done < opened.size();) {
      const ssize_t put = ::pwrite(out, opened.data() + done, opened.size() - done, static_cast<off_t>(offset + done));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return unavailable(std::string("received scan: no memory to open it: ") + std::strerror(errno));
      done += static_cast<std::size_t>(put);
    }
    offset += opened.size();
    if (last) return {};
  }
}

}  // namespace

std::uint64_t sealed_scan_bytes(std::uint64_t scan_bytes) noexcept {
  return kHeaderBytes + scan_bytes + (scan_bytes / kPieceBytes + 1) * crypto::kAeadTagBytes;
}

Result<SealedStream> seal_stream(int in, int out, std::uint64_t bytes_max, const crypto::AgreementPublicKey& node) {
  crypto::SystemRandom random;
  const crypto::AgreementKey ephemeral = crypto::AgreementKey::generate(random);
  FOVEA_TRY_ASSIGN(const crypto::SecretKey shared, ephemeral.shared_secret(node));
  const crypto::SecretKey key = scan_key(shared, ephemeral.public_key(), node);
  FOVEA_TRY(write_all(out, as_bytes(kMagic)));
  FOVEA_TRY(write_all(out, ephemeral.public_key()));
  SealedStream done;
  crypto::SecretBytes plain(kPieceBytes);
  Bytes sealed(kSealedPieceBytes);
  for (std::uint64_t piece = 0;; ++piece) {
    FOVEA_TRY_ASSIGN(const std::size_t got, read_up_to(in, plain.span()));
    const bool last = got < kPieceBytes;
    done.scan_bytes += got;
    if (done.scan_bytes <= bytes_max) {
      const auto space = std::span(sealed).first(got + crypto::kAeadTagBytes);
      crypto::aead_seal_into(key, nonce_of(piece, last), {}, plain.view().first(got), space);
      FOVEA_TRY(write_all(out, space));
    }
    if (last) break;
  }
  done.whole = done.scan_bytes <= bytes_max;
  return done;
}

Result<Descriptor> open_sealed_scan(const std::filesystem::path& file, std::uint64_t bytes_max,
                                    const crypto::AgreementKey& node) {
  const Descriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!in) return not_found(std::string("received scan: cannot be opened: ") + std::strerror(errno));
  struct stat info {};
  if (::fstat(in.number(), &info) != 0 || !S_ISREG(info.st_mode))
    return invalid_argument("received scan: not a regular file");
  if (static_cast<std::uint64_t>(info.st_size) > sealed_scan_bytes(bytes_max))
    return invalid_argument("received scan: larger than the " + std::to_string(bytes_max / 1'000'000) +
                            " MB that it may take in memory (raise intake.memory_megabytes)");
  Bytes header(kHeaderBytes);
  FOVEA_TRY_ASSIGN(const std::size_t got, read_up_to(in.number(), header));
  if (got < kHeaderBytes || as_text(ByteView(header).first(kMagic.size())) != kMagic)
    return corruption("received scan: not a sealed scan (have it sent again)");
  FOVEA_TRY_ASSIGN(const crypto::AgreementPublicKey ephemeral,
                   to_array<32>(ByteView(header).subspan(kMagic.size()), "received scan"));
  FOVEA_TRY_ASSIGN(const crypto::SecretKey shared, node.shared_secret(ephemeral));
  Descriptor out(::memfd_create("fovea-scan", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!out) return unavailable(std::string("received scan: no memory to open it: ") + std::strerror(errno));
  FOVEA_TRY(open_pieces(in.number(), out.number(), scan_key(shared, ephemeral, node.public_key())));
  if (::fcntl(out.number(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    return unavailable("received scan: its memory cannot be protected");
  return out;
}

}  // namespace fovea::node::receive
