#include "node/store/catalogue_row.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "common/codec.h"
#include "node/store/findings.h"
#include "node/volume/geometry_codec.h"
#include "node/volume/intensity_codec.h"

namespace fovea::node::store {
namespace {

constexpr std::uint8_t kVersion = 2;
constexpr std::uint8_t kVersionWithoutBias = 1;  // does not say whether N4 was asked for
constexpr std::uint8_t kLabelUnknown = 2;
constexpr std::size_t kTextMax = 8192;
constexpr std::uint32_t kOriginFilesMax = 2'000'000;  // as many as an ingest looks at

Result<Finding> get_finding(ByteReader& in) {
  Finding out;
  for (double& value : out.center_mm) {
    FOVEA_TRY_ASSIGN(value, in.f64("finding centre"));
  }
  FOVEA_TRY_ASSIGN(out.diameter_mm, in.f64("finding diameter"));
  FOVEA_TRY_ASSIGN(const std::uint32_t label, in.u32("finding label"));
  out.label = static_cast<std::int32_t>(label);
  FOVEA_TRY_ASSIGN(out.voxels, in.u64("finding voxels"));
  return out;
}

}  // namespace

Bytes encode_facts(const StudyRecord& record) {
  ByteWriter out;
  out.u8(kVersion);
  out.u8(record.label ? static_cast<std::uint8_t>(*record.label != 0) : kLabelUnknown);
  out.u8(record.has_mask ? 1 : 0);
  out.u8(record.bias_corrected ? 1 : 0);
  volume::put_geometry(out, record.geometry);
  volume::put_statistics(out, record.statistics);
  out.u32(static_cast<std::uint32_t>(record.findings.size()));
  for (const Finding& finding : record.findings) {
    for (const double value : finding.center_mm) out.f64(value);
    out.f64(finding.diameter_mm);
    out.u32(static_cast<std::uint32_t>(finding.label));
    out.u64(finding.voxels);
  }
  out.sized(record.modality);
  out.sized(record.reason);
  return std::move(out).take();
}

Result<StudyRecord> decode_facts(ByteView bytes) {
  ByteReader in(bytes);
  StudyRecord out;
  FOVEA_TRY_ASSIGN(const std::uint8_t version, in.u8("version"));
  if (version != kVersion && version != kVersionWithoutBias)
    return corruption("catalogue row: version " + std::to_string(version) + ", expected " + std::to_string(kVersion));
  FOVEA_TRY_ASSIGN(const std::uint8_t label, in.u8("label"));
  if (label < kLabelUnknown) out.label = label;
  FOVEA_TRY_ASSIGN(const std::uint8_t has_mask, in.u8("has mask"));
  out.has_mask = has_mask == 1;
  if (version == kVersion) {
    FOVEA_TRY_ASSIGN(const std::uint8_t bias_corrected, in.u8("bias corrected"));
    out.bias_corrected = bias_corrected == 1;
  }
  FOVEA_TRY_ASSIGN(out.geometry, volume::get_geometry(in));
  FOVEA_TRY_ASSIGN(out.statistics, volume::get_statistics(in));
  FOVEA_TRY_ASSIGN(const std::uint32_t findings, in.u32("findings"));
  if (findings > kFindingsMax) return corruption("catalogue row: too many findings");
  for (std::uint32_t f = 0; f < findings; ++f) {
    FOVEA_TRY_ASSIGN(Finding finding, get_finding(in));
    out.findings.push_back(finding);
  }
  FOVEA_TRY_ASSIGN(out.modality, in.text("modality", kTextMax));
  FOVEA_TRY_ASSIGN(out.reason, in.text("reason", kTextMax));
  FOVEA_TRY(in.finish("catalogue row"));
  if (version != kVersion && out.reason.empty())
    out.reason = "ingested by an earlier version, which did not record whether N4 was used (ingest it again)";
  return out;
}

Bytes encode_identity(const StudyIdentity& identity) {
  ByteWriter out;
  for (const std::string* text : {&identity.study, &identity.patient, &identity.image, &identity.mask})
    out.sized(*text);
  return std::move(out).take();
}

Result<StudyIdentity> decode_identity(ByteView bytes) {
  ByteReader in(bytes);
  StudyIdentity out;
  for (std::string* text : {&out.study, &out.patient, &out.image, &out.mask}) {
    FOVEA_TRY_ASSIGN(*text, in.text("identity", kTextMax));
  }
  FOVEA_TRY(in.finish("identity"));
  return out;
}

Bytes encode_origin(const StudyOrigin& origin) {
  ByteWriter out;
  out.u32(origin.part);
  for (const std::vector<std::uint64_t>* list : {&origin.instances, &origin.places}) {
    out.u32(static_cast<std::uint32_t>(list->size()));
    for (const std::uint64_t hash : *list) out.u64(hash);
  }
  return std::move(out).take();
}

Result<StudyOrigin> decode_origin(ByteView bytes) {
  ByteReader in(bytes);
  StudyOrigin out;
  FOVEA_TRY_ASSIGN(out.part, in.u32("part"));
  for (std::vector<std::uint64_t>* list : {&out.instances, &out.places}) {
    FOVEA_TRY_ASSIGN(const std::uint32_t count, in.u32("count"));
    if (count > kOriginFilesMax) return corruption("catalogue row: an origin of too many files");
    for (std::uint32_t n = 0; n < count; ++n) {
      FOVEA_TRY_ASSIGN(const std::uint64_t hash, in.u64("file"));
      list->push_back(hash);
    }
  }
  FOVEA_TRY(in.finish("origin"));
  return out;
}

std::string_view to_string(Split split) noexcept {
  switch (split) {
    case Split::train: return "train";
    case Split::validation: return "validation";
    case Split::test: return "test";
  }
  return "";
}

Result<Split> parse_split(std::string_view text) {
  for (const Split split : {Split::train, Split::validation, Split::test})
    if (text == to_string(split)) return split;
  return invalid_argument("split: expected train, validation or test, found \"" + std::string(text.substr(0, 20)) +
                          "\"");
}

}  // namespace fovea::node::store
