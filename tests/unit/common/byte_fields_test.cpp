// One list of fields for both directions: the bytes of each kind of field, and how the reader fails.
#include "common/byte_fields.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/codec.h"
#include "common/result.h"

namespace fovea {

enum class Colour : std::uint16_t { red = 3 };
Result<Colour> colour(std::uint16_t number) {
  if (number != 3) return invalid_argument("colour: unknown number " + std::to_string(number));
  return Colour::red;
}

struct Point {
  std::uint16_t x = 0;
  std::array<std::uint8_t, 2> tag{};
  bool operator==(const Point&) const = default;
};
template <class Fields>
void fields(Fields& f, FieldsOf<Fields, Point> point) {
  f.u16("x", point.x);
  f.array("tag", point.tag);
}

struct Inner {
  std::uint8_t level = 0;
  bool operator==(const Inner&) const = default;
  Bytes encode() const;
  static Result<Inner> decode(ByteView bytes);
};
template <class Fields>
void fields(Fields& f, FieldsOf<Fields, Inner> inner) {
  f.u8("inner.level", inner.level);
  f.require(inner.level < 9, "inner.level", "below 9");
}
Bytes Inner::encode() const { return encode_fields(*this); }
Result<Inner> Inner::decode(ByteView bytes) { return decode_fields<Inner>(bytes, "inner"); }

struct Record {
  bool flag = false;
  Colour colour = Colour::red;
  double scale = 0;
  std::string name;
  Bytes blob;
  Point point;
  Inner inner;
  std::vector<std::uint32_t> numbers;
  std::optional<std::uint64_t> last{};
  bool operator==(const Record&) const = default;
};
template <class Fields>
void fields(Fields& f, FieldsOf<Fields, Record> record) {
  f.boolean("record.flag", record.flag);
  f.u16_enum("record.colour", record.colour, colour);
  f.f64("record.scale", record.scale);
  f.text("record.name", record.name, 8);
  f.bytes("record.blob", record.blob, 4);
  f.group("record.point", record.point);
  f.nested("record.inner", record.inner, 16);
  f.list("record.numbers", record.numbers, {3, "numbers"}, [](Fields& g, auto& number, const std::uint32_t* previous) {
    g.u32("record.number", number);
    g.require(previous == nullptr || number > *previous, "record.number", "must ascend");
  });
  if (f.present(record.last, f.left() > 0)) f.u64("record.last", *record.last);
}

namespace {

const Record kRecord{.flag = true,
                     .colour = Colour::red,
                     .scale = -0.5,
                     .name = "abc",
                     .blob = {1, 2},
                     .point = {.x = 7, .tag = {8, 9}},
                     .inner = {.level = 4},
                     .numbers = {1, 5},
                     .last = 6};

std::string error_of(const Bytes& bytes) {
  const auto decoded = decode_fields<Record>(bytes, "record");
  return decoded ? "none" : decoded.error().message;
}

TEST(ByteFields, ARecordComesBackAsItWas) {
  const Bytes bytes = encode_fields(kRecord);
  EXPECT_EQ(to_hex(bytes),
            "01"
            "0300"
            "000000000000e0bf"
            "03000000616263"
            "020000000102"
            "07000809"
            "0100000004"
            "02000000"
            "0100000005000000"
            "0600000000000000");
  EXPECT_EQ(decode_fields<Record>(bytes, "record").value(), kRecord);
  Record without = kRecord;
  without.last.reset();
  EXPECT_EQ(decode_fields<Record>(encode_fields(without), "record").value(), without);
}

TEST(ByteFields, EveryTruncationIsRefusedWithTheNameOfItsField) {
  const Bytes bytes = encode_fields(kRecord);
  const std::size_t without_last = bytes.size() - 8;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::string error = error_of(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)));
    if (size == without_last) EXPECT_EQ(error, "none");
    else EXPECT_EQ(error.substr(0, 7), "record.") << size << ": " << error;
  }
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_EQ(error_of(longer), "record: 1 bytes are left over");
}

TEST(ByteFields, AnErrorNamesTheFieldAndItsRule) {
  const Bytes bytes = encode_fields(kRecord);
  const auto changed = [&](std::size_t at, std::uint8_t value) {
    Bytes out = bytes;
    out.at(at) = value;
    return error_of(out);
  };
  EXPECT_EQ(changed(0, 2), "record.flag: expected 0 or 1");
  EXPECT_EQ(changed(1, 4), "colour: unknown number 4");
  EXPECT_EQ(changed(11, 9), "record.name: length 9 is above the limit of 8");
  EXPECT_EQ(changed(32, 9), "inner.level: below 9");
  EXPECT_EQ(changed(33, 4), "record.numbers: 4 numbers, at most 3");
  EXPECT_EQ(changed(41, 1), "record.number: must ascend");
}

TEST(ByteFields, FieldsOfAGroupCarryItsPrefix) {
  const Bytes bytes = encode_fields(kRecord);
  EXPECT_EQ(error_of(Bytes(bytes.begin(), bytes.begin() + 25)), "record.point.x: needs 2 bytes, 1 are left");
  EXPECT_EQ(error_of(Bytes(bytes.begin(), bytes.begin() + 27)), "record.point.tag: needs 2 bytes, 1 are left");
}

// The first error stands: what is read after it would be read from the wrong place.
TEST(ByteFields, NothingIsReadOrAskedForAfterTheFirstError) {
  const Bytes bytes{1, 2, 3};
  ByteReader in(bytes);
  FieldReader reader(in);
  std::uint32_t word = 7;
  reader.u32("first", word);
  std::uint8_t byte = 9;
  reader.u8("second", byte);
  reader.require(false, "third", "never asked for");
  std::optional<int> part;
  EXPECT_FALSE(reader.present(part, true));
  EXPECT_EQ(word, 7U);
  EXPECT_EQ(byte, 9);
  EXPECT_EQ(reader.left(), 0U);
  EXPECT_EQ(reader.status().error().message, "first: needs 4 bytes, 3 are left");
  EXPECT_EQ(reader.finish("record").error().message, "first: needs 4 bytes, 3 are left");
}

// A peer's count must not decide how much memory is taken.
TEST(ByteFields, ACountAboveTheBoundAllocatesNothing) {
  ByteWriter writer;
  writer.u32(0xffffffff);
  ByteReader in(writer.bytes());
  FieldReader reader(in);
  std::vector<std::uint8_t> items;
  reader.list("items", items, {1024}, [](FieldReader& f, std::uint8_t& item, auto*) { f.u8("item", item); });
  EXPECT_TRUE(items.empty());
  EXPECT_EQ(reader.status().error().message, "items: 4294967295 entries, at most 1024");
}

}  // namespace
}  // namespace fovea
