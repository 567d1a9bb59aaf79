// A readable payload of each kind of message, and what a signed message can say in its header and at its payload's ends
// that no honest one says. A new kind without a payload here does not compile.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/canonical_json.h"
#include "common/ids.h"
#include "federation/membership/blame.h"
#include "federation/messages/beacon_messages.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/envelope.h"
#include "federation/messages/message_kind.h"
#include "federation/messages/site_messages.h"
#include "federation/messages/sum_check.h"
#include "federation/messages/vector_chunk.h"
#include "federation/secagg/dealer_fault.h"
#include "federation/secagg/fixed_point.h"
#include "federation/secagg/parameters.h"
#include "federation/secagg/round_evidence.h"

namespace fovea::test {

inline const federation::messages::AttemptRef kSampleRef{3, 2, Digest{9}};

inline federation::secagg::RoundParameters sample_parameters() {
  federation::secagg::RoundParameters p;
  p.round = kSampleRef.round;
  p.attempt = kSampleRef.attempt;
  p.candidates = {0, 2, 3};
  p.thresholds = {.colluders_max = 0, .threshold = 2, .honest_min = 2};
  p.dimension = 20;
  p.encoding = federation::secagg::make_encoding(3, 1, 1).value();
  p.phase_ms = 1;
  return p;
}

inline Bytes sample_chunk() { return federation::messages::encode_chunk(kSampleRef, 0, std::vector<std::uint32_t>(8)); }

inline Bytes sample_fault() {
  federation::secagg::DealerFault fault;
  fault.parameters = sample_parameters();
  fault.dealer = 3;
  fault.shares = {1, 2, 3};
  fault.openings = {{.holder = 0}, {.holder = 2}};
  return fault.encode();
}

inline Bytes sample_evidence() {
  federation::secagg::RoundEvidence out;
  out.parameters = sample_parameters();
  return out.encode();
}

inline Bytes sample_blame() {
  federation::membership::Blame out{.site = SiteId::create("nobody").value()};
  out.reason = "malformed";
  return out.encode();
}

struct MessageSample {
  federation::messages::MessageKind kind;
  Bytes (*payload)();
};

inline constexpr std::array kMessageSamples = [] {
  using namespace federation::messages;
  using federation::messages::SiteSignature;
  return std::to_array<MessageSample>({
      {MessageKind::hello, [] { return Hello{.last_round = 0, .software = "sample"}.encode(); }},
      {MessageKind::training_progress,
       [] {
         return TrainingProgress{1, 500}.encode();
       }},
      {MessageKind::training_ready,
       [] {
         return TrainingReady{1, Digest{3}}.encode();
       }},
      {MessageKind::keys,
       [] {
         return KeysMessage{kSampleRef, {}}.encode();
       }},
      {MessageKind::shares,
       [] {
         return SharesMessage{kSampleRef, {}, {}, {{.peer = 0}, {.peer = 2}}}.encode();
       }},
      {MessageKind::masked_chunk, sample_chunk},
      {MessageKind::masked_statement, [] { return MaskedStatement{.ref = kSampleRef}.encode(); }},
      {MessageKind::consistency_signature, [] { return ConsistencySignature{.ref = kSampleRef}.encode(); }},
      {MessageKind::unmask_shares,
       [] {
         return UnmaskShares{kSampleRef, {{.subject = 0}}}.encode();
       }},
      {MessageKind::attempt_failure, [] { return AttemptFailure{.round = 3, .attempt = 2, .accused = {}}.encode(); }},
      {MessageKind::beacon_commitment, [] { return BeaconCommitmentMessage{}.encode(); }},
      {MessageKind::beacon_nonce, [] { return BeaconNonceMessage{}.encode(); }},
      {MessageKind::plan_offer,
       [] {
         return PlanOffer{{1, 2, 3}}.encode();
       }},
      {MessageKind::roster_offer,
       [] {
         return RosterOffer{{1, 2}}.encode();
       }},
      {MessageKind::train_task, [] { return TrainTask{.round = 1}.encode(); }},
      {MessageKind::parameters, [] { return sample_parameters().encode(); }},
      {MessageKind::key_list,
       [] {
         return KeyList{kSampleRef, {{.site = 0, .keys = {}}, {.site = 1, .keys = {}}}}.encode();
       }},
      {MessageKind::routed_shares,
       [] {
         return RoutedShares{kSampleRef, {0, 1}, {{.peer = 0}}}.encode();
       }},
      {MessageKind::chunk_request,
       [] {
         return ChunkRequest{kSampleRef, {0}, true}.encode();
       }},
      {MessageKind::consistency_request,
       [] {
         return ConsistencyRequest{kSampleRef, {0, 1}, {{.site = 0}}}.encode();
       }},
      {MessageKind::unmask_request,
       [] {
         return UnmaskRequest{kSampleRef, {{.site = 0}}}.encode();
       }},
      {MessageKind::aggregate_chunk, sample_chunk},
      {MessageKind::round_evidence, sample_evidence},
      {MessageKind::refusal, [] { return RefusalNotice{.round = 1, .attempt = 2}.encode(); }},
      {MessageKind::attempt_abandoned, [] { return AttemptAbandoned{.round = 1, .attempt = 2}.encode(); }},
      {MessageKind::beacon_request, [] { return BeaconRequest{}.encode(); }},
      {MessageKind::beacon_commitments,
       [] {
         return BeaconCommitments{{}, {{}, {}}}.encode();
       }},
      {MessageKind::beacon,
       [] {
         return BeaconTranscript{{{}, {{}, {}}}, {{}, {}}}.encode();
       }},
      {MessageKind::dealer_fault, sample_fault},
      {MessageKind::aggregate_tags,
       [] {
         return TagList{kSampleRef, 0, {{}}}.encode();
       }},
      {MessageKind::aggregate_carries,
       [] {
         return CarryChunk{kSampleRef, 0, {1, 2, 3}}.encode();
       }},
      {MessageKind::site_blame, sample_blame},
  });
}();
static_assert(federation::messages::covers(kMessageSamples, [](const auto&) { return true; }));

inline Bytes sample_payload(federation::messages::MessageKind kind) {
  return federation::messages::find_entry(kMessageSamples, kind)->payload();
}

// A message that its sender signed, and that no honest one would send.
struct ExtremeMessage {
  std::string name;
  Bytes wire;
  bool reads_as_its_senders = true;  // SignedMessage::open() lets it pass: the rest is for who handles it
};

// Of the honest message with this header and payload. `others`: senders that it is not; none is the coordinator.
inline std::vector<ExtremeMessage> extremes_of(const federation::messages::MessageHeader& header, ByteView payload,
                                               const std::vector<federation::messages::Sender>& others,
                                               const crypto::SigningKey& key) {
  const std::string kind(federation::messages::to_string(header.kind));
  std::vector<ExtremeMessage> out;
  const auto add = [&](const std::string& what, const federation::messages::MessageHeader& changed, ByteView contents,
                       bool reads = true) {
    out.push_back({kind + ", " + what, federation::messages::seal_message(changed, contents, key), reads});
  };
  const auto with = [&](auto change) {
    federation::messages::MessageHeader changed = header;
    change(changed);
    return changed;
  };
  constexpr auto kEpochMax = static_cast<EpochNumber>(kCanonicalIntegerMax);
  // A published sum names the roster that it was made under in its evidence, whatever its envelope says.
  const bool published = header.kind == federation::messages::MessageKind::round_evidence ||
                         header.kind == federation::messages::MessageKind::aggregate_tags ||
                         header.kind == federation::messages::MessageKind::aggregate_carries ||
                         header.kind == federation::messages::MessageKind::aggregate_chunk;
  if (!published) {
    add("epoch 0", with([](auto& h) { h.epoch = 0; }), payload);
    add("the largest epoch", with([](auto& h) { h.epoch = kEpochMax; }), payload);
  }
  add("an epoch that no ledger holds", with([](auto& h) { h.epoch = kEpochMax + 1; }), payload, false);
  add("an epoch of 64 bits", with([](auto& h) { h.epoch = std::numeric_limits<EpochNumber>::max(); }), payload, false);
  add("a run of zeros", with([](auto& h) { h.run = {}; }), payload);
  add("an unknown run", with([](auto& h) { h.run.bytes.fill(0xff); }), payload);
  for (const federation::messages::Sender& other : others)
    add("from " + (other ? other->text() : std::string("the coordinator")), with([&](auto& h) { h.sender = other; }),
        payload, false);
  add("empty", header, {});
  add("cut by a byte", header, payload.first(payload.size() - 1));
  Bytes longer(payload.begin(), payload.end());
  longer.push_back(0);
  add("with a byte too many", header, longer);
  return out;
}

}  // namespace fovea::test
