// What a site remembers across a restart: the durable marks of its journal. No key or seed is among them, and of the shares
// only what R5 would release under the one statement that was signed: with U3 fixed that message is fixed, so a site that
// restarts after R4 can still finish the round, byte for byte, and nothing else.
//   record := u8 type · 16 run · attempt ref · fields
#pragma once

#include <optional>
#include <set>
#include <span>
#include <variant>
#include <vector>

#include "common/ids.h"
#include "federation/messages/attempt_ref.h"

namespace fovea::node {

// R1: the attempt was joined, with keys from the seed that has this tag.
struct JoinedMark {
  federation::AttemptRef ref;
  Digest seed_tag{};
};

// R4: this statement was signed.
struct SignedMark {
  federation::AttemptRef ref;
  Digest request{};    // payload digest of the request
  Digest statement{};
  Digest model_hash{};
  std::uint16_t threshold = 0;            // of the attempt
  std::vector<RosterIndex> committed{};   // U3
  Bytes wire{};        // the signature as it was sent, to send again
  Bytes release{};     // what R5 will send when t sites have signed the statement
};

// R5: shares were released. At most one a round, and one a model.
struct UnmaskedMark {
  federation::AttemptRef ref;
  Digest model_hash{};
  Bytes wire{};
};

using SiteMark = std::variant<JoinedMark, SignedMark, UnmaskedMark>;

Bytes encode_mark(const RunId& run, const SiteMark& mark);

// The sum of all marks.
struct SiteMemory {
  std::optional<JoinedMark> joined;      // the last of this run
  std::optional<SignedMark> consistency; // the last of this run
  std::optional<UnmaskedMark> unmasked;  // the last of this run
  std::set<Digest> released_models;      // of every run
  std::set<Digest> seed_tags;            // of every run

  void apply(const SiteMark& mark);
  // corruption names the record.
  static Result<SiteMemory> restore(const RunId& run, std::span<const Bytes> journal);
};

}  // namespace fovea::node
