#include "node/store/study_catalogue.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/clock.h"
#include "common/codec.h"
#include "common/durable_file.h"
#include "common/file_lock.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "crypto/random_source.h"
#include "node/store/catalogue_row.h"
#include "node/volume/modality.h"

namespace fovea::node::store {
namespace {

constexpr std::string_view kDatabase = "catalogue.sqlite";
constexpr std::string_view kKeyFile = "catalogue.key";
constexpr std::string_view kVolumes = "volumes";
constexpr std::size_t kKeyBytes = 32;
// 2: another tag of a file's contents; 3: one that does not depend on the order of a series' files, and from which
// series a study was made. Other tags make other codes, so what an older version stored would be ingested twice.
constexpr int kSchemaVersion = 3;
constexpr int kBusyMs = 10'000;
// 32 characters that are not mistaken for each other.
constexpr std::string_view kAlphabet = "abcdefghijkmnpqrstuvwxyz23456789";

constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS studies (code TEXT PRIMARY KEY, patient_code TEXT NOT NULL, split INTEGER NOT NULL, "
    "usable INTEGER NOT NULL, fingerprint TEXT NOT NULL, facts BLOB NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS origins (code TEXT PRIMARY KEY, series TEXT NOT NULL, volume TEXT NOT NULL, sealed "
    "BLOB "
    "NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS origins_by_series ON origins (series);"
    "CREATE INDEX IF NOT EXISTS origins_by_volume ON origins (volume);"
    "CREATE TABLE IF NOT EXISTS erasures (code TEXT NOT NULL, unix_ms INTEGER NOT NULL);";

// What the database says when it fails may quote a row: only its number is passed on.
Error database_error(const SQLite::Exception& error) {
  const int code = error.getErrorCode();
  const std::string number = " (SQLite " + std::to_string(code) + ")";
  if (code == SQLITE_FULL || code == SQLITE_IOERR)
    return unavailable("catalogue: cannot be written; is the disk full?" + number);
  if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
    return unavailable("catalogue: in use by another program for long; try again" + number);
  if (code == SQLITE_READONLY || code == SQLITE_CANTOPEN || code == SQLITE_PERM)
    return unavailable(
        "catalogue: cannot be opened for writing; is the disk mounted read-only, or does another user own the folder?" +
        number);
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
    return corruption("catalogue: the file is damaged; restore it from a backup, or remove it and ingest again" +
                      number);
  return internal_error("catalogue: unexpected failure" + number);
}

// "s-7kq2m9xa4d" of "s-7kq2m9xa4d.bricks"; empty when the file is not named after a study.
std::string code_of(const std::filesystem::path& file) {
  constexpr std::size_t kCodeBytes = 12;
  const std::string name = file.filename().string();
  const bool fits = name.size() > kCodeBytes && name.starts_with("s-") && name[kCodeBytes] == '.' &&
                    name.find_first_not_of(kAlphabet, 2) == kCodeBytes;
  return fits ? name.substr(0, kCodeBytes) : "";
}

// Before anything is written: a program that can write nothing says so at once, and where.
Result<void> check_writable(const std::filesystem::path& folder) {
  if (::access(folder.c_str(), W_OK | X_OK) == 0) return {};
  const int code = errno;
  const std::string what = folder.string() + ": cannot be written: " + std::strerror(code);
  return unavailable(what + (code == EROFS ? "; mount the disk for writing, or give another folder with --site"
                                           : "; run as the user who owns the folder, or correct its owner and mode"));
}

std::string short_code(std::string_view prefix, const crypto::SecretKey& hash) {
  std::string out(prefix);
  for (std::size_t i = 0; i < 10; ++i) out.push_back(kAlphabet[hash.view()[i] % kAlphabet.size()]);
  return out;
}

crypto::SecretKey subkey(const crypto::SecretKey& key, std::string_view purpose) {
  return crypto::hkdf_sha256({.secret = key.view(), .salt = {}, .info = as_bytes(purpose)});
}

Result<crypto::SecretKey> load_key(const std::filesystem::path& path, bool create) {
  if (!std::filesystem::exists(path)) {
    if (!create)
      return permission_denied("catalogue.key: missing; without it the sealed columns cannot be read (restore it)");
    crypto::SystemRandom random;
    const crypto::SecretKey fresh = random.secret_key();
    // Of two who make it at once, both take the one that was first: what was sealed under another could never be read.
    FOVEA_TRY(create_file_durably(path, fresh.view(), FileMode::secret));
  }
  FOVEA_TRY_ASSIGN(Bytes bytes, read_file(path, kKeyBytes));
  Result<crypto::SecretKey> key = crypto::SecretKey::from(bytes, "catalogue.key");
  crypto::wipe(bytes);
  return key;
}

}  // namespace

struct StudyCatalogue::Impl {
  std::filesystem::path folder;
  crypto::SecretKey code_key, content_key, seal_key, receiving_key;
  VolumeKey volume_key;
  mutable SQLite::Database database;

