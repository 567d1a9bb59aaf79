// The table from which studies are ingested: a CSV file with a header row (RFC 4180) and the columns
//   study, patient, image, mask, split, label
// in any order; others are ignored. mask and label may be empty; split is train, validation or test; label 0 or 1;
// paths are relative to the table. label 0 says that there is no finding, so no mask is needed with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "node/intake/formats/scan_facts.h"
#include "node/intake/parser/scan_protocol.h"
#include "node/store/study_catalogue.h"

namespace fovea::node::intake {

// One study to ingest.
struct StudySource {
  std::string name;                           // what the local user calls it: a row, or the path as typed
  store::StudyIdentity identity;              // to be sealed
  std::vector<std::filesystem::path> images;  // one file, or the slices of a DICOM series
  std::uint32_t part = kOnlyVolume;           // which of the volumes that a DICOM series holds
  std::optional<std::filesystem::path> mask;
  store::Split split = store::Split::train;
  std::optional<int> label;
};

constexpr std::size_t kManifestRowsMax = 200'000;

// invalid_argument names the line and column. One wrong row refuses the whole table: half a table must not become half
// a data set unnoticed.
Result<std::vector<StudySource>> parse_manifest(std::string_view text, const std::filesystem::path& folder);
Result<std::vector<StudySource>> read_manifest(const std::filesystem::path& file);

}  // namespace fovea::node::intake
