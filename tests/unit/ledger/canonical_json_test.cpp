// Failure class: two texts for one value, which would give one ledger entry two hashes.
#include "common/canonical_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fovea {
namespace {

using nlohmann::json;

TEST(CanonicalJson, WritesTheParseAndSortExampleOfRfc8785) {
  // Section 3.2.2 and 3.2.4, without its floating-point numbers, which entries may not hold.
  const json value = json::parse(R"({"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]})");
  EXPECT_EQ(canonical_json(value).value(),
            "{\"literals\":[null,true,false],\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
}

TEST(CanonicalJson, EscapesControlCharactersAsTheStandardSays) {
  // Section 3.2.2.2: the five short forms, lower-case hex for the rest; DEL and above as they are.
  const json value = std::string("\b\t\n\f\r\x01\x1f\x7f", 8);
  EXPECT_EQ(canonical_json(value).value(), "\"\\b\\t\\n\\f\\r\\u0001\\u001f\x7f\"");
}

TEST(CanonicalJson, SortsKeysAndWritesIntegersAsEcmaScriptDoes) {
  const json value = {{"b", 1}, {"a", -7}, {"", 0}, {"B", kCanonicalIntegerMax}, {"10", -kCanonicalIntegerMax}, {"9", json::array()}};
  EXPECT_EQ(canonical_json(value).value(),
            R"({"":0,"10":-9007199254740991,"9":[],"B":9007199254740991,"a":-7,"b":1})");
}

TEST(CanonicalJson, RefusesWhatOtherImplementationsMightWriteDifferently) {
  EXPECT_FALSE(canonical_json(json(1.5)));
  EXPECT_FALSE(canonical_json(json(1.0)));
  EXPECT_FALSE(canonical_json(json(kCanonicalIntegerMax + 1)));
  EXPECT_FALSE(canonical_json(json(-kCanonicalIntegerMax - 1)));
  EXPECT_FALSE(canonical_json(json(std::uint64_t{1} << 63U)));
  EXPECT_FALSE(canonical_json(json{{"\xc3\xa9", 1}}));
  EXPECT_FALSE(canonical_json(json("\xff")));
  json deep = 1;
  for (int i = 0; i < 32; ++i) deep = json::array({deep});
  EXPECT_FALSE(canonical_json(deep));
}

TEST(CanonicalJson, ReadsItsOwnTextAndNoOther) {
  const std::string text = R"({"a":[1,true,null,"x"],"b":{}})";
  EXPECT_EQ(canonical_json(parse_canonical_json(text, "entry").value()).value(), text);
  for (const char* other : {R"({"b":{},"a":[1,true,null,"x"]})", R"({"a": 1})", R"({"a":1,"a":1})", R"({"a":-0})", R"({"a":1.0})",
                            R"({"a":1e2})", R"({"a":01})", R"({"a":"\u0041"})", R"({"a":"\/"})", "{\"a\":1}\n", "", "{", "[1,]",
                            R"({"a":"\ud800"})", "{\"a\":\"\xff\"}"}) {
    const auto refused = parse_canonical_json(other, "entry");
    ASSERT_FALSE(refused) << other;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(refused.error().message.rfind("entry", 0), 0U) << refused.error().message;
  }
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