  Impl(std::filesystem::path site, const crypto::SecretKey& key, const std::filesystem::path& file, bool create)
      : folder(std::move(site)),
        code_key(subkey(key, "FOVEA/1/catalogue codes")),
        content_key(subkey(key, "FOVEA/1/scan contents")),
        seal_key(subkey(key, "FOVEA/1/catalogue seal")),
        receiving_key(subkey(key, "FOVEA/1/received scans")),
        volume_key(make_volume_key(subkey(key, "FOVEA/1/volumes"))),
        database(file.string(), SQLite::OPEN_READWRITE | (create ? SQLite::OPEN_CREATE : 0), kBusyMs) {}

  // The code is authenticated with the identity, so that rows cannot be swapped.
  Bytes seal(const StudyIdentity& identity, std::string_view code) const {
    return seal(encode_identity(identity), code);
  }
  Bytes seal(const Bytes& plain, std::string_view code) const {
    crypto::SystemRandom random;
    crypto::AeadNonce nonce{};
    random.fill(nonce);
    Bytes out(nonce.begin(), nonce.end());
    const Bytes sealed = crypto::aead_seal(seal_key, nonce, as_bytes(code), plain);
    out.insert(out.end(), sealed.begin(), sealed.end());
    return out;
  }

  Result<StudyIdentity> unseal(ByteView sealed, std::string_view code) const {
    FOVEA_TRY_ASSIGN(const crypto::SecretBytes plain, opened(sealed, code));
    return decode_identity(plain.view());
  }

  Result<crypto::SecretBytes> opened(ByteView sealed, std::string_view code) const {
    FOVEA_TRY_ASSIGN(const crypto::AeadNonce nonce,
                     to_array<12>(sealed.first(std::min<std::size_t>(12, sealed.size())), "sealed identity"));
    return crypto::aead_open(seal_key, nonce, as_bytes(code), sealed.subspan(12));
  }

  std::string salted(std::string_view prefix, std::string_view kind, std::string_view text) const {
    Bytes message(as_bytes(kind).begin(), as_bytes(kind).end());
    message.insert(message.end(), text.begin(), text.end());
    return short_code(prefix, crypto::hmac_sha256(code_key.view(), message));
  }
  std::string series_code(std::string_view series) const {
    return series.empty() ? std::string() : salted("r-", "series ", series);
  }
  std::string volume_code(ByteView volume) const {
    return volume.empty() ? std::string() : salted("v-", "volume ", as_text(volume));
  }
  // What the origin of a study is sealed for: never that of its identity.
  static std::string origin_name(std::string_view code) { return "origin of " + std::string(code); }

  void erase_rows(const std::string& code) {
    for (const char* const statement : {"DELETE FROM studies WHERE code = ?", "DELETE FROM origins WHERE code = ?"}) {
      SQLite::Statement erase(database, statement);
      erase.bind(1, code);
      erase.exec();
    }
  }

  void add_origin(const std::string& code, const StudyOrigin& origin) {
    const Bytes sealed = seal(encode_origin(origin), origin_name(code));
    SQLite::Statement insert(database, "INSERT OR REPLACE INTO origins VALUES (?, ?, ?, ?)");
    insert.bind(1, code);
    insert.bind(2, series_code(origin.series));
    insert.bind(3, volume_code(origin.volume));
    insert.bind(4, sealed.data(), static_cast<int>(sealed.size()));
    insert.exec();
  }

  Result<StudyRecord> record_of(const SQLite::Statement& row) const {
    const SQLite::Column facts = row.getColumn("facts");
    const ByteView bytes(static_cast<const std::uint8_t*>(facts.getBlob()), static_cast<std::size_t>(facts.getBytes()));
    FOVEA_TRY_ASSIGN(StudyRecord out, decode_facts(bytes));
    out.code = row.getColumn("code").getString();
    out.patient_code = row.getColumn("patient_code").getString();
    out.usable = row.getColumn("usable").getInt() == 1 && out.reason.empty();
    const int split = row.getColumn("split").getInt();
    if (split < 0 || split > 2) return corruption("catalogue: unknown split");
    out.split = static_cast<Split>(split);
    if (out.usable) {
      StoredFiles files = stored_files(folder / kVolumes, out.code);
      out.bricks = std::move(files.bricks);
      out.level_2mm = std::move(files.level_2mm);
      out.volume_key = volume_key;
    }
    return out;
  }

