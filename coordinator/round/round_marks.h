// What the coordinator remembers of a round across a restart: which attempts were begun and, from R5 on, all that is
// needed to go on collecting shares (sites release once per round, so it must not be lost).
//   record := u8 type · u32 round · u32 attempt · fields
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "coordinator/round/round_core.h"

namespace fovea::coordinator::round {

Bytes encode_attempt_mark(RoundNumber round, AttemptNumber attempt);
// `share_wires`: R2 of each site of U2, as it came.
Bytes encode_unmask_mark(const CollectingUnmask& collecting, const std::map<RosterIndex, Bytes>& share_wires);

struct RoundMemory {
  AttemptNumber attempt_last = 0;
  std::optional<CollectingUnmask> unmask;
  std::map<RosterIndex, Bytes> share_wires;  // of its attempt
};

// Records of other rounds are skipped. corruption names the record.
Result<RoundMemory> restore_round(RoundNumber round, std::span<const Bytes> journal);

}  // namespace fovea::coordinator::round
