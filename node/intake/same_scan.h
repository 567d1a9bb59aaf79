// Sources of one ingest that hold the same scan, found before anything is ingested: two rows of a table for one image,
// or a copy under another name, must not become two studies, one of them in train and one in test.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/result.h"
#include "crypto/secret_bytes.h"
#include "node/intake/manifest.h"
#include "node/intake/parser/scan_files.h"

namespace fovea::node::intake {

// For each source the first that holds the same scan, itself where it is the first. DICOM is compared by its SOP
// instances; other files by size and ends, and then whole. invalid_argument names both sources: they say different
// things of one scan (patient, split, label, mask), or they hold different slices of one series.
Result<std::vector<std::size_t>> first_of_same_scan(const std::vector<StudySource>& sources,
                                                    const ScanFiles& scan_files, const crypto::SecretKey& key);

// How the slices of a source stand to those of another of its series.
enum class SeriesRelation {
  same,        // the same slices
  larger,      // all of the other's, and more
  smaller,     // some of the other's
  beside,      // a volume of its own: other slices in the same places (an echo, a time point)
  other_part,  // slices that the other lacks, in places that it does not reach
};
SeriesRelation relation_to(const store::StudyOrigin& other, const store::StudyOrigin& of);

}  // namespace fovea::node::intake
