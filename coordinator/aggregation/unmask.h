// The end of a round at the coordinator: secrets are combined from released shares and checked, then masks are removed.
// A pure function of its input; runs on a worker when the vector is large.
#pragma once

#include <cstdint>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"
#include "federation/messages/refusal_reason.h"
#include "federation/messages/site_messages.h"
#include "federation/secagg/dealer_fault.h"
#include "federation/secagg/masking.h"
#include "federation/secagg/round_evidence.h"

namespace fovea::coordinator::aggregation {

// What a dealer committed to in R2.
struct DealerCommitments {
  RosterIndex dealer = 0;
  Digest self_seed_commitment{};                           // Bcom
  std::vector<federation::messages::SealedShares> shares;  // by recipient
};

struct UnmaskResponse {
  RosterIndex site = 0;
  std::vector<federation::messages::RevealedShare> shares;
};

// A site to blame and the rule it broke. The signed messages are the evidence; the caller keeps them.
struct Blame {
  RosterIndex site = 0;
  federation::messages::RefusalReason reason = federation::messages::RefusalReason::malformed;
  bool operator==(const Blame&) const = default;
};

struct UnmaskInput {
  federation::secagg::AttemptContext context;  // P, H(P), U1, K
  std::vector<RosterIndex> survivors;          // U2
  std::vector<RosterIndex> committed;          // U3
  std::vector<DealerCommitments> dealers;      // one for each site of U2
  std::vector<UnmaskResponse> responses;
  std::vector<std::uint32_t> sum;  // Σ y over U3
};

// A dealer's fault: t released shares, none of them its own, each the one it committed to, which do not give the secret
// it committed to.
struct BadDealing {
  RosterIndex dealer = 0;
  federation::messages::RevealedSecret secret = federation::messages::RevealedSecret::self_seed;
  std::vector<federation::secagg::ShareOpening> openings;  // ascending by holder
};

struct UnmaskOutcome {
  bool complete = false;                                 // every secret was opened and the masks are gone
  std::vector<std::uint32_t> sum;                        // Σ x when complete, else as it came
  std::vector<federation::secagg::OpenedSecret> opened;  // ascending, one for each site of U2 when complete
  std::vector<Blame> blames;         // bad_revealed_share: the responder; inconsistent_dealer: the dealer
  std::vector<BadDealing> dealings;  // evidence of inconsistent dealers; none where a dealer's own share was needed
};

// A revealed share counts only if it is the one its dealer committed to (the dealer's own share has no commitment and
// is used only when it is needed). X25519_base(s_j) = S_j and H(b_j) = Bcom_j are checked before any mask is removed.
UnmaskOutcome unmask(UnmaskInput input, std::uint32_t threads = 1);

}  // namespace fovea::coordinator::aggregation
