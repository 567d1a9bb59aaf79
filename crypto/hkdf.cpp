#include "crypto/hkdf.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/check.h"
#include "common/result.h"
#include "crypto/hash.h"

namespace fovea::crypto {

namespace {

constexpr std::size_t kBlock = 32;
constexpr std::size_t kLengthMax = 255 * kBlock;
constexpr std::size_t kInfoMax = 1U << 20;

// RFC 5869 section 2.3: T(n) = HMAC(PRK, T(n-1) | info | n).
void expand(const SecretKey& pseudorandom_key, ByteView info, std::span<std::uint8_t> out) {
  FOVEA_CHECK(info.size() <= kInfoMax);
  SecretBytes input(kBlock + info.size() + 1);
  std::copy(info.begin(), info.end(), input.span().begin() + kBlock);
  std::uint8_t counter = 0;
  for (std::size_t done = 0; done < out.size(); done += kBlock) {
    input.span().back() = ++counter;
    const SecretKey block = hmac_sha256(pseudorandom_key.view(), input.view().subspan(counter == 1 ? kBlock : 0));
    const ByteView view = block.view();
    std::copy(view.begin(), view.end(), input.span().begin());
    std::copy_n(view.begin(), std::min(kBlock, out.size() - done), out.begin() + static_cast<std::ptrdiff_t>(done));
  }
}

}  // namespace

SecretKey hkdf_sha256(const HkdfInput& input) {
  SecretKey out;
  expand(hmac_sha256(input.salt, input.secret), input.info, out.span());
  return out;
}

Result<SecretBytes> hkdf_sha256(const HkdfInput& input, std::size_t length) {
  if (length < 1 || length > kLengthMax)
    return invalid_argument("hkdf length: expected 1–" + std::to_string(kLengthMax) + ", found " +
                            std::to_string(length));
  SecretBytes out(length);
  expand(hmac_sha256(input.salt, input.secret), input.info, out.span());
  return out;
}

}  // namespace fovea::crypto
