// Failure class: JSON that a strict reader must not take.
#include "common/json_fields.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fovea {
namespace {

Result<nlohmann::json> parse(std::string_view text) { return parse_json(as_bytes(text), "test", 100'000); }
std::string refusal(std::string_view text) {
  const auto value = parse(text);
  return value ? "accepted" : value.error().message;
}

TEST(ParseJson, AcceptsOrdinaryDocuments) {
  EXPECT_TRUE(parse(R"({"a":[1,2,{"b":null}],"c":"ü"})"));
  EXPECT_TRUE(parse(std::string(kJsonDepthMax, '[') + std::string(kJsonDepthMax, ']')));
}

TEST(ParseJson, RefusesWhatCouldBeReadInTwoWays) {
  EXPECT_NE(refusal(R"({"a":1,"a":2})").find("occurs twice"), std::string::npos);
  EXPECT_NE(refusal(std::string(kJsonDepthMax + 1, '[') + std::string(kJsonDepthMax + 1, ']')).find("levels"),
            std::string::npos);
  EXPECT_NE(refusal("{} {}").find("not JSON at byte"), std::string::npos);
  EXPECT_NE(refusal("{/* */}").find("not JSON"), std::string::npos);
  EXPECT_NE(refusal("[NaN]").find("not JSON"), std::string::npos);
  EXPECT_NE(refusal("[1e999]").find("test: "), std::string::npos);
  EXPECT_NE(refusal("\"\xff\"").find("not JSON"), std::string::npos);
  EXPECT_NE(refusal("").find("not JSON"), std::string::npos);
  EXPECT_FALSE(parse_json(as_bytes("[1,2,3]"), "test", 6));
}

TEST(JsonFields, EveryErrorNamesTheFieldAndItsBounds) {
  const auto value = parse(R"({"n":5,"t":"abc","neg":-1,"f":1.5,"list":[{"x":true}],"hex":"0A"})").value();
  JsonFields fields = JsonFields::open(value, "doc").value();
  EXPECT_EQ(fields.integer("n", 1, 10).value(), 5U);
  EXPECT_EQ(fields.integer("n", 6, 10).error().message, "doc.n: expected an integer 6 to 10, found 5");
  EXPECT_EQ(fields.integer("neg", 0, 10).error().message, "doc.neg: expected an integer 0 to 10, found the integer -1");
  EXPECT_EQ(fields.integer("f", 0, 10).error().message, "doc.f: expected an integer 0 to 10, found the number 1.5");
  EXPECT_EQ(fields.text("t", 4, 9).error().message, "doc.t: expected a text of 4 to 9 bytes, found 3 bytes");
  EXPECT_EQ(fields.text("none", 0, 9).error().message, "doc.none: is missing; add it");
  EXPECT_EQ(fields.choice("t", {"abd", "xyz"}).error().message,
            "doc.t: expected one of \"abd\", \"xyz\"; did you mean \"abd\"?");
  EXPECT_EQ(fields.hex_bytes("hex", 1).error().message,
            "doc.hex: hex text: not one of 0-9 and a-f (lower case) at position 1");
  auto list = fields.objects("list", 1, 2).value();
  EXPECT_TRUE(list[0].boolean("x").value());
  EXPECT_EQ(list[0].text("x", 0, 1).error().message,
            "doc.list[0].x: expected a text of 0 to 1 bytes, found true or false");
}

// A plan of this name would look like another one's in every list.
TEST(JsonFields, ALineHasNoCharacterThatCannotBeSeen) {
  const auto value = parse(
                         "{\"a\":\"\xe2\x80\x8bplan\",\"b\":\"pl\xe2\x80\xa8 an\",\"c\":\"pl\xc2\xad"
                         "an\","
                         "\"d\":\"plan\xef\xbb\xbf\",\"e\":\"pl\xe2\x81\xa0"
                         "an\",\"f\":\"pl\xf3\xa0\x81\xa1"
                         "an\","
                         "\"g\":\"pl\\u0007an\",\"fine\":\"Größe → 1\xe2\x80\xafmm \xf0\x9f\xa7\xa0\"}")
                         .value();
  JsonFields fields = JsonFields::open(value, "plan").value();
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g"}) {
    const auto refused = fields.line(name, 0, 80);
    ASSERT_FALSE(refused) << name;
    EXPECT_NE(refused.error().message.find("invisible characters"), std::string::npos) << refused.error().message;
  }
  EXPECT_TRUE(fields.line("fine", 0, 80));
}

TEST(JsonFields, UnknownFieldsAreNamedWithTheNearest) {
  const auto value = parse(R"({"rounds":1,"ronds":2})").value();
  JsonFields fields = JsonFields::open(value, "plan").value();
  ASSERT_TRUE(fields.integer("rounds", 1, 9));
  EXPECT_EQ(fields.finish().error().message, "plan.ronds: is not a known field; did you mean \"rounds\"?");
}

}  // namespace
}  // namespace fovea
