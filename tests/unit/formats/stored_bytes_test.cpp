// Voxels behind a text header, against what it says: plain, packed and written as text, whole and cut short.
#include "node/intake/formats/stored_bytes.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

namespace fovea::node {
namespace {

using intake::FileFormat;

// 24 voxels of two bytes.
constexpr std::uint64_t kVoxels = 24, kBytes = 48;

std::string packed(const std::string& plain, int window) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(plain.size() + 1000, '\0');
  std::string in = plain;
  stream.next_in = reinterpret_cast<Bytef*>(in.data()), stream.avail_in = static_cast<unsigned>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data()), stream.avail_out = static_cast<unsigned>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string voxels(std::uint64_t bytes = kBytes) {
  std::string out;
  for (std::uint64_t n = 0; n < bytes; ++n) out.push_back(static_cast<char>(n * 37 + 11));
  return out;
}

std::string why(FileFormat format, const std::string& file) {
  const Result<void> checked = intake::check_stored_voxels(format, as_bytes(file), kVoxels, 2);
  return checked ? "whole" : checked.error().message;
}
std::string nrrd(const std::string& more, const std::string& data) {
  return why(FileFormat::nrrd, "NRRD0004\ntype: short\ndimension: 3\nsizes: 4 3 2\n" + more + "\n" + data);
}
std::string mha(const std::string& more, const std::string& data) {
  return why(FileFormat::metaimage, "ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementType = MET_SHORT\n" + more +
                                        "ElementDataFile = LOCAL\n" + data);
}
bool is_cut(const std::string& answer) { return answer.find("cut off") != std::string::npos; }

TEST(StoredBytes, PlainVoxelsAreCounted) {
  EXPECT_EQ(nrrd("encoding: raw\n", voxels()), "whole");
  EXPECT_EQ(nrrd("encoding: raw\nbyte skip: 5\n", "12345" + voxels()), "whole");
  EXPECT_EQ(nrrd("encoding: raw\nline skip: 2\n", "a\nb\n" + voxels()), "whole");
  EXPECT_EQ(nrrd("encoding: raw\nbyte skip: -1\n", "12345" + voxels()), "whole");
  EXPECT_EQ(mha("", voxels()), "whole");
  EXPECT_EQ(mha("BinaryData = True\n", voxels() + "more"), "whole");
  const std::string reason =
      "voxels: 47 of the 48 bytes that the header asks for (cut off, or still being copied; copy the file again)";
  EXPECT_EQ(nrrd("encoding: raw\n", voxels(47)), reason);
  EXPECT_EQ(nrrd("encoding: raw\nbyte skip: 5\n", "12345" + voxels(47)), reason);
  EXPECT_EQ(nrrd("encoding: raw\nline skip: 2\n", "a\nb\n" + voxels(47)), reason);
  EXPECT_EQ(mha("", voxels(47)), reason);
  EXPECT_TRUE(is_cut(mha("", "")));
}

TEST(StoredBytes, PackedVoxelsAreUnpackedToTheirEndAndTheirChecksum) {
  for (const int window : {15, 15 + 16}) {
    const std::string whole = packed(voxels(), window);
    EXPECT_EQ(nrrd("encoding: gzip\n", whole), "whole");
    EXPECT_EQ(mha("CompressedData = True\n", whole), "whole");
    EXPECT_EQ(mha("CompressedData = True\nCompressedDataSize = " + std::to_string(whole.size()) + "\n", whole),
              "whole");
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_TRUE(is_cut(nrrd("encoding: gzip\n", whole.substr(0, size)))) << size;
      EXPECT_TRUE(is_cut(mha("CompressedData = True\n", whole.substr(0, size)))) << size;
    }
    EXPECT_TRUE(is_cut(nrrd("encoding: gzip\n", packed(voxels(47), window))));
    EXPECT_TRUE(is_cut(mha("CompressedData = True\n", packed(voxels(47), window))));
    EXPECT_TRUE(is_cut(mha("CompressedData = True\nCompressedDataSize = 9999\n", whole)));
    std::string damaged = whole;
    damaged.back() = static_cast<char>(damaged.back() ^ 1);
    EXPECT_NE(nrrd("encoding: gzip\n", damaged), "whole");
  }
}

TEST(StoredBytes, TextIsCountedInNumbersOrDigits) {
  std::string numbers, hex;
  for (int n = 0; n < 24; ++n) numbers += std::to_string(n - 7) + (n % 4 == 3 ? "\n" : " "), hex += "00fF";
  EXPECT_EQ(nrrd("encoding: text\n", numbers), "whole");
  EXPECT_EQ(nrrd("encoding: hex\n", hex), "whole");
  EXPECT_EQ(mha("BinaryData = False\n", numbers), "whole");
  EXPECT_TRUE(is_cut(nrrd("encoding: ascii\n", numbers.substr(0, 40))));
  EXPECT_TRUE(is_cut(nrrd("encoding: hex\n", hex.substr(0, 94))));
  EXPECT_TRUE(is_cut(mha("BinaryData = False\n", numbers.substr(0, 40))));
}

TEST(StoredBytes, NumbersThatSayNothingAreRefused) {
  EXPECT_NE(nrrd("encoding: raw\nbyte skip: -2\n", voxels()).find("byte skip"), std::string::npos);
  EXPECT_NE(nrrd("encoding: raw\nline skip: x\n", voxels()).find("line skip"), std::string::npos);
  EXPECT_NE(nrrd("encoding: bz2\n", voxels()).find("encoding"), std::string::npos);
  EXPECT_NE(mha("HeaderSize = -7\n", voxels()).find("HeaderSize"), std::string::npos);
}

TEST(StoredBytes, ABombIsNotUnpackedBeyondWhatTheHeaderAsksFor) {
  const std::string bomb = packed(std::string(900'000, 'x'), 15);
  const intake::Inflated got = intake::inflate_stream(as_bytes(bomb), intake::DeflateWrapper::zlib_or_gzip, 1000);
  EXPECT_EQ(got.bytes, 1000u);
  EXPECT_FALSE(got.is_whole);
}

}  // namespace
}  // namespace fovea::node
