// Contours as voxels, overlapping structures, and the tables of labels and points: against counts and places that
// geometry gives.
#include "node/intake/dicom/contours.h"
#include "node/intake/dicom/label_layers.h"
#include "node/intake/label_tables.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <numbers>
#include <string>
#include <utility>

#include "node/intake/manifest.h"
#include "node/store/study_catalogue.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

volume::VolumeGeometry grid(const volume::Index3& size, const Eigen::Vector3d& spacing,
                            const Eigen::Matrix3d& direction = Eigen::Matrix3d::Identity()) {
  volume::VolumeGeometry out;
  out.size = size;
  out.spacing_mm = spacing;
  out.origin_mm = {-31, 17, 250};
  out.direction = direction;
  return out;
}

// Corners given as continuous indices, in patient millimetres.
intake::Contour at(const volume::VolumeGeometry& geometry, const std::vector<volume::Point3>& indices) {
  intake::Contour out;
  for (const volume::Point3& index : indices) out.push_back(geometry.to_point(index));
  return out;
}

intake::Contour square(const volume::VolumeGeometry& geometry, double low, double high, double k) {
  return at(geometry, {{low, low, k}, {high, low, k}, {high, high, k}, {low, high, k}});
}

TEST(Contours, ASquareHoldsTheVoxelsWhoseCentresItSurrounds) {
  const volume::VolumeGeometry geometry = grid({20, 20, 5}, {0.7, 0.7, 3}, turned(20, 35));
  const std::vector<intake::Contour> contours{square(geometry, 2.5, 7.5, 3)};
  const auto voxels = intake::voxels_inside(geometry, contours);
  ASSERT_TRUE(voxels) << voxels.error().message;
  ASSERT_EQ(voxels->size(), 25u);
  EXPECT_EQ(voxels->front(), geometry.offset(3, 3, 3));
  EXPECT_EQ(voxels->back(), geometry.offset(7, 7, 3));
}

TEST(Contours, AContourWithinAnotherIsAHoleAndAKeyholeIsTheSameHole) {
  const volume::VolumeGeometry geometry = grid({20, 20, 4}, {1, 1, 1});
  const std::vector<intake::Contour> two{square(geometry, 1.5, 11.5, 2), square(geometry, 4.5, 8.5, 2)};
  // Out along the outer square, through a channel of no width to the inner one, round it the other way, and back.
  const std::vector<intake::Contour> keyhole{at(geometry, {{1.5, 1.5, 2},
                                                           {11.5, 1.5, 2},
                                                           {11.5, 11.5, 2},
                                                           {1.5, 11.5, 2},
                                                           {1.5, 6.2, 2},
                                                           {4.5, 6.2, 2},
                                                           {4.5, 8.5, 2},
                                                           {8.5, 8.5, 2},
                                                           {8.5, 4.5, 2},
                                                           {4.5, 4.5, 2},
                                                           {4.5, 6.2, 2},
                                                           {1.5, 6.2, 2}})};
  const auto holed = intake::voxels_inside(geometry, two), keyed = intake::voxels_inside(geometry, keyhole);
  ASSERT_TRUE(holed && keyed);
  EXPECT_EQ(holed->size(), 100u - 16u);
  EXPECT_EQ(*holed, *keyed);
}

