// Evidence that a site dealt bad shares: found only when its secret is put together, in R5. Each share is the one that
// the dealer committed to, and yet t of them do not give the secret that it committed to. Every site checks this
// itself, and goes on only then.
//
// It cannot be made against an honest dealer, whoever colludes with the coordinator:
//   * everything that the dealer is held to is signed by it under H(P): its mask key S in R1; Bcom and a commitment to
//     each share in R2;
//   * a share counts only if it opens that commitment, so those of an honest dealer lie on its polynomial;
//   * t is that of P itself, and exactly t shares are taken: fewer of them would give another secret for any dealer.
// What it shows is the dealer's own: t shares of its self seed, where it is in U3, or of its mask key, where it dropped
// out. R5 has given these to the coordinator already, and no share that others dealt is among them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/key_agreement.h"
#include "crypto/secret_bytes.h"
#include "crypto/shamir.h"
#include "federation/membership/roster.h"
#include "federation/messages/refusal_reason.h"
#include "federation/messages/site_messages.h"
#include "federation/secagg/parameters.h"
#include "federation/secagg/statements.h"

namespace fovea::federation::secagg {

// The share, if it is the one that its dealer committed to for its recipient (R2); none otherwise.
std::optional<crypto::Share> open_commitment(const Digest& parameters, const ShareOwner& owner, ByteView encoded_share,
                                             const messages::SealedShares& promised);

// What a dealer says of a secret before anybody opens it: Bcom of its self seed, S of its mask key.
struct CommittedSecret {
  RosterIndex dealer = 0;
  messages::RevealedSecret kind = messages::RevealedSecret::self_seed;
  Digest self_seed_commitment{};
  crypto::AgreementPublicKey mask{};
};
bool is_committed_secret(const Digest& parameters, const CommittedSecret& committed, const crypto::SecretKey& secret);

// A share as its holder released it.
struct ShareOpening {
  RosterIndex holder = 0;
  std::array<std::uint8_t, crypto::kShareBytes> share{};
  bool operator==(const ShareOpening&) const = default;
  static constexpr messages::EntryNames kNames{.list = "fault.openings",
                                               .prefix = "fault.openings",
                                               .site = "fault.openings.holder",
                                               .rule = "must be strictly ascending, one share a holder"};
};

struct DealerFault {
  RoundParameters parameters;
  RosterIndex dealer = 0;
  messages::RevealedSecret secret = messages::RevealedSecret::self_seed;
  messages::AdvertisedKeys keys;       // of the dealer in R1, with its signature
  Bytes shares;                        // its R2, the sealed envelope as it sent it
  std::vector<ShareOpening> openings;  // exactly t, ascending by holder

  Bytes encode() const;
  static Result<DealerFault> decode(ByteView payload);
};

// None when the dealer's fault is shown. roster_differs: P names another roster; survivors_not_subset: the dealer is no
// candidate; bad_signature, malformed, wrong_run, parameters_differ: not the dealer's own messages of this attempt;
// evidence_incomplete: not exactly t openings; share_commitment_differs: a share that the dealer did not commit to;
// dealer_not_at_fault: they give its secret. Which of the two secrets a round may open is for the caller to say.
std::optional<messages::Refusal> check_dealer_fault(const DealerFault& fault, const membership::Roster& roster);

}  // namespace fovea::federation::secagg
