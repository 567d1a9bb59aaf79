// What is published with a sum so that anyone can recheck the round: every site applies the sum only after
// check_evidence; an auditor who also holds the masked vectors can recompute the sum to the last bit.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/signature.h"
#include "federation/membership/roster.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/refusal_reason.h"
#include "federation/messages/site_messages.h"
#include "federation/secagg/parameters.h"

namespace fovea::federation::secagg {

// A secret that at least t sites opened: b of a site in the sum, s of a site that dropped out.
struct OpenedSecret {
  RosterIndex site = 0;
  messages::RevealedSecret kind = messages::RevealedSecret::self_seed;
  std::array<std::uint8_t, 32> value{};
  bool operator==(const OpenedSecret&) const = default;
};

struct RoundEvidence {
  RoundParameters parameters;
  std::vector<messages::ListedKeys> keys;            // U1
  std::vector<RosterIndex> survivors;                // U2
  std::vector<messages::CommittedVector> committed;  // U3
  std::vector<messages::SiteSignature> signatures;   // of the consistency statement
  std::vector<OpenedSecret> opened;                  // one for each site of U2, ascending
  Digest sum_hash{};                                 // VectorHash over the chunks of the sum

  Digest consistency() const;
  Digest transcript() const;
  Bytes encode() const;
  static Result<RoundEvidence> decode(ByteView payload);
};

// Every rule that can be checked without the masked vectors: U3 ⊆ U2 ⊆ U1 ⊆ U0 ⊆ roster, |U3| ≥ t, all key and vector
// signatures, ≥ t distinct valid consistency signatures by sites of U3 (in a graph ≥ s, t of them around each site of
// U2), and each opened secret against its commitment. None when all hold. The roster must be the one named in P.
// `verified`: what the caller verified while the round ran.
std::optional<messages::Refusal> check_evidence(const RoundEvidence& evidence, const membership::Roster& roster,
                                                crypto::VerifiedSignatures& verified);
std::optional<messages::Refusal> check_evidence(const RoundEvidence& evidence, const membership::Roster& roster);

}  // namespace fovea::federation::secagg
