// The rules that the entries of one ledger must obey, checked in one pass in their order. A site's gate enforces the
// same rules when it writes; an auditor believes only what can be checked again here.
//
//   owner     only the entries that such a ledger may hold, about this site
//   approval  an approval, or an acceptance of another site, is signed by the site's approver key and is about this
//             plan (or that site's keys) and this site
//   plan      what leaves under a plan is approved, and not withdrawn, before it leaves
//   round     what leaves in a round belongs to the attempt that is open, with its plan, model and roster
//   order     attempts only go forward; cohort ≥ threshold ≥ 2
//   checks    the kind is one that sites send, and every check for that kind has passed
//   chain     each egress names the one before it
//   budget    bytes add up from egress to egress
//   once      one vector an attempt, one answer to "unmask" a round
//   sent      a confirmation is of an intent that was open
//
// Where an entry is missing or not the one committed to, what it held is unknown: a later entry that lacks something
// which may have stood there accuses nobody. Such faults are counted apart. What the others show stays a finding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "audit/key_ring.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "federation/ledger/entry.h"
#include "federation/membership/signed_document.h"
#include "federation/messages/message_kind.h"

namespace fovea::audit {

struct Finding {
  std::string where;  // "entry 17", or a file
  std::string rule;
  std::string what;
};

struct KindTotal {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t unconfirmed = 0;  // intended, not confirmed as handed to the socket
};

// Whether a receipt shows that the site sent the message.
enum class ReceiptProof {
  site,         // the site's signature is on it
  forged,       // it is not, by the roster that was in force: the coordinator made the receipt up
  unknown_key,  // a roster that the auditor was not given was in force
  old_form,     // an entry of version 1 has no signature
};
// The one of the site's identity keys on the auditor's rosters that signed what the receipt says.
std::optional<federation::membership::PublicKeyBytes> signer_of(const federation::ledger::IngressReceipt& receipt,
                                                                const KeyRing& ring);

// One message that left, or arrived at the coordinator.
struct Transfer {
  std::uint64_t index = 0;
  std::string site;
  std::string kind;
  Digest payload{};
  std::uint64_t length = 0;
  bool confirmed = false;
  std::optional<Digest> body{};                    // what the site signed; absent in entries of version 1
  ReceiptProof proof = ReceiptProof::unknown_key;  // of a receipt
  UnixMs at{};                                     // by the clock of the ledger's owner
  RunId run{};
  RoundNumber round = 0;
  std::size_t log_keys = 0;  // of a receipt: the site's when it sent this, in LedgerFacts::log_keys
};

// A site that the coordinator left out of a run; `pardoned` by an administrator since.
struct BlameRecord {
  std::uint64_t index = 0;
  federation::ledger::SiteBlamed blame;
  bool pardoned = false;
};

struct PlanRecord {
  Digest plan{};
  std::string person;    // as the approval names them
  std::string reason{};  // in their words; may be empty
  std::uint64_t index = 0;
  UnixMs at;
  bool approved = false;
  bool pinned = false;  // by a key that the auditor's roster names
};

// A person of the site vouched for another site's keys, or took that back.
struct AcquaintanceRecord {
  std::string site;         // that was accepted
  bool accepted = true;     // false: taken back
  std::string fingerprint;  // of its entry, as it was compared by telephone
  std::string person;
  std::uint64_t index = 0;
  UnixMs at;
  bool pinned = false;  // by a key that the auditor's roster names
};

// A roster that was pinned, or in force at the coordinator, from this entry on.
struct RosterRecord {
  federation::ledger::RosterEpoch named;
  std::uint64_t index = 0;
  UnixMs at;
};

struct LedgerFacts {
  std::map<std::string, KindTotal> by_kind;
  std::vector<Transfer> transfers;
  std::vector<std::vector<SiteLogKey>> log_keys = std::vector<std::vector<SiteLogKey>>(1);  // the first: unknown
  std::vector<PlanRecord> decisions;
  std::vector<AcquaintanceRecord> acquaintances;
  std::vector<BlameRecord> blames;
  std::vector<RosterRecord> rosters;                       // each change, in order
  std::map<std::string, std::uint64_t> receipts_unjudged;  // for want of a roster, by site
  std::uint64_t approvals_unjudged = 0;                    // likewise: by a key that the roster in force may name
  std::set<std::string> destinations, software, runs, privacy, clips, weights;
  std::map<std::string, std::uint64_t> bytes_left;  // newest, by run
  std::vector<std::pair<std::uint64_t, federation::ledger::Incident>> incidents;
  std::uint64_t entries = 0, rounds_opened = 0, rounds_applied = 0, rounds_abandoned = 0, dropped_sites_max = 0;
  std::optional<std::uint32_t> cohort_min, threshold_min;
  UnixMs first, last;
};

class LedgerRules {
 public:
  // `origin` as in the checkpoint; the ring must outlive the rules.
  LedgerRules(std::string origin, const KeyRing& ring);

