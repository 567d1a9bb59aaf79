#include "coordinator/store/blame_folder.h"

#include <algorithm>
#include <system_error>

#include "common/durable_file.h"
#include "federation/files/signed_document_file.h"

namespace fovea::coordinator::store {
namespace {

namespace fs = std::filesystem;

}  // namespace

Result<std::vector<Blame>> BlameFolder::standing() const {
  std::vector<Blame> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (!entry.is_regular_file()) continue;
    const auto site = SiteId::create(entry.path().filename().string());
    if (!site) continue;  // a pardon, or what a killed write left
    FOVEA_TRY_ASSIGN(std::optional<Blame> blame, find(*site));
    if (blame) out.push_back(std::move(*blame));
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return unavailable(folder_.string() + ": " + error.message());
  std::sort(out.begin(), out.end(), [](const Blame& a, const Blame& b) { return a.site < b.site; });
  return out;
}

Result<std::optional<Blame>> BlameFolder::find(const SiteId& site) const {
  const auto bytes = read_file(file(site), federation::membership::kBlameBytesMax);
  if (!bytes && bytes.error().code == ErrorCode::not_found) return std::optional<Blame>();
  if (!bytes) return bytes.error();
  auto blame = Blame::decode(*bytes);
  if (!blame)
    return corruption(file(site).string() + ": " + blame.error().message +
                      "; bring the file back from a backup, or move it away to let the site in again");
  if (blame->site != site) return corruption(file(site).string() + ": is about " + blame->site.text());
  return std::optional(std::move(*blame));
}

Result<void> BlameFolder::add(const Blame& blame) const {
  FOVEA_TRY(create_directories_durably(folder_));
  return write_file_durably(file(blame.site), blame.encode());
}

Result<void> BlameFolder::put_pardon(const SiteId& site, const federation::membership::SignedDocument& pardon) const {
  return write_file_durably(pardon_file(site), pardon.serialize());
}

Result<std::optional<federation::membership::SignedDocument>> BlameFolder::pardon_of(const SiteId& site) const {
  auto document = federation::files::read_signed_document(pardon_file(site));
  if (!document && document.error().code == ErrorCode::not_found)
    return std::optional<federation::membership::SignedDocument>();
  if (!document) return document.error();
  return std::optional(std::move(*document));
}

Result<void> BlameFolder::close(const Blame& blame, const federation::membership::SignedDocument& pardon) const {
  const fs::path kept = folder_ / "pardoned";
  const std::string name = to_hex(blame.digest());
  FOVEA_TRY(create_directories_durably(kept));
  FOVEA_TRY(write_file_durably(kept / (name + ".pardon"), pardon.serialize()));
  FOVEA_TRY(write_file_durably(kept / name, blame.encode()));
  // A crash in between leaves the pardon, which is then taken up again, or a pardon of nothing.
  std::error_code error;
  fs::remove(file(blame.site), error);
  if (error) return unavailable(file(blame.site).string() + ": cannot be removed: " + error.message());
  drop_pardon(blame.site);
  return {};
}

void BlameFolder::drop_pardon(const SiteId& site) const {
  std::error_code ignored;
  fs::remove(pardon_file(site), ignored);
}

}  // namespace fovea::coordinator::store
