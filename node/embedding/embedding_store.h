// A site's embeddings on its own disk: small enough to keep for every study, yet patient data. Sealed with AES-256-GCM
// and never sent; each access is logged with code, time and purpose, and nothing else.
//
// FOLDER/embeddings.key   32 random bytes, mode 0600
// FOLDER/CODE.emb         magic "FOVEMB1\n", identity of the networks (32), nonce (12), sealed record
// FOLDER/access.log       one line per access: unix ms, "put"|"get"|"stale"|"forget", code, purpose
// A record: u32 regions, box (6 × f32 bits), label byte (0, 1, 255 unknown), then per region 128 int8, three
// int16 (1/32 mm from the box's middle), u8 radius (1/8 mm), i8 logit (1/8): 136 bytes per region.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/durable_file.h"
#include "common/result.h"
#include "crypto/secret_bytes.h"
#include "node/embedding/look.h"
#include "node/embedding/region_network.h"
#include "node/saliency/prior.h"

namespace fovea::node::embedding {

struct StoredRegion {
  StoredEmbedding embedding{};
  std::array<std::int16_t, 3> place{};
  std::uint8_t radius = 0;
  std::int8_t logit = 0;
  bool operator==(const StoredRegion&) const = default;
};

struct StoredStudy {
  BodyBox box;
  std::optional<int> label;
  std::vector<StoredRegion> regions;
};

StoredStudy to_stored(const StudyLook& look, const saliency::Prior& prior, std::optional<int> label);
StudyVectors to_vectors(const StoredStudy& study);

// Not for two threads or two processes at a time.
class EmbeddingStore {
 public:
  // Opens or creates the folder and its key. The clock must outlive the store. unavailable: the folder cannot be
  // written; invalid_argument: its key has another length.
  static Result<EmbeddingStore> open(std::filesystem::path folder, const Clock& clock);

  // `identity` names the networks and settings that made the embeddings. Codes are those of the catalogue:
  // invalid_argument for anything but letters, digits and '-'.
  Result<void> put(std::string_view code, const Digest& identity, const StoredStudy& study);
  // Nothing if the study has no embeddings, or stale ones that other networks made. corruption: the file was changed or
  // belongs to another site or study.
  Result<std::optional<StoredStudy>> get(std::string_view code, const Digest& identity, std::string_view purpose);
  Result<void> forget(std::string_view code);

 private:
  EmbeddingStore(std::filesystem::path folder, crypto::SecretKey key, AppendFile log, const Clock& clock)
      : folder_(std::move(folder)), key_(std::move(key)), log_(std::move(log)), clock_(&clock) {}
  Result<std::filesystem::path> path_of(std::string_view code) const;
  Result<void> note(std::string_view what, std::string_view code, std::string_view purpose);

  std::filesystem::path folder_;
  crypto::SecretKey key_;
  AppendFile log_;
  const Clock* clock_;
};

}  // namespace fovea::node::embedding
