// What a ledger can say: one struct per type of entry, canonical JSON as bytes (docs/ledger-format.md). `kType` is the
// type as entries name it. Entries hold names of sites, numbers, digests and public keys; never payloads, patients or
// file names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/signature.h"
#include "federation/membership/signed_document.h"

namespace fovea::federation::ledger {

inline constexpr std::size_t kEntryBytesMax = 65'535;  // C2SP tlog-tiles: a big-endian uint16 length
inline constexpr std::string_view kCoordinatorOwner = "coordinator";

// One try at one round. `attempt` is 0 for what a site says before the coordinator opened an attempt.
struct RoundKey {
  RunId run{};
  RoundNumber round = 0;
  AttemptNumber attempt = 0;
  auto operator<=>(const RoundKey&) const = default;
};

// A person of the hospital approved (or withdrew) a plan: the signed approval itself, as it was picked up.
struct PlanApproved {
  static constexpr std::string_view kType = "plan.approved";
  Digest plan{};
  membership::PublicKeyBytes approver{};
  Bytes approval;  // bytes of the signed document (federation/membership/approval.h)
};
struct PlanWithdrawn {
  static constexpr std::string_view kType = "plan.withdrawn";
  Digest plan{};
  membership::PublicKeyBytes approver{};
  Bytes approval;  // a signed rejection
};

struct RosterEpoch {
  static constexpr std::string_view kType = "roster.epoch";
  EpochNumber epoch = 0;
  Digest roster{};
  std::uint32_t sites = 0;
};

// A person of the hospital has compared the keys of another site with that hospital: the signed acceptance itself, as
// it was picked up.
struct RosterAccepted {
  static constexpr std::string_view kType = "roster.accepted";
  SiteId site;  // the one that was accepted
  membership::PublicKeyBytes identity_key{};
  membership::PublicKeyBytes transport_key{};
  membership::PublicKeyBytes log_key{};
  membership::PublicKeyBytes approver_key{};
  membership::PublicKeyBytes approver{};  // of the site whose ledger this is
  Bytes acceptance{};                     // bytes of the signed document (federation/membership/acquaintance.h)
};

// A person of the hospital takes such an acceptance back: from here on the site counts as a colluder again.
struct RosterWithdrawn {
  static constexpr std::string_view kType = "roster.withdrawn";
  SiteId site;  // the one that was accepted, with the keys of that entry
  membership::PublicKeyBytes identity_key{};
  membership::PublicKeyBytes transport_key{};
  membership::PublicKeyBytes log_key{};
  membership::PublicKeyBytes approver_key{};
  membership::PublicKeyBytes approver{};  // of the site whose ledger this is
  Bytes withdrawal{};                     // bytes of the signed document
};

// The site has accepted (or the coordinator has announced) the parameters of an attempt.
struct RoundOpen {
  static constexpr std::string_view kType = "round.open";
  RoundKey key{};
  Digest plan{};
  Digest model{};
  Digest roster{};
  Digest parameters{};  // H(P) of secure aggregation
  std::uint32_t cohort = 0;
  std::uint32_t threshold = 0;
  std::uint32_t dimension = 0;  // ring words of a masked vector: bounds what leaves in the attempt
};

// Commitment to the integers that go under the mask, made before they do.
struct InputSealed {
  static constexpr std::string_view kType = "input.sealed";
  RoundKey key{};
  Digest commitment{};  // SHA-256(salt ‖ integers); the salt stays in the site
};

// What binds a message to the plan under which it leaves.
struct PlanBinding {
  Digest plan{};
  Digest model{};
  Digest roster{};
  membership::PublicKeyBytes approver{};
  std::string clip;                      // decimal text of the clip bound of one coordinate, for example "0.05"
  std::string noise;                     // "none": recorded as such, never claimed
  std::string privacy;                   // "none"
  std::optional<std::string> weights{};  // what a site counts for, "equal" or "studies"; not in ledgers of version 0.1
};

struct EgressIntent {
  static constexpr std::string_view kType = "egress.intent";
  SiteId site;
  RoundKey key{};
  membership::PublicKeyBytes destination{};
  std::string kind{};
  Digest payload{};
  std::optional<Digest> body{};  // what the site signed of the message; absent in entries of version 1
  std::uint64_t length = 0;      // bytes
  Digest software{};
  std::optional<PlanBinding> binding{};  // absent for session messages, which carry nothing of a plan
  std::uint64_t bytes_spent = 0;         // of the run's (or the session's) byte budget, this message included
  std::uint64_t bytes_left = 0;
  std::vector<std::string> checks{};        // the gate's checks that this message passed, in order
  std::optional<std::uint64_t> previous{};  // index of the previous egress.intent; absent for the first
};

// The intents first … first + count − 1 were handed to the socket (none of them confirmed before).
struct EgressSent {
  static constexpr std::string_view kType = "egress.sent";
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

// What the site signed of a message: with it, a receipt can be verified against the roster by anybody. Site, kind and
// run are those of the receipt.
struct SiteSignature {
  std::uint8_t envelope = 0;  // version
  EpochNumber epoch = 0;
  Digest body{};  // the envelope's payload digest
  crypto::Signature signature{};
};

// The coordinator has received a message of a site.
struct IngressReceipt {
  static constexpr std::string_view kType = "ingress.receipt";
  SiteId site;
  RoundKey key{};
  std::string kind{};
  Digest payload{};
  std::uint64_t length = 0;
  std::optional<SiteSignature> proof{};  // absent in entries of version 1, which prove nothing about the site
};

// The coordinator leaves a site out of a run from here on. The evidence, signed messages, lies in the run's folder.
struct SiteBlamed {
  static constexpr std::string_view kType = "site.blamed";
  SiteId site;
  membership::PublicKeyBytes key{};  // the site's identity key on the roster in force
  RunId run{};
  RoundNumber round = 0;
  std::string reason{};
  Digest evidence{};
};
// An administrator takes the site back in.
struct SitePardoned {
  static constexpr std::string_view kType = "site.pardoned";
  SiteId site;
  RunId run{};
  Digest evidence{};  // of the blame that is pardoned
  membership::PublicKeyBytes administrator{};
};

struct RoundClose {
  static constexpr std::string_view kType = "round.close";
  RoundKey key{};
  std::string outcome;       // "applied" or "abandoned"
  Digest model{};            // after the round
  std::uint32_t cohort = 0;  // sites in the sum; 0 when abandoned
};

struct Incident {
  static constexpr std::string_view kType = "incident";
  std::string rule;    // a short word: "plan", "length", "torn-tail", …
  std::string detail;  // for a person; no patient data
};

using LedgerEntry =
    std::variant<PlanApproved, PlanWithdrawn, RosterEpoch, RosterAccepted, RosterWithdrawn, RoundOpen, InputSealed,
                 EgressIntent, EgressSent, IngressReceipt, SiteBlamed, SitePardoned, RoundClose, Incident>;

// An entry and the wall time at which it was written; the time is for people, no rule rests on it.
struct StampedEntry {
  UnixMs at;
  LedgerEntry body;
};

// "egress.intent" and so on.
std::string_view entry_type(const LedgerEntry& entry) noexcept;
std::vector<std::string> entry_types();  // all that there are

// invalid_argument: a text longer than its field allows, a number above 2^53 − 1, more than 65 535 bytes in all.
Result<std::string> encode_entry(const StampedEntry& entry);
// invalid_argument unless `bytes` are exactly what encode_entry writes; names `source` and the field.
// failed_precondition: canonical, and of a type or version that only a newer program knows.
Result<StampedEntry> decode_entry(ByteView bytes, std::string_view source);

// The name under which an owner's ledger is signed: "<federation>/<owner>", owner a site id or kCoordinatorOwner;
// bytes other than letters, digits, '.', '_' and '-' are written %XX.
std::string ledger_origin(std::string_view federation, std::string_view owner);

}  // namespace fovea::federation::ledger
