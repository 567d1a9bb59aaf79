// The coordinator's folder: its keys, settings, the roster and what it signs. No administrator's key is in it: an
// administrator signs rosters here, or in a folder of her own that holds copies of invite.json and roster.json.
//
//   coordinator.toml    settings                         keys/signing.key        signs messages and the ledger
//   founding.json       waits for the signatures of all administrators
//   invite.json         the founding document            keys/transport.key      CURVE
//   invites/<hash>.json founding documents that it replaced
//   roster.json         the roster in force
//   roster-next.json    waits for further administrators' signatures
//   rosters/<hash>.json replaced rosters: a round may have to end under one
//   beacons/<hash>      of rosters that needed one       ledger/                 what arrived
//   runs/<run>/…        coordinator/store/run_store.h    events.jsonl            what happened, for scripts
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/key_agreement.h"
#include "crypto/signature.h"
#include "federation/files/key_folder.h"
#include "federation/membership/invite.h"
#include "federation/membership/join_request.h"
#include "federation/membership/roster.h"
#include "federation/membership/signed_document.h"

namespace fovea::coordinator::registry {

// coordinator.toml (commented example: configs/coordinator.toml).
struct CoordinatorConfig {
  std::string listen_host = "0.0.0.0";
  std::uint16_t listen_port = 7443;
  std::uint32_t straggler_s = 30;
  std::uint32_t joining_s = 30;
  std::uint32_t attempts_max = 5;
  std::uint32_t last_sum_s = 3'600;
  std::string log_level = "info";

