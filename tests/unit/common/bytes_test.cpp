#include "common/bytes.h"

#include <gtest/gtest.h>

#include <utility>

namespace fovea {
namespace {

TEST(Base64, MatchesRfc4648Vectors) {
  const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(to_base64(as_bytes(plain)), encoded);
    const auto decoded = from_base64(encoded);
    ASSERT_TRUE(decoded.has_value()) << encoded;
    EXPECT_EQ(as_text(*decoded), plain);
  }
}

TEST(Base64, RefusesWhatIsNotCanonical) {
  for (std::string_view bad : {"Zg", "Zg=", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "Zm 9", "Zm9v\n"})
    EXPECT_FALSE(from_base64(bad).has_value()) << bad;
}

TEST(Hex, RoundTripsAndRefusesWhatIsNotCanonical) {
  const Bytes bytes{0x00, 0x7f, 0xff};
  EXPECT_EQ(to_hex(bytes), "007fff");
  EXPECT_EQ(*from_hex("007fff"), bytes);
  for (std::string_view upper : {"007FFF", "007fFf", "0A"}) EXPECT_FALSE(from_hex(upper).has_value()) << upper;
  EXPECT_FALSE(from_hex("0").has_value());
  EXPECT_FALSE(from_hex("0g").has_value());
}

TEST(ToArray, NamesTheFieldOnAWrongLength) {
  const Bytes bytes(31);
  const auto result = to_array<32>(bytes, "public key");
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().message, "public key: expected 32 bytes, found 31");
}

}  // namespace
}  // namespace fovea
