// Where an NRRD lies: each anatomical space, units of length, and headers that leave it open.
#include "node/intake/formats/nrrd_geometry.h"

#include <gtest/gtest.h>

#include <string>

#include "node/volume/canonical.h"

namespace fovea::node {
namespace {

Result<intake::NrrdGeometry> inspected(const std::string& place, const std::string& sizes = "4 3 2") {
  const std::string text = "NRRD0005\n# by hand\ntype: short\ndimension: 3\nsizes: " + sizes +
                           "\nspace origin:=a pair, no field\nencoding: raw\n" + place + "\nvoxels: 1\n";
  return intake::inspect_nrrd(as_bytes(text));
}

// A step of 1 mm along x, of 2 along y, of 3 along z of the space; its first voxel at (10, 20, 30).
const std::string kDirections = "space directions: (1,0,0) (0, 2, 0) (0,0,3)\nspace origin: (10,20,30)\n";

TEST(NrrdGeometry, EachAnatomicalSpaceIsTurnedIntoLps) {
  struct Space {
    const char* name;
    Eigen::Vector3d signs;
  };
  for (const auto& [name, signs] : {Space{"left-posterior-superior", {1, 1, 1}},
                                    {"LPS", {1, 1, 1}},
                                    {"right-anterior-superior", {-1, -1, 1}},
                                    {"RAS", {-1, -1, 1}},
                                    {"left-anterior-superior", {1, -1, 1}},
                                    {"LAS", {1, -1, 1}}}) {
    const Result<intake::NrrdGeometry> found = inspected("space: " + std::string(name) + "\n" + kDirections);
    ASSERT_TRUE(found && found->geometry) << name << ": " << found.error().message;
    EXPECT_EQ(found->geometry->size, (volume::Index3{4, 3, 2}));
    EXPECT_EQ(found->geometry->spacing_mm, (volume::Point3{1, 2, 3}));
    EXPECT_EQ(found->geometry->origin_mm, (volume::Point3{10 * signs[0], 20 * signs[1], 30 * signs[2]})) << name;
    EXPECT_TRUE(found->geometry->direction.diagonal().isApprox(signs)) << name;
    EXPECT_EQ(found->note, "");
  }
}

TEST(NrrdGeometry, AnUnknownSpaceIsRefusedAndNoneIsSaid) {
  for (const char* name : {"scanner-xyz", "3D-right-handed", "3D-left-handed", "left-superior"}) {
    const auto found = inspected("space: " + std::string(name) + "\n" + kDirections);
    ASSERT_FALSE(found) << name;
    EXPECT_TRUE(found.error().message.starts_with("space: ")) << found.error().message;
  }
  const auto unsaid = inspected("space dimension: 3\n" + kDirections);
  ASSERT_TRUE(unsaid) << unsaid.error().message;
  EXPECT_NE(unsaid->note.find("which way is left"), std::string::npos);
  const auto without_origin = inspected("space: LPS\nspace directions: (1,0,0) (0,2,0) (0,0,3)\n");
  ASSERT_TRUE(without_origin) << without_origin.error().message;
  EXPECT_NE(without_origin->note.find("no space origin"), std::string::npos);
}

TEST(NrrdGeometry, UnitsOfLengthCountAndUnknownOnesAreRefused) {
  const auto scaled = [](const std::string& units) {
    return inspected("space: LPS\nspace units: " + units + "\n" + kDirections);
  };
  ASSERT_TRUE(scaled("\"cm\" \"cm\" \"cm\"")) << scaled("\"cm\" \"cm\" \"cm\"").error().message;
  EXPECT_EQ(scaled("\"cm\" \"cm\" \"cm\"")->geometry->spacing_mm, (volume::Point3{10, 20, 30}));
  EXPECT_EQ(scaled("\"cm\" \"cm\" \"cm\"")->geometry->origin_mm, (volume::Point3{100, 200, 300}));
  EXPECT_EQ(scaled("\"mm\" \"mm\" \"mm\"")->geometry->spacing_mm, (volume::Point3{1, 2, 3}));
  EXPECT_EQ(scaled("\"\" \"???\" \"mm\"")->geometry->spacing_mm, (volume::Point3{1, 2, 3}));
  for (const std::string unknown : {"\"inch\" \"inch\" \"inch\"", "\"mm\" \"mm\" \"s\"", "\"mm mm\""}) {
    ASSERT_FALSE(scaled(unknown)) << unknown;
    EXPECT_NE(scaled(unknown).error().message.find("space units"), std::string::npos) << unknown;
  }
  const auto spacings = inspected("spacings: 1 2 3\nunits: \"cm\" \"cm\" \"cm\"\n");
  ASSERT_FALSE(spacings);
  EXPECT_NE(spacings.error().message.find("units"), std::string::npos);
  const auto plain = inspected("spacings: 1 2 3\n");
  ASSERT_TRUE(plain);
  EXPECT_FALSE(plain->geometry);
}

TEST(NrrdGeometry, LayersAndHalfNumbersAreRefusedByName) {
  const std::string layers =
      "space: LPS\nkinds: list domain domain domain\nspace directions: none (1,0,0) (0,2,0) "
      "(0,0,3)\nspace origin: (0,0,0)\n";
  const auto two = inspected(layers, "2 4 3 2");
  ASSERT_FALSE(two);
  EXPECT_NE(two.error().message.find("2 values per voxel (layers"), std::string::npos) << two.error().message;
  EXPECT_TRUE(inspected(layers, "1 4 3 2"));
  for (const std::string wrong :
       {"(1,0,0) (0,2,0)", "(1,0,0) (0,2,0) (0,0,3) (0,0,1)", "(1,0,0) (0,2,0) (0,0)", "(1,0,0) (0,2,0) (0,0,3x)",
        "(1,0,0) (0,2,0) (0,0,0)", "(1;0;0) (0;2;0) (0;0;3)", "(1,0,0) (1,0,0) (0,0,3)"})
    EXPECT_FALSE(inspected("space: LPS\nspace origin: (0,0,0)\nspace directions: " + wrong + "\n")) << wrong;
  EXPECT_FALSE(inspected("space: LPS\nspace directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (0,0)\n"));
}

}  // namespace
}  // namespace fovea::node
