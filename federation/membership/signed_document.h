// A signed document on disk and on the wire: JSON text kept and signed as the exact bytes it was
// written with, and the Ed25519 signatures over (domain, exact bytes). Verify first, parse second.
//
//   {"fovea_signed":1,"kind":"roster","document":"{…}","signatures":[{"key":"<hex>","signature":"<hex>"}]}
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"

namespace fovea::crypto {
class SigningKey;
}

namespace fovea::federation::membership {

using PublicKeyBytes = std::array<std::uint8_t, 32>;  // an Ed25519 or CURVE (X25519) public key
using SignatureBytes = std::array<std::uint8_t, 64>;

inline constexpr std::size_t kSignedDocumentBytesMax = 512 * 1024;
inline constexpr std::size_t kDocumentSignaturesMax = 8;

struct DocumentSignature {
  PublicKeyBytes key{};
  SignatureBytes signature{};
};

struct SignedDocument {
  // "roster", "join-request", "approval", "invite", "pardon", "acquaintance", "acquaintance-end"
  std::string kind;
  std::string document;  // the exact text that is signed
  std::vector<DocumentSignature> signatures;

  // Shape only; nothing is verified yet, and nobody may have signed it so far.
  static Result<SignedDocument> parse(ByteView bytes);
  Bytes serialize() const;

  // Adds (or replaces) this key's signature.
  Result<void> sign(const crypto::SigningKey& key);
  // Takes over from another copy of the same document the valid signatures of `keys` that this one lacks; how many
  // these were. permission_denied: it is another document; corruption: a signature of one of `keys` is wrong.
  Result<std::size_t> merge(const SignedDocument& copy, std::span<const PublicKeyBytes> keys);
  // permission_denied: "is a roster, not an invite".
  Result<void> check_kind(std::string_view expected_kind) const;
  // How many of `keys`, each counted once, have a valid signature on the document. corruption when a
  // signature by one of them is present and wrong; permission_denied when `kind` differs.
  Result<std::size_t> count_valid(std::string_view expected_kind, std::span<const PublicKeyBytes> keys) const;
  // That a site's approver has signed it; permission_denied when not.
  Result<void> check_approver(std::string_view expected_kind, const PublicKeyBytes& approver_key) const;
};

// The exact text that is signed for `value`; invalid_argument, under the name `what`, when one of its texts is not
// UTF-8.
Result<std::string> document_text(const nlohmann::ordered_json& value, std::string_view what);

// "a roster", "a request to join": what people call a document of this kind.
std::string_view name_of_kind(std::string_view kind);

// "67613d1ac18a7bd5…": how a public key begins wherever it is printed or given in hex, so that a reader of a log or an
// error finds whose it is. People compare what stands for all keys of a site or federation: site_fingerprint() and
// Invite::fingerprint().
std::string shortened_key(ByteView bytes);
// "3b6a-27bc-…": hex digits as people read them out.
std::string in_groups_of_four(ByteView bytes);

}  // namespace fovea::federation::membership
