// The table from which studies are ingested: a CSV file with a header row (RFC 4180) and the columns
//   study, patient, image, mask, split, label
// in any order and case; others are ignored. mask and label may be empty; split is train, validation or test; label 0
// or 1; paths are relative to the table. label 0 says that there is no finding, so no mask is needed with it.
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
  std::string damage;  // of a file of this series that is not all there, last among `images`: the study is refused
  std::optional<std::filesystem::path> mask;
  store::Split split = store::Split::train;
  std::optional<int> label;
  // Of DICOM whose SOP instances are known, else empty; its part is set when it is kept.
  store::StudyOrigin origin;
  std::string fault;  // why it cannot be one study, found before its pixels are read; empty when it can
  // What nobody said gives way to what an earlier ingest was told.
  bool is_of_table = false;         // a row of a table says label and mask, even that there is none
  bool split_is_stated = true;      // else a default
  bool patient_is_guessed = false;  // from a file's name
};

constexpr std::size_t kManifestRowsMax = 200'000;

// invalid_argument names the line and column. One wrong row refuses the whole table: half a table must not become half
// a data set unnoticed.
Result<std::vector<StudySource>> parse_manifest(std::string_view text, const std::filesystem::path& folder);
Result<std::vector<StudySource>> read_manifest(const std::filesystem::path& file);

// The name of the table that stands for the folder it lies in; any case.
bool is_manifest_name(const std::filesystem::path& file);
// Whether the file, called .csv, .tsv or .txt in any case, begins like such a table: it has columns image and mask.
bool begins_like_manifest(const std::filesystem::path& file);

}  // namespace fovea::node::intake