  // Never known, or known once and forgotten.
  Error missing(std::string_view code) const {
    SQLite::Statement query(database, "SELECT unix_ms FROM erasures WHERE code = ? ORDER BY unix_ms DESC");
    query.bind(1, std::string(code));
    if (query.executeStep())
      return not_found("study: " + std::string(code) + " was forgotten at " +
                       utc_text({query.getColumn(0).getInt64()}) + "; nothing of it is left");
    return not_found("study: no such code in this site's catalogue (see: fovea-node data list)");
  }

  // Volumes, and what other rooms keep of the study below this folder: every file named <code>.<something>.
  Result<void> remove_files_of(std::string_view code) const {
    std::error_code failed;
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, failed))
      if (entry.path().filename().string().starts_with(std::string(code) + ".")) found.push_back(entry.path());
    for (const std::filesystem::path& path : found)
      if (!failed) std::filesystem::remove(path, failed);
    if (failed) return unavailable("study: a stored volume could not be deleted; is the disk writable?");
    return {};
  }
};

StoredFiles stored_files(const std::filesystem::path& folder, std::string_view code) {
  return {folder / (std::string(code) + ".bricks"), folder / (std::string(code) + ".2mm")};
}

std::string bias_mismatch(std::span<const StudyRecord> records, bool n4) {
  std::size_t mr = 0, other = 0;
  for (const StudyRecord& record : records) {
    if (!record.usable || !volume::has_bias_field(record.modality)) continue;
    ++mr;
    other += record.bias_corrected != n4 ? 1U : 0U;
  }
  if (other == 0) return "";
  const std::string begin = "intake.n4: the plan says " + std::string(n4 ? "true" : "false") + ", but " +
                            std::to_string(other) + " of " + std::to_string(mr) + " studies here were ingested ";
  return begin + (n4 ? "without N4; ingest them again with it: fovea-node data ingest … --n4"
                     : "with N4; ingest them again without it: fovea-node data ingest …, no --n4");
}

