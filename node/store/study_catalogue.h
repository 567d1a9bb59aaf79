// The catalogue of a site's studies: an SQLite file in the site's folder.
//
// A study is known everywhere by its code, a salted hash of its contents; what identifies the patient (names,
// ids, file names) is sealed with AES-256-GCM under the site's catalogue key and shown only on request, on the
// site's own terminal. One connection at a time writes; the rollback journal is used so that a running node and
// a `data list` beside it can both read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"
#include "crypto/key_agreement.h"
#include "crypto/secret_bytes.h"
#include "node/store/findings.h"
#include "node/store/volume_key.h"
#include "node/volume/intensity.h"
#include "node/volume/volume.h"

namespace fovea::node::store {

enum class Split { train, validation, test };
std::string_view to_string(Split split) noexcept;
Result<Split> parse_split(std::string_view text);

struct StudyRecord {
  std::string code;          // e.g. "s-7kq2m9xa4d"
  std::string patient_code;  // e.g. "p-2m9xa4d7kq": equal for studies of one patient
  Split split = Split::train;
  std::optional<int> label;  // of the study, 0 or 1; none: not known
  std::vector<Finding> findings;
  bool has_mask = false;  // findings are known: there was a mask, or the label says that there are none
  std::string modality;   // DICOM's code ("MR", "CT", "PT"); empty when the file did not say
  volume::VolumeGeometry geometry;
  volume::IntensityStatistics statistics;
  bool bias_corrected = false;      // divided by N4's field
  std::filesystem::path bricks;     // BrickVolume::open with volume_key
  std::filesystem::path level_2mm;  // read_level with volume_key
  VolumeKey volume_key;             // set when usable
  bool usable = false;
  std::string reason;  // why not, when refused; names no patient and no file
};

// The files that hold a study's volume, both named <code>.<ending>.
struct StoredFiles {
  std::filesystem::path bricks;     // BrickVolume::open
  std::filesystem::path level_2mm;  // read_level
};
StoredFiles stored_files(const std::filesystem::path& folder, std::string_view code);

// What identifies a study to the people of the site. Sealed on disk.
struct StudyIdentity {
  std::string study, patient, image, mask;
};

// From which files of which DICOM series a study was made: by this a scan is known again whatever its files are called,
// and a part of a series from the whole. Sealed on disk; the series is known by a salted code.
struct StudyOrigin {
  std::string series;                            // patient, study and series; empty: no such series
  std::uint32_t part = 0;                        // which of its volumes
  std::vector<std::uint64_t> instances, places;  // ascending hashes: SOP instances, slices' positions
  Bytes volume;                                  // a tag of geometry and voxels as they were read; empty: not known
};
struct SeriesStudy {
  StudyRecord record;
  StudyOrigin origin;  // without the series' own name
};

// A row to write. `fingerprint` says from what and with which settings the study was made, so that a second ingest of
// the same can be skipped.
struct CatalogueEntry {
  StudyRecord record;
  StudyIdentity identity;
  std::string fingerprint;
  StudyOrigin origin{};
  std::vector<std::string> replaces{};  // codes of studies that are erased with this row's arrival: parts of it
};

struct CatalogueCounts {
  std::size_t usable = 0, refused = 0;
};

// Why these studies cannot serve a plan that asks for N4 on MR, or for none; empty when they can. CT and PET are not
// looked at.
std::string bias_mismatch(std::span<const StudyRecord> records, bool n4);

// Whoever adds, replaces or deletes studies holds this lock (common/file_lock.h) for as long: a code stands for a row
// and two files, and only together are they a study. Readers need none: a row is written when its files are there.
std::filesystem::path data_lock(const std::filesystem::path& site_folder);

class StudyCatalogue {
 public:
  // Opens, or creates with `create`, SITE/catalogue.sqlite, SITE/catalogue.key and SITE/volumes/.
  // not_found: no catalogue yet (ingest first); corruption: the file fails SQLite's quick check;
  // permission_denied: the key does not fit.
  static Result<StudyCatalogue> open(const std::filesystem::path& site_folder, bool create);
  StudyCatalogue(StudyCatalogue&&) noexcept;
  StudyCatalogue& operator=(StudyCatalogue&&) noexcept;
  ~StudyCatalogue();

  // Salted codes: the same bytes give the same code at this site, and another code at any other.
  std::string study_code(ByteView contents) const;
  std::string patient_code(std::string_view patient) const;
  std::filesystem::path volumes_folder() const;

  // The key under which a site recognises the contents of files.
  crypto::SecretKey content_key() const;
  // The key of every volume of this site.
  const VolumeKey& volume_key() const noexcept;
  // Received scans are sealed for this key (sealed_scan.h).
  crypto::AgreementKey receiving_key() const;

  // Adds or replaces the studies of those codes, all or none, and erases those that they replace. Durable when it
  // returns; the caller has made their volumes durable.
  Result<void> add(std::span<const CatalogueEntry> entries);
  Result<std::vector<StudyRecord>> list() const;  // in order of code
  Result<std::vector<StudyRecord>> list_usable(Split split) const;
  Result<StudyRecord> find(std::string_view code) const;        // not_found: never there, or forgotten, and when
  Result<StudyIdentity> identity(std::string_view code) const;  // not_found; corruption: unsealing failed
  Result<std::optional<std::string>> fingerprint(std::string_view code) const;
  Result<std::vector<SeriesStudy>> studies_of_series(std::string_view series) const;  // refused ones too
  Result<std::vector<StudyRecord>> studies_of_volume(ByteView volume) const;          // usable ones
  Result<std::set<std::string>> codes() const;  // of every study there is, refused ones too
  Result<CatalogueCounts> counts() const;

  // What an ingest that was killed left behind: files below the site's data folder that are named after a code of no
  // study, which nobody could forget, or that were not finished. They are deleted, unless an ingest is running, which
  // has files before it has rows. unavailable: one cannot be deleted.
  struct Leftovers {
    std::size_t removed = 0;
    bool ingest_is_running = false;
  };
  Result<Leftovers> remove_leftovers();

  // Deletes every file below the site's data folder that is named <code>.<anything> (volumes, level, embeddings),
  // then its row, and keeps an erasure record (code and time only).
  Result<void> forget(std::string_view code, std::int64_t unix_ms);

 private:
  struct Impl;
  explicit StudyCatalogue(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fovea::node::store
