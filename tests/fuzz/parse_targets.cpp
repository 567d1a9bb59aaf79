#include "tests/fuzz/parse_targets.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "common/canonical_json.h"
#include "common/config_fields.h"
#include "crypto/shamir.h"
#include "crypto/signed_note.h"
#include "federation/ledger/entry.h"
#include "federation/ledger/tile.h"
#include "federation/membership/approval.h"
#include "federation/membership/invite.h"
#include "federation/membership/join_request.h"
#include "federation/membership/plan.h"
#include "federation/membership/roster.h"
#include "federation/membership/signed_document.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/site_messages.h"
#include "federation/messages/vector_chunk.h"
#include "federation/model/safetensors.h"
#include "federation/secagg/framed_journal.h"
#include "federation/secagg/parameters.h"
#include "federation/secagg/round_evidence.h"
#include "node/intake/catalogue_row.h"
#include "node/intake/label_tables.h"
#include "node/intake/manifest.h"
#include "node/intake/nifti_voxels.h"
#include "node/intake/scan_protocol.h"

namespace fovea::fuzz {
namespace {

// What is taken must keep its promises: a parser that says yes to nonsense aborts here, and the fuzzer has its find.
void nifti_header(ByteView input) {
  const Result<node::NiftiHeader> header = node::inspect_nifti(input);
  if (!header) return;
  FOVEA_CHECK(header->geometry.voxel_count() >= 8 && header->geometry.voxel_count() <= static_cast<std::size_t>(node::kVolumeVoxelsMax));
  FOVEA_CHECK(header->file_bytes() >= header->voxel_bytes && header->voxel_bytes >= header->geometry.voxel_count());
  if (header->file_bytes() > input.size()) return;
  const ByteView voxels = input.subspan(header->voxel_offset, header->voxel_bytes);
  Bytes stored(voxels.begin(), voxels.end());
  std::vector<std::byte> memory;
  const Result<void> delivered = node::deliver_nifti(*header, stored, [&](const VolumeGeometry& geometry, node::VoxelStorage storage) -> Result<std::byte*> {
    memory.resize(geometry.voxel_count() * node::bytes_per_voxel(storage));
    return memory.data();
  });
  if (!node::can_stay_in_place(*header)) return;
  Bytes place(voxels.begin(), voxels.end());
  place.resize(node::bytes_in_place(*header));
  const Result<node::VoxelStorage> storage = node::deliver_nifti_in_place(*header, place);
  FOVEA_CHECK(storage.has_value() == delivered.has_value());
  FOVEA_CHECK(!storage || std::equal(memory.begin(), memory.end(), std::as_bytes(std::span(place)).begin()));
}

void tables(ByteView input) {
  if (const auto rows = node::parse_manifest(as_text(input), "/table"); rows) FOVEA_CHECK(rows->size() <= node::kManifestRowsMax);
  static_cast<void>(node::parse_study_labels(as_text(input)));
  static_cast<void>(node::parse_points(as_text(input)));
}

void parser_answers(ByteView input) {
  static_cast<void>(node::decode_job(input));
  static_cast<void>(node::decode_fate(input));
  static_cast<void>(node::decode_describe_answer(input));
  if (const auto answer = node::decode_volume_answer(input); answer) FOVEA_CHECK(answer->geometry.voxel_count() > 0);
  static_cast<void>(node::decode_facts(input));
  static_cast<void>(node::decode_identity(input));
}

template <class... Messages>
void decode_each(ByteView input) {
  (static_cast<void>(Messages::decode(input)), ...);
}
void messages(ByteView input) {
  using namespace federation;
  decode_each<PlanOffer, RosterOffer, TrainTask, KeyList, RoutedShares, ChunkRequest, ConsistencyRequest, UnmaskRequest, RefusalNotice, AttemptAbandoned>(input);
  decode_each<Hello, TrainingProgress, TrainingReady, KeysMessage, SharesMessage, MaskedStatement, ConsistencySignature, UnmaskShares, AttemptFailure>(input);
  decode_each<RoundParameters, RoundEvidence, crypto::Share>(input);
  static_cast<void>(decode_chunk(input));
  static_cast<void>(read_journal(input));
}

void documents(ByteView input) {
  using namespace federation;
  static_cast<void>(Plan::parse(input));
  static_cast<void>(SignedDocument::parse(input));
  static_cast<void>(Roster::parse(as_text(input)));
  static_cast<void>(Approval::parse(as_text(input)));
  static_cast<void>(Invite::parse(as_text(input)));
  static_cast<void>(JoinRequest::parse(as_text(input)));
  static_cast<void>(parse_canonical_json(as_text(input), "fuzz"));
}

void ledger(ByteView input) {
  static_cast<void>(federation::decode_entry(input, "fuzz"));
  if (!input.empty()) static_cast<void>(federation::decode_tile(input.subspan(1), input[0]));
  static_cast<void>(crypto::SignedNote::parse(input));
  static_cast<void>(crypto::Checkpoint::parse(as_text(input)));
  static_cast<void>(crypto::NoteKey::parse(as_text(input)));
}

void safetensors(ByteView input) { static_cast<void>(federation::read_safetensors(input)); }

void settings(ByteView input) {
  Result<ConfigFields> fields = ConfigFields::parse(as_text(input), "fuzz.toml");
  if (!fields) return;
  static_cast<void>(fields->text("site.id", 1, 40));
  static_cast<void>(fields->integer("coordinator.port", 1, 65535));
  static_cast<void>(fields->texts("dicom.allow", 4));
  static_cast<void>(fields->finish());
}

constexpr std::array<ParseTarget, 8> kTargets{{{"nifti_header", nifti_header}, {"tables", tables}, {"parser_answers", parser_answers}, {"messages", messages},
                                               {"documents", documents}, {"ledger", ledger}, {"safetensors", safetensors}, {"settings", settings}}};

}  // namespace

std::span<const ParseTarget> parse_targets() noexcept { return kTargets; }

}  // namespace fovea::fuzz
