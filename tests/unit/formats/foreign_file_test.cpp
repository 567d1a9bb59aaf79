// Files that are no scan as they lie there: each is named, with what to do.
#include "node/intake/formats/foreign_file.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace fovea::node {
namespace {

std::string tar_head() {
  std::string out(512, '\0');
  out.replace(257, 5, "ustar");
  return out;
}

TEST(ForeignFile, ArchivesAreNamedWithWhatToDo) {
  const std::pair<std::string, std::string_view> cases[] = {{"PK\x03\x04 and more", "zip archive"},
                                                            {std::string("7z\xbc\xaf\x27\x1c"), "7z"},
                                                            {tar_head(), "tar archive"},
                                                            {"Rar!\x1a\x07\x01", "RAR"},
                                                            {"BZh91AY", "bzip2"},
                                                            {"\xfd"
                                                             "7zXZ",
                                                             "xz"}};
  for (const auto& [head, named] : cases) {
    const std::string said = intake::foreign_file(as_bytes(head));
    EXPECT_NE(said.find(named), std::string::npos) << said;
    EXPECT_NE(said.find("unpack it"), std::string::npos) << said;
  }
  EXPECT_EQ(intake::foreign_file(as_bytes("some text")), "");
  EXPECT_EQ(intake::foreign_file({}), "");
}

TEST(ForeignFile, HeadersWhoseVoxelsLieInAnotherFileAreNamed) {
  EXPECT_NE(
      intake::foreign_file(as_bytes("NRRD0005\ntype: short\ndimension: 3\ndata file: b.raw\n\n")).find("another file"),
      std::string::npos);
  const std::string mhd = "NDims = 3\nDimSize = 4 3 2\nElementDataFile = ";
  EXPECT_NE(intake::foreign_file(as_bytes(mhd + "b.raw\n")).find("another file"), std::string::npos);
  EXPECT_NE(intake::foreign_file(as_bytes(mhd + "LOCAL\nvoxels")).find(".mha (rename it)"), std::string::npos);
  std::string pair(352, '\0');
  pair.replace(0, 4, std::string("\x5c\x01\0\0", 4));
  EXPECT_NE(intake::foreign_file(as_bytes(pair)).find("Analyze"), std::string::npos);
  pair.replace(344, 3, "ni1");
  EXPECT_NE(intake::foreign_file(as_bytes(pair)).find("header and voxels in two files"), std::string::npos);
}

TEST(ForeignFile, WhatGzipHoldsBesideNiftiIsNamed) {
  const auto said = [](const std::string& head) { return intake::foreign_in_gzip(as_bytes(head)); };
  EXPECT_NE(said(tar_head()).find("tar archive"), std::string::npos);
  EXPECT_NE(said(std::string(128, '\0') + "DICM").find("a DICOM file packed by gzip"), std::string::npos);
  EXPECT_NE(said("\x1f\x8b\x08").find("twice"), std::string::npos);
  EXPECT_NE(said("{}").find("gunzip"), std::string::npos);
  EXPECT_EQ(said(std::string("\x5c\x01\0\0", 4)), "");
}

}  // namespace
}  // namespace fovea::node