StudyCatalogue::StudyCatalogue(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StudyCatalogue::StudyCatalogue(StudyCatalogue&&) noexcept = default;
StudyCatalogue& StudyCatalogue::operator=(StudyCatalogue&&) noexcept = default;
StudyCatalogue::~StudyCatalogue() = default;

std::filesystem::path data_lock(const std::filesystem::path& site_folder) { return site_folder / "lock"; }

Result<StudyCatalogue> StudyCatalogue::open(const std::filesystem::path& site_folder, bool create) {
  const std::filesystem::path file = site_folder / kDatabase;
  const bool exists = std::filesystem::exists(file);
  if (!exists && !create) return not_found("catalogue: none in this site's folder yet (run: fovea-node data ingest)");
  if (create) {
    FOVEA_TRY(create_directories_durably(site_folder / kVolumes));
    FOVEA_TRY(check_writable(site_folder));
    FOVEA_TRY(check_writable(site_folder / kVolumes));
  }
  FOVEA_TRY_ASSIGN(const crypto::SecretKey key, load_key(site_folder / kKeyFile, create && !exists));
  try {
    auto impl = std::make_unique<Impl>(site_folder, key, file, create);
    SQLite::Database& db = impl->database;
    std::error_code failed;
    std::filesystem::permissions(file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write,
                                 failed);
    if (failed && (create || failed != std::errc::read_only_file_system))  // a list of studies changes nothing
      return permission_denied("catalogue: its file permissions cannot be set; does another user own the folder?");
    // A rollback journal, not a write-ahead log: SQLite 3.40's log can be damaged by two connections.
    db.exec("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;");
    if (exists && db.execAndGet("PRAGMA quick_check").getString() != "ok")
      return corruption("catalogue: the file is damaged; restore it from a backup, or remove it and ingest again");
    const auto version = [&] { return db.execAndGet("PRAGMA user_version").getInt(); };
    if (create && version() == 0) {         // new, or its making was cut off
      SQLite::Transaction transaction(db);  // nobody finds tables without a version
      db.exec(kSchema);
      db.exec("PRAGMA user_version = " + std::to_string(kSchemaVersion));
      transaction.commit();
    }
    if (version() != kSchemaVersion)
      return failed_precondition("catalogue: of version " + std::to_string(version()) + ", this program writes " +
                                 std::to_string(kSchemaVersion) +
                                 "; move catalogue.sqlite and volumes/ away and ingest again");
    return StudyCatalogue(std::move(impl));
  } catch (const SQLite::Exception& error) {
    return database_error(error);
  }
}

std::string StudyCatalogue::study_code(ByteView contents) const {
  return short_code("s-", crypto::hmac_sha256(impl_->code_key.view(), contents));
}

std::string StudyCatalogue::patient_code(std::string_view patient) const {
  return impl_->salted("p-", "patient ", patient);
}

crypto::SecretKey StudyCatalogue::content_key() const { return impl_->content_key.copy(); }

std::filesystem::path StudyCatalogue::volumes_folder() const { return impl_->folder / kVolumes; }

const VolumeKey& StudyCatalogue::volume_key() const noexcept { return impl_->volume_key; }

crypto::AgreementKey StudyCatalogue::receiving_key() const {
  return crypto::AgreementKey::from_private(impl_->receiving_key);
}

Result<void> StudyCatalogue::add(std::span<const CatalogueEntry> entries) {
  try {
    SQLite::Transaction transaction(impl_->database);
    SQLite::Statement insert(impl_->database, "INSERT OR REPLACE INTO studies VALUES (?, ?, ?, ?, ?, ?, ?)");
    for (const auto& [record, identity, fingerprint, origin, replaces] : entries) {
      const Bytes facts = encode_facts(record);
      const Bytes sealed = impl_->seal(identity, record.code);
      insert.bind(1, record.code);
      insert.bind(2, record.patient_code);
      insert.bind(3, static_cast<int>(record.split));
      insert.bind(4, record.usable ? 1 : 0);
      insert.bind(5, fingerprint);
      insert.bind(6, facts.data(), static_cast<int>(facts.size()));
      insert.bind(7, sealed.data(), static_cast<int>(sealed.size()));
      insert.exec();
      insert.reset();
      if (!origin.series.empty() || !origin.volume.empty()) impl_->add_origin(record.code, origin);
      for (const std::string& code : replaces) impl_->erase_rows(code);
    }
    transaction.commit();
  } catch (const SQLite::Exception& error) {
    return database_error(error);
  }
  for (const CatalogueEntry& entry : entries)
    for (const std::string& code : entry.replaces) FOVEA_TRY(impl_->remove_files_of(code));
  return {};
}

Result<std::vector<SeriesStudy>> StudyCatalogue::studies_of_series(std::string_view series) const {
  try {
    SQLite::Statement query(impl_->database,
                            "SELECT studies.*, origins.sealed AS origin FROM studies JOIN origins ON studies.code = "
                            "origins.code WHERE origins.series = ? ORDER BY studies.code");
    query.bind(1, impl_->series_code(series));
    std::vector<SeriesStudy> out;
    while (query.executeStep()) {
      SeriesStudy study;
      FOVEA_TRY_ASSIGN(study.record, impl_->record_of(query));
      const SQLite::Column sealed = query.getColumn("origin");
      FOVEA_TRY_ASSIGN(const crypto::SecretBytes plain,
                       impl_->opened(ByteView(static_cast<const std::uint8_t*>(sealed.getBlob()),
                                              static_cast<std::size_t>(sealed.getBytes())),
                                     Impl::origin_name(study.record.code)));
      FOVEA_TRY_ASSIGN(study.origin, decode_origin(plain.view()));
      out.push_back(std::move(study));
    }
    return out;
  } catch (const SQLite::Exception& error) {
    return database_error(error);
  }
}

Result<std::vector<StudyRecord>> StudyCatalogue::studies_of_volume(ByteView volume) const {
  try {
    SQLite::Statement query(impl_->database,
                            "SELECT studies.* FROM studies JOIN origins ON studies.code = origins.code WHERE "
                            "origins.volume = ? ORDER BY studies.code");
    query.bind(1, impl_->volume_code(volume));
    std::vector<StudyRecord> out;
    while (query.executeStep()) {
      FOVEA_TRY_ASSIGN(StudyRecord record, impl_->record_of(query));
      if (record.usable) out.push_back(std::move(record));
    }
    return out;
  } catch (const SQLite::Exception& error) {
    return database_error(error);
  }
}

Result<std::vector<StudyRecord>> StudyCatalogue::list() const {
  try {
    std::vector<StudyRecord> out;
    SQLite::Statement query(impl_->database, "SELECT * FROM studies ORDER BY code");
    while (query.executeStep()) {
      FOVEA_TRY_ASSIGN(StudyRecord record, impl_->record_of(query));
      out.push_back(std::move(record));
    }
    return out;
  } catch (const SQLite::Exception& error) {
    return database_error(error);
  }
}

Result<std::vector<StudyRecord>> StudyCatalogue::list_usable(Split split) const {
  FOVEA_TRY_ASSIGN(std::vector<StudyRecord> all, list());
  std::erase_if(all, [split](const StudyRecord& record) { return !record.usable || record.split != split; });
  return all;
}

Result<StudyRecord> StudyCatalogue::find(std::string_view code) const {
  try {
    SQLite::Statement query(impl_->database, "SELECT * FROM studies WHERE code = ?");
    query.bind(1, std::string(code));
    if (!query.executeStep()) return impl_->missing(code);
    return impl_->record_of(query);
  } catch (const SQLite::Exception& error) {
    return database_error(error);
  }
}

Result<StudyIdentity> StudyCatalogue::identity(std::string_view code) const {
  try {
    SQLite::Statement query(impl_->database, "SELECT sealed FROM studies WHERE code = ?");
    query.bind(1, std::string(code));
    if (!query.executeStep()) return impl_->missing(code);
    const SQLite::Column sealed = query.getColumn(0);
    return impl_->unseal(
        ByteView(static_cast<const std::uint8_t*>(sealed.getBlob()), static_cast<std::size_t>(sealed.getBytes())),
        code);
  } catch (const SQLite::Exception& error) {
    return database_error(error);
  }
}

Result<std::optional<std::string>> StudyCatalogue::fingerprint(std::string_view code) const {
  try {
    SQLite::Statement query(impl_->database, "SELECT fingerprint FROM studies WHERE code = ?");
    query.bind(1, std::string(code));
    if (!query.executeStep()) return std::optional<std::string>{};
    return std::optional<std::string>(query.getColumn(0).getString());
  } catch (const SQLite::Exception& error) {
    return database_error(error);
  }
}

Result<std::set<std::string>> StudyCatalogue::codes() const {
  try {
    SQLite::Statement query(impl_->database, "SELECT code FROM studies");
    std::set<std::string> out;
    while (query.executeStep()) out.insert(query.getColumn(0).getString());
    return out;
  } catch (const SQLite::Exception& error) {
    return database_error(error);
  }
}

Result<CatalogueCounts> StudyCatalogue::counts() const {
  try {
    SQLite::Statement query(impl_->database, "SELECT usable, COUNT(*) FROM studies GROUP BY usable");
    CatalogueCounts out;
    while (query.executeStep())
      (query.getColumn(0).getInt() == 1 ? out.usable : out.refused) =
          static_cast<std::size_t>(query.getColumn(1).getInt64());
    return out;
  } catch (const SQLite::Exception& error) {
    return database_error(error);
  }
}

Result<StudyCatalogue::Leftovers> StudyCatalogue::remove_leftovers() {
  Leftovers out;
  // An ingest, which holds the lock, writes files before their rows.
  const Result<FileLock> lock =
      FileLock::take_as(data_lock(impl_->folder), "fovea-node data check", impl_->folder.string());
  if (!lock && lock.error().code == ErrorCode::failed_precondition) {
    out.ingest_is_running = true;
    return out;
  }
  if (!lock) return lock.error();
  FOVEA_TRY_ASSIGN(const std::set<std::string> known, codes());
  std::error_code failed;
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(impl_->folder, failed)) {
    const std::string code = code_of(entry.path());
    const bool unfinished = entry.path().filename().string().find(".tmp") != std::string::npos;
    if (!code.empty() && (unfinished || !known.contains(code)) && entry.is_regular_file(failed))
      found.push_back(entry.path());
  }
  for (const std::filesystem::path& path : found) {
    if (!std::filesystem::remove(path, failed) && failed)
      return unavailable(path.string() + ": left by an ingest that was killed, and cannot be deleted: " +
                         failed.message() + "; is the disk mounted read-only?");
    ++out.removed;
  }
  if (failed) return unavailable(impl_->folder.string() + ": cannot be looked through: " + failed.message());
  return out;
}

Result<void> StudyCatalogue::forget(std::string_view code, std::int64_t unix_ms) {
  FOVEA_TRY(find(code));
  // Files first: a crash in between leaves a row that says what is still to be forgotten, never a file without one.
  FOVEA_TRY(impl_->remove_files_of(code));
  try {
    SQLite::Transaction transaction(impl_->database);
    impl_->erase_rows(std::string(code));
    SQLite::Statement record(impl_->database, "INSERT INTO erasures VALUES (?, ?)");
    record.bind(1, std::string(code));
    record.bind(2, unix_ms);
    record.exec();
    transaction.commit();
    return {};
  } catch (const SQLite::Exception& error) {
    return database_error(error);
  }
}

}  // namespace fovea::node::store
