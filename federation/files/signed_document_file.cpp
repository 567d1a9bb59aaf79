#include "federation/files/signed_document_file.h"

#include <system_error>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "federation/membership/invite.h"

namespace fovea::federation::files {

Result<membership::SignedDocument> read_signed_document(const std::filesystem::path& path) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(path, membership::kSignedDocumentBytesMax));
  auto document = membership::SignedDocument::parse(bytes);
  if (!document) return document.error().with_context(path.string());
  return document;
}

std::vector<membership::RosterTrust> former_trusts(const std::filesystem::path& folder) {
  std::vector<membership::RosterTrust> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const auto document = read_signed_document(entry.path());
    if (!document) continue;
    if (const auto former = membership::verify_invite(*document)) out.push_back(former->trust());
  }
  return out;
}

}  // namespace fovea::federation::files
