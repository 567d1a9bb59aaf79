#include "node/embedding/embedding_store.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <system_error>

#include "common/codec.h"
#include "crypto/aead.h"
#include "crypto/random_source.h"

namespace fovea::node::embedding {
namespace {

constexpr std::string_view kMagic = "FOVEMB1\n";
constexpr std::size_t kFileBytesMax = 1024 * 1024;
constexpr std::uint32_t kRegionsMax = 4096;
constexpr std::size_t kNonceBytes = 12;
constexpr double kPlaceScale = 32, kRadiusScale = 8, kLogitScale = 8;

std::int64_t level(double value, double scale, double low, double high) {
  return std::lround(std::clamp(value * scale, low, high));
}

// What a sealed record is bound to: this format, this study, these networks.
Bytes associated_data(std::string_view code, const Digest& identity) {
  ByteWriter writer;
  writer.sized(std::string_view("FOVEA/1/embeddings"));
  writer.sized(code);
  writer.raw(identity);
  return std::move(writer).take();
}

Bytes encode(const StoredStudy& study) {
  ByteWriter writer;
  writer.u32(static_cast<std::uint32_t>(study.regions.size()));
  for (const volume::Point3* corner : {&study.box.low, &study.box.high})
    for (const double mm : *corner) writer.f32(static_cast<float>(mm));
  writer.u8(study.label ? static_cast<std::uint8_t>(*study.label) : 255);
  for (const StoredRegion& region : study.regions) {
    for (const std::int8_t number : region.embedding) writer.u8(static_cast<std::uint8_t>(number));
    for (const std::int16_t place : region.place) writer.u16(static_cast<std::uint16_t>(place));
    writer.u8(region.radius);
    writer.u8(static_cast<std::uint8_t>(region.logit));
  }
  return std::move(writer).take();
}

Result<StoredRegion> decode_region(ByteReader& reader) {
  StoredRegion region;
  FOVEA_TRY_ASSIGN(const ByteView numbers, reader.raw("embedding", kEmbeddingSize));
  std::transform(numbers.begin(), numbers.end(), region.embedding.begin(),
                 [](std::uint8_t byte) { return static_cast<std::int8_t>(byte); });
  for (std::int16_t& place : region.place) {
    FOVEA_TRY_ASSIGN(const std::uint16_t word, reader.u16("place"));
    place = static_cast<std::int16_t>(word);
  }
  FOVEA_TRY_ASSIGN(region.radius, reader.u8("radius"));
  FOVEA_TRY_ASSIGN(const std::uint8_t logit, reader.u8("logit"));
  region.logit = static_cast<std::int8_t>(logit);
  return region;
}

Result<StoredStudy> decode(ByteView bytes) {
  ByteReader reader(bytes);
  StoredStudy study;
  FOVEA_TRY_ASSIGN(const std::uint32_t count, reader.u32("regions"));
  if (count > kRegionsMax) return corruption("embeddings: too many regions");
  for (volume::Point3* corner : {&study.box.low, &study.box.high})
    for (double& mm : *corner) {
      FOVEA_TRY_ASSIGN(const float number, reader.f32("box"));
      mm = static_cast<double>(number);
    }
  FOVEA_TRY_ASSIGN(const std::uint8_t label, reader.u8("label"));
  if (label < 2) study.label = label;
  for (std::uint32_t r = 0; r < count; ++r) {
    FOVEA_TRY_ASSIGN(StoredRegion region, decode_region(reader));
    study.regions.push_back(region);
  }
  FOVEA_TRY(reader.finish("embeddings"));
  return study;
}

Result<crypto::SecretKey> open_key(const std::filesystem::path& path) {
  auto bytes = read_file(path, 32);
  if (bytes) return crypto::SecretKey::from(*bytes, "embeddings.key");
  if (bytes.error().code != ErrorCode::not_found) return std::move(bytes).error();
  crypto::SystemRandom random;
  FOVEA_TRY(create_file_durably(path, random.secret_key().view(), FileMode::secret));
  FOVEA_TRY_ASSIGN(const Bytes made, read_file(path, 32));  // by whoever was first
  return crypto::SecretKey::from(made, "embeddings.key");
}

}  // namespace

StoredStudy to_stored(const StudyLook& look, const saliency::Prior& prior, std::optional<int> label) {
  StoredStudy study{BodyBox::of(prior), label, {}};
  const volume::VolumeGeometry& geometry = prior.grid.geometry;
  for (std::size_t r = 0; r < look.regions.size(); ++r) {
    StoredRegion stored;
    stored.embedding = quantised(look.vectors.embeddings[r]);
    const volume::Point3 index = geometry.to_index(look.regions[r].centre_mm);
    for (unsigned axis = 0; axis < 3; ++axis) {
      const double middle = (study.box.low[axis] + study.box.high[axis]) / 2;
      stored.place[axis] = static_cast<std::int16_t>(
          level(index[axis] * geometry.spacing_mm[axis] - middle, kPlaceScale, -32767, 32767));
    }
    stored.radius = static_cast<std::uint8_t>(level(look.regions[r].radius_mm, kRadiusScale, 0, 255));
    stored.logit = static_cast<std::int8_t>(level(look.regions[r].logit, kLogitScale, -127, 127));
    study.regions.push_back(stored);
  }
  return study;
}

StudyVectors to_vectors(const StoredStudy& study) {
  // Default geometry: mm along the axes equal indices, and traits_of reads nothing else of it.
  const volume::VolumeGeometry geometry;
  StudyVectors vectors;
  for (const StoredRegion& stored : study.regions) {
    vectors.embeddings.push_back(dequantised(stored.embedding));
    saliency::Region region;
    for (unsigned axis = 0; axis < 3; ++axis)
      region.centre_mm[axis] = (study.box.low[axis] + study.box.high[axis]) / 2 + stored.place[axis] / kPlaceScale;
    region.radius_mm = stored.radius / kRadiusScale;
    region.logit = stored.logit / kLogitScale;
    vectors.traits.push_back(traits_of(region, study.box, geometry));
  }
  return vectors;
}

Result<EmbeddingStore> EmbeddingStore::open(std::filesystem::path folder, const Clock& clock) {
  FOVEA_TRY(create_directories_durably(folder));
  FOVEA_TRY_ASSIGN(crypto::SecretKey key, open_key(folder / "embeddings.key"));
  FOVEA_TRY_ASSIGN(AppendFile log, AppendFile::open(folder / "access.log", FileMode::secret));
  return EmbeddingStore(std::move(folder), std::move(key), std::move(log), clock);
}

Result<std::filesystem::path> EmbeddingStore::path_of(std::string_view code) const {
  const bool valid = !code.empty() && code.size() <= 64 && std::all_of(code.begin(), code.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
  if (!valid) return invalid_argument("study code: expected 1–64 letters, digits and '-'");
  return folder_ / (std::string(code) + ".emb");
}

Result<void> EmbeddingStore::note(std::string_view what, std::string_view code, std::string_view purpose) {
  const std::string line = std::to_string(clock_->wall().value) + " " + std::string(what) + " " + std::string(code) +
                           " " + std::string(purpose) + "\n";
  return log_.append(as_bytes(line));
}

Result<void> EmbeddingStore::put(std::string_view code, const Digest& identity, const StoredStudy& study) {
  FOVEA_TRY_ASSIGN(const std::filesystem::path path, path_of(code));
  if (study.regions.size() > kRegionsMax) return invalid_argument("embeddings: too many regions");
  crypto::AeadNonce nonce{};
  crypto::SystemRandom().fill(nonce);
  ByteWriter writer;
  writer.raw(as_bytes(kMagic));
  writer.raw(identity);
  writer.raw(nonce);
  writer.raw(crypto::aead_seal(key_, nonce, associated_data(code, identity), encode(study)));
  FOVEA_TRY(note("put", code, "embed"));
  return write_file_durably(path, writer.bytes(), FileMode::secret);
}

Result<std::optional<StoredStudy>> EmbeddingStore::get(std::string_view code, const Digest& identity,
                                                       std::string_view purpose) {
  using Found = std::optional<StoredStudy>;
  FOVEA_TRY_ASSIGN(const std::filesystem::path path, path_of(code));
  auto bytes = read_file(path, kFileBytesMax);
  if (!bytes) {
    if (bytes.error().code == ErrorCode::not_found) return Found{};
    return std::move(bytes).error();
  }
  ByteReader reader(*bytes);
  const auto torn = [&] {
    return corruption("embeddings of " + std::string(code) +
                      ": not an embedding file; delete it to have it made again");
  };
  const auto magic = reader.raw("magic", kMagic.size());
  if (!magic || as_text(*magic) != kMagic) return torn();
  const auto stored = reader.array<32>("identity");
  const auto nonce = reader.array<kNonceBytes>("nonce");
  if (!stored || !nonce) return torn();
  if (*stored != identity) {
    FOVEA_TRY(note("stale", code, purpose));
    return Found{};
  }
  FOVEA_TRY_ASSIGN(const ByteView sealed, reader.raw("sealed record", reader.left()));
  const auto opened = crypto::aead_open(key_, *nonce, associated_data(code, identity), sealed);
  if (!opened) return torn();
  FOVEA_TRY(note("get", code, purpose));
  FOVEA_TRY_ASSIGN(StoredStudy study, decode(opened->view()));
  return Found{std::move(study)};
}

Result<void> EmbeddingStore::forget(std::string_view code) {
  FOVEA_TRY_ASSIGN(const std::filesystem::path path, path_of(code));
  FOVEA_TRY(note("forget", code, "erasure"));
  std::error_code error;
  std::filesystem::remove(path, error);
  if (error) return unavailable("embeddings of " + std::string(code) + ": cannot be deleted: " + error.message());
  return {};
}

}  // namespace fovea::node::embedding
