// How far the elements of a DICOM file reach: whole files are whole in every encoding, and a cut is seen wherever it
// falls within an element.
#include "node/intake/dicom/dicom_extent.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/dicom_files.h"

namespace fovea::node {
namespace {

using intake::dicom_extent;

constexpr const char* kCtClass = "1.2.840.10008.5.1.4.1.1.2";

void append(Bytes& out, std::initializer_list<int> bytes) {
  for (const int byte : bytes) out.push_back(static_cast<std::uint8_t>(byte));
}

// Without the last element, which is the pixels.
Bytes header_alone() {
  DicomBytes slice = ct_slice(0, 50);
  slice.erase({0x7fe0, 0x0010});
  return slice.file();
}

Bytes first(const Bytes& file, std::size_t size) {
  return {file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size)};
}

TEST(DicomExtent, AWholeFileIsWholeAndSaysWhichSeriesItBelongsTo) {
  const intake::DicomExtent whole = dicom_extent(ct_slice(0, 50).file());
  EXPECT_EQ(whole.cut, "");
  EXPECT_TRUE(whole.has_preamble);
  EXPECT_EQ(whole.series, "1.2.3.4.5");
  EXPECT_EQ(whole.sop_class, kCtClass);
  EXPECT_EQ(dicom_extent(header_alone()).cut, "");
}

TEST(DicomExtent, EveryCutWithinThePixelsIsSeenWithWhatIsThere) {
  const Bytes file = ct_slice(0, 50).file();
  const std::size_t header = header_alone().size();
  for (std::size_t size = header + 2; size < file.size(); ++size)
    EXPECT_NE(dicom_extent(first(file, size)).cut.find("cut off"), std::string::npos) << size;
  EXPECT_EQ(
      dicom_extent(first(file, file.size() - 20)).cut,
      "pixels: 40 of the 60 bytes that the header asks for (cut off, or still being copied; copy the file again)");
}

TEST(DicomExtent, ACutWithinTheHeaderIsSeenButBetweenTwoElements) {
  const Bytes file = header_alone();
  std::size_t unseen = 0;
  for (std::size_t size = 140; size < file.size(); ++size)
    unseen += dicom_extent(first(file, size)).cut.empty() ? 1u : 0u;
  EXPECT_LE(unseen, 2u * 20u);  // behind one of its elements, or one byte further
  EXPECT_EQ(dicom_extent(first(file, file.size() - 3)).series, "1.2.3.4.5");
  EXPECT_EQ(dicom_extent(first(file, 180)).series, "");
}

TEST(DicomExtent, PaddingBehindAWholeFileIsNoCut) {
  Bytes file = ct_slice(0, 50).file();
  file.resize(file.size() + 1000);
  EXPECT_EQ(dicom_extent(file).cut, "");
  EXPECT_FALSE(dicom_extent(file).is_blank);
  EXPECT_TRUE(dicom_extent(Bytes(4096)).is_blank);
}

TEST(DicomExtent, AFileWithoutAPreambleIsFollowedInImplicitEncodingToo) {
  Bytes file;
  append(file, {0x08, 0, 0x16, 0, 4, 0, 0, 0, '1', '.', '2', 0});
  append(file, {0x20, 0, 0x0e, 0, 4, 0, 0, 0, '3', '.', '4', 0});
  append(file, {0xe0, 0x7f, 0x10, 0, 6, 0, 0, 0, 1, 2, 3, 4, 5, 6});
  const intake::DicomExtent whole = dicom_extent(file);
  EXPECT_EQ(whole.cut, "");
  EXPECT_FALSE(whole.has_preamble);
  EXPECT_EQ(whole.series, "3.4");
  for (const std::size_t missing : {1u, 5u})
    EXPECT_NE(dicom_extent(first(file, file.size() - missing)).cut, "") << missing;
}

// Two items of undefined length, one within the other, and a delimiter for each.
Bytes nested_file() {
  Bytes file = header_alone();
  append(file, {0x00, 0x52, 0x30, 0x92, 'S', 'Q', 0, 0, 0xff, 0xff, 0xff, 0xff});
  append(file, {0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff});
  append(file, {0x20, 0, 0x32, 0, 'D', 'S', 4, 0, '1', '\\', '2', ' '});
  append(file, {0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0});
  append(file, {0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0});
  return file;
}

TEST(DicomExtent, SequencesOfUndefinedLengthMustEnd) {
  const Bytes file = nested_file();
  EXPECT_EQ(dicom_extent(file).cut, "");
  const std::size_t begin = header_alone().size();
  for (std::size_t size = begin + 12; size < file.size(); ++size)
    EXPECT_NE(dicom_extent(first(file, size)).cut, "") << size;
}

TEST(DicomExtent, CompressedPixelsMustEndWithTheirDelimiter) {
  Bytes file = header_alone();
  append(file, {0xe0, 0x7f, 0x10, 0, 'O', 'B', 0, 0, 0xff, 0xff, 0xff, 0xff});
  append(file, {0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0});
  append(file, {0xfe, 0xff, 0x00, 0xe0, 4, 0, 0, 0, 0xff, 0xd8, 0xff, 0xd9});
  const std::size_t fragments = file.size();
  append(file, {0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0});
  EXPECT_EQ(dicom_extent(file).cut, "");
  EXPECT_NE(dicom_extent(first(file, fragments)).cut.find("pixels"), std::string::npos);
  EXPECT_NE(dicom_extent(first(file, fragments - 2)).cut.find("2 of the 4 bytes"), std::string::npos);
}

TEST(DicomExtent, WhatCannotBeFollowedIsNotCalledCut) {
  EXPECT_EQ(dicom_extent(Bytes{}).cut, "");
  Bytes odd = ct_slice(0, 50).file();
  odd[odd.size() - 60 - 8] = '?';  // the pixels' VR
  EXPECT_EQ(dicom_extent(odd).cut, "");
}

TEST(DicomExtent, ADeflatedFileSaysWhereItsStreamBegins) {
  const intake::DicomExtent packed = dicom_extent(ct_slice(0, 50).file("1.2.840.10008.1.2.1.99"));
  EXPECT_EQ(packed.deflated_from, 132u + 12u + 8u + 22u);
  EXPECT_EQ(intake::dicom_extent_of_inflated(ct_slice(0, 50).elements()).series, "1.2.3.4.5");
}

}  // namespace
}  // namespace fovea::node
