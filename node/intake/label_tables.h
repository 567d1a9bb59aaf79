// Labels that come as tables: of studies, and of points with a radius. CSV with a header row (RFC 4180), columns in any
// order, others ignored.
//   study labels   study, label [, split]
//   points         x_mm, y_mm, z_mm, radius_mm [, label] [, study]
// study is the name in the ingest table, DICOM's Series Instance UID, or a volume file's name with or without its
// ending. x, y, z are patient coordinates in DICOM's LPS axes (x to the left, y to the back, z to the head) in mm.
// label is 0 or 1 for a study, a whole number from 1 for a point (1 when the column is missing). A row of points with a
// study and four empty cells says that the study was looked at and holds nothing.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "node/intake/manifest.h"
#include "node/store/findings.h"
#include "node/store/study_catalogue.h"

namespace fovea::node::intake {

struct StudyLabelRow {
  std::size_t line = 0;
  std::string study;
  std::optional<int> label;
  std::optional<store::Split> split;
};

struct PointRow {
  std::size_t line = 0;
  std::string study;                      // empty when the table has no such column
  std::optional<store::Finding> finding;  // its voxels are not known yet: 0
};

// invalid_argument names line and column. A study twice in a table of study labels is an error.
Result<std::vector<StudyLabelRow>> parse_study_labels(std::string_view text);
Result<std::vector<PointRow>> parse_points(std::string_view text);
Result<std::vector<StudyLabelRow>> read_study_labels(const std::filesystem::path& file);
Result<std::vector<PointRow>> read_points(const std::filesystem::path& file);

// The findings that a table of points gives a source: all rows when it has no study column. nullopt: no row names the
// source. Their voxels are those of a ball in a grid of `voxel_mm3`.
std::optional<std::vector<store::Finding>> points_of(const std::vector<PointRow>& rows, const StudySource& source,
                                                     double voxel_mm3);

// Gives labels and splits to the sources that the rows name; returns the rows that name none, in order.
// invalid_argument: a row that names several sources, or that contradicts another row or the table of studies.
Result<std::vector<std::size_t>> apply_study_labels(const std::vector<StudyLabelRow>& rows,
                                                    std::vector<StudySource>& sources);

// Makes `table` the mask of the sources that it names and that have none; returns the rows that name no source.
// invalid_argument: as above, or the table has no study column.
Result<std::vector<std::size_t>> apply_points(const std::vector<PointRow>& rows, const std::filesystem::path& table,
                                              std::vector<StudySource>& sources);

}  // namespace fovea::node::intake
