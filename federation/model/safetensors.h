// Safetensors on disk: our own strict reader and writer, float32 only.
// Format: u64 little-endian header length, JSON header, tensor bytes (huggingface/safetensors, format.md).
// The reader takes hostile bytes: it refuses duplicate names, gaps, overlaps, other dtypes, wrong lengths,
// non-finite values, and anything above its limits, each by name.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/result.h"
#include "federation/model/state.h"

namespace fovea::federation::model {

using ModelMetadata = std::map<std::string, std::string>;

inline constexpr std::size_t kSafetensorsHeaderMax = std::size_t{1} << 20;  // bytes
inline constexpr std::size_t kSafetensorsFileMax = 8 + kSafetensorsHeaderMax + 4 * kModelSizeMax;
inline constexpr std::size_t kMetadataEntriesMax = 64;
inline constexpr std::size_t kMetadataTextMax = 64 * 1024;                  // bytes of one key or value
inline constexpr std::string_view kArchitectureKey = "fovea.architecture";  // metadata, always present

// A model read from a file, with its metadata (the architecture entry included).
struct StoredModel {
  ModelState state;
  ModelMetadata metadata;
};

// Tensors in layout order without gaps, metadata sorted: one model and metadata have one file.
Result<Bytes> write_safetensors(const ModelState& model, const ModelMetadata& metadata);

// corruption: not a well-formed file; invalid_argument: well formed, but not a model of a known architecture.
Result<StoredModel> read_safetensors(ByteView file);

}  // namespace fovea::federation::model
