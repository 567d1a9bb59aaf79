#include "federation/files/signed_document_file.h"

#include "common/bytes.h"
#include "common/durable_file.h"

namespace fovea::federation::files {

Result<membership::SignedDocument> read_signed_document(const std::filesystem::path& path) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(path, membership::kSignedDocumentBytesMax));
  auto document = membership::SignedDocument::parse(bytes);
  if (!document) return document.error().with_context(path.string());
  return document;
}

}  // namespace fovea::federation::files
