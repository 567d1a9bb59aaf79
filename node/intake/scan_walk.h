// Finds the studies in the folders and files that a person names.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/result.h"
#include "node/intake/manifest.h"
#include "node/intake/parser/scan_parser.h"
#include "node/store/study_catalogue.h"

namespace fovea::node::intake {

struct NotAScan {
  std::filesystem::path file;
  std::string reason;
};

struct FoundStudies {
  std::vector<StudySource> sources;
  std::vector<NotAScan> not_scans;  // files that were named or found, and why they are left alone
};

// A label object (DICOM SEG or RTSTRUCT) that refers to one found series, as the only one to do so, becomes its mask.
// Two files of one SOP instance are one slice. A damaged file among the slices of a series goes with that series, which
// is refused for it when it is read: it must not come out shorter. Walks folders (links are not followed, names
// starting with '.' are skipped), takes volume files by their ending and groups everything else that is DICOM by
// series, asking `parser` what each file is. Without a table the patient is DICOM's patient id, or the file's own name.
// not_found: a path does not exist; invalid_argument: too many files.
Result<FoundStudies> find_studies(const std::vector<std::filesystem::path>& paths, store::Split split,
                                  ScanParser& parser);

// Replaces an image that is a folder (a DICOM series in a table) by the files in it.
Result<void> expand_folders(std::vector<StudySource>& sources);

}  // namespace fovea::node::intake
