// What the coordinator says. Each message has one canonical encoding; decode() is strict and refuses bytes left over.
// The parameters P of R0 are federation/secagg/parameters.h, vectors are vector_chunk.h, the evidence of a
// finished round is federation/secagg/round_evidence.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/byte_fields.h"
#include "common/bytes.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/signature.h"
#include "federation/messages/attempt_ref.h"
#include "federation/messages/message_kind.h"
#include "federation/messages/refusal_reason.h"
#include "federation/messages/site_messages.h"

namespace fovea::federation::messages {

inline constexpr std::size_t kDocumentBytesMax = 768 * 1024;

struct PlanOffer {
  Bytes plan;  // exact bytes
  Bytes encode() const;
  static Result<PlanOffer> decode(ByteView payload);
};

struct RosterOffer {
  Bytes signed_document;      // SignedDocument::serialize()
  std::uint64_t sent_ms = 0;  // the coordinator's wall clock: tells a person whose clock is off, and decides nothing
  Bytes encode() const;
  static Result<RosterOffer> decode(ByteView payload);
};

// "Train on this model." A round number names one secure aggregation and is never used twice in a run;
// stage and stage_round say where the plan stands.
struct TrainTask {
  RoundNumber round = 0;
  std::uint32_t stage_index = 0;
  std::uint32_t stage_round = 0;  // from 1
  std::uint64_t seed = 0;
  Digest plan_hash{};
  Digest model_hash{};
  Digest previous_transcript{};  // zero in the first round
  bool operator==(const TrainTask&) const = default;
  Bytes encode() const;
  static Result<TrainTask> decode(ByteView payload);
};

struct ListedKeys {
  RosterIndex site = 0;
  AdvertisedKeys keys;
  bool operator==(const ListedKeys&) const = default;
  static constexpr EntryNames kNames{.list = "keys", .prefix = "keys", .site = "keys.site"};
};

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, ListedKeys> entry) {
  f.u16("site", entry.site);
  fields(f, entry.keys);
}

// R1, answered: the keys of U1, ascending.
struct KeyList {
  AttemptRef ref;
  std::vector<ListedKeys> keys;
  Bytes encode() const;
  static Result<KeyList> decode(ByteView payload);
};

// R2, answered: U2 and the shares for this site, one from each other site of U2. Also the order to send R3.
struct RoutedShares {
  AttemptRef ref;
  std::vector<RosterIndex> survivors;  // U2
  std::vector<SealedShares> shares;    // ascending by dealer
  Bytes encode() const;
  static Result<RoutedShares> decode(ByteView payload);
};

// Chunks (and, if set, the statement) that did not arrive.
struct ChunkRequest {
  AttemptRef ref;
  std::vector<std::uint32_t> chunks;
  bool statement = false;
  Bytes encode() const;
  static Result<ChunkRequest> decode(ByteView payload);
};

// One site's signed R3 statement.
struct CommittedVector {
  RosterIndex site = 0;
  Digest vector_hash{};
  Digest self_seed_commitment{};
  Digest tag_hash{};              // of the linear tag of its masked words
  crypto::Signature signature{};  // of masked_statement
  bool operator==(const CommittedVector&) const = default;
  static constexpr EntryNames kNames{.list = "committed", .prefix = "committed", .site = "committed.site"};
};
std::vector<RosterIndex> sites_of(std::span<const CommittedVector> committed);

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, CommittedVector> entry) {
  f.u16("site", entry.site);
  f.array("vector_hash", entry.vector_hash);
  f.array("self_seed_commitment", entry.self_seed_commitment);
  f.array("tag_hash", entry.tag_hash);
  f.array("signature", entry.signature);
}

// R4: U2, and U3 with what each of its sites committed to.
struct ConsistencyRequest {
  AttemptRef ref;
  std::vector<RosterIndex> survivors;      // U2
  std::vector<CommittedVector> committed;  // U3, ascending
  Bytes encode() const;
  static Result<ConsistencyRequest> decode(ByteView payload);
};

struct SiteSignature {
  RosterIndex site = 0;
  crypto::Signature signature{};
  bool operator==(const SiteSignature&) const = default;
  static constexpr EntryNames kNames{.list = "signatures", .prefix = "signatures", .site = "signatures.site"};
};

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, SiteSignature> entry) {
  f.u16("site", entry.site);
  f.array("signature", entry.signature);
}

// R5: the signatures of R4, ascending.
struct UnmaskRequest {
  AttemptRef ref;
  std::vector<SiteSignature> signatures;
  Bytes encode() const;
  static Result<UnmaskRequest> decode(ByteView payload);
};

struct RefusalNotice {
  RoundNumber round = 0;      // 0: no round
  AttemptNumber attempt = 0;  // 0: no attempt
  MessageKind refused = MessageKind::hello;
  RefusalReason reason = RefusalReason::malformed;
  Bytes encode() const;
  static Result<RefusalNotice> decode(ByteView payload);
};

// The attempt is over without a result: wipe its secrets and wait. `round_over`: no further attempt follows.
struct AttemptAbandoned {
  RoundNumber round = 0;
  AttemptNumber attempt = 0;
  RefusalReason reason = RefusalReason::deadline_passed;
  bool round_over = false;
  Bytes encode() const;
  static Result<AttemptAbandoned> decode(ByteView payload);
};

}  // namespace fovea::federation::messages
