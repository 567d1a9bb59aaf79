// The masked vectors of simulated sites, held outside the process's memory as a network would hold them.
// All sites but the last send one random vector; the last sends what makes the sum right. So the sum is exactly that of
// sites whose vectors are value(site, word), under all the masks that drop-outs and self masks leave in it.
#pragma once

#include <span>
#include <vector>

#include "crypto/mask_stream.h"

namespace fovea::bench {

class MaskedVectors {
 public:
  // `masks`: what is left in the sum of the masked vectors of `sites` sites.
  MaskedVectors(std::uint32_t sites, std::uint32_t words, std::span<const crypto::MaskKey> masks,
                std::uint32_t threads);
  MaskedVectors(const MaskedVectors&) = delete;
  MaskedVectors& operator=(const MaskedVectors&) = delete;
  ~MaskedVectors();

  // Copies words [first, first + out.size()) of what `site` sent.
  void read(std::uint32_t site, std::uint64_t first, std::span<std::uint32_t> out) const;

  // What the sum must be when the masks are gone.
  static std::uint32_t expected(std::uint32_t sites, std::uint64_t word) {
    return sites * static_cast<std::uint32_t>(word * 2654435761U) + 1;
  }

 private:
  std::uint32_t sites_;
  int random_file_ = -1;
  int last_file_ = -1;
};

// The sum of all vectors as they arrive chunk by chunk on `threads` threads, each chunk hashed and a signature checked.
struct Intake {
  std::vector<std::uint32_t> sum;
  std::uint64_t hash_check = 0;  // keeps the hashes from being optimised away
};
Intake take_in(const MaskedVectors& vectors, std::uint32_t sites, std::uint32_t words, std::uint32_t threads);

}  // namespace fovea::bench
