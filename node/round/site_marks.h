// What a site remembers across a restart: the durable marks of its journal. No seed, key or share of its own is among them.
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
  Bytes wire{};        // what was sent, to send again
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
