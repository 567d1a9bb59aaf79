#include "bench/masked_vectors.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

#include "common/bytes.h"
#include "common/check.h"
#include "crypto/hash.h"
#include "crypto/random_source.h"
#include "crypto/signature.h"
#include "federation/messages/envelope.h"
#include "federation/messages/vector_chunk.h"

namespace fovea::bench {

namespace {

int store(std::span<const std::uint32_t> words) {
  const int file = ::memfd_create("masked-vector", MFD_CLOEXEC);
  FOVEA_CHECK(file >= 0);
  const auto* from = reinterpret_cast<const char*>(words.data());
  for (std::size_t left = words.size_bytes(); left > 0;) {
    const ssize_t written = ::write(file, from, left);
    FOVEA_CHECK(written > 0);
    from += written;
    left -= static_cast<std::size_t>(written);
  }
  return file;
}

}  // namespace

MaskedVectors::MaskedVectors(std::uint32_t sites, std::uint32_t words, std::span<const crypto::MaskKey> masks,
                             std::uint32_t threads)
    : sites_(sites) {
  std::vector<std::uint32_t> random(words);
  crypto::SystemRandom().fill({reinterpret_cast<std::uint8_t*>(random.data()), 4 * random.size()});
  random_file_ = store(random);
  std::vector<std::uint32_t> last(words);
  for (std::size_t word = 0; word < words; ++word) last[word] = expected(sites, word) - (sites - 1) * random[word];
  crypto::apply_masks(last, 0, masks, threads);
  last_file_ = store(last);
}

MaskedVectors::~MaskedVectors() {
  ::close(random_file_);
  ::close(last_file_);
}

void MaskedVectors::read(std::uint32_t site, std::uint64_t first, std::span<std::uint32_t> out) const {
  FOVEA_CHECK(out.size() <= federation::messages::kChunkWords);
  const int file = site + 1 == sites_ ? last_file_ : random_file_;
  const ssize_t got = ::pread(file, out.data(), out.size_bytes(), static_cast<off_t>(4 * first));
  FOVEA_CHECK(got == static_cast<ssize_t>(out.size_bytes()));
}

ReceivedSum receive_all(const MaskedVectors& vectors, std::uint32_t sites, std::uint32_t words, std::uint32_t threads) {
  ReceivedSum received{.sum = std::vector<std::uint32_t>(words), .carries = std::vector<std::uint16_t>(words)};
  // Stands for the signature of each chunk's envelope: simulated chunks have none, and each costs one check.
  crypto::SystemRandom random;
  const crypto::SigningKey signer = crypto::SigningKey::create(random);
  const Digest envelope = crypto::sha256(as_bytes("an envelope"));
  const crypto::Signature signature = signer.sign(envelope);
  std::atomic<std::size_t> next{0};
  std::atomic<std::uint64_t> hash_check{0};
  const auto work = [&] {
    std::vector<std::uint32_t> chunk;
    for (std::size_t index = next++; index < federation::messages::chunk_count(words); index = next++) {
      const std::uint64_t first = index * federation::messages::kChunkWords;
      chunk.resize(federation::messages::chunk_size(words, index));
      for (std::uint32_t site = 0; site < sites; ++site) {
        vectors.read(site, first, chunk);
        const Digest digest =
            federation::messages::hash_payload({reinterpret_cast<const std::uint8_t*>(chunk.data()), 4 * chunk.size()});
        hash_check += digest[0];
        FOVEA_CHECK(crypto::check_signature(signer.verify_key(), envelope, signature) ==
                    crypto::SignatureVerdict::valid);
        crypto::add_words(std::span(received.sum).subspan(first, chunk.size()),
                          std::span(received.carries).subspan(first, chunk.size()), chunk);
      }
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::uint32_t i = 1; i < threads; ++i) others.emplace_back(work);
    work();
  }
  received.hash_check = hash_check;
  return received;
}

}  // namespace fovea::bench
