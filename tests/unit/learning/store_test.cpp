#include "node/embedding/embedding_store.h"

#include <gtest/gtest.h>

#include <barrier>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <thread>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/durable_file.h"
#include "common/result.h"
#include "node/embedding/look.h"
#include "node/embedding/region_network.h"
#include "node/store/study_catalogue.h"
#include "tests/support/temporary_folder.h"

namespace fovea::node {
namespace {

class FixedClock final : public Clock {
 public:
  MonotonicMs monotonic() const override { return {0}; }
  UnixMs wall() const override { return {1'700'000'000'000}; }
};

embedding::StoredStudy sample_study() {
  embedding::StoredStudy study{{{0, 0, 0}, {180, 216, 180}}, 1, {}};
  for (std::size_t r = 0; r < 32; ++r) {
    embedding::StoredRegion region;
    for (std::size_t i = 0; i < embedding::kEmbeddingSize; ++i)
      region.embedding[i] = static_cast<std::int8_t>(static_cast<int>(i * 7 + r) % 255 - 127);
    region.place = {static_cast<std::int16_t>(-100), static_cast<std::int16_t>(r), 3000};
    region.radius = static_cast<std::uint8_t>(8 * r);
    region.logit = static_cast<std::int8_t>(-static_cast<int>(r));
    study.regions.push_back(region);
  }
  return study;
}

Digest identity(std::uint8_t value) {
  Digest digest{};
  digest.fill(value);
  return digest;
}

TEST(EmbeddingStore, WhoeverMakesItAtOnceHasTheSameKey) {
  const test::TemporaryFolder folder;
  const FixedClock clock;
  std::barrier start(4);
  {
    std::vector<std::jthread> makers;
    for (const char* code : {"s-a", "s-b", "s-c", "s-d"})
      makers.emplace_back([&, code] {
        start.arrive_and_wait();
        auto store = embedding::EmbeddingStore::open(folder.path(), clock);
        ASSERT_TRUE(store) << store.error().message;
        EXPECT_TRUE(store->put(code, identity(1), sample_study()));
      });
  }
  embedding::EmbeddingStore later = embedding::EmbeddingStore::open(folder.path(), clock).value();
  for (const char* code : {"s-a", "s-b", "s-c", "s-d"}) EXPECT_TRUE(later.get(code, identity(1), "train")) << code;
}

TEST(EmbeddingStore, ReturnsWhatWasPut) {
  const test::TemporaryFolder folder;
  const FixedClock clock;
  embedding::EmbeddingStore store = embedding::EmbeddingStore::open(folder.path(), clock).value();
  ASSERT_TRUE(store.put("s-abc", identity(1), sample_study()));
  const auto found = store.get("s-abc", identity(1), "train").value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->regions, sample_study().regions);
  EXPECT_EQ(found->label, 1);
  // K × (128 + 8) bytes and a small header.
  EXPECT_LT(std::filesystem::file_size(folder.path() / "s-abc.emb"), 32U * 136 + 128);

