// Failure class: two texts for one value, which would give one ledger entry two hashes.
#include "common/canonical_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crypto/random_source.h"
#include "tests/support/hex.h"

namespace fovea {
namespace {

using nlohmann::json;

TEST(CanonicalJson, WritesTheParseAndSortExampleOfRfc8785) {
  // Section 3.2.2 and 3.2.4, without its floating-point numbers, which entries may not hold.
  const json value =
      json::parse(R"({"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]})");
  EXPECT_EQ(canonical_json(value).value(),
            "{\"literals\":[null,true,false],\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
}

TEST(CanonicalJson, EscapesControlCharactersAsTheStandardSays) {
  // Section 3.2.2.2: the five short forms, lower-case hex for the rest; DEL and above as they are.
  const json value = std::string("\b\t\n\f\r\x01\x1f\x7f", 8);
  EXPECT_EQ(canonical_json(value).value(), "\"\\b\\t\\n\\f\\r\\u0001\\u001f\x7f\"");
}

TEST(CanonicalJson, SortsKeysAndWritesIntegersAsEcmaScriptDoes) {
  const json value = {
      {"b", 1}, {"a", -7}, {"", 0}, {"B", kCanonicalIntegerMax}, {"10", -kCanonicalIntegerMax}, {"9", json::array()}};
  EXPECT_EQ(canonical_json(value).value(), R"({"":0,"10":-9007199254740991,"9":[],"B":9007199254740991,"a":-7,"b":1})");
}

TEST(CanonicalJson, RefusesWhatOtherImplementationsMightWriteDifferently) {
  EXPECT_FALSE(canonical_json(json(1.5)));
  EXPECT_FALSE(canonical_json(json(1.0)));
  EXPECT_FALSE(canonical_json(json(kCanonicalIntegerMax + 1)));
  EXPECT_FALSE(canonical_json(json(-kCanonicalIntegerMax - 1)));
  EXPECT_FALSE(canonical_json(json(std::uint64_t{1} << 63U)));
  EXPECT_FALSE(canonical_json(json{{"\xc3\xa9", 1}}));
  EXPECT_FALSE(canonical_json(json{{"a\"b", 1}}));
  EXPECT_FALSE(canonical_json(json{{"a\nb", 1}}));
  EXPECT_FALSE(canonical_json(json("\xff")));
  json deep = 1;
  for (int i = 0; i < 32; ++i) deep = json::array({deep});
  EXPECT_FALSE(canonical_json(deep));
}

TEST(CanonicalJson, ReadsItsOwnTextAndNoOther) {
  const std::string text = R"({"a":[1,true,null,"x"],"b":{}})";
  EXPECT_EQ(canonical_json(parse_canonical_json(text, "entry").value()).value(), text);
  for (const char* other : {R"({"b":{},"a":[1,true,null,"x"]})", R"({"a": 1})", R"({"a":1,"a":1})", R"({"a":-0})",
                            R"({"a":1.0})", R"({"a":1e2})", R"({"a":01})", R"({"a":"\u0041"})", R"({"a":"\/"})",
                            "{\"a\":1}\n", "", "{", "[1,]", R"({"a":"\ud800"})", "{\"a\":\"\xff\"}"}) {
    const auto refused = parse_canonical_json(other, "entry");
    ASSERT_FALSE(refused) << other;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(refused.error().message.rfind("entry", 0), 0U) << refused.error().message;
  }
}

// The quick reader of the form against the definition: a text is canonical when writing its value gives it back.
TEST(CanonicalJson, AgreesWithTheDefinitionOnRandomTexts) {
  constexpr std::uint64_t kSeed = 20'261'122;
  constexpr std::string_view kPieces[] = {"{",
                                          "}",
                                          "[",
                                          "]",
                                          ":",
                                          ",",
                                          "\"",
                                          "\\",
                                          " ",
                                          "\n",
                                          "-0",
                                          "-",
                                          "0",
                                          "1",
                                          "12",
                                          "1.5",
                                          "1e2",
                                          "true",
                                          "null",
                                          "\"a\"",
                                          "\"b\"",
                                          "\"aa\"",
                                          "\"\"",
                                          "\"a\":1",
                                          "\"b\":2",
                                          "\\u0001",
                                          "\\u000a",
                                          "\\u001f",
                                          "\\u001F",
                                          "\\u0041",
                                          "\\n",
                                          "\\/",
                                          "\\b",
                                          "\x01",
                                          "\xc3\xa9",
                                          "\xff",
                                          "9007199254740991",
                                          "9007199254740992"};
  const crypto::SecretKey seed = test::numbered_key(kSeed);
  crypto::SeededRandom random(seed);
  const auto draw = [&random](std::size_t bound) {
    std::array<std::uint8_t, 4> bytes{};
    random.fill(bytes);
    return (std::size_t{bytes[0]} | std::size_t{bytes[1]} << 8U | std::size_t{bytes[2]} << 16U) % bound;
  };
  std::size_t accepted = 0;
  const std::vector<std::string> starts = {R"({"a":[1,true,null,"x"],"b":{}})", R"(["\u0001\n",-5,"\\"])",
                                           R"({"a":{"a":1,"b":2},"b":{"a":1}})", "1", "\"a\""};
  for (int trial = 0; trial < 200'000; ++trial) {
    std::string text = starts[draw(starts.size())];
    for (std::size_t edits = draw(4); edits > 0; --edits) {
      const std::size_t at = draw(text.size() + 1);
      const std::string_view piece = kPieces[draw(std::size(kPieces))];
      text.replace(at, draw(3), draw(3) == 0 ? std::string_view() : piece);
    }
    const json value = json::parse(text, nullptr, false);
    const auto written = value.is_discarded() ? Result<std::string>(invalid_argument("")) : canonical_json(value);
    const bool canonical = written && *written == text;
    ASSERT_EQ(parse_canonical_json(text, "entry").has_value(), canonical)
        << "seed " << kSeed << " trial " << trial << ": " << text;
    accepted += canonical ? 1U : 0U;
  }
  EXPECT_GT(accepted, 10'000U);
}

TEST(CanonicalJson, RefusesDepthBeforeBuildingIt) {
  EXPECT_TRUE(parse_canonical_json(std::string(32, '[') + std::string(32, ']'), "entry"));
  const std::string deep = std::string(60'000, '[');
  const auto refused = parse_canonical_json(deep, "entry");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("32 levels"), std::string::npos);
  EXPECT_TRUE(parse_canonical_json("\"" + std::string(100, '[') + "\"", "entry"));
}

}  // namespace
}  // namespace fovea
