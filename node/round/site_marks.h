// What a site remembers across a restart: the durable marks of its journal. No key or seed is among them, and of the
// shares only what R5 would release under the one statement that was signed: with U3 fixed that message is fixed, so a
// site that restarts after R4 can still finish the round with the same bytes, and can do nothing else.
//   record := u8 type · 16 run · attempt ref (none in marks of a beacon) · fields
// Once the attempt is over, that too is erased from the journal. A run has a journal of its own. What must hold across
// runs lies in the register of the site: one release per model, ever, but for a sum that is repeated without a dealer
// whose fault is proven, and one of a statistic of each study. Marks of older versions are read; they let nothing be
// repeated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/messages/attempt_ref.h"
#include "federation/model/local_update.h"

namespace fovea::node::round {

// R1: the attempt was joined, with keys from the seed that has this tag.
struct JoinedMark {
  federation::messages::AttemptRef ref;
  Digest seed_tag{};
  Digest vector{};  // of the ring words that it would send (federation::vector_digest)
  std::optional<federation::messages::AttemptRef> repeats{};  // the attempt whose sum it repeats

  // Whether it was, or repeated, the attempt `other`.
  bool stands_for(const federation::messages::AttemptRef& other) const { return ref == other || repeats == other; }
};

// R4: this statement was signed.
struct SignedMark {
  federation::messages::AttemptRef ref;
  Digest request{};  // payload digest of the request
  Digest statement{};
  Digest model_hash{};
  std::uint16_t signatures_min = 0;    // of U3
  std::uint16_t threshold = 0;         // of those, by sites that hold shares of this one: t of the attempt
  std::vector<RosterIndex> voters{};   // U3
  std::vector<RosterIndex> holders{};  // of U3: all of it, or this site's neighbours
  Bytes wire{};                        // the signature as it was sent, to send again
  Bytes release{};  // what R5 will send when t sites have signed the statement; empty: erased, nothing may leave
  std::vector<RosterIndex> survivors{};  // U2
  std::optional<federation::messages::AttemptRef>
      repeats{};  // the attempt whose sum it repeats: the faults were checked
};

// R5: shares were released. At most once per round, and once per statement.
struct UnmaskedMark {
  federation::messages::AttemptRef ref;
  Digest model_hash{};
  Bytes wire{};  // empty: erased, and not sent again
};

// ---- in the site's register, which outlives its runs

// Shares of a round on this model are about to leave. The sets are empty in a mark of an older version.
struct ReleasedMark {
  federation::messages::AttemptRef ref;
  Digest model_hash{};
  std::vector<RosterIndex> survivors{};  // U2
  std::vector<RosterIndex> committed{};  // U3
};

// The last release on a model: of the run that released first, the newest round.
struct Release {
  RunId run;
  ReleasedMark mark;
};

// The sum that a study was measured for.
struct MeasuredFor {
  RunId run;
  Digest model_hash{};
  bool operator==(const MeasuredFor&) const = default;
};

// A nonce was shown for this list of a roster's beacon commitments, and will be for no other.
struct BeaconListMark {
  Digest roster{};
  Digest list{};
};

// The beacon of a roster, checked.
struct BeaconMark {
  Digest roster{};
  Digest beacon{};
};

// A statistic of studies that does not depend on the model, as an update. In the journal of a run: trained on this
// model. In the register: shares of a sum that it is part of are about to leave, and none of these studies is measured
// for another sum, ever.
struct StatisticMark {
  Digest model_hash{};
  bool released = false;
  std::vector<federation::model::StudyTag> studies{};  // ascending, each once
};

// Of the attempts up to this one nothing leaves any more: their sum was applied or overtaken, or they were abandoned.
// Their shares need not be kept.
struct ClosedMark {
  RoundNumber round = 0;
  AttemptNumber attempt = 0;

  bool covers(const federation::messages::AttemptRef& ref) const {
    return ref.round < round || (ref.round == round && ref.attempt <= attempt);
  }
};

using SiteMark = std::variant<JoinedMark, SignedMark, UnmaskedMark, ReleasedMark, BeaconListMark, BeaconMark,
                              StatisticMark, ClosedMark>;

inline constexpr AttemptNumber kEveryAttempt = 0xFFFFFFFF;
inline constexpr std::size_t kMeasuredStudiesMax = 1'000'000;

Bytes encode_mark(const RunId& run, const SiteMark& mark);

// What all marks together say.
struct SiteMemory {
  std::optional<JoinedMark> joined;           // the last of this run
  std::optional<SignedMark> consistency;      // the last of this run
  std::optional<UnmaskedMark> unmasked;       // the last of this run
  std::map<Digest, Release> released_models;  // of every run, by model
  std::map<Digest, Digest> beacon_lists;      // by roster
  std::map<Digest, Digest> beacons;           // by roster
  std::set<Digest> seed_tags;                 // of every run
  std::vector<ReleasedMark> unregistered;     // in this run's journal but not in the register: a crash came between
  std::optional<StatisticMark> measured;      // of this run: all studies measured for a sum on the last such model
  std::map<federation::model::StudyTag, MeasuredFor> statistics;  // of every run, by study: what it was released for
  std::vector<StatisticMark> unregistered_statistics;             // as `unregistered`
  std::optional<ClosedMark> closed;                               // the last of this run

  void apply(const RunId& run, const SiteMark& mark);
  // True unless this release, a later one, or one of another run on the model is known.
  bool note_release(const RunId& run, const ReleasedMark& mark);
  // True unless the statistic of all these studies is known to have been released.
  bool note_statistic(const RunId& run, const StatisticMark& mark);
  void add_measured(const StatisticMark& mark);
  // Whether shares of this attempt, or of one before, are kept.
  bool keeps_shares(const ClosedMark& of) const;
  // corruption names the record.
  static Result<SiteMemory> restore(const RunId& run, std::span<const Bytes> journal,
                                    std::span<const Bytes> site_register = {});
};

// ---- the shares in the journal of a run

// Whether shares of earlier records may have become useless with this one.
bool may_spend_shares(ByteView record);
// The journal without the shares that no rule lets leave any more: of attempts that are closed, here or (`gate`) at the
// egress gate, or that a later one followed. All else stays, so that every rule about rounds, models and seeds holds as
// before. Nothing when there are no such shares; corruption names the record.
Result<std::optional<std::vector<Bytes>>> without_spent_shares(const RunId& run, std::span<const Bytes> journal,
                                                               const std::optional<ClosedMark>& gate = {});

}  // namespace fovea::node::round