TEST(Contours, APlaneReachesHalfWayToItsNeighboursAndNotAcrossAGap) {
  const volume::VolumeGeometry geometry = grid({12, 12, 40}, {1, 1, 1});
  const auto slices_of = [&](const std::vector<double>& planes) {
    std::vector<intake::Contour> contours;
    for (const double k : planes) contours.push_back(square(geometry, 3.5, 4.5, k));
    std::vector<std::int64_t> out;
    const auto voxels = intake::voxels_inside(geometry, contours);
    if (voxels)
      for (const std::uint32_t voxel : *voxels) out.push_back(voxel / 144);
    return out;
  };
  using Slices = std::vector<std::int64_t>;
  EXPECT_EQ(slices_of({5, 6, 7}), (Slices{5, 6, 7}));
  EXPECT_EQ(slices_of({5.02, 5.98, 7.01}), (Slices{5, 6, 7}));         // rounded positions
  EXPECT_EQ(slices_of({4, 6, 8}), (Slices{3, 4, 5, 6, 7, 8}));         // every second slice: twice as thick
  EXPECT_EQ(slices_of({5, 6, 7, 20, 21}), (Slices{5, 6, 7, 20, 21}));  // two lesions of one region
  EXPECT_EQ(slices_of({9, 9.5, 10, 10.5}), (Slices{9, 10}));           // drawn finer than the scan
  EXPECT_EQ(slices_of({9.3}), (Slices{9}));
  EXPECT_EQ(slices_of({9, 11}), (Slices{9, 11}));  // not enough to tell a habit from two lesions
}

TEST(Contours, ABallDrawnOnCoronalSlicesHasItsVolume) {
  // Slices stacked along j: index (i, k) in plane.
  const volume::VolumeGeometry geometry = grid({60, 40, 60}, {0.8, 2, 0.8}, turned(10, 0));
  std::vector<intake::Contour> contours;
  const double radius = 18;
  for (std::int64_t j = 8; j <= 32; ++j) {
    const double off = 2 * (static_cast<double>(j) - 20), ring = std::sqrt(std::max(0.0, radius * radius - off * off));
    if (ring < 1) continue;
    std::vector<volume::Point3> corners;
    for (int c = 0; c < 180; ++c) {
      const double angle = 2 * std::numbers::pi * c / 180;
      corners.push_back(
          {30.2 + ring * std::cos(angle) / 0.8, static_cast<double>(j), 29.6 + ring * std::sin(angle) / 0.8});
    }
    contours.push_back(at(geometry, corners));
  }
  const auto voxels = intake::voxels_inside(geometry, contours);
  ASSERT_TRUE(voxels) << voxels.error().message;
  const double volume = static_cast<double>(voxels->size()) * 0.8 * 2 * 0.8;
  EXPECT_NEAR(volume, 4.0 / 3 * std::numbers::pi * radius * radius * radius, 0.01 * volume);
}

TEST(Contours, ContoursThatAreNotOfTheScanAreRefused) {
  const volume::VolumeGeometry geometry = grid({20, 20, 20}, {1, 1, 1});
  const std::vector<intake::Contour> slanting{at(geometry, {{2, 2, 2}, {9, 2, 4}, {9, 9, 9}, {2, 9, 5}})};
  const std::vector<intake::Contour> elsewhere{square(geometry, 102.5, 107.5, 3)};
  const std::vector<intake::Contour> line{at(geometry, {{2, 2, 2}, {9, 9, 2}})};
  std::vector<intake::Contour> broken{square(geometry, 2.5, 7.5, 3)};
  broken[0][2][1] = std::nan("");
  for (const std::vector<intake::Contour>* contours :
       std::initializer_list<const std::vector<intake::Contour>*>{&slanting, &elsewhere, &line, &broken})
    EXPECT_FALSE(intake::voxels_inside(geometry, *contours));
}

