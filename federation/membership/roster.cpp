#include "federation/membership/roster.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "common/canonical_json.h"
#include "common/console.h"
#include "common/json_fields.h"
#include "crypto/hash.h"
#include "federation/membership/site_fields.h"

namespace fovea::federation::membership {
namespace {

constexpr std::uint64_t kTimeMaxMs = 253'402'300'799'000;  // end of the year 9999

Result<void> check_sites(const std::vector<RosterSite>& sites) {
  std::set<PublicKeyBytes> keys;
  for (std::size_t i = 0; i < sites.size(); ++i) {
    const std::string path = "roster.sites[" + std::to_string(i) + "]";
    if (i > 0 && !(sites[i - 1].id < sites[i].id))
      return invalid_argument(path + ".id: sites must be sorted by id, each once");
    for (const PublicKeyBytes& key :
         {sites[i].identity_key, sites[i].transport_key, sites[i].log_key, sites[i].approver_key})
      if (!keys.insert(key).second)
        return invalid_argument(path + ": a key of " + sites[i].id.text() + " occurs twice; every key has one use");
  }
  return {};
}

Result<void> check_validity(const Roster& roster) {
  const std::int64_t span = roster.valid_until.value - roster.valid_from.value;
  if (span <= 0 || span > kRosterValidityMaxMs)
    return invalid_argument("roster.valid_until_ms: expected at most 7 days after valid_from_ms, and after it");
  return {};
}

}  // namespace

Digest entry_digest(const RosterSite& site) {
  return crypto::TaggedHash("FOVEA/1/roster-entry")
      .add(site.id.text())
      .add(site.identity_key)
      .add(site.transport_key)
      .add(site.log_key)
      .add(site.approver_key)
      .finish();
}

std::string site_fingerprint(const RosterSite& site) {
  constexpr std::size_t kShownBytes = 12;
  return in_groups_of_four(ByteView(entry_digest(site)).first(kShownBytes));
}

Result<Roster> Roster::parse(std::string_view document) {
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(as_bytes(document), "roster", kSignedDocumentBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, "roster"));
  FOVEA_TRY(read_format(fields, "fovea_roster", 1));
  Roster out;
  FOVEA_TRY_ASSIGN(out.federation, read_federation_name(fields));
  FOVEA_TRY_ASSIGN(out.epoch, fields.integer("epoch", 1, std::uint64_t{kCanonicalIntegerMax}));
  FOVEA_TRY_ASSIGN(const std::uint64_t from, fields.integer("valid_from_ms", 0, kTimeMaxMs));
  FOVEA_TRY_ASSIGN(const std::uint64_t until, fields.integer("valid_until_ms", 0, kTimeMaxMs));
  out.valid_from = UnixMs{static_cast<std::int64_t>(from)};
  out.valid_until = UnixMs{static_cast<std::int64_t>(until)};
  FOVEA_TRY(check_validity(out));
  FOVEA_TRY_ASSIGN(out.coordinator_signing_key, fields.hex<32>("coordinator_signing_key"));
  FOVEA_TRY_ASSIGN(std::vector<JsonFields> sites, fields.objects("sites", 0, kRosterSitesMax));
  for (JsonFields& entry : sites) {
    FOVEA_TRY_ASSIGN(RosterSite site, read_site_fields(entry));
    FOVEA_TRY(entry.finish());
    out.sites.push_back(std::move(site));
  }
  FOVEA_TRY(fields.finish());
  FOVEA_TRY(check_sites(out.sites));
  out.hash = crypto::sha256(as_bytes(document));
  return out;
}

Result<std::string> Roster::document() const {
  nlohmann::ordered_json value = {{"fovea_roster", 1},
                                  {"federation", federation},
                                  {"epoch", epoch},
                                  {"valid_from_ms", valid_from.value},
                                  {"valid_until_ms", valid_until.value},
                                  {"coordinator_signing_key", to_hex(coordinator_signing_key)}};
  value["sites"] = nlohmann::ordered_json::array();
  for (const RosterSite& site : sites) {
    nlohmann::ordered_json entry;
    write_site_fields(site, entry);
    value["sites"].push_back(std::move(entry));
  }
  std::string text = value.dump(1) + "\n";
  FOVEA_TRY(parse(text));
  return text;
}

const RosterSite* Roster::find(const SiteId& id) const noexcept {
  const auto found = std::find_if(sites.begin(), sites.end(), [&](const RosterSite& site) { return site.id == id; });
  return found == sites.end() ? nullptr : &*found;
}

const RosterSite* Roster::find_transport_key(const PublicKeyBytes& key) const noexcept {
  const auto found =
      std::find_if(sites.begin(), sites.end(), [&](const RosterSite& site) { return site.transport_key == key; });
  return found == sites.end() ? nullptr : &*found;
}

std::optional<RosterIndex> Roster::index_of(const SiteId& id) const noexcept {
  const RosterSite* found = find(id);
  if (found == nullptr) return std::nullopt;
  return static_cast<RosterIndex>(found - sites.data());
}

Result<void> Roster::check_valid_at(UnixMs now) const {
  if (now < valid_from)
    return deadline_exceeded("roster.valid_from_ms: the roster of epoch " + std::to_string(epoch) + " is valid from " +
                             utc_text(valid_from) + " only; check this machine's clock");
  if (valid_until < now)
    return deadline_exceeded("roster.valid_until_ms: the roster of epoch " + std::to_string(epoch) + " ran out at " +
                             utc_text(valid_until) +
                             "; an administrator renews it with fovea-coordinator sign --renew");
  return {};
}

Result<Roster> verify_roster_signatures(const SignedDocument& signed_document, const RosterTrust& trust) {
  FOVEA_TRY_ASSIGN(const std::size_t valid, signed_document.count_valid("roster", trust.administrators));
  if (trust.quorum == 0 || valid < trust.quorum)
    return permission_denied(
        "roster: signed by " + std::to_string(valid) + " of " + counted(trust.administrators.size(), "administrator") +
        "; " + std::to_string(trust.quorum) + " of them must sign it (fovea-coordinator sign, then cosign)");
  FOVEA_TRY_ASSIGN(Roster roster, Roster::parse(signed_document.document));
  if (roster.federation != trust.federation)
    return permission_denied("roster.federation: is another federation's roster");
  if (roster.coordinator_signing_key != trust.coordinator_signing_key)
    return permission_denied(
        "roster.coordinator_signing_key: is not the key of the founding document; a new coordinator needs a new "
        "founding document, which every site accepts by hand (fovea-node join FILE --accept-change)");
  return roster;
}

Result<Roster> verify_roster_at_any_time(const SignedDocument& signed_document, const RosterTrust& trust) {
  FOVEA_TRY_ASSIGN(Roster roster, verify_roster_signatures(signed_document, trust));
  if (roster.epoch < trust.epoch_min)
    return permission_denied("roster.epoch: expected at least " + std::to_string(trust.epoch_min) +
                             " (seen before), found " + std::to_string(roster.epoch));
  return roster;
}

Result<Roster> verify_roster(const SignedDocument& signed_document, const RosterTrust& trust, UnixMs now) {
  FOVEA_TRY_ASSIGN(Roster roster, verify_roster_at_any_time(signed_document, trust));
  FOVEA_TRY(roster.check_valid_at(now));
  return roster;
}

}  // namespace fovea::federation::membership
