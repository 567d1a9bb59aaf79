// What comes from peers, coordinators, auditors and people's editors.
#include <array>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "common/bytes.h"
#include "common/canonical_json.h"
#include "common/codec.h"
#include "common/config_fields.h"
#include "crypto/shamir.h"
#include "crypto/signed_note.h"
#include "federation/ledger/entry.h"
#include "federation/ledger/tile.h"
#include "federation/membership/approval.h"
#include "federation/membership/blame.h"
#include "federation/membership/invite.h"
#include "federation/membership/join_request.h"
#include "federation/membership/pardon.h"
#include "federation/membership/plan.h"
#include "federation/membership/roster.h"
#include "federation/membership/signed_document.h"
#include "federation/messages/beacon_messages.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/envelope.h"
#include "federation/messages/site_messages.h"
#include "federation/messages/sum_check.h"
#include "federation/messages/vector_chunk.h"
#include "federation/model/safetensors.h"
#include "federation/secagg/dealer_fault.h"
#include "federation/secagg/framed_journal.h"
#include "federation/secagg/parameters.h"
#include "federation/secagg/round_evidence.h"
#include "tests/fuzz/parse_targets.h"

namespace fovea::fuzz {
namespace {

template <class... Messages>
void decode_each(ByteView input) {
  (static_cast<void>(Messages::decode(input)), ...);
}
void messages(ByteView input) {
  using namespace federation;
  decode_each<federation::messages::PlanOffer, federation::messages::RosterOffer, federation::messages::TrainTask,
              federation::messages::KeyList, federation::messages::RoutedShares, federation::messages::ChunkRequest,
              federation::messages::ConsistencyRequest, federation::messages::UnmaskRequest,
              federation::messages::RefusalNotice, federation::messages::AttemptAbandoned>(input);
  decode_each<federation::messages::Hello, federation::messages::TrainingProgress, federation::messages::TrainingReady,
              federation::messages::KeysMessage, federation::messages::SharesMessage,
              federation::messages::MaskedStatement, federation::messages::ConsistencySignature,
              federation::messages::UnmaskShares, federation::messages::AttemptFailure>(input);
  decode_each<federation::messages::TagList, federation::messages::CarryChunk, federation::messages::BeaconRequest,
              federation::messages::BeaconCommitmentMessage, federation::messages::BeaconCommitments,
              federation::messages::BeaconNonceMessage, federation::messages::BeaconTranscript>(input);
  decode_each<federation::secagg::RoundParameters, federation::secagg::RoundEvidence, federation::secagg::DealerFault,
              crypto::Share>(input);
  static_cast<void>(federation::messages::decode_chunk(input));
  static_cast<void>(federation::messages::read_envelope(input));
  std::array<std::uint16_t, 9> carries{};
  for (const std::size_t sites : {std::size_t{4}, std::size_t{1000}})
    static_cast<void>(federation::messages::unpack_carries(input, sites, carries));
  static_cast<void>(federation::secagg::read_journal(input));
}

void documents(ByteView input) {
  using namespace federation;
  static_cast<void>(federation::membership::Plan::parse(input));
  static_cast<void>(federation::membership::SignedDocument::parse(input));
  static_cast<void>(federation::membership::Roster::parse(as_text(input)));
  static_cast<void>(federation::membership::Approval::parse(as_text(input)));
  static_cast<void>(federation::membership::Invite::parse(as_text(input)));
  static_cast<void>(federation::membership::JoinRequest::parse(as_text(input)));
  static_cast<void>(federation::membership::Pardon::parse(as_text(input)));
  static_cast<void>(federation::membership::Blame::decode(input));
  static_cast<void>(parse_canonical_json(as_text(input), "fuzz"));
}

void ledger(ByteView input) {
  static_cast<void>(federation::ledger::decode_entry(input, "fuzz"));
  if (!input.empty()) static_cast<void>(federation::ledger::decode_tile(input.subspan(1), input[0]));
  static_cast<void>(crypto::SignedNote::parse(input));
  static_cast<void>(crypto::Checkpoint::parse(as_text(input)));
  static_cast<void>(crypto::NoteKey::parse(as_text(input)));
}

void safetensors(ByteView input) { static_cast<void>(federation::model::read_safetensors(input)); }

void settings(ByteView input) {
  Result<ConfigFields> fields = ConfigFields::parse(as_text(input), "fuzz.toml");
  if (!fields) return;
  static_cast<void>(fields->text("site.id", 1, 40));
  static_cast<void>(fields->integer("coordinator.port", 1, 65535));
  static_cast<void>(fields->texts("dicom.allow", 4));
  static_cast<void>(fields->finish());
}

Seeds text_seeds(std::initializer_list<std::string_view> texts) {
  Seeds out;
  for (const std::string_view text : texts) out.emplace_back(text.begin(), text.end());
  return out;
}

// Evidence of a fault, with the P of a repeated sum inside: two of its shares, and all that names a length.
Bytes dealer_fault_seed() {
  using namespace federation;
  federation::secagg::DealerFault out;
  out.parameters.round = 4;
  out.parameters.attempt = 1;
  out.parameters.candidates = {0, 2, 3};
  out.parameters.thresholds = {.colluders_max = 0, .threshold = 2, .honest_min = 2};
  out.parameters.dimension = 20;
  out.parameters.encoding = {.scale = 1, .delta_max = 1, .metric_scale = 1, .weight_max = 1};
  out.parameters.phase_ms = 1;
  out.parameters.repeats = federation::secagg::RepeatedSum{.released = {3, 1, Digest{9}}, .encoded_for = 4};
  out.dealer = 3;
  out.shares = Bytes(40, 1);
  out.openings = {{.holder = 0}, {.holder = 2}};
  return out.encode();
}

Bytes envelope_seed() {
  return federation::messages::seal_message({.kind = federation::messages::MessageKind::hello,
                                             .run = {},
                                             .sender = SiteId::create("anna").value(),
                                             .epoch = 3},
                                            federation::messages::Hello{}.encode(),
                                            crypto::SigningKey::from_seed(crypto::SecretKey()));
}

Seeds message_seeds() {
  const std::array<std::uint16_t, 9> carries{0, 1, 2, 3, 3, 2, 1, 0, 0};
  const Bytes packed = federation::messages::pack_carries(carries, 4);
  const federation::messages::TagList tags{.ref = {}, .first = 0, .tags = {crypto::LinearTag{}}};
  const federation::messages::CarryChunk chunk{.ref = {}, .index = 0, .packed = packed};
  return {dealer_fault_seed(),
          envelope_seed(),
          packed,
          tags.encode(),
          chunk.encode(),
          Bytes{0xa1, 0x61, 'k', 0x01},
          Bytes{0xa2, 0x61, 'a', 0x43, 1, 2, 3, 0x61, 'b', 0x82, 0x00, 0x01},
          Bytes(64, 0)};
}

Seeds document_seeds() {
  Seeds out = text_seeds({R"({"version":1,"name":"x","list":[1,2,{"a":null}]})",
                          R"({"document":"{}","kind":"plan","signatures":[]})",
                          R"({"fovea_plan":2,"name":"p","finding":{"kind":"lesion","modality":"MR"},)"
                          R"("intake":{"normalisation":"mr-foreground","n4":false}})"});
  out.push_back(federation::membership::Blame{
      .site = SiteId::create("anna").value(), .reason = "bad-signature", .evidence = {Bytes(3, 7), Bytes(40, 1)}}
                    .encode());
  return out;
}

Seeds ledger_seeds() {
  return text_seeds({"origin\n12\nAAAA\n\n\u2014 key AAAA\n",
                     R"({"at_ms":1,"detail":"d","rule":"r","type":"incident","version":1})"});
}

// One tensor of one number.
Seeds safetensors_seeds() {
  const std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  ByteWriter out;
  out.u64(header.size());
  out.raw(as_bytes(header));
  out.u32(0x3f800000);
  return {std::move(out).take()};
}

Seeds setting_seeds() { return text_seeds({"[site]\nid = \"st-anna\"\n[dicom]\nallow = [\"A@10.0.0.1\"]\n"}); }

constexpr std::array<ParseTarget, 5> kTargets{{{"messages", messages, message_seeds},
                                               {"documents", documents, document_seeds},
                                               {"ledger", ledger, ledger_seeds},
                                               {"safetensors", safetensors, safetensors_seeds},
                                               {"settings", settings, setting_seeds}}};

}  // namespace

std::span<const ParseTarget> federation_targets() noexcept { return kTargets; }

}  // namespace fovea::fuzz
