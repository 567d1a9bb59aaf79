// The masked vectors of simulated sites, kept outside the process's memory as a network would keep them.
// All sites but the last send one random vector; the last sends the difference to expected(), under all the masks that
// drop-outs and self masks leave in the sum.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crypto/mask_stream.h"

namespace fovea::bench {

class MaskedVectors {
 public:
  // `masks`: those left in the sum of the masked vectors of `sites` sites.
  MaskedVectors(std::uint32_t sites, std::uint32_t words, std::span<const crypto::MaskKey> masks,
                std::uint32_t threads);
  MaskedVectors(const MaskedVectors&) = delete;
  MaskedVectors& operator=(const MaskedVectors&) = delete;
  ~MaskedVectors();

  // Copies words [first, first + out.size()) of the vector that `site` sent.
  void read(std::uint32_t site, std::uint64_t first, std::span<std::uint32_t> out) const;

  // The sum's word once the masks are removed.
  static std::uint32_t expected(std::uint32_t sites, std::uint64_t word) {
    return sites * static_cast<std::uint32_t>(word * 2654435761U) + 1;
  }

 private:
  std::uint32_t sites_;
  int random_file_ = -1;
  int last_file_ = -1;
};

// Adds all vectors up chunk by chunk on `threads` threads; each chunk is hashed and a signature checked.
struct ReceivedSum {
  std::vector<std::uint32_t> sum;
  std::vector<std::uint16_t> carries;
  std::uint64_t hash_check = 0;  // keeps the hashes from being optimised away
};
ReceivedSum receive_all(const MaskedVectors& vectors, std::uint32_t sites, std::uint32_t words, std::uint32_t threads);

}  // namespace fovea::bench