  embedding::EmbeddingStore reopened = embedding::EmbeddingStore::open(folder.path(), clock).value();
  EXPECT_TRUE(reopened.get("s-abc", identity(1), "train").value());
  EXPECT_FALSE(reopened.get("s-other", identity(1), "train").value());
}

TEST(EmbeddingStore, EmbeddingsOfOtherNetworksAreStale) {
  const test::TemporaryFolder folder;
  const FixedClock clock;
  embedding::EmbeddingStore store = embedding::EmbeddingStore::open(folder.path(), clock).value();
  ASSERT_TRUE(store.put("s-abc", identity(1), sample_study()));
  EXPECT_FALSE(store.get("s-abc", identity(2), "train").value());
}

TEST(EmbeddingStore, DetectsFlippedBytesAndSwappedStudies) {
  const test::TemporaryFolder folder;
  const FixedClock clock;
  embedding::EmbeddingStore store = embedding::EmbeddingStore::open(folder.path(), clock).value();
  ASSERT_TRUE(store.put("s-abc", identity(1), sample_study()));
  const auto path = folder.path() / "s-abc.emb";
  const Bytes good = read_file(path, 1 << 20).value();
  for (std::size_t at = 0; at < good.size(); at += at < 80 ? 1 : 97) {
    Bytes bad = good;
    bad[at] ^= 1;
    ASSERT_TRUE(write_file_durably(path, bad));
    const auto found = store.get("s-abc", identity(1), "train");
    EXPECT_TRUE(!found || !found->has_value()) << at;
  }
  ASSERT_TRUE(write_file_durably(folder.path() / "s-xyz.emb", good));
  EXPECT_EQ(store.get("s-xyz", identity(1), "train").error().code, ErrorCode::corruption);
}

TEST(EmbeddingStore, LogsEveryAccess) {
  const test::TemporaryFolder folder;
  const FixedClock clock;
  embedding::EmbeddingStore store = embedding::EmbeddingStore::open(folder.path(), clock).value();
  ASSERT_TRUE(store.put("s-abc", identity(1), sample_study()));
  ASSERT_TRUE(store.get("s-abc", identity(1), "train"));
  ASSERT_TRUE(store.get("s-abc", identity(2), "train"));
  ASSERT_TRUE(store.forget("s-abc"));
  EXPECT_FALSE(store.get("s-abc", identity(1), "train").value());
  const Bytes log = read_file(folder.path() / "access.log", 1 << 20).value();
  EXPECT_EQ(as_text(log),
            "1700000000000 put s-abc embed\n1700000000000 get s-abc train\n1700000000000 stale s-abc train\n"
            "1700000000000 forget s-abc erasure\n");
}

// `data forget` deletes from this store by file names alone.
TEST(EmbeddingStore, ForgettingAStudyErasesItsEmbeddings) {
  const test::TemporaryFolder site;
  const FixedClock clock;
  embedding::EmbeddingStore store = embedding::EmbeddingStore::open(site.path() / "embeddings", clock).value();
  store::StudyCatalogue catalogue = store::StudyCatalogue::open(site.path(), true).value();
  for (const char* code : {"s-abc", "s-abcd"}) {
    store::CatalogueEntry entry;
    entry.record.code = code;
    ASSERT_TRUE(catalogue.add({&entry, 1}));
    ASSERT_TRUE(store.put(code, identity(1), sample_study()));
  }
  ASSERT_TRUE(catalogue.forget("s-abc", 1'700'000'000'000));
  EXPECT_FALSE(store.get("s-abc", identity(1), "train").value());
  EXPECT_FALSE(std::filesystem::exists(site.path() / "embeddings" / "s-abc.emb"));
  EXPECT_TRUE(store.get("s-abcd", identity(1), "train").value());
  const Result<void> again = catalogue.forget("s-abc", 1'700'000'000'001);
  EXPECT_EQ(again.error().code, ErrorCode::not_found);
  EXPECT_EQ(again.error().message, "study: s-abc was forgotten at 2023-11-14 22:13:20 UTC; nothing of it is left");
  EXPECT_EQ(catalogue.forget("s-never", 1).error().message,
            "study: no such code in this site's catalogue (see: fovea-node data list)");
}

TEST(EmbeddingStore, RefusesCodesWithOtherCharacters) {
  const test::TemporaryFolder folder;
  const FixedClock clock;
  embedding::EmbeddingStore store = embedding::EmbeddingStore::open(folder.path(), clock).value();
  for (const char* code : {"", "../x", "a/b", "a b", "a.emb"})
    EXPECT_FALSE(store.put(code, identity(1), sample_study())) << code;
}

TEST(StoredStudy, KeepsTraitsWithinItsSteps) {
  const embedding::StudyVectors vectors = embedding::to_vectors(sample_study());
  ASSERT_EQ(vectors.traits.size(), 32U);
  EXPECT_NEAR(vectors.traits[8][0], -8.0 / 8 / 4, 1e-6);
  EXPECT_NEAR(vectors.traits[8][1], std::log(8.0) - 1.4, 1e-6);
  EXPECT_NEAR(vectors.traits[8][2], -100.0 / 32 / 90, 1e-6);
  EXPECT_NEAR(vectors.embeddings[3][0], static_cast<double>(sample_study().regions[3].embedding[0]) / 127, 1e-6);
}

TEST(Quantisation, KeepsEmbeddingsWithinHalfAStep) {
  embedding::Embedding embedding{};
  for (std::size_t i = 0; i < embedding::kEmbeddingSize; ++i) embedding[i] = static_cast<float>(i) / 64 - 1;
  const embedding::Embedding back = embedding::dequantised(embedding::quantised(embedding));
  for (std::size_t i = 0; i < embedding::kEmbeddingSize; ++i) EXPECT_NEAR(back[i], embedding[i], 0.5 / 127 + 1e-6);
  EXPECT_EQ(embedding::quantised(back), embedding::quantised(embedding));
}

}  // namespace
}  // namespace fovea::node