  // `signer`: signer_of() of a receipt; none for every other entry.
  void check(std::uint64_t index, const federation::ledger::StampedEntry& entry,
             const std::optional<federation::membership::PublicKeyBytes>& signer);
  // Entries first..last are missing, not the ones committed to, or of a newer version; in order with check().
  void missed(std::uint64_t first, std::uint64_t last);
  void finish();  // totals of what was not confirmed

  const std::vector<Finding>& findings() const noexcept { return findings_; }
  std::uint64_t finding_count() const noexcept { return finding_count_; }
  // Faults that may be no more than what an unreadable entry held.
  std::uint64_t undecided() const noexcept { return undecided_; }
  std::string missed_text() const;  // "entry 5", "entries 5 to 9 and others"
  bool missed_several() const noexcept {
    return missed_.size() > 1 || (!missed_.empty() && missed_.front().first != missed_.front().second);
  }
  LedgerFacts take_facts() noexcept { return std::move(facts_); }
  bool is_coordinator() const noexcept { return coordinator_; }
  std::optional<UnixMs> last_at() const {  // of the newest entry so far
    return facts_.entries == 0 ? std::nullopt : std::optional(facts_.last);
  }
  void report(std::string where, std::string rule, std::string what);

 private:
  struct Attempt {
    federation::ledger::RoundOpen open;
    std::uint64_t index = 0;  // of the entry
    bool closed = false;
    std::set<Digest> chunks;
    std::uint64_t chunk_bytes = 0;
  };
  void found(std::string rule, std::string what) {
    report("entry " + std::to_string(index_), std::move(rule), std::move(what));
  }
  // A fault only if nothing was missed after the entry `since`; without one, since the ledger's beginning.
  void found_unless_missed(std::optional<std::uint64_t> since, std::string rule, std::string what);
  bool has_missed(std::optional<std::uint64_t> since) const {
    return !missed_.empty() && (!since || missed_.back().second > *since);
  }
  std::optional<std::uint64_t> last_missed(std::uint64_t index) const;  // of the missing entries that `index` is among
  void on(const federation::ledger::PlanApproved& entry) { decide(entry.plan, entry.approver, entry.approval, true); }
  void on(const federation::ledger::PlanWithdrawn& entry) { decide(entry.plan, entry.approver, entry.approval, false); }
  void on(const federation::ledger::RosterEpoch& entry);
  void on(const federation::ledger::RosterAccepted& entry) { vouch(entry, entry.acceptance, true); }
  void on(const federation::ledger::RosterWithdrawn& entry) { vouch(entry, entry.withdrawal, false); }
  template <class Entry>
  void vouch(const Entry& entry, ByteView evidence, bool accepted);
  void on(const federation::ledger::RoundOpen& entry);
  void on(const federation::ledger::InputSealed& entry);
  void on(const federation::ledger::EgressIntent& entry);
  void on(const federation::ledger::EgressSent& entry);
  void on(const federation::ledger::IngressReceipt& entry);
  void on(const federation::ledger::SiteBlamed& entry);
  void on(const federation::ledger::SitePardoned& entry);
  void on(const federation::ledger::RoundClose& entry);
  void on(const federation::ledger::Incident& entry);
  bool lacks_roster_in_force() const { return roster_in_force_ && !ring_.knows_roster(*roster_in_force_); }
  // Whether the auditor's roster names the key as this site's approver, a finding if it does not; none without a
  // roster, or where one was in force that the auditor lacks.
  std::optional<bool> is_named_approver(const federation::membership::PublicKeyBytes& approver);
  void decide(const Digest& plan, const federation::membership::PublicKeyBytes& approver, ByteView approval,
              bool approved);
  void check_intent_rules(const federation::ledger::EgressIntent& entry, federation::messages::MessageKind kind);
  void check_binding(const federation::ledger::EgressIntent& entry, federation::messages::MessageKind kind);
  void check_once(const federation::ledger::EgressIntent& entry, federation::messages::MessageKind kind,
                  Attempt& attempt);
  void check_budget(const federation::ledger::EgressIntent& entry);
  void check_form(bool names_what_was_signed);
  void check_length(std::uint64_t length);
  ReceiptProof judge(const federation::ledger::IngressReceipt& entry);
  std::size_t log_keys_of(const federation::ledger::IngressReceipt& entry);  // position in facts_.log_keys
  Attempt* attempt_of(const federation::ledger::RoundKey& key);
  std::optional<std::uint64_t> last_opened(const RunId& run) const;  // the entry that opened its newest attempt

