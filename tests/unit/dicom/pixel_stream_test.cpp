// Compressed pixels, followed to their end: streams made here code by code, whole and cut short.
#include "node/intake/dicom/pixel_stream.h"

#include <gtest/gtest.h>

#include <string>

namespace fovea::node {
namespace {

using intake::check_pixel_stream;
using intake::PixelCoding;

void append(Bytes& out, std::initializer_list<int> bytes) {
  for (const int byte : bytes) out.push_back(static_cast<std::uint8_t>(byte));
}

// A JPEG of 24 columns and 16 rows. Both tables have one code, "0", that says no bits follow: `units` zero bits are as
// many samples of a lossless picture; a block of a baseline one takes two.
Bytes jpeg(int start_of_frame, std::size_t bits, unsigned restart_interval = 0) {
  Bytes out;
  append(out, {0xff, 0xd8, 0xff, start_of_frame, 0, 11, 8, 0, 16, 0, 24, 1, 1, 0x11, 0});
  for (const int table : {0x00, 0x10}) {
    append(out, {0xff, 0xc4, 0, 20, table, 1});
    out.resize(out.size() + 15);
    append(out, {0});
  }
  if (restart_interval > 0) append(out, {0xff, 0xdd, 0, 4, 0, static_cast<int>(restart_interval)});
  append(out, {0xff, 0xda, 0, 8, 1, 1, 0x00, 1, 0, 0});
  out.resize(out.size() + bits / 8);
  append(out, {0xff, 0xd9});
  return out;
}

std::string why(ByteView stream, PixelCoding coding, const intake::FramePixels& frame = {16, 24, 1}) {
  const Result<void> checked = check_pixel_stream(stream, coding, frame);
  return checked ? "whole" : checked.error().message;
}

TEST(PixelStream, EverySampleOfALosslessJpegMustBeThere) {
  EXPECT_EQ(why(jpeg(0xc3, 16 * 24), PixelCoding::jpeg), "whole");
  for (std::size_t bits = 0; bits < 16 * 24; bits += 8)
    EXPECT_EQ(why(jpeg(0xc3, bits), PixelCoding::jpeg),
              "pixels: " + std::to_string(bits) +
                  " of the 384 pixels that the header asks for (cut off, or still being copied; copy the file again)");
}

TEST(PixelStream, EveryBlockOfABaselineOrExtendedJpegMustBeThere) {
  for (const int kind : {0xc0, 0xc1}) {
    EXPECT_EQ(why(jpeg(kind, 16), PixelCoding::jpeg), "whole");  // six blocks of two codes, and padding
    EXPECT_NE(why(jpeg(kind, 8), PixelCoding::jpeg).find("256 of the 384 pixels"), std::string::npos);
  }
}

TEST(PixelStream, ARestartMarkerIsNoEnd) {
  Bytes whole = jpeg(0xc3, 0, 192);
  whole.resize(whole.size() - 2);
  whole.resize(whole.size() + 24);
  append(whole, {0xff, 0xd0});
  whole.resize(whole.size() + 24);
  append(whole, {0xff, 0xd9});
  EXPECT_EQ(why(whole, PixelCoding::jpeg), "whole");
  EXPECT_NE(why(jpeg(0xc3, 192, 192), PixelCoding::jpeg).find("192 of the 384"), std::string::npos);
}

TEST(PixelStream, AJpegOfAnotherSizeIsRefused) {
  EXPECT_NE(why(jpeg(0xc3, 16 * 24), PixelCoding::jpeg, {24, 24, 1}).find("24×16"), std::string::npos);
}

TEST(PixelStream, StreamsWithAnEndMarkerMustReachIt) {
  Bytes whole = jpeg(0xc3, 16 * 24);
  for (const PixelCoding coding : {PixelCoding::jpeg, PixelCoding::jpeg_ls, PixelCoding::jpeg_2000}) {
    EXPECT_EQ(why(whole, coding), "whole");
    const ByteView cut = ByteView(whole).first(whole.size() - 1);
    EXPECT_NE(why(cut, coding).find("has no end (cut off"), std::string::npos);
    EXPECT_NE(why({}, coding).find("has no end"), std::string::npos);
  }
  append(whole, {0, 0});  // padding
  EXPECT_EQ(why(whole, PixelCoding::jpeg_2000), "whole");
}

// One segment: 100 copies of a byte, then three as they are.
Bytes run_length() {
  Bytes out(64);
  out[0] = 1, out[4] = 64;
  append(out, {257 - 100, 7, 2, 1, 2, 3});
  return out;
}

TEST(PixelStream, EveryRunOfARunLengthSegmentMustBeThere) {
  const Bytes whole = run_length();
  EXPECT_EQ(why(whole, PixelCoding::run_length, {1, 103, 1}), "whole");
  EXPECT_NE(why(whole, PixelCoding::run_length, {1, 104, 1}).find("103 of the 104 pixels"), std::string::npos);
  EXPECT_NE(why(ByteView(whole).first(69), PixelCoding::run_length, {1, 103, 1}).find("102 of the 103"),
            std::string::npos);
  EXPECT_NE(why(whole, PixelCoding::run_length, {1, 103, 2}).find("1 of the 2 segments"), std::string::npos);
  EXPECT_NE(why(ByteView(whole).first(40), PixelCoding::run_length, {1, 103, 1}).find("has no end"), std::string::npos);
}

TEST(PixelStream, AFragmentThatBeginsAFrameIsTold) {
  EXPECT_TRUE(intake::begins_a_frame(Bytes{0xff, 0xd8, 0xff, 0xc3}));
  EXPECT_TRUE(intake::begins_a_frame(Bytes{0xff, 0x4f, 0xff, 0x51}));
  EXPECT_FALSE(intake::begins_a_frame(Bytes{0xff, 0xd9}));
}

}  // namespace
}  // namespace fovea::node
