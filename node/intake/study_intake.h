// One study from its files to its record: what an ingest worker does.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"
#include "crypto/aead.h"
#include "crypto/secret_bytes.h"
#include "node/intake/ingest.h"
#include "node/intake/manifest.h"
#include "node/intake/parser/scan_files.h"
#include "node/intake/parser/scan_parser.h"
#include "node/store/study_catalogue.h"

namespace fovea::node::intake {

// Tags by which this site recognises the contents of a study's files, whatever their names and order.
struct ContentTags {
  crypto::GmacTag image{}, mask{};
  std::uint64_t bytes = 0;
};
// `key`: the catalogue's content_key. not_found, invalid_argument or corruption: a file cannot be read; unavailable: a
// fault of the site.
Result<ContentTags> tag_contents(const StudySource& source, const ScanFiles& scan_files, const crypto::SecretKey& key);

struct IngestedStudy {
  store::StudyRecord record;
  crypto::GmacTag volume{};  // of geometry and voxels as they were read: one scan has one, in whatever kind of file
  std::string note;          // what was taken otherwise than its files say; see add_note
};

// The error is the reason of the study's refusal, or a failure of the site (disk, parser program): is_site_failure
// tells them apart. On success the bricks and level of `code` are written, durable after sync_filesystem.
Result<IngestedStudy> ingest_study(ScanParser& parser, const store::StudyCatalogue& catalogue,
                                   const StudySource& source, const std::string& code, const IngestSettings& settings);

bool is_site_failure(const Error& error) noexcept;

}  // namespace fovea::node::intake
