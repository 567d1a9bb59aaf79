// One study from its files to its record: what an ingest worker does.
#pragma once

#include "node/intake/ingest.h"

namespace fovea::node {

// The contents of a study's files, hashed.
struct ContentDigests {
  Digest image{}, mask{};
  std::uint64_t bytes = 0;
};
// not_found, invalid_argument or corruption: a file cannot be read; unavailable: a fault of the site.
Result<ContentDigests> digest_contents(const StudySource& source, const ScanFiles& scan_files);

// A refusal of the study carries the reason; an error of the site (disk, parser program) does too, told apart by
// is_site_failure. On success the bricks and level of `code` are written, durable after sync_filesystem.
Result<StudyRecord> take_in(ScanParser& parser, const StudyCatalogue& catalogue, const StudySource& source, const std::string& code,
                            const IngestSettings& settings);

bool is_site_failure(const Error& error) noexcept;

}  // namespace fovea::node