  // not_found: no such file; invalid_argument names file, line, setting and fix.
  static Result<CoordinatorConfig> read(const std::filesystem::path& path);
};

struct CoordinatorKeys {
  crypto::SigningKey signing;
  crypto::AgreementKey transport;
};

// What becomes of another document that waits for signatures where a new one would be written: those it has are
// somebody's work, and are lost with it.
enum class Waiting { keep, replace };

// A change of the roster; a site that is on it already is replaced.
struct RosterChange {
  std::vector<federation::membership::RosterSite> added;
  std::vector<SiteId> removed;
  Waiting waiting = Waiting::keep;
};

struct SignedRoster {
  federation::membership::Roster roster;
  bool in_force = false;  // false: further administrators have yet to sign (cosign)
  std::size_t signatures = 0;
  std::size_t quorum = 0;
  std::filesystem::path file;               // that holds it
  bool signed_before = false;               // by this very key: its signature adds nothing
  federation::membership::Roster before{};  // the one that was in force; no site is on it where there was none
};

struct TakenFounding {
  federation::membership::Invite facts;
  bool in_force = false;                                   // false: further administrators have yet to sign
  std::size_t signatures = 0;                              // valid ones, of all copies that were taken so far
  std::optional<federation::membership::Invite> before{};  // the founding document that it has replaced
  bool was_in_force = false;                               // before it was taken
};

class CoordinatorFolder {
 public:
  explicit CoordinatorFolder(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const noexcept { return root_; }
  std::filesystem::path config() const { return root_ / "coordinator.toml"; }
  std::filesystem::path ledger() const { return root_ / "ledger"; }
  std::filesystem::path newest_checkpoint() const { return root_ / "newest-checkpoint"; }
  // What shows that a run had rounds here, so that the ledger cannot be empty; empty when nothing does.
  std::string ledger_history() const;
  std::filesystem::path runs() const { return root_ / "runs"; }
  std::filesystem::path events() const { return root_ / "events.jsonl"; }
  std::filesystem::path roster_file() const { return root_ / "roster.json"; }
  std::filesystem::path next_roster_file() const { return root_ / "roster-next.json"; }
  std::filesystem::path founding_file() const { return root_ / "founding.json"; }
  // Whether it is the coordinator's own folder, and not one in which an administrator signs.
  bool is_coordinator() const;

  // Keys, settings, and founding.json for the administrators to sign. failed_precondition when there is a federation
  // already.
  struct NewFederation {
    std::string name;
    std::string public_host;
    std::uint16_t port = 0;
    std::vector<federation::membership::PublicKeyBytes> administrators;
    std::uint32_t quorum = 0;  // how many of them must sign a roster
  };
  Result<federation::membership::Invite> create(const NewFederation& federation) const;
  // What create() would refuse, before anything is made.
  Result<void> check_new(const NewFederation& federation) const;
  // Writes founding.json with the endpoint, administrators and quorum of `facts`; name and coordinator's keys stay
  // those of invite.json. It counts after found(), and at a site once a person there has accepted it.
  // failed_precondition: nothing would change, or founding.json waits there already and is to be kept.
  Result<federation::membership::Invite> amend(const federation::membership::Invite& facts,
                                               Waiting waiting = Waiting::keep) const;
  // Takes founding.json back, signed by every administrator: it becomes invite.json. permission_denied: a signature is
  // missing, or it is not the document that create() or amend() wrote.
  Result<federation::membership::Invite> found(const federation::membership::SignedDocument& document) const;
  // The same for a copy that not everybody has signed: its signatures are added to those of founding.json, and it is
  // founded when all are there. permission_denied: it adds none, or is another document.
  Result<TakenFounding> take_founding(const federation::membership::SignedDocument& document) const;

  // The founding document, from invite.json; not_found says what has to be done first.
  Result<federation::membership::Invite> federation() const;
  Result<Bytes> invite_bytes() const;
  Result<CoordinatorKeys> keys() const;  // corruption: they are not those that the founding document names

  // The roster in force, verified at `now`.
  Result<federation::membership::Roster> roster(UnixMs now) const;
  Result<federation::membership::SignedDocument> roster_document() const;
  // A replaced roster, whatever its validity: for a round whose shares are being released under it. not_found.
  Result<federation::membership::Roster> replaced_roster(const Digest& hash) const;
  // The same as it was signed, for sites that were away while it was in force.
  Result<federation::membership::SignedDocument> replaced_roster_document(const Digest& hash) const;
  // The newest roster, whatever its validity: the next epoch starts from it.
  Result<federation::membership::Roster> newest_roster() const;

  // What sign_next() would sign: for whoever is to see what changes before she does.
  Result<federation::membership::Roster> next_roster(const RosterChange& change, UnixMs now) const;
  // Signs the next epoch. not_found: a site to remove is not on the roster; invalid_argument: a key is in use already;
  // failed_precondition: a roster waits for further signatures, and is to be kept, or `now` is before the roster in
  // force or months after it, so that a clock was wrong (Waiting::replace goes on all the same).
  Result<SignedRoster> sign_next(const RosterChange& change, const crypto::SigningKey& administrator, UnixMs now) const;
  // A further signature under the roster that waits.
  Result<SignedRoster> cosign(const crypto::SigningKey& administrator, UnixMs now) const;
  Result<federation::membership::SignedDocument> waiting_roster() const;  // roster-next.json; not_found
  // What waits there and may still come into force, and who has signed it; nothing where there is no such roster.
  struct WaitingRoster {
    federation::membership::Roster roster;
    std::vector<federation::membership::PublicKeyBytes> signed_by;  // administrators, in the founding document's order
    std::size_t quorum = 0;

    std::size_t missing() const { return quorum > signed_by.size() ? quorum - signed_by.size() : 0; }
  };
  Result<std::optional<WaitingRoster>> who_signs(UnixMs now) const;
  // A roster that administrators signed elsewhere, with the signatures of the copy of it that waits here: in force when
  // there are enough of them, else it waits. permission_denied: its epoch is not newer than that of the roster in
  // force; deadline_exceeded: it is not valid now; failed_precondition: another one of its epoch waits, and is to be
  // kept.
  Result<SignedRoster> take_roster(federation::membership::SignedDocument document, UnixMs now,
                                   Waiting waiting = Waiting::keep) const;

 private:
  Result<federation::membership::Invite> write_founding(const federation::membership::Invite& facts) const;
  Result<federation::membership::SignedDocument> waiting_founding(
      const federation::membership::Invite& offered, const federation::membership::SignedDocument& document) const;
  Result<SignedRoster> put_in_force(federation::membership::SignedDocument document) const;
  // failed_precondition: a roster of `epoch` or a later one, not run out, waits for signatures.
  Result<void> refuse_waiting(EpochNumber epoch, UnixMs now) const;
  Result<void> check_administrator(const crypto::SigningKey& key) const;
  Result<federation::membership::Roster> signed_roster(const std::filesystem::path& file,
                                                       const federation::membership::SignedDocument& document) const;
  Result<void> keep_replaced() const;
  federation::files::KeyFolder key_folder() const { return federation::files::KeyFolder(root_ / "keys"); }

  std::filesystem::path root_;
};

}  // namespace fovea::coordinator::registry
