#include "federation/membership/signed_document.h"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/codec.h"
#include "common/contains.h"
#include "common/json_fields.h"
#include "crypto/hash.h"
#include "crypto/signature.h"
#include "federation/membership/site_fields.h"

namespace fovea::federation::membership {
namespace {

// The kind is part of what is signed, so that no document passes for one of another kind.
Bytes signed_bytes(const SignedDocument& document) {
  ByteWriter writer;
  writer.sized(std::string_view("FOVEA/1/document"));
  writer.sized(document.kind);
  writer.sized(document.document);
  return std::move(writer).take();
}

}  // namespace

Result<SignedDocument> SignedDocument::parse(ByteView bytes) {
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(bytes, "signed document", kSignedDocumentBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, "signed document"));
  FOVEA_TRY(read_format(fields, "fovea_signed", 1));
  SignedDocument out;
  FOVEA_TRY_ASSIGN(out.kind, fields.choice("kind", {"roster", "invite", "join-request", "approval", "pardon",
                                                    "acquaintance", "acquaintance-end"}));
  FOVEA_TRY_ASSIGN(out.document, fields.text("document", 2, kSignedDocumentBytesMax));
  FOVEA_TRY_ASSIGN(std::vector<JsonFields> signatures, fields.objects("signatures", 0, kDocumentSignaturesMax));
  for (JsonFields& entry : signatures) {
    DocumentSignature signature;
    FOVEA_TRY_ASSIGN(signature.key, entry.hex<32>("key"));
    FOVEA_TRY_ASSIGN(signature.signature, entry.hex<64>("signature"));
    FOVEA_TRY(entry.finish());
    out.signatures.push_back(signature);
  }
  FOVEA_TRY(fields.finish());
  return out;
}

Bytes SignedDocument::serialize() const {
  nlohmann::ordered_json value = {{"fovea_signed", 1}, {"kind", kind}, {"document", document}};
  value["signatures"] = nlohmann::ordered_json::array();
  for (const DocumentSignature& entry : signatures)
    value["signatures"].push_back({{"key", to_hex(entry.key)}, {"signature", to_hex(entry.signature)}});
  const std::string text = value.dump(1) + "\n";
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

Result<void> SignedDocument::sign(const crypto::SigningKey& key) {
  const DocumentSignature fresh{key.verify_key(), key.sign(signed_bytes(*this))};
  const auto found = std::find_if(signatures.begin(), signatures.end(),
                                  [&](const DocumentSignature& entry) { return entry.key == fresh.key; });
  if (found != signatures.end()) {
    *found = fresh;
    return {};
  }
  if (signatures.size() >= kDocumentSignaturesMax)
    return failed_precondition("signed document: has " + std::to_string(kDocumentSignaturesMax) +
                               " signatures already, the most there can be");
  signatures.push_back(fresh);
  return {};
}

Result<std::size_t> SignedDocument::merge(const SignedDocument& copy, std::span<const PublicKeyBytes> keys) {
  if (copy.document != document)
    return permission_denied(kind + ": is another document than the one that waits; its signatures cannot be merged");
  FOVEA_TRY(copy.count_valid(kind, keys));  // refuses a wrong signature
  std::vector<DocumentSignature> merged = signatures;
  // Of a person who does not count, or of a key twice: nothing that could use up the places of those who do.
  std::erase_if(merged, [&](const DocumentSignature& entry) { return !contains(keys, entry.key); });
  const std::size_t before = merged.size();
  for (const DocumentSignature& entry : copy.signatures)
    if (contains(keys, entry.key) && std::none_of(merged.begin(), merged.end(), [&](const DocumentSignature& known) {
          return known.key == entry.key;
        }))
      merged.push_back(entry);
  if (merged.size() > kDocumentSignaturesMax)
    return failed_precondition("signed document: has more than " + std::to_string(kDocumentSignaturesMax) +
                               " signatures, the most there can be");
  signatures = std::move(merged);
  return signatures.size() - before;
}

Result<void> SignedDocument::check_kind(std::string_view expected_kind) const {
  if (kind == expected_kind) return {};
  return permission_denied("is " + std::string(name_of_kind(kind)) + ", not " +
                           std::string(name_of_kind(expected_kind)));
}

Result<std::size_t> SignedDocument::count_valid(std::string_view expected_kind,
                                                std::span<const PublicKeyBytes> keys) const {
  FOVEA_TRY(check_kind(expected_kind));
  const Bytes message = signed_bytes(*this);
  std::size_t valid = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (std::find(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(i), keys[i]) !=
        keys.begin() + static_cast<std::ptrdiff_t>(i))
      continue;
    const auto found = std::find_if(signatures.begin(), signatures.end(),
                                    [&](const DocumentSignature& entry) { return entry.key == keys[i]; });
    if (found == signatures.end()) continue;
    const crypto::SignatureVerdict verdict = crypto::check_signature(keys[i], message, found->signature);
    if (verdict != crypto::SignatureVerdict::valid)
      return corruption(kind + ": the signature of key " + shortened_key(keys[i]) + " is wrong (" +
                        std::string(crypto::to_string(verdict)) + "); the document was changed after it was signed");
    ++valid;
  }
  return valid;
}

Result<void> SignedDocument::check_approver(std::string_view expected_kind, const PublicKeyBytes& approver_key) const {
  FOVEA_TRY_ASSIGN(const std::size_t valid, count_valid(expected_kind, std::span(&approver_key, 1)));
  if (valid == 1) return {};
  return permission_denied(std::string(expected_kind) + ": is not signed with this site's approver key (" +
                           shortened_key(approver_key) + ")");
}

Result<std::string> document_text(const nlohmann::ordered_json& value, std::string_view what) {
  try {
    return value.dump(1) + "\n";
  } catch (const nlohmann::json::exception&) {
    return invalid_argument(std::string(what) + ": names and reasons must be UTF-8 text");
  }
}

std::string_view name_of_kind(std::string_view kind) {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {{"roster", "a roster"},
                                                                      {"invite", "an invite"},
                                                                      {"join-request", "a request to join"},
                                                                      {"approval", "a plan's approval"},
                                                                      {"pardon", "a pardon"},
                                                                      {"acquaintance", "an acceptance of a site"}};
  for (const auto& [known, name] : kNames)
    if (known == kind) return name;
  return "another document";
}

std::string shortened_key(ByteView bytes) {
  constexpr std::size_t kShownBytes = 8;
  return to_hex(bytes.first(std::min(bytes.size(), kShownBytes))) + "…";
}

std::string in_groups_of_four(ByteView bytes) {
  constexpr std::size_t kGroup = 4;
  const std::string hex = to_hex(bytes);
  std::string out;
  for (std::size_t at = 0; at < hex.size(); at += kGroup) out += (at == 0 ? "" : "-") + hex.substr(at, kGroup);
  return out;
}

}  // namespace fovea::federation::membership
