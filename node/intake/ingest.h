// Ingests studies: parsed in the sandbox, then statistics, findings, bricks, coarse level and catalogue row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "common/result.h"
#include "node/intake/manifest.h"
#include "node/intake/parser/scan_files.h"
#include "node/intake/parser/scan_parser.h"
#include "node/intake/parser/scan_protocol.h"
#include "node/store/study_catalogue.h"

namespace fovea::node::intake {

struct IngestSettings {
  std::vector<std::int32_t> finding_labels;  // of masks; empty: every label above zero
  float intensity_offset = 0;                // added to every voxel, e.g. −1024 for a CT stored as HU + 1024
  bool correct_bias = false;                 // of MR, by N4
  unsigned workers = 1;                      // threads, one parser each
  std::filesystem::path parser_program;
  ParserLimits limits;
  ScanFiles scan_files;
  // Files and folders that somebody still wrote when they were last looked at: what is made of them waits.
  std::set<std::filesystem::path> still_changing;
};

struct IngestProgress {
  std::size_t done = 0, total = 0;           // studies
  std::uint64_t bytes = 0, total_bytes = 0;  // of their files
};

// A study that was refused. `name` is for the local terminal only.
struct Refusal {
  std::string name, code, reason;
};

// What is worth saying of a study that is there: a copy, a change of what was said of it, a part that was replaced,
// what was taken otherwise than its files say or left out. `name` is for the local terminal only; `text` names nobody
// and no file.
struct Remark {
  std::string name, code, text;
};

struct IngestReport {
  std::size_t ingested = 0;
  std::size_t already_there = 0;  // the same contents and settings, now or earlier
  std::uint64_t bytes = 0;
  std::vector<Refusal> refused;  // in order of the sources
  std::vector<Remark> remarks;   // likewise
};

// Every source ends up ingested, found to be there already, or refused (and listed in the catalogue with the reason); a
// bad one never stops the others. An error is the site's, not a study's: the catalogue or the disk fails (unavailable),
// the parser program is missing (not_found). invalid_argument, before anything is ingested: two sources say different
// things of one scan (same_scan.h).
// One scan is one study: a copy is not ingested, a series of which the catalogue holds a part replaces the part, and
// what no table or label says (split, label) stays as it was. A study whose files change while they are read is
// refused. `progress` is called from several threads, one at a time.
Result<IngestReport> ingest(store::StudyCatalogue& catalogue, const std::vector<StudySource>& sources,
                            const IngestSettings& settings, const std::function<void(const IngestProgress&)>& progress);

}  // namespace fovea::node::intake