  std::set<federation::membership::PublicKeyBytes> destinations_;
  std::set<Digest> software_;
  std::map<RunId, std::uint64_t> bytes_left_;
  std::string origin_;
  std::string owner_;
  const KeyRing& ring_;
  bool coordinator_ = false;
  std::uint64_t index_ = 0;
  UnixMs at_;
  std::vector<Finding> findings_;
  std::uint64_t finding_count_ = 0;
  LedgerFacts facts_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> missed_;  // ascending: first and last index
  std::uint64_t undecided_ = 0;
  struct Decision {
    std::optional<federation::membership::PublicKeyBytes> approver;  // none: withdrawn, or its evidence is bad
    std::optional<std::uint64_t> index;                              // of the entry; none: there is no decision
    std::optional<UnixMs> newest{};                                  // when the newest about the plan was signed
  };
  Decision decision_about(const Digest& plan) const;  // the newest
  std::map<Digest, Decision> decisions_;              // by plan
  std::map<Digest, UnixMs> acceptances_ended_;        // by roster entry: when the newest end of one was signed
  std::map<std::tuple<SiteId, RunId, Digest>, std::vector<std::size_t>> unpardoned_;  // positions in facts_.blames
  std::set<Digest> rosters_;
  std::optional<Digest> roster_in_force_;
  std::optional<std::uint64_t> roster_index_;  // of the entry that names it
  std::optional<federation::membership::PublicKeyBytes> signer_;
  std::map<std::tuple<SiteId, federation::membership::PublicKeyBytes, EpochNumber>, std::size_t> by_signer_;
  std::map<std::pair<SiteId, Digest>, std::size_t> by_roster_;
  bool new_form_seen_ = false;
  std::map<RunId, Attempt> attempts_;  // newest of each run
  std::map<std::pair<RunId, RoundNumber>, Digest> unmasked_;
  struct Spent {
    std::uint64_t bytes = 0;
    std::optional<std::uint64_t> index{};  // of the egress that said so
  };
  std::map<RunId, Spent> run_bytes_;
  Spent session_bytes_;
  std::optional<std::uint64_t> previous_egress_;
  std::map<std::uint64_t, std::size_t> open_intents_;  // entry index → position in facts_.transfers
};

}  // namespace fovea::audit
