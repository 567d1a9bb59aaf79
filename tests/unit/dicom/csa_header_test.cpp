// Siemens' private header: what a sound one says, and that every cut of it says nothing or the same.
#include "node/intake/dicom/csa_header.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

namespace fovea::node {
namespace {

void word(Bytes& out, std::uint32_t value) {
  for (unsigned shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

void tag(Bytes& out, std::string_view name, const std::vector<std::string>& items) {
  Bytes padded(name.begin(), name.end());
  padded.resize(64);
  out.insert(out.end(), padded.begin(), padded.end());
  word(out, 1), word(out, 0x5344), word(out, 3);  // multiplicity, "DS", its number
  word(out, static_cast<std::uint32_t>(items.size())), word(out, 77);
  for (const std::string& item : items) {
    const auto size = static_cast<std::uint32_t>(item.size());
    word(out, size), word(out, size), word(out, 77), word(out, size);
    out.insert(out.end(), item.begin(), item.end());
    out.resize(out.size() + (4 - size % 4) % 4);
  }
}

Bytes sound() {
  Bytes out{'S', 'V', '1', '0', 4, 3, 2, 1};
  word(out, 3), word(out, 77);
  tag(out, "EchoLinePosition", {"32", "", ""});
  tag(out, "SliceNormalVector", {"0.00000000 ", "-0.5", "0.8660254"});
  tag(out, "NumberOfImagesInMosaic", {"35"});
  return out;
}

TEST(CsaHeader, NumbersAreFoundByTheNameOfTheirTag) {
  const Bytes header = sound();
  EXPECT_EQ(intake::csa_numbers(header, "SliceNormalVector"), (std::vector<double>{0, -0.5, 0.8660254}));
  EXPECT_EQ(intake::csa_numbers(header, "NumberOfImagesInMosaic"), (std::vector<double>{35}));
  EXPECT_EQ(intake::csa_numbers(header, "EchoLinePosition"), (std::vector<double>{32}));
  EXPECT_TRUE(intake::csa_numbers(header, "SliceNormal").empty());
}

TEST(CsaHeader, HalfANumberIsNone) {
  for (const std::string text : {"0,5", "0x1", "1mm", "nan"}) {
    Bytes out{'S', 'V', '1', '0', 4, 3, 2, 1};
    word(out, 2), word(out, 77);
    tag(out, "SliceNormalVector", {"0", text, "1"});
    tag(out, "NumberOfImagesInMosaic", {"35"});
    EXPECT_TRUE(intake::csa_numbers(out, "SliceNormalVector").empty()) << text;
    EXPECT_EQ(intake::csa_numbers(out, "NumberOfImagesInMosaic"), (std::vector<double>{35})) << text;
  }
}

TEST(CsaHeader, CutsAndHugeCountsGiveNothing) {
  const Bytes header = sound();
  for (std::size_t size = 0; size < header.size(); ++size) {
    const std::vector<double> numbers = intake::csa_numbers(ByteView(header).first(size), "NumberOfImagesInMosaic");
    EXPECT_TRUE(numbers.empty() || numbers == std::vector<double>{35}) << size;
  }
  Bytes many = header;
  many[8] = many[9] = many[10] = many[11] = 0xff;  // tags
  EXPECT_TRUE(intake::csa_numbers(many, "SliceNormalVector").empty());
  many = header;
  many[16 + 64 + 12] = 0xff, many[16 + 64 + 13] = 0xff;  // items of the first tag
  EXPECT_TRUE(intake::csa_numbers(many, "SliceNormalVector").empty());
  many = header;
  for (std::size_t at = 104; at < 108; ++at) many[at] = 0xff;  // bytes of its first item
  EXPECT_TRUE(intake::csa_numbers(many, "SliceNormalVector").empty());
  Bytes other = header;
  other[3] = '9';
  EXPECT_TRUE(intake::csa_numbers(other, "SliceNormalVector").empty());
}

}  // namespace
}  // namespace fovea::node
