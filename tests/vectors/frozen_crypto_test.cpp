// Our own formats, frozen: a change of any of these breaks every site that runs another version.
// Computed once outside this code base (the openssl command line and Python's integers) from the definitions in
// crypto/mask_stream.h, crypto/shamir.h and crypto/hash.h.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "crypto/hash.h"
#include "crypto/mask_stream.h"
#include "crypto/random_source.h"
#include "crypto/shamir.h"
#include "tests/support/hex.h"

namespace fovea::crypto {
namespace {

using Words = std::vector<std::uint32_t>;

constexpr std::string_view kCountingKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
constexpr std::string_view kOnesKey = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

Words mask_words(MaskPath path, std::string_view seed, std::uint64_t offset, std::size_t count) {
  std::vector<MaskKey> keys(1);
  keys[0].seed = test::hex_key(seed);
  Words words(count);
  apply_masks_by(path, words, offset, keys);
  return words;
}

TEST(FrozenMask, SeedToWords) {
  for (const MaskPath path : mask_paths_available()) {
    SCOPED_TRACE(mask_path_name(path));
    EXPECT_EQ(mask_words(path, kCountingKey, 0, 8),
              (Words{0xb60090f2, 0xd09f492a, 0x6a9af3a9, 0x80772edd, 0xae765df0, 0xe59fb94a, 0x319bf6a6, 0x3d36c248}));
    EXPECT_EQ(mask_words(path, kCountingKey, 17179869183, 6),
              (Words{0x9e566e8c, 0x3a1a1d64, 0xf6cfbe80, 0x978ff3f0, 0x96cffd64, 0x28f87e36}));
    EXPECT_EQ(mask_words(path, kOnesKey, 1000003, 4), (Words{0x35b8a058, 0xa0390b3d, 0xad3263b9, 0xc81622f3}));
  }
}

TEST(FrozenMask, HashOfAMillionWords) {
  for (const MaskPath path : mask_paths_available()) {
    const Words words = mask_words(path, kCountingKey, 0, 1000000);
    EXPECT_EQ(to_hex(sha256({reinterpret_cast<const std::uint8_t*>(words.data()), 4 * words.size()})),
              "a567e55199fd97f1079984e01c831cbce2f35dcba282b8e69052c75e4a0b8584")
        << mask_path_name(path);
  }
}

// Secret 80 81 … 9f, coefficients from SeededRandom(07 … 07), points 1–5.
constexpr std::string_view kThreeOfFive[] = {
    "01000000063d8dea33600718ebfab8e2b81f4d17cf6ec3a751a15a161d5e933b4d5fd0014c20df71ba39b508",
    "0200000085d5d00f73164916899b769e0c62aa00d55e15889aa748091d8dbd8eb0f7cc0f871a13460723fb05",
    "03000000fc4a4df341a8cb1a4f6ad1dbb38f201c9d5e85316ca5cd184ae6e772b362ff094a8a381a855bd217",
    "040000006c9d0295a0158f054067c99aaea8af09296e13a4c69ae904a36912e855a06710966f4fee33e33a1e",
    "05000000d3ccf0f48e5e93165a925edbfcac5709778dbfdfa9879c0d29173dee97b005036bca57c213ba3419",
};

TEST(FrozenShares, ThreeOfFive) {
  const SecretKey secret = test::hex_key("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  SecretKey seed;
  std::ranges::fill(seed.span(), std::uint8_t{7});
  SeededRandom random(seed);
  const auto shares = split_secret(secret, 3, std::vector<std::uint32_t>{1, 2, 3, 4, 5}, random);
  ASSERT_TRUE(shares.has_value());
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(to_hex((*shares)[i].encode().view()), kThreeOfFive[i]);
}

TEST(FrozenShares, ThreeOfFiveCombineAndOneChangedIsNamed) {
  std::vector<Share> shares;
  for (const std::string_view text : kThreeOfFive) shares.push_back(Share::decode(test::hex(text)).value());
  const std::string secret = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f";
  EXPECT_EQ(to_hex(combine_shares(std::span(shares).subspan(2)).value().view()), secret);

  Bytes changed = test::hex(kThreeOfFive[1]);
  changed[20] ^= 0x10;
  shares[1] = Share::decode(changed).value();
  const auto decoded = decode_shares(shares, 3);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(to_hex(decoded->secret.view()), secret);
  EXPECT_EQ(decoded->bad_points, std::vector<std::uint32_t>{2});
}

TEST(FrozenTaggedHash, LabelAndThreeFields) {
  EXPECT_EQ(to_hex(TaggedHash("FOVEA/1/b").add(Bytes(32)).add_u64(3).add(test::hex(kCountingKey)).finish()),
            "6bdf35ced36a47a7d19ab4b466b5588fcbd28096cde13863b7212cf9930c2909");
}

}  // namespace
}  // namespace fovea::crypto
