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
  std::vector<std::filesystem::path> tables;  // that stand for the folders they lie in
  std::vector<NotAScan> not_scans;            // files that were named or found, and why they are left alone
};

// Why a file of raw voxels is no scan: its header lies beside it, .hdr, .nhdr or .mhd. Empty: it is something else.
std::string header_of_voxels(const std::filesystem::path& file);

// A label object (DICOM SEG or RTSTRUCT) that refers to one found series, as the only one to do so, becomes its mask.
// Two files of one SOP instance are one slice. Walks folders (links to files stand for them, links to folders are not
// followed, names starting with '.' are skipped), takes volume files by their ending and groups everything else that is
// DICOM by series, asking `parser` what each file is. Without a table the patient is DICOM's patient id, or the file's
// own name. A series whose files contradict each other (two patients, say) becomes one source with a fault. A damaged
// file among the slices of a series goes with that series, which is refused for it when it is read: it must not come
// out shorter.
// A studies.csv anywhere below a path stands for the folder that it lies in: its rows are the studies, and nothing else
// there is one. not_found: a path does not exist; invalid_argument: too many files; a table of studies under another
// name, whose masks would pass for scans; a path within a table's folder; or what is wrong with a table.
Result<FoundStudies> find_studies(const std::vector<std::filesystem::path>& paths, store::Split split,
                                  ScanParser& parser);

// The rows of a table as find_studies would have found their images: an image that is a folder becomes the slices of
// the one DICOM series in it, links to files included, or the one volume file; a mask that is a folder its one file of
// labels. `left_alone` gets the other files of such folders.
Result<void> expand_rows(std::vector<StudySource>& sources, ScanParser& parser, std::vector<NotAScan>& left_alone);

}  // namespace fovea::node::intake
