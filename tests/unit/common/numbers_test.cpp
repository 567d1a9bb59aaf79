#include "common/numbers.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fovea {
namespace {

using Limits = std::numeric_limits<float>;

TEST(AllFinite, AcceptsEveryFiniteNumber) {
  EXPECT_TRUE(all_finite({}));
  EXPECT_TRUE(all_finite(std::vector<float>{1, -2, 0, -0.0F, Limits::max(), Limits::lowest(), Limits::denorm_min()}));
}

TEST(AllFinite, FindsOneNonFiniteValueAtAnyPosition) {
  for (const float bad : {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(), -Limits::quiet_NaN()})
    for (std::size_t at = 0; at < 37; ++at) {
      std::vector<float> values(37, 1);
      values[at] = bad;
      EXPECT_FALSE(all_finite(values)) << bad << " at " << at;
    }
}

TEST(Numbers, ADecimalIsReadAsAWhole) {
  const std::vector<std::pair<std::string, double>> sound{{"0", 0},
                                                          {"-0", 0},
                                                          {"007", 7},
                                                          {"+1.5", 1.5},
                                                          {"-1.5", -1.5},
                                                          {".5", 0.5},
                                                          {"5.", 5},
                                                          {"-6.25e-1", -0.625},
                                                          {"3E+2", 300},
                                                          {"1e2", 100},
                                                          {"370000000", 3.7e8},
                                                          {"1.797e308", 1.797e308},
                                                          {"0.0000000001", 1e-10}};
  for (const auto& [text, value] : sound) EXPECT_EQ(read_decimal(text), std::optional<double>(value)) << text;
}

TEST(Numbers, HalfANumberIsNeverReadAndTheFaultIsNamed) {
  const std::vector<std::pair<std::string, std::string>> broken{{"1,5", "decimal comma"},
                                                                {"-1024,5", "decimal comma"},
                                                                {"1.234,5", "decimal comma"},
                                                                {"72,5 kg", "decimal comma"},
                                                                {"154 lb", "unit"},
                                                                {"70kg", "unit"},
                                                                {"1.5 ", "unit"},
                                                                {"1e", "unit"},
                                                                {"1e+", "unit"},
                                                                {"1 2", "unit"},
                                                                {"12-3", "unit"},
                                                                {std::string("7\0", 2), "unit"},
                                                                {"370.000.000", "several points"},
                                                                {"0x10", "hexadecimal"},
                                                                {"0X1p3", "hexadecimal"},
                                                                {"", "empty"},
                                                                {"nan", "not a number"},
                                                                {"-inf", "not a number"},
                                                                {"infinity", "not a number"},
                                                                {".", "not a number"},
                                                                {"-", "not a number"},
                                                                {"e5", "not a number"},
                                                                {" 1", "not a number"},
                                                                {"+-1", "not a number"},
                                                                {"\t1", "not a number"},
                                                                {"1e999", "range"},
                                                                {"-1e999", "range"}};
  for (const auto& [text, fault] : broken) {
    EXPECT_FALSE(read_decimal(text)) << text;
    EXPECT_NE(decimal_fault(text).find(fault), std::string_view::npos) << text << ": " << decimal_fault(text);
  }
}

TEST(Numbers, WholeNumbersHaveNothingBesideTheirDigits) {
  EXPECT_EQ(read_digits("18446744073709551615"), ~std::uint64_t{0});
  EXPECT_EQ(read_whole<std::uint8_t>("255"), std::uint8_t{255});
  EXPECT_EQ(read_whole<int>("0012"), 12);
  EXPECT_EQ(read_integer("-12"), -12);
  EXPECT_EQ(read_integer("+12"), 12);
  EXPECT_EQ(read_integer("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  for (const std::string text : {"", "-1", "+1", "1.0", "1 ", " 1", "0x10", "1e2", "1,0", "18446744073709551616"})
    EXPECT_FALSE(read_digits(text)) << text;
  for (const std::string text : {"", "-", "+-1", "1.0", "1 ", "0x10", "1e2", "12abc", "9223372036854775808"})
    EXPECT_FALSE(read_integer(text)) << text;
  EXPECT_FALSE(read_whole<std::uint8_t>("256"));
  EXPECT_FALSE(read_whole<int>("2147483648"));
}

}  // namespace
}  // namespace fovea
