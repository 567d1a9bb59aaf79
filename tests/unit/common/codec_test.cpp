#include "common/codec.h"

#include <gtest/gtest.h>

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
  for (std::string_view bad : {"", "../a", "A", "st anna", "1st", "-a", "abcdefghijabcdefghijabcdefghijabcdefghij1"})
    EXPECT_FALSE(SiteId::create(bad).has_value()) << bad;
}

}  // namespace
}  // namespace fovea
