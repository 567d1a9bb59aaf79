// A site's folder: where everything of one hospital lies.
//
//   node.toml            settings and policy                 plans/<hash>.json      plans the coordinator offered
//   site.json            this site's public keys             approvals/<hash>.json  signed decisions of a person
//   invite.json          the pinned founding document        runs/<run>/…           journal and model of a run
//   invites/<hash>.json  founding documents that it replaced
//   join-request.json    for the administrator               ledger/                what left (AUDIT)
//   roster.json          the newest verified roster          data/                  catalogue, bricks, embeddings
//   newest-checkpoint    of ledger/: an older copy of it is not gone on with
//   rosters/<epoch>.json every roster verified here          acquaintances/<entry>.json  sites that a person accepted
//   rosters/refused/…    second rosters of an epoch          runs/<run>/blame/…     why sites are left out of a run
//   keys/*.key           the daemon's secrets, mode 0600     events.jsonl           what happened, for scripts
//   keys/approver.pem    a person's, under a passphrase
//   pins                 that site.json and invite.json are what people here made and joined with (site_pins.cpp)
//   register             models released on, beacons: over all runs (node/round/site_marks.h)
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/file_lock.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/key_agreement.h"
#include "crypto/signature.h"
#include "federation/files/key_folder.h"
#include "federation/files/passphrase.h"
#include "federation/membership/acquaintance.h"
#include "federation/membership/approval.h"
#include "federation/membership/invite.h"
#include "federation/membership/roster.h"
#include "federation/membership/signed_document.h"
#include "node/egress/site_acquaintances.h"

namespace fovea::node::io {

// Where "fovea-node start" tells scripts what happens (federation/io/event_log.h).
inline constexpr const char* kEventsFile = "events.jsonl";

struct SiteKeys {  // what the daemon holds
  crypto::SigningKey identity;
  crypto::SigningKey log;
  crypto::AgreementKey transport;
};

// What a file in acquaintances/ says, which is named after `entry`: a word of a person at `self`, about exactly this
// entry. permission_denied, corruption: it is none.
Result<federation::membership::Acquaintance> word_about(const Digest& entry,
                                                        const federation::membership::SignedDocument& document,
                                                        const federation::membership::RosterSite& self);

struct KnownSites {
  egress::SiteAcquaintances words;
  std::map<Digest, std::string> ignored{};  // by roster entry: why its file does not count

  // Of a roster, the sites but `self` that are not accepted; it must outlive the result.
  std::vector<const federation::membership::RosterSite*> unaccepted(
      const federation::membership::Roster& roster, const federation::membership::RosterSite& self) const;
};

class SiteFolder {
 public:
  explicit SiteFolder(std::filesystem::path root) : root_(std::move(root)) {}
  // One that reads site.json and invite.json once, copies of it included: whoever can write the folder must not have
  // one document checked against `pins` and another one used.
  SiteFolder read_once() const;

  const std::filesystem::path& root() const noexcept { return root_; }
  std::filesystem::path config() const { return root_ / "node.toml"; }
  std::filesystem::path data() const { return root_ / "data"; }
  std::filesystem::path ledger() const { return root_ / "ledger"; }
  std::filesystem::path pins() const { return root_ / "pins"; }
  std::filesystem::path newest_checkpoint() const { return root_ / "newest-checkpoint"; }
  // What shows that a node ran here under these keys, so that its ledger cannot be empty; empty when nothing does. The
  // register does not count: it moves to a folder with new keys.
  std::string ledger_history() const;
  std::filesystem::path events() const { return root_ / kEventsFile; }
  std::filesystem::path plan(const Digest& hash) const { return root_ / "plans" / (to_hex(hash) + ".json"); }
  std::filesystem::path approvals() const { return root_ / "approvals"; }
  std::filesystem::path approval(const Digest& hash) const { return approvals() / (to_hex(hash) + ".json"); }
  // A second one of an epoch.
  std::filesystem::path refused_roster(EpochNumber epoch, const Digest& hash) const {
    return root_ / "rosters" / "refused" / (std::to_string(epoch) + "-" + to_hex(hash).substr(0, 16) + ".json");
  }
  // What shows why a site is left out of a run; nothing is written over.
  std::filesystem::path blames(const RunId& run) const { return this->run(run) / "blame"; }
  // Of a roster entry, by federation::membership::entry_digest.
  std::filesystem::path acquaintance(const Digest& entry) const {
    return root_ / "acquaintances" / (to_hex(entry) + ".json");
  }
  std::filesystem::path runs() const { return root_ / "runs"; }
  std::filesystem::path site_register() const { return root_ / "register"; }
  std::filesystem::path run(const RunId& run) const { return root_ / "runs" / run.text(); }

  // Makes the folder, its keys and node.toml; asks for a passphrase for the approver's key. failed_precondition when it
  // is a site already.
  Result<federation::membership::RosterSite> create(const SiteId& id,
                                                    const federation::files::PassphraseSource& passphrase) const;

