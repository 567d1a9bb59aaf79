#include "federation/membership/invite.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "common/bytes.h"
#include "common/codec.h"
#include "common/console.h"
#include "common/json_fields.h"
#include "crypto/hash.h"
#include "federation/membership/endpoint.h"
#include "federation/membership/site_fields.h"

namespace fovea::federation::membership {
namespace {

constexpr std::uint64_t kFormat = 2;

Result<std::vector<PublicKeyBytes>> read_administrators(JsonFields& fields) {
  FOVEA_TRY_ASSIGN(const std::vector<std::string> keys, fields.texts("administrators", 1, kAdministratorsMax, 64));
  std::vector<PublicKeyBytes> out;
  for (const std::string& hex : keys) {
    const auto bytes = from_hex(hex);
    if (!bytes) return bytes.error().with_context("invite.administrators");
    FOVEA_TRY_ASSIGN(const PublicKeyBytes key, to_array<32>(*bytes, "invite.administrators"));
    if (std::find(out.begin(), out.end(), key) != out.end())
      return invalid_argument("invite.administrators: a key occurs twice; one person is one administrator");
    out.push_back(key);
  }
  return out;
}

// A label of its own, so that no hash of another kind of document can be read out in its place.
Digest hash_of(std::string_view document) {
  ByteWriter writer;
  writer.sized(std::string_view("FOVEA/1/founding-document"));
  writer.sized(document);
  return crypto::sha256(std::move(writer).take());
}

std::size_t missing_from(const std::vector<PublicKeyBytes>& keys, const std::vector<PublicKeyBytes>& from) {
  return static_cast<std::size_t>(std::count_if(from.begin(), from.end(), [&](const PublicKeyBytes& key) {
    return std::find(keys.begin(), keys.end(), key) == keys.end();
  }));
}

}  // namespace

Result<Invite> Invite::parse(std::string_view document) {
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(as_bytes(document), "invite", kSignedDocumentBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, "invite"));
  FOVEA_TRY_ASSIGN(const std::uint64_t format, read_format(fields, "fovea_invite", kFormat));
  if (format != kFormat)
    return invalid_argument(
        "invite.fovea_invite: 1 is the format of version 0.1, in which one signature vouched for every administrator; "
        "found the federation anew (fovea-coordinator init in a new folder) and send its hospitals the new invite");
  Invite out;
  FOVEA_TRY_ASSIGN(out.federation, read_federation_name(fields));
  FOVEA_TRY_ASSIGN(out.endpoint, fields.line("endpoint", 1, 300));
  if (const auto endpoint = Endpoint::parse(out.endpoint); !endpoint)
    return endpoint.error().with_context("invite.endpoint");
  FOVEA_TRY_ASSIGN(out.coordinator_transport_key, fields.hex<32>("coordinator_transport_key"));
  FOVEA_TRY_ASSIGN(out.coordinator_signing_key, fields.hex<32>("coordinator_signing_key"));
  FOVEA_TRY_ASSIGN(out.administrators, read_administrators(fields));
  FOVEA_TRY_ASSIGN(out.quorum, fields.integer32("quorum", 1, static_cast<std::uint32_t>(out.administrators.size())));
  FOVEA_TRY(fields.finish());
  out.hash = hash_of(document);
  return out;
}

Result<std::string> Invite::document() const {
  nlohmann::ordered_json value = {{"fovea_invite", kFormat},
                                  {"federation", federation},
                                  {"endpoint", endpoint},
                                  {"coordinator_transport_key", to_hex(coordinator_transport_key)},
                                  {"coordinator_signing_key", to_hex(coordinator_signing_key)}};
  value["administrators"] = nlohmann::ordered_json::array();
  for (const PublicKeyBytes& key : administrators) value["administrators"].push_back(to_hex(key));
  value["quorum"] = quorum;
  std::string text = value.dump(1) + "\n";
  FOVEA_TRY(parse(text));
  return text;
}

std::string Invite::fingerprint() const {
  constexpr std::size_t kShownBytes = 12;
  return in_groups_of_four(ByteView(hash).first(kShownBytes));
}

RosterTrust Invite::trust(EpochNumber epoch_min) const {
  return {federation, administrators, quorum, coordinator_signing_key, epoch_min};
}

std::string Invite::who_decides() const {
  if (one_person_decides()) return "one person alone decides who takes part";
  return std::to_string(quorum) + " of " + std::to_string(administrators.size()) +
         " administrators together decide who takes part";
}

Result<Invite> verify_invite(const SignedDocument& signed_document) {
  // The keys come from the document itself: who they belong to is what people compare by telephone. One signature
  // would not do: whoever makes a document of his own can list the true administrator in it, beside himself.
  FOVEA_TRY(signed_document.check_kind("invite"));
  FOVEA_TRY_ASSIGN(Invite invite, Invite::parse(signed_document.document));
  FOVEA_TRY_ASSIGN(const std::size_t valid, signed_document.count_valid("invite", invite.administrators));
  if (valid != invite.administrators.size())
    return permission_denied("invite: signed by " + std::to_string(valid) + " of the " +
                             counted(invite.administrators.size(), "administrator") +
                             " it lists; each of them must sign it (fovea-coordinator sign-founding)");
  return invite;
}

std::vector<std::string> differences(const Invite& before, const Invite& after) {
  std::vector<std::string> out;
  if (before.federation != after.federation)
    out.push_back("federation: " + before.federation + " becomes " + after.federation);
  if (before.endpoint != after.endpoint) out.push_back("endpoint: " + before.endpoint + " becomes " + after.endpoint);
  if (before.coordinator_transport_key != after.coordinator_transport_key)
    out.emplace_back("coordinator_transport_key: another key");
  if (before.coordinator_signing_key != after.coordinator_signing_key)
    out.emplace_back("coordinator_signing_key: another key");
  const std::size_t added = missing_from(before.administrators, after.administrators);
  const std::size_t removed = missing_from(after.administrators, before.administrators);
  if (added + removed > 0)
    out.push_back("administrators: " + std::to_string(added) + " new, " + std::to_string(removed) + " gone");
  if (before.quorum != after.quorum)
    out.push_back("quorum: " + std::to_string(before.quorum) + " becomes " + std::to_string(after.quorum));
  if (out.empty() && before.hash != after.hash) out.emplace_back("the exact text, though every field is the same");
  return out;
}

}  // namespace fovea::federation::membership
