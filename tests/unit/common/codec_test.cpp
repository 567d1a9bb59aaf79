#include "common/codec.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/ids.h"

namespace fovea {
namespace {

TEST(Codec, RoundTripsEveryFieldType) {
  ByteWriter writer;
  writer.u8(1);
  writer.u16(0x0203);
  writer.u32(0x04050607);
  writer.u64(0x08090a0b0c0d0e0f);
  writer.sized("abc");
  ByteReader reader(writer.bytes());
  EXPECT_EQ(*reader.u8("a"), 1);
  EXPECT_EQ(*reader.u16("b"), 0x0203);
  EXPECT_EQ(*reader.u32("c"), 0x04050607U);
  EXPECT_EQ(*reader.u64("d"), 0x08090a0b0c0d0e0fU);
  EXPECT_EQ(*reader.text("e", 3), "abc");
  EXPECT_TRUE(reader.finish("message").has_value());
}

TEST(Codec, IsLittleEndianOnTheWire) {
  ByteWriter writer;
  writer.u32(1);
  EXPECT_EQ(to_hex(writer.bytes()), "01000000");
}

TEST(Codec, FloatsKeepEveryBit) {
  // Signalling and quiet NaN with a payload, -0, the smallest subnormal, infinity, the largest number.
  for (const std::uint32_t bits : {0x7fa12345U, 0xffc54321U, 0x80000000U, 1U, 0x7f800000U, 0x7f7fffffU}) {
    ByteWriter writer;
    writer.f32(std::bit_cast<float>(bits));
    ByteReader reader(writer.bytes());
    EXPECT_EQ(std::bit_cast<std::uint32_t>(*reader.f32("a")), bits);
    EXPECT_EQ(*ByteReader(writer.bytes()).u32("a"), bits) << "little-endian as the integers";
    EXPECT_TRUE(reader.finish("message").has_value());
  }
  for (const std::uint64_t bits : {0x7ff4000012345678U, 0xfff8000087654321U, 0x8000000000000000U, std::uint64_t{1},
                                   0x7ff0000000000000U, 0x7fefffffffffffffU}) {
    ByteWriter writer;
    writer.f64(std::bit_cast<double>(bits));
    ByteReader reader(writer.bytes());
    EXPECT_EQ(std::bit_cast<std::uint64_t>(*reader.f64("a")), bits);
    EXPECT_EQ(*ByteReader(writer.bytes()).u64("a"), bits) << "little-endian as the integers";
    EXPECT_TRUE(reader.finish("message").has_value());
  }
}

TEST(Codec, RefusesATruncatedFloatAndNamesIt) {
  const Bytes bytes(8);
  for (std::size_t size = 0; size < 4; ++size)
    EXPECT_EQ(ByteReader(ByteView(bytes).first(size)).f32("spacing").error().message,
              "spacing: needs 4 bytes, " + std::to_string(size) + " are left");
  for (std::size_t size = 0; size < 8; ++size)
    EXPECT_EQ(ByteReader(ByteView(bytes).first(size)).f64("scale").error().message,
              "scale: needs 8 bytes, " + std::to_string(size) + " are left");
}

TEST(Codec, RefusesTruncationAtEveryLength) {
  ByteWriter writer;
  writer.u64(7);
  writer.sized("abcdef");
  const Bytes whole = writer.bytes();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    ByteReader reader(ByteView(whole).first(size));
    const bool read_all = reader.u64("a").has_value() && reader.text("b", 16).has_value();
    EXPECT_FALSE(read_all) << size;
  }
}

TEST(Codec, RefusesALengthPrefixAboveTheLimitBeforeReading) {
  ByteWriter writer;
  writer.u32(0xffffffff);
  ByteReader reader(writer.bytes());
  const auto result = reader.sized("share", 64);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().message, "share: length 4294967295 is above the limit of 64");
}

TEST(Codec, RefusesBytesLeftOver) {
  const Bytes bytes(1);
  EXPECT_FALSE(ByteReader(bytes).finish("message").has_value());
}

TEST(SiteId, AcceptsNamesAndRefusesPathsAndSpaces) {
  EXPECT_TRUE(SiteId::create("st-anna").has_value());
  EXPECT_FALSE(SiteId::create("coordinator").has_value()) << "its log key would sign the coordinator's ledger";
  for (std::string_view bad : {"", "../a", "A", "st anna", "1st", "-a", "abcdefghijabcdefghijabcdefghijabcdefghij1"})
    EXPECT_FALSE(SiteId::create(bad).has_value()) << bad;
}

}  // namespace
}  // namespace fovea
