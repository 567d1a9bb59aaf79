// The linear hash, frozen: a change breaks every site that runs another version. Computed once outside this code base
// (the openssl command line and Python's integers, each transform by its definition) from docs/linear-hash.md.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "crypto/hash.h"
#include "crypto/linear_hash.h"
#include "tests/support/hex.h"

namespace fovea::crypto {
namespace {

constexpr std::string_view kCountingKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

// Word i is 2654435761 * (i + 1) modulo 2^32, its carry 0 or i * i modulo 1000.
std::string digest_of_tag(LinearPath path, std::size_t words, bool carries) {
  std::vector<std::uint32_t> low(words);
  std::vector<std::uint16_t> high(words);
  for (std::size_t i = 0; i < words; ++i) {
    low[i] = static_cast<std::uint32_t>(2654435761U * (i + 1));
    high[i] = static_cast<std::uint16_t>(carries ? i * i % 1000 : 0);
  }
  LinearHash hash(test::hex_array(kCountingKey), words, path);
  hash.add(low, high);
  return to_hex(sha256(hash.finish()));
}

TEST(FrozenLinearHash, KeyAndWordsToTag) {
  for (const LinearPath path : linear_paths_available()) {
    SCOPED_TRACE(linear_path_name(path));
    EXPECT_EQ(digest_of_tag(path, 1, false), "d7073d403cc0b300b9c827c0d8b06a2b41c965e744644140e3d6566aacc7bbf3");
    EXPECT_EQ(digest_of_tag(path, 1000, false), "6c66b08f27179f7527e3e6066fea76b0ac92014b7f33edf0e49e0d33dc18b442");
    EXPECT_EQ(digest_of_tag(path, 9192, true), "169d9c775fb109c4864a048de41c58e9a3eeb03c811c84aea4573b8308ab4afe");
  }
}

}  // namespace
}  // namespace fovea::crypto