TEST(LabelLayers, StructuresThatOverlapDoNotHideEachOther) {
  const std::vector<std::uint32_t> a{0, 1, 2}, b{2, 3}, c{5}, d{2};
  for (std::uint32_t layer = 0; layer < 3; ++layer) {
    intake::LabelLayers layers(6, layer);
    ASSERT_TRUE(layers.add(7, a) && layers.add(8, b) && layers.add(9, c) && layers.add(10, d));
    EXPECT_EQ(layers.count(), 3u);
    const std::vector<std::vector<std::int16_t>> expected{{7, 7, 7, 0, 0, 9}, {0, 0, 8, 8, 0, 0}, {0, 0, 10, 0, 0, 0}};
    EXPECT_EQ(layers.kept(), expected[layer]);
  }
  intake::LabelLayers layers(6, 0);
  for (std::int32_t label = 1; label <= 16; ++label) ASSERT_TRUE(layers.add(label, d));
  EXPECT_FALSE(layers.add(17, d));
  EXPECT_FALSE(layers.add(0, c));
  EXPECT_FALSE(layers.add(40'000, c));
}

intake::StudySource source_of(const std::string& study, const std::string& image) {
  intake::StudySource out;
  out.identity.study = study;
  out.images = {image};
  return out;
}

TEST(LabelTables, PointsBecomeFindingsOfTheStudiesTheyName) {
  const auto rows = intake::parse_points(
      "study,radius_mm,x_mm,y_mm,z_mm,label\nscan-1,5,1.5,-2,3e1,4\nscan-1,2.5,0,0,0,\nempty,,,,,\n");
  ASSERT_TRUE(rows) << rows.error().message;
  std::vector<intake::StudySource> sources{source_of("/d/scan-1.nii.gz", "/d/scan-1.nii.gz"),
                                           source_of("1.2.3", "/d/empty"), source_of("empty", "/d/e.nii"),
                                           source_of("other", "/d/o.nii")};
  const auto first = intake::points_of(*rows, sources[0], 2);
  ASSERT_TRUE(first);
  ASSERT_EQ(first->size(), 2u);
  EXPECT_EQ((*first)[0].center_mm, (volume::Point3{1.5, -2, 30}));
  EXPECT_EQ((*first)[0].diameter_mm, 10);
  EXPECT_EQ((*first)[0].label, 4);
  EXPECT_EQ((*first)[0].voxels, 262u);  // 523.6 mm³
  EXPECT_EQ((*first)[1].label, 1);
  EXPECT_FALSE(intake::points_of(*rows, sources[1], 2));  // a DICOM series is known by its UID only
  EXPECT_TRUE(intake::points_of(*rows, sources[2], 2) && intake::points_of(*rows, sources[2], 2)->empty());
  const auto unmatched = intake::apply_points(*rows, "/t/p.csv", sources);
  ASSERT_TRUE(unmatched && unmatched->empty());
  EXPECT_TRUE(sources[0].mask && sources[2].mask);
  EXPECT_FALSE(sources[1].mask || sources[3].mask);
}

TEST(LabelTables, StudyLabelsReachTheirStudiesAndTheRestIsCounted) {
  const auto rows = intake::parse_study_labels("label,study,split\n1,1.2.840.5,test\n0,b,\n,c,validation\n1,nobody,\n");
  ASSERT_TRUE(rows) << rows.error().message;
  std::vector<intake::StudySource> sources{source_of("1.2.840.5", "/d/IM1"), source_of("/d/b.nii", "/d/b.nii"),
                                           source_of("/d/c.mha", "/d/c.mha")};
  const auto unmatched = intake::apply_study_labels(*rows, sources);
  ASSERT_TRUE(unmatched) << unmatched.error().message;
  ASSERT_EQ(unmatched->size(), 1u);
  EXPECT_EQ((*rows)[unmatched->front()].line, 5u);
  EXPECT_EQ(sources[0].label, 1);
  EXPECT_EQ(sources[0].split, store::Split::test);
  EXPECT_EQ(sources[1].label, 0);
  EXPECT_EQ(sources[1].split, store::Split::train);
  EXPECT_FALSE(sources[2].label);
  sources.push_back(source_of("/e/b.nii", "/e/b.nii"));
  const auto several = intake::apply_study_labels(*rows, sources);
  ASSERT_FALSE(several);
  EXPECT_NE(several.error().message.find("line 3, column study"), std::string::npos) << several.error().message;
}

TEST(LabelTables, RowsThatContradictEachOtherOrTheTableOfStudiesAreErrors) {
  const auto error_of = [](const std::string& text, bool of_table) {
    std::vector<intake::StudySource> sources{source_of("/d/b.nii.gz", "/d/b.nii.gz")};
    sources[0].name = "line 7";
    sources[0].is_of_table = of_table;
    sources[0].split_is_stated = of_table;
    if (of_table) sources[0].label = 1;
    const auto applied = intake::apply_study_labels(*intake::parse_study_labels("study,label,split\n" + text), sources);
    return applied ? std::string() : applied.error().message;
  };
  EXPECT_EQ(error_of("b,1,\nb.nii.gz,1,test\n", false), "");
  EXPECT_EQ(error_of("b,1,\nb.nii.gz,0,\n", false),
            "line 3, column label: differs from line 2, which names the same scan; correct one of them");
  EXPECT_NE(error_of("b,,test\nb.nii.gz,,train\n", false).find("line 3, column split: differs from line 2"),
            std::string::npos);
  EXPECT_EQ(error_of("b,1,train\n", true), "");
  EXPECT_NE(error_of("b,0,\n", true).find("line 2, column label: differs from line 7 of the table of studies"),
            std::string::npos);
  EXPECT_NE(error_of("b,,test\n", true).find("column split"), std::string::npos);
}

TEST(LabelTables, EachMistakeIsNamedWithLineAndColumn) {
  const std::string points = "study,x_mm,y_mm,z_mm,radius_mm,label\n", labels = "study,label,split\n";
  const std::vector<std::pair<std::string, std::string>> bad_points{
      {"", "empty"},
      {"study,x_mm,y_mm,radius_mm\n", "z_mm"},
      {points + "a,1,2,3,4\n", "line 2: 5 cells"},
      {points + "a,1,2,3,4,1\na,1,b,3,4,1\n", "line 3, column y_mm: \"b\""},
      {points + "a,1,2,3,0,1\n", "line 2, column radius_mm"},
      {points + "a,1,2,3,-4,1\n", "radius_mm"},
      {points + "a,1,2,,4,1\n", "column z_mm: empty"},
      {points + "a,nan,2,3,4,1\n", "x_mm"},
      {points + "a,1,2,3,4,1.5\n", "column label"},
      {points + "a,1,2,3,4,0\n", "label"},
      {points + ",1,2,3,4,1\n", "column study"},
      {points + "a,1mm,2,3,4,1\n", "x_mm"},
      {points + "a,\"-6,5\",2,3,4,1\n", "line 2, column x_mm: \"-6,5\""},
      {points + "a,0x10,2,3,4,1\n", "x_mm"},
      {points + "a,1,2,3,4e,1\n", "radius_mm"},
      {points + "a,1,2,3,600,1\n", "radius_mm"}};
  for (const auto& [text, named] : bad_points) {
    const auto rows = intake::parse_points(text);
    ASSERT_FALSE(rows) << text;
    EXPECT_NE(rows.error().message.find(named), std::string::npos) << rows.error().message;
  }
  const std::vector<std::pair<std::string, std::string>> bad_labels{
      {"study,x\n", "label"},
      {labels + "secret,2,\n", "line 2, column label: \"2\""},
      {labels + "secret,1,\nsecret,1,\n", "line 3, column study"},
      {labels + "secret,1,exam\n", "column split"},
      {labels + ",1,\n", "column study: empty"}};
  for (const auto& [text, named] : bad_labels) {
    const auto rows = intake::parse_study_labels(text);
    ASSERT_FALSE(rows) << text;
    EXPECT_NE(rows.error().message.find(named), std::string::npos) << rows.error().message;
    EXPECT_EQ(rows.error().message.find("secret"), std::string::npos);  // a name may be a patient's
  }
  std::vector<intake::StudySource> none;
  EXPECT_FALSE(intake::apply_points(*intake::parse_points("x_mm,y_mm,z_mm,radius_mm\n1,2,3,4\n"), "/p.csv", none));
}

}  // namespace
}  // namespace fovea::node
