#include "federation/secagg/dealer_fault.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "common/byte_fields.h"
#include "common/bytes.h"
#include "common/result.h"
#include "crypto/secret_bytes.h"
#include "crypto/shamir.h"
#include "federation/messages/envelope.h"
#include "federation/messages/message_kind.h"
#include "federation/messages/refusal_reason.h"

namespace fovea::federation::secagg {
namespace {

// The dealer's R2, if it is its own and of this attempt.
std::variant<messages::SharesMessage, messages::Refusal> open_shares(const DealerFault& fault,
                                                                     const membership::Roster& roster) {
  const membership::RosterSite& dealer = roster.sites[fault.dealer];
  const auto opened =
      messages::SignedMessage::open(Bytes(fault.shares), {.sender = dealer.id, .key = dealer.identity_key});
  if (!opened)
    return messages::refused(opened.error().code == ErrorCode::permission_denied
                                 ? messages::RefusalReason::bad_signature
                                 : messages::RefusalReason::malformed,
                             "shares of " + dealer.id.text() + ": " + opened.error().message);
  if (opened->kind() != messages::MessageKind::shares)
    return messages::refused(messages::RefusalReason::malformed, "not a message of shares");
  if (opened->header().run != fault.parameters.run)
    return messages::refused(messages::RefusalReason::wrong_run, "shares of another run");
  auto shares = messages::SharesMessage::decode(opened->payload());
  if (!shares) return messages::refused(messages::RefusalReason::malformed, shares.error().message);
  if (shares->ref != fault.parameters.ref())
    return messages::refused(messages::RefusalReason::parameters_differ, "shares of another attempt");
  return std::move(*shares);
}

}  // namespace

std::optional<crypto::Share> open_commitment(const Digest& parameters, const ShareOwner& owner, ByteView encoded_share,
                                             const messages::SealedShares& promised) {
  const Digest& commitment = owner.secret == messages::RevealedSecret::self_seed ? promised.self_seed_commitment
                                                                                 : promised.mask_key_commitment;
  if (share_commitment(parameters, owner, encoded_share) != commitment) return std::nullopt;
  auto share = crypto::Share::decode(encoded_share);
  if (!share || share->point() != std::uint32_t{owner.recipient} + 1) return std::nullopt;
  return std::move(*share);
}

bool is_committed_secret(const Digest& parameters, const CommittedSecret& committed, const crypto::SecretKey& secret) {
  if (committed.kind == messages::RevealedSecret::mask_key)
    return crypto::agreement_public_key(secret) == committed.mask;
  return self_seed_commitment(parameters, committed.dealer, secret.view()) == committed.self_seed_commitment;
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, ShareOpening> opening) {
  f.u16("holder", opening.holder);
  f.array("share", opening.share);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, DealerFault> fault) {
  f.nested("fault.parameters", fault.parameters, kParametersBytesMax);
  f.u16("fault.dealer", fault.dealer);
  messages::revealed_secret(f, "fault.secret", fault.secret);
  f.group("fault.keys", fault.keys);
  f.bytes("fault.shares", fault.shares, messages::kWireBytesMax);
  messages::entry_list(f, fault.openings, &ShareOpening::holder);
}
Bytes DealerFault::encode() const { return encode_fields(*this); }
Result<DealerFault> DealerFault::decode(ByteView payload) { return decode_fields<DealerFault>(payload, "fault"); }

std::optional<messages::Refusal> check_dealer_fault(const DealerFault& fault, const membership::Roster& roster) {
  const RoundParameters& p = fault.parameters;
  if (p.roster_hash != roster.hash)
    return messages::refused(messages::RefusalReason::roster_differs, "a fault under another roster");
  if (fault.dealer >= roster.sites.size() ||
      !std::binary_search(p.candidates.begin(), p.candidates.end(), fault.dealer))
    return messages::refused(messages::RefusalReason::survivors_not_subset, "a fault of a site that was no candidate");
  const std::string& name = roster.sites[fault.dealer].id.text();
  if (crypto::check_signature(roster.sites[fault.dealer].identity_key,
                              keys_statement(p.hash(), fault.dealer, fault.keys),
                              fault.keys.signature) != crypto::SignatureVerdict::valid)
    return messages::refused(messages::RefusalReason::bad_signature, "keys of " + name);
  auto opened = open_shares(fault, roster);
  if (auto* refusal = std::get_if<messages::Refusal>(&opened)) return std::move(*refusal);
  const auto& shares = std::get<messages::SharesMessage>(opened);
  if (fault.openings.size() != p.thresholds.threshold)
    return messages::refused(messages::RefusalReason::evidence_incomplete,
                             std::to_string(fault.openings.size()) + " openings of shares of " + name + ", exactly " +
                                 std::to_string(p.thresholds.threshold) + " are needed");
  std::vector<crypto::Share> points;
  for (const ShareOpening& opening : fault.openings) {
    const auto promised =
        std::find_if(shares.shares.begin(), shares.shares.end(),
                     [&](const messages::SealedShares& entry) { return entry.peer == opening.holder; });
    auto share = promised == shares.shares.end()
                     ? std::nullopt
                     : open_commitment(shares.ref.parameters, {fault.dealer, opening.holder, fault.secret},
                                       opening.share, *promised);
    if (!share)
      return messages::refused(
          messages::RefusalReason::share_commitment_differs,
          "not the share that " + name + " committed to for site " + std::to_string(opening.holder));
    points.push_back(std::move(*share));
  }
  const auto secret = crypto::combine_shares(points);
  if (!secret) {
    if (secret.error().code == ErrorCode::corruption) return std::nullopt;  // shares of no secret at all
    return messages::refused(messages::RefusalReason::malformed, secret.error().message);
  }
  if (is_committed_secret(p.hash(), {fault.dealer, fault.secret, shares.self_seed_commitment, fault.keys.mask},
                          *secret))
    return messages::refused(messages::RefusalReason::dealer_not_at_fault,
                             "the shares of " + name + " give the secret that it committed to");
  return std::nullopt;
}

}  // namespace fovea::federation::secagg
