// What a site's folder pins: who its approver is (site.json), whose federation it joined (invite.json) and whose it was
// in before (invites/). All are public documents, so whoever can write the folder could put others in their place;
// `pins` has their MACs under the site's log key, and nobody without it writes them.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/durable_file.h"
#include "common/json_fields.h"
#include "crypto/hash.h"
#include "federation/files/record_key.h"
#include "federation/files/signed_document_file.h"
#include "federation/membership/site_fields.h"
#include "node/io/site_folder.h"

namespace fovea::node::io {
namespace {

namespace fs = std::filesystem;
using federation::files::RecordKey;
using federation::files::RecordMac;
using federation::membership::Invite;

constexpr std::size_t kPinsFileMax = 16'384;
constexpr std::uint64_t kFormat = 1;
constexpr std::size_t kFormerMax = 64;  // the oldest is left out

struct Pins {
  RecordMac site{};                   // over the bytes of site.json
  std::optional<RecordMac> invite{};  // over these, the founding document and the former ones; none before a `join`
  std::vector<Digest> former{};       // that were joined with here and replaced, oldest first
};

Result<Pins> read_pins(const fs::path& file) {
  const std::string source = file.string();
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(file, kPinsFileMax));
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(bytes, source, kPinsFileMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, source));
  FOVEA_TRY(federation::membership::read_format(fields, "fovea_pins", kFormat));
  Pins out;
  FOVEA_TRY_ASSIGN(out.site, fields.hex<federation::files::kRecordMacBytes>("site"));
  if (fields.has("invite")) {
    FOVEA_TRY_ASSIGN(out.invite, fields.hex<federation::files::kRecordMacBytes>("invite"));
    FOVEA_TRY_ASSIGN(const auto former, fields.texts("former", 0, kFormerMax, 2 * Digest{}.size()));
    for (const std::string& text : former) {
      FOVEA_TRY_ASSIGN(const Bytes hash, from_hex(text));
      FOVEA_TRY_ASSIGN(const Digest digest, to_array<32>(hash, fields.path_of("former")));
      out.former.push_back(digest);
    }
  }
  FOVEA_TRY(fields.finish());
  return out;
}

Result<void> write(const fs::path& file, const Pins& pins) {
  nlohmann::ordered_json value = {{"fovea_pins", kFormat}, {"site", to_hex(pins.site)}};
  if (pins.invite) {
    value["invite"] = to_hex(*pins.invite);
    value["former"] = nlohmann::ordered_json::array();
    for (const Digest& former : pins.former) value["former"].push_back(to_hex(former));
  }
  return write_file_durably(file, as_bytes(value.dump(1) + "\n"));
}

}  // namespace

// Over what a site's own file says.
class SiteFolder::PinMaker {
 public:
  PinMaker(ByteView site_bytes, const SiteId& site, const crypto::SigningKey& log_key)
      : key_(RecordKey::derive(log_key.seed(), "FOVEA/1/site-pins", site.text())), site_(crypto::sha256(site_bytes)) {}
  static Result<PinMaker> of(const SiteFolder& folder) {
    FOVEA_TRY_ASSIGN(const SiteKeys keys, folder.keys());
    FOVEA_TRY_ASSIGN(const federation::membership::RosterSite self, folder.site());
    FOVEA_TRY_ASSIGN(const Bytes bytes, folder.site_bytes());
    return PinMaker(bytes, self.id, keys.log);
  }
  // And what the folder's pins are, if they fit its site.json.
  static Result<std::pair<PinMaker, Pins>> checked(const SiteFolder& folder);
  Pins unjoined() const { return {.site = key_.mac(site_, {})}; }
  Pins joined(const Digest& founding, std::vector<Digest> former) const {
    const RecordMac invite = key_.mac(site_, record(founding, former));
    return {.site = key_.mac(site_, {}), .invite = invite, .former = std::move(former)};
  }
  bool holds_site(const Pins& pins) const { return key_.wrote(site_, {}, pins.site); }
  bool holds(const Pins& pins, const Digest& founding) const {
    return pins.invite && holds_site(pins) && key_.wrote(site_, record(founding, pins.former), *pins.invite);
  }

 private:
  static Bytes record(const Digest& founding, const std::vector<Digest>& former) {
    Bytes out(founding.begin(), founding.end());
    for (const Digest& each : former) out.insert(out.end(), each.begin(), each.end());
    return out;
  }
  RecordKey key_;
  Digest site_;
};

Result<void> SiteFolder::pin_new(ByteView site_bytes, const SiteId& site, const crypto::SigningKey& log_key) const {
  return write(pins(), PinMaker(site_bytes, site, log_key).unjoined());
}

