// Which attempt a round message belongs to. H(P) makes it one attempt under exactly one set of parameters.
#pragma once

#include "common/codec.h"
#include "common/ids.h"

namespace fovea::federation {

inline constexpr std::size_t kCohortMax = 1024;        // sites in one round
inline constexpr std::size_t kCompleteGraphMax = 128;  // above, the graph of neighbours is sparse

struct AttemptRef {
  RoundNumber round = 0;
  AttemptNumber attempt = 0;
  Digest parameters{};  // H(P)
  bool operator==(const AttemptRef&) const = default;
};

void write(ByteWriter& writer, const AttemptRef& ref);
Result<AttemptRef> read_attempt_ref(ByteReader& reader);

// How many entries follow. invalid_argument: more than `count_max`.
Result<std::uint32_t> read_count(ByteReader& reader, std::string_view field, std::size_t count_max = kCohortMax);

// Roster indices, strictly ascending, at most kCohortMax. invalid_argument otherwise.
void write(ByteWriter& writer, const std::vector<RosterIndex>& sites);
Result<std::vector<RosterIndex>> read_sites(ByteReader& reader, std::string_view field);

}  // namespace fovea::federation
