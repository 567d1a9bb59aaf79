#include "federation/model/safetensors.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "common/codec.h"
#include "common/json_fields.h"
#include "common/result.h"
#include "federation/model/layout.h"

namespace fovea::federation::model {
namespace {

using nlohmann::json;

constexpr std::string_view kMetadataName = "__metadata__";

Error malformed(const std::string& what) { return corruption("safetensors: " + what); }

Result<void> check_metadata(const ModelMetadata& metadata) {
  if (metadata.size() > kMetadataEntriesMax)
    return invalid_argument("safetensors metadata: at most " + std::to_string(kMetadataEntriesMax) + " entries");
  for (const auto& [key, value] : metadata)
    if (key.empty() || key.size() > kMetadataTextMax || value.size() > kMetadataTextMax)
      return invalid_argument("safetensors metadata: a key or value is empty or longer than " +
                              std::to_string(kMetadataTextMax) + " bytes");
  return {};
}

Result<ModelMetadata> read_metadata(const json& header) {
  if (!header.contains(kMetadataName))
    return invalid_argument("safetensors: no __metadata__, so the architecture is unknown");
  const json& entries = header[std::string(kMetadataName)];
  if (!entries.is_object()) return malformed("__metadata__ is not an object");
  ModelMetadata metadata;
  for (const auto& [key, value] : entries.items()) {
    if (!value.is_string()) return malformed("a __metadata__ value is not text");
    metadata.emplace(key, value.get<std::string>());
  }
  FOVEA_TRY(check_metadata(metadata));
  return metadata;
}

Result<std::uint64_t> read_count(const json& value, const std::string& field) {
  if (!value.is_number_unsigned()) return malformed(field + " is not an unsigned integer");
  return value.get<std::uint64_t>();
}

// The tensor's entry must be the layout's, at the place where the one before it ended: with that for
// every tensor there can be neither gap nor overlap.
Result<void> check_entry(const json& entry, const TensorSpec& spec, std::uint64_t begin) {
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets"))
    return malformed(spec.name + ": expected exactly dtype, shape and data_offsets");
  if (!entry["dtype"].is_string() || entry["dtype"].get_ref<const std::string&>() != "F32")
    return malformed(spec.name + ": dtype must be F32");
  const json& shape = entry["shape"];
  if (!shape.is_array() || shape.size() != spec.shape.size())
    return malformed(spec.name + ": wrong number of dimensions");
  for (std::size_t d = 0; d < spec.shape.size(); ++d) {
    FOVEA_TRY_ASSIGN(const std::uint64_t extent, read_count(shape[d], spec.name + ".shape"));
    if (extent != spec.shape[d]) return malformed(spec.name + ": the shape is not the architecture's");
  }
  const json& offsets = entry["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2) return malformed(spec.name + ": data_offsets must be two numbers");
  FOVEA_TRY_ASSIGN(const std::uint64_t first, read_count(offsets[0], spec.name + ".data_offsets"));
  FOVEA_TRY_ASSIGN(const std::uint64_t last, read_count(offsets[1], spec.name + ".data_offsets"));
  if (first != begin || last != begin + 4 * spec.size())
    return malformed(spec.name + ": data_offsets leave a gap, overlap, or do not fit the shape");
  return {};
}

Result<void> check_tensors(const json& header, const ModelLayout& layout) {
  if (header.size() != layout.tensors().size() + 1)
    return malformed("the tensors are not those of " + layout.architecture());
  std::uint64_t begin = 0;
  for (const TensorSpec& spec : layout.tensors()) {
    const auto entry = header.find(spec.name);
    if (entry == header.end()) return malformed(spec.name + ": missing");
    FOVEA_TRY(check_entry(*entry, spec, begin));
    begin += 4 * spec.size();
  }
  return {};
}

std::vector<float> read_values(ByteView bytes) {
  std::vector<float> values(bytes.size() / 4);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint32_t word = 0;
    for (std::size_t b = 0; b < 4; ++b) word |= std::uint32_t{bytes[4 * i + b]} << (8 * b);
    values[i] = std::bit_cast<float>(word);
  }
  return values;
}

}  // namespace

Result<Bytes> write_safetensors(const ModelState& model, const ModelMetadata& metadata) {
  const ModelLayout& layout = model.layout();
  ModelMetadata full = metadata;
  full[std::string(kArchitectureKey)] = layout.architecture();
  FOVEA_TRY(check_metadata(full));

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  header[std::string(kMetadataName)] = full;
  std::uint64_t begin = 0;
  for (const TensorSpec& spec : layout.tensors()) {
    const std::uint64_t end = begin + 4 * spec.size();
    header[spec.name] = {{"dtype", "F32"}, {"shape", spec.shape}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    return invalid_argument("safetensors metadata: not valid UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the format asks for aligned tensors
  if (text.size() > kSafetensorsHeaderMax) return invalid_argument("safetensors metadata: too long for the header");

  ByteWriter writer;
  writer.reserve(8 + text.size() + 4 * layout.size());
  writer.u64(text.size());
  writer.raw(as_bytes(text));
  static_assert(std::endian::native == std::endian::little, "tensor bytes are written as they lie in memory");
  const std::span<const float> values = model.values();
  writer.raw(ByteView(reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()));
  return std::move(writer).take();
}

Result<StoredModel> read_safetensors(ByteView file) {
  if (file.size() < 8) return malformed("shorter than its 8-byte length");
  if (file.size() > kSafetensorsFileMax)
    return malformed("larger than " + std::to_string(kSafetensorsFileMax) + " bytes");
  ByteReader reader(file);
  FOVEA_TRY_ASSIGN(const std::uint64_t header_size, reader.u64("safetensors header length"));
  if (header_size < 2 || header_size > kSafetensorsHeaderMax || header_size > reader.left())
    return malformed("the header length is out of bounds");
  FOVEA_TRY_ASSIGN(const ByteView header_bytes,
                   reader.raw("safetensors header", static_cast<std::size_t>(header_size)));
  if (header_bytes.front() != '{') return malformed("the header does not start with '{'");
  auto parsed = parse_json(header_bytes, "safetensors header", kSafetensorsHeaderMax);
  if (!parsed) return malformed("the header is not strict JSON (" + parsed.error().message + ")");
  if (!parsed->is_object()) return malformed("the header is not an object");

  FOVEA_TRY_ASSIGN(ModelMetadata metadata, read_metadata(*parsed));
  const auto architecture = metadata.find(std::string(kArchitectureKey));
  if (architecture == metadata.end())
    return invalid_argument("safetensors: metadata lacks " + std::string(kArchitectureKey) + "; not a Fovea model");
  FOVEA_TRY_ASSIGN(ModelLayout layout, make_layout(architecture->second));
  FOVEA_TRY(check_tensors(*parsed, layout));
  if (reader.left() != 4 * layout.size())
    return malformed("expected " + std::to_string(4 * layout.size()) + " bytes of tensors, found " +
                     std::to_string(reader.left()));
  FOVEA_TRY_ASSIGN(const ByteView data, reader.raw("safetensors tensors", reader.left()));
  auto state = ModelState::create(std::move(layout), read_values(data));
  if (!state) return corruption("safetensors: " + state.error().message);
  return StoredModel{std::move(state).value(), std::move(metadata)};
}

}  // namespace fovea::federation::model