// What was pinned until now becomes a former one, if `pins` says so: it is invite.json, or in invites/ where a kill
// came between invite.json and `pins`.
Result<void> SiteFolder::pin(const Digest& founding) const {
  FOVEA_TRY_ASSIGN(const PinMaker maker, PinMaker::of(*this));
  const auto before = read_pins(pins());
  std::vector<Digest> former;
  std::vector<fs::path> documents = {root_ / "invite.json"};
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root_ / "invites", ignored)) documents.push_back(entry.path());
  for (const fs::path& file : documents) {
    const auto document = before ? federation::files::read_signed_document(file)
                                 : Result<federation::membership::SignedDocument>(before.error());
    const auto invite = document ? federation::membership::verify_invite(*document) : Result<Invite>(document.error());
    if (!invite || !maker.holds(*before, invite->hash)) continue;
    former = before->former;
    former.push_back(invite->hash);
    break;
  }
  std::erase(former, founding);
  if (former.size() > kFormerMax) former.erase(former.begin());
  return write(pins(), maker.joined(founding, std::move(former)));
}

// The next step is a person's: no program can tell a folder of an older version from one whose files were exchanged.
Error SiteFolder::unpinned(const std::string& what) const {
  return permission_denied(what + "\n  fix: put what was changed back from your backup, or have a person here write " +
                           pins().string() + " anew: fovea-node --site " + root_.string() +
                           " join INVITE, with the federation's founding document, comparing by telephone its "
                           "fingerprint with the administrators, and this site's with what they have");
}

Result<std::pair<SiteFolder::PinMaker, Pins>> SiteFolder::PinMaker::checked(const SiteFolder& folder) {
  FOVEA_TRY_ASSIGN(PinMaker maker, of(folder));
  const fs::path file = folder.pins();
  auto pins = read_pins(file);
  if (!pins && pins.error().code == ErrorCode::not_found)
    return folder.unpinned(file.string() +
                           ": is missing; it shows that site.json and invite.json are those that people here made and "
                           "joined with. A version before it wrote none, or it was removed");
  if (!pins && pins.error().code == ErrorCode::failed_precondition) return pins.error();  // of a newer version
  if (std::error_code ignored; fs::is_directory(file, ignored))
    return folder.unpinned(file.string() + ": is a folder in the place of a file; remove it first");
  if (!pins) return folder.unpinned(pins.error().message);
  if (maker.holds_site(*pins)) return std::pair(std::move(maker), std::move(*pins));
  return folder.unpinned((folder.root() / "site.json").string() + ": is not what " + file.string() +
                         " was written for, so somebody changed it, or put one of them in from elsewhere");
}

Result<void> SiteFolder::check_site_pin() const {
  const auto checked = PinMaker::checked(*this);
  return checked ? Result<void>() : Result<void>(checked.error());
}

Result<void> SiteFolder::check_pins() const {
  FOVEA_TRY_ASSIGN(const auto checked, PinMaker::checked(*this));
  const auto pinned = invite();
  if (!pinned && pinned.error().code == ErrorCode::not_found) return {};  // nothing goes on without it
  if (!pinned) return pinned.error();
  const auto& [maker, pins] = checked;
  if (maker.holds(pins, pinned->hash)) return {};
  return unpinned((root_ / "invite.json").string() +
                  ": is not a founding document that a person here joined with, by " + this->pins().string() +
                  ": it was put in from elsewhere, or a join did not come to its end");
}

bool SiteFolder::pins_another(const Digest& founding) const {
  const auto maker = PinMaker::of(*this);
  const auto pins = read_pins(this->pins());
  return maker && pins && pins->invite && maker->holds_site(*pins) && !maker->holds(*pins, founding);
}

std::vector<federation::membership::RosterTrust> SiteFolder::pinned_trusts() const {
  std::vector<federation::membership::RosterTrust> out;
  const auto maker = PinMaker::of(*this);
  const auto pins = read_pins(this->pins());
  const auto pinned = invite();
  if (!maker || !pins || !pinned || !maker->holds(*pins, pinned->hash)) return out;
  for (const Digest& former : pins->former) {
    const auto document = federation::files::read_signed_document(root_ / "invites" / (to_hex(former) + ".json"));
    const auto invite = document ? federation::membership::verify_invite(*document) : Result<Invite>(document.error());
    if (invite && invite->hash == former) out.push_back(invite->trust());
  }
  out.push_back(pinned->trust());
  return out;
}

}  // namespace fovea::node::io
