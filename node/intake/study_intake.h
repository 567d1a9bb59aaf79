// One study from its files to its record: what an ingest worker does.
#pragma once

#include "crypto/aead.h"
#include "node/intake/ingest.h"

namespace fovea::node {

// What a study's files hold, as this site knows it again.
struct ContentTags {
  crypto::GmacTag image{}, mask{};
  std::uint64_t bytes = 0;
};
// `key`: the catalogue's content_key. not_found, invalid_argument or corruption: a file cannot be read; unavailable: a
// fault of the site.
Result<ContentTags> tag_contents(const StudySource& source, const ScanFiles& scan_files, const crypto::SecretKey& key);

// A refusal of the study carries the reason; an error of the site (disk, parser program) does too, told apart by
// is_site_failure. On success the bricks and level of `code` are written, durable after sync_filesystem.
Result<StudyRecord> take_in(ScanParser& parser, const StudyCatalogue& catalogue, const StudySource& source,
                            const std::string& code, const IngestSettings& settings);

bool is_site_failure(const Error& error) noexcept;

}  // namespace fovea::node