  // That `init` made this folder, be it without keys for want of a passphrase: not_found says to run it. What writes
  // into a folder asks first, so that a mistyped one does not become a site.
  Result<void> check_begun() const;
  // Of `init` and `join`, which write several files that fit together. failed_precondition names who holds it.
  Result<FileLock> lock_changes(std::string_view program) const;

  Result<federation::membership::RosterSite> site() const;  // not_found: not initialised; says to run init
  // Those that site.json names, or an error that names the file and what to do.
  Result<SiteKeys> keys() const;
  // Whether a person can still decide here: the file is there, closed to others, and a key under a passphrase.
  Result<void> check_approver_key() const;
  std::filesystem::path approver_key_file() const { return key_folder().protected_file("approver"); }
  // That site.json and invite.json are what people here made and joined with, before anything is believed that they
  // say. permission_denied names the file, and the step that a person has to take.
  Result<void> check_pins() const;
  Result<void> check_site_pin() const;  // of site.json alone, which says who the approver is
  // Asks a person for its passphrase: only for what that person decides, in a folder whose pins hold.
  Result<crypto::SigningKey> approver_key(const federation::files::PassphraseSource& passphrase) const;
  // The same where they do not, which a person mends by knowing the passphrase of the key that site.json names.
  Result<crypto::SigningKey> unpinned_approver_key(const federation::files::PassphraseSource& passphrase) const;
  Result<federation::membership::Invite> invite() const;  // not_found: says to run join
  // Replaces the one that is pinned, which is kept: a person has accepted the change. A kill before `pins` follows
  // leaves a folder that does not start until the same `join` is done again.
  Result<void> pin_invite(const federation::membership::SignedDocument& document) const;
  // Whether `pins` is of this site and of another founding document, whatever lies in invite.json.
  bool pins_another(const Digest& founding) const;
  // Writes `pins` for site.json as it is and the founding document with this hash: a person has compared both.
  Result<void> pin(const Digest& founding) const;
  // Of the pinned founding document, and of those that `pins` has as replaced here; none where the pins do not hold.
  std::vector<federation::membership::RosterTrust> pinned_trusts() const;
  // When the founding document with this hash was replaced here; nothing when it never was.
  std::optional<UnixMs> replaced_at(const Digest& founding) const;
  // Whom people here have accepted: what the ledger has of it, and the files that a node has yet to read.
  KnownSites known_sites(egress::SiteAcquaintances recorded) const;
  // The newest roster that was verified here, if any, checked again but for its time: whoever uses it asks whether it
  // is valid then (Roster::check_valid_at).
  Result<std::optional<federation::membership::Roster>> newest_roster() const;
  // One from another file, for example the coordinator's, checked in the same way; nothing is pinned.
  Result<federation::membership::Roster> roster_in(const std::filesystem::path& file) const;
  // That a roster which lists this site has exactly the keys of site.json for it: else whoever can write the folder
  // would be its approver. permission_denied names the keys that differ.
  Result<void> check_own_entry(const federation::membership::Roster& roster) const;
  Result<void> keep_roster(const federation::membership::SignedDocument& roster, EpochNumber epoch) const;
  // One of an earlier epoch, which does not come into force.
  Result<void> keep_past_roster(const federation::membership::SignedDocument& roster, EpochNumber epoch) const;
  // The one that is kept of this epoch, if it was signed under the founding document in force.
  std::optional<federation::membership::Roster> past_roster(EpochNumber epoch) const;
  // The rosters of all epochs that this site has verified: sums made under them must still be checked.
  std::vector<federation::membership::Roster> past_rosters() const;
  Result<std::vector<Digest>> plans() const;           // hashes, sorted
  Result<Bytes> plan_bytes(const Digest& hash) const;  // corruption when the bytes do not have this hash
  // A unique prefix of at least four hex digits, or the whole hash.
  Result<Digest> find_plan(std::string_view prefix) const;
  Result<std::optional<federation::membership::SignedDocument>> decision(const Digest& hash) const;
  // What a person has signed about a roster entry: an acceptance, or that it is taken back; not verified yet.
  Result<std::optional<federation::membership::SignedDocument>> acceptance(const Digest& entry) const;

 private:
  class PinMaker;
  Result<void> begin_settings(const SiteId& id) const;
  struct Documents {
    std::optional<Bytes> site{};
    std::optional<federation::membership::SignedDocument> invite{};
  };
  std::filesystem::path kept_roster(EpochNumber epoch) const;
  Result<Bytes> site_bytes() const;
  Result<federation::membership::SignedDocument> invite_document() const;
  Result<void> pin_new(ByteView site_bytes, const SiteId& site, const crypto::SigningKey& log_key) const;
  Error unpinned(const std::string& what) const;
  Error of_two_sites(const federation::membership::RosterSite& self) const;
  Result<void> check_invite_of(const federation::membership::SignedDocument& roster) const;
  federation::files::KeyFolder key_folder() const { return federation::files::KeyFolder(root_ / "keys"); }

  std::filesystem::path root_;
  std::shared_ptr<Documents> read_{};  // what was read; none: each time anew
};

}  // namespace fovea::node::io
