#include "node/intake/formats/text_header.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace fovea::node {
namespace {

const std::string kNrrd =
    "NRRD0005\n# by hand\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 3 "
    "2\nkey:=value\nkey:=value\nencoding: raw\n";
const std::string kMeta =
    "ObjectType = Image\r\nNDims = 3\r\nDimSize = 4 3 2\r\nElementSpacing = 1 1 1\r\nElementType = MET_SHORT\r\n";

std::string why(const Result<void>& refused) { return refused ? "taken" : refused.error().message; }
std::string nrrd(const std::string& more) {
  return why(intake::check_nrrd_header(as_bytes(kNrrd + more + "\nvoxels")));
}
std::string meta(const std::string& more, const std::string& data = "LOCAL") {
  return why(intake::check_metaimage_header(as_bytes(kMeta + more + "ElementDataFile = " + data + "\nvoxels")));
}

TEST(TextHeader, SoundHeadersAreAccepted) {
  EXPECT_EQ(nrrd(""), "taken");
  EXPECT_EQ(nrrd("note:=" + std::string(200'000, 'x') + "\n"), "taken");  // pairs may be long
  EXPECT_EQ(meta(""), "taken");
  EXPECT_EQ(meta("Comment = " + std::string(20'000, 'x') + "\n"), "taken");
}

TEST(TextHeader, AMetaImageInAnotherUnitThanMillimetresIsRefused) {
  EXPECT_EQ(meta("DistanceUnits = mm\n"), "taken");
  EXPECT_EQ(meta("DistanceUnits = ?\n"), "taken");
  for (const char* unit : {"cm", "um", "m"})
    EXPECT_NE(meta("DistanceUnits = " + std::string(unit) + "\n").find("DistanceUnits"), std::string::npos) << unit;
}

TEST(TextHeader, LinesTooLongForTheLibrariesAreRefused) {
  EXPECT_NE(nrrd("labels: " + std::string(2000, 'x') + "\n").find("line 10: longer than 900"), std::string::npos);
  EXPECT_NE(nrrd(std::string(300'000, ':') + "=\n").find("line 10: longer than"), std::string::npos);
  EXPECT_NE(nrrd("nonsense\n").find("line 10: no \"field: value\""), std::string::npos);
  EXPECT_NE(meta("nonsense\n").find("line 6: no \"Field = value\""), std::string::npos);
}

TEST(TextHeader, ARepeatedFieldOrABadNumberOfDimensionsIsRefused) {
  EXPECT_NE(nrrd("Dimension: 4\n").find("line 10: a field given twice"), std::string::npos);
  EXPECT_NE(meta("NDims = -3\n").find("line 6: a field given twice"), std::string::npos);
  for (const std::string count : {"0", "-3", "17", "3x", ""}) {
    EXPECT_NE(
        why(intake::check_nrrd_header(as_bytes("NRRD0005\ndimension: " + count + "\n\n"))).find("number of dimensions"),
        std::string::npos)
        << count;
    EXPECT_NE(why(intake::check_metaimage_header(as_bytes("NDims = " + count + "\nElementDataFile = LOCAL\n")))
                  .find("number of dimensions"),
              std::string::npos)
        << count;
  }
}

TEST(TextHeader, HalfANumberIsRefusedByTheNameOfItsField) {
  EXPECT_EQ(nrrd("space directions: (1.5,0,0) (0, 1.5, 0) none (0,0,2e0)\nspace origin: (-1.5,+2,3)\n"
                 "spacings: NaN 1.5 1 2\nbyte skip: -1\n"),
            "taken");
  EXPECT_EQ(meta("ElementSize = 1 1 1\nOffset = -1.5 2e1 +3\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"), "taken");
  for (const auto& [line, fault] : std::vector<std::pair<std::string, std::string>>{
           {"spacings: 1,5 1,5 2", "\"spacings\": a decimal comma"},
           {"spacings: 1.5mm 1.5mm 2mm", "\"spacings\": more than a number"},
           {"thicknesses: nan nan 0x2", "\"thicknesses\": hexadecimal"},
           {"byte skip: 12k", "\"byte skip\": more than a number"},
           {"Axis mins: 1;2;3", "\"axis mins\": more than a number"},
           {"space origin: (1,5,2,3)", "\"space origin\": a vector of 4 numbers, not 3"},
           {"space origin: (1,2)", "\"space origin\": a vector of 2 numbers, not 3"},
           {"space origin: (1,2,nan)", "\"space origin\": not a number"},
           {"space origin: (1,2,3", "\"space origin\": a vector has no end"},
           {"space directions: (1,5,0,0) (0,1,5,0) (0,0,2,0)", "\"space directions\": a vector of 4 numbers"},
           {"space directions: 1 0 0 0 1 0 0 0 1", "\"space directions\": not vectors"},
           {"measurement frame: (1,0,0) (0,1,x) (0,0,1)", "\"measurement frame\": not a number"}})
    EXPECT_NE(nrrd(line + "\n").find("header line 10: " + fault), std::string::npos)
        << line << ": " << nrrd(line + "\n");
  EXPECT_EQ(
      why(intake::check_nrrd_header(as_bytes("NRRD0005\ndimension: 4\nspace: LPST\nspace origin: (1,2,3,4)\n\n"))),
      "taken");
  for (const auto& [line, fault] : std::vector<std::pair<std::string, std::string>>{
           {"ElementSize = 1,5 1,5 2", "\"elementsize\": a decimal comma"},
           {"Offset = -10,5 0 0", "\"offset\": a decimal comma"},
           {"Position = 0x10 0 0", "\"position\": hexadecimal"},
           {"TransformMatrix = 1 0 0 0 1 0 0 0 nan", "\"transformmatrix\": not a number"},
           {"HeaderSize = 1e", "\"headersize\": more than a number"}})
    EXPECT_NE(meta(line + "\n").find("header line 6: " + fault), std::string::npos)
        << line << ": " << meta(line + "\n");
}

TEST(TextHeader, VoxelsInAnotherFileAndHeadersWithoutAnEndAreRefused) {
  EXPECT_NE(nrrd("data file: ../../secret.raw\n").find("another file"), std::string::npos);
  EXPECT_NE(meta("", "secret.raw").find("another file"), std::string::npos);
  EXPECT_NE(why(intake::check_nrrd_header(as_bytes(kNrrd))).find("does not end"), std::string::npos);
  EXPECT_NE(why(intake::check_metaimage_header(as_bytes(kMeta))).find("does not end"), std::string::npos);
  EXPECT_EQ(nrrd("labels: " + std::string(2000, 'x') + "\n").find("xxx"), std::string::npos) << "contents are quoted";
}

}  // namespace
}  // namespace fovea::node
