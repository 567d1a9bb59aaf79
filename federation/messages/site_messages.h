// What a site says. Each message has one canonical encoding; decode() is strict and refuses bytes left over
// (invalid_argument names the field). Payloads travel in the envelope of federation/messages/envelope.h.
// Names of the rounds R1 to R5 as in docs/protocol: Bonawitz et al., CCS 2017, active variant.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/byte_fields.h"
#include "common/bytes.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/key_agreement.h"
#include "crypto/linear_hash.h"
#include "crypto/shamir.h"
#include "crypto/signature.h"
#include "federation/messages/attempt_ref.h"
#include "federation/messages/refusal_reason.h"

namespace fovea::federation::messages {

// On connecting, after silence, and when something that kept the site from a task is mended: where it stands.
struct Hello {
  RoundNumber last_round = 0;  // last sum applied; 0 before the first
  Digest transcript{};         // of that round; zero before the first
  Digest model_hash{};         // of the model the site computed; zero before it has one
  std::string software;        // at most 80 bytes
  Bytes encode() const;
  static Result<Hello> decode(ByteView payload);
};

struct TrainingProgress {
  RoundNumber round = 0;
  std::uint16_t permille = 0;  // 0–1000
  Bytes encode() const;
  static Result<TrainingProgress> decode(ByteView payload);
};

// Trained. Says nothing about the data: counts and losses travel inside the mask.
struct TrainingReady {
  RoundNumber round = 0;
  Digest model_hash{};  // of the model trained on
  Bytes encode() const;
  static Result<TrainingReady> decode(ByteView payload);
};

// R1. `signature` is over keys_statement (federation/secagg/statements.h).
struct AdvertisedKeys {
  crypto::AgreementPublicKey channel{};  // C
  crypto::AgreementPublicKey mask{};     // S
  crypto::Signature signature{};
  bool operator==(const AdvertisedKeys&) const = default;
};

// In a group, which names them.
template <class Fields>
void fields(Fields& f, FieldsOf<Fields, AdvertisedKeys> keys) {
  f.array("channel", keys.channel);
  f.array("mask", keys.mask);
  f.array("signature", keys.signature);
}

struct KeysMessage {
  AttemptRef ref;
  AdvertisedKeys keys;
  Bytes encode() const;
  static Result<KeysMessage> decode(ByteView payload);
};

inline constexpr std::size_t kSealedSharesBytes = 2 * crypto::kShareBytes + 16;  // two shares and the tag

// R2, for one recipient: both shares sealed to it, and a commitment to each, by which a wrong share is
// traced to its sender.
struct SealedShares {
  RosterIndex peer = 0;  // the recipient; in RoutedShares the dealer
  Digest mask_key_commitment{};
  Digest self_seed_commitment{};
  std::array<std::uint8_t, kSealedSharesBytes> sealed{};
  static constexpr EntryNames kNames{.list = "shares", .prefix = "shares", .site = "shares.peer"};
};

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, SealedShares> shares) {
  f.u16("peer", shares.peer);
  f.array("mask_key_commitment", shares.mask_key_commitment);
  f.array("self_seed_commitment", shares.self_seed_commitment);
  f.array("sealed", shares.sealed);
}

struct SharesMessage {
  AttemptRef ref;
  Digest key_list{};                 // K
  Digest self_seed_commitment{};     // Bcom
  std::vector<SealedShares> shares;  // ascending by recipient, without the sender
  Bytes encode() const;
  static Result<SharesMessage> decode(ByteView payload);
};

// R3, after the last chunk. `signature` is over masked_statement.
struct MaskedStatement {
  AttemptRef ref;
  Digest vector_hash{};           // H(y)
  Digest survivors_hash{};        // H(U2)
  Digest self_seed_commitment{};  // Bcom
  crypto::LinearTag tag{};        // of the masked words under H(P): by it the published sum is checked
  crypto::Signature signature{};
  Bytes encode() const;
  static Result<MaskedStatement> decode(ByteView payload);
};

// R4. `signature` is over consistency_statement.
struct ConsistencySignature {
  AttemptRef ref;
  crypto::Signature signature{};
  Bytes encode() const;
  static Result<ConsistencySignature> decode(ByteView payload);
};

enum class RevealedSecret : std::uint8_t { self_seed = 1, mask_key = 2 };  // b_j of a survivor, s_j of a drop-out

template <class Fields>
void revealed_secret(Fields& f, std::string_view field, FieldsOf<Fields, RevealedSecret> secret) {
  auto number = static_cast<std::uint8_t>(secret);
  f.u8(field, number);
  f.require(number == 1 || number == 2, field, "expected 1 or 2");
  if constexpr (Fields::kReads) secret = static_cast<RevealedSecret>(number);
}

struct RevealedShare {
  RosterIndex subject = 0;  // whose secret
  RevealedSecret secret = RevealedSecret::self_seed;
  std::array<std::uint8_t, crypto::kShareBytes> share{};
  static constexpr EntryNames kNames{.list = "unmask.shares",
                                     .prefix = "unmask",
                                     .site = "unmask.subject",
                                     .rule = "must be strictly ascending, one share a site"};
};

// R5: exactly one share for each site of U2, ascending.
struct UnmaskShares {
  AttemptRef ref;
  std::vector<RevealedShare> shares;
  Bytes encode() const;
  static Result<UnmaskShares> decode(ByteView payload);
};

// The site cannot or will not go on. attempt 0: the round as a whole.
struct AttemptFailure {
  RoundNumber round = 0;
  AttemptNumber attempt = 0;
  RefusalReason reason = RefusalReason::malformed;
  std::optional<RosterIndex> accused;  // whose share was bad, or whom nobody here has accepted
  Bytes encode() const;
  static Result<AttemptFailure> decode(ByteView payload);
};

}  // namespace fovea::federation::messages
