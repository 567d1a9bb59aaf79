// Runs what handles secrets with the secrets marked as undefined memory: under valgrind's memcheck any branch on one
// and any address computed from one is an error (Langley's ctgrind). What is public by design is marked defined again
// here, where the reason stands beside it. OpenSSL's own primitives are not checked, nor the AVX-512 path, which
// valgrind cannot run.
#include <valgrind/memcheck.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

#include "common/check.h"
#include "crypto/mask_kernels.h"
#include "crypto/mask_stream.h"
#include "crypto/random_source.h"
#include "crypto/secret_bytes.h"
#include "crypto/shamir.h"

namespace {

using namespace fovea::crypto;

template <class Container>
void hide(Container&& bytes) {
  VALGRIND_MAKE_MEM_UNDEFINED(bytes.data(), bytes.size_bytes());
}

template <class Container>
void reveal(Container&& bytes) {
  VALGRIND_MAKE_MEM_DEFINED(bytes.data(), bytes.size_bytes());
}

void mask_kernel() {
#if FOVEA_MASK_KERNELS_X86
  FOVEA_CHECK(mask::kernel_available(MaskPath::aes_ni));
  std::vector<MaskKey> keys(2);
  keys[1].sign = MaskSign::subtract;
  for (MaskKey& key : keys) hide(key.seed.span());
  std::vector<std::uint32_t> words(1003);
  apply_masks_by(MaskPath::aes_ni, words, 5, keys);
#endif
}

void shamir() {
  SeededRandom random(SecretKey{});
  SecretKey secret = random.secret_key();
  hide(secret.span());
  const std::vector<std::uint32_t> points = {1, 2, 3, 4, 5};
  // The coefficients stay defined: a coefficient that is drawn again is never used, so its value is public.
  std::vector<Share> shares = split_secret(secret, 3, points, random).value();
  std::vector<std::uint32_t> three = {1, 2, 3};
  const SecretCombiner combiner = SecretCombiner::create(three).value();
  // combine() ends by telling whether the limbs are in range. That verdict is public; the suppression names it.
  auto combined = combiner.combine(std::span(shares).first(3));
  FOVEA_CHECK(combined.has_value());
  reveal(combined->span());
  reveal(secret.span());
  FOVEA_CHECK(std::equal(secret.view().begin(), secret.view().end(), combined->view().begin()));
}

// Shows that the check can fail: a branch on a secret.
void branch_on_secret() {
  SecretKey secret;
  hide(secret.span());
  if (secret.view()[0] == 1) std::puts("one");
}

}  // namespace

int main(int argc, char**) {
  if (RUNNING_ON_VALGRIND == 0) {
    std::puts("run under valgrind --error-exitcode=9");
    return 2;
  }
  if (argc > 1) {
    branch_on_secret();
    return 0;
  }
  mask_kernel();
  shamir();
  return 0;
}
