#include "federation/model/safetensors.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "crypto/hash.h"
#include "federation/model/initial_weights.h"
#include "federation/model/layout.h"
#include "federation/model/model_use.h"

namespace fovea::federation {
namespace {

model::ModelState probe() {
  const model::ModelLayout layout = model::make_layout("probe-3").value();
  return model::ModelState::create(layout, {1.0F, -2.5F, 0.0F}).value();
}

// A file with this header, and `data` zero bytes behind it.
Bytes file_with(std::string header, std::size_t data = 12) {
  Bytes file;
  for (int b = 0; b < 8; ++b) file.push_back(static_cast<std::uint8_t>(header.size() >> (8 * b)));
  file.insert(file.end(), header.begin(), header.end());
  file.resize(file.size() + data);
  return file;
}

constexpr const char* kMetadata = R"("__metadata__":{"fovea.architecture":"probe-3"})";

std::string header_of(const std::string& tensor) { return "{" + std::string(kMetadata) + "," + tensor + "}"; }

TEST(Safetensors, ReadsWhatItWrote) {
  const model::ModelState model = probe();
  const Bytes file = model::write_safetensors(model, {{"fovea.note", "ü"}}).value();
  EXPECT_EQ(file.size() % 8, 4U);  // an aligned header, then 12 bytes
  const model::StoredModel read = model::read_safetensors(file).value();
  EXPECT_EQ(read.state.digest(), model.digest());
  EXPECT_EQ(read.metadata.at("fovea.note"), "ü");
  EXPECT_EQ(read.metadata.at("fovea.architecture"), "probe-3");
}

TEST(Safetensors, OneModelHasOneFile) {
  const model::ModelState model = model::initial_model(model::make_layout("fovea-1").value(), 7).value();
  const Bytes file = model::write_safetensors(model, {}).value();
  EXPECT_EQ(file, model::write_safetensors(model::read_safetensors(file).value().state, {}).value());
  EXPECT_EQ(to_hex(crypto::sha256(model::write_safetensors(probe(), {}).value())),
            "d5f8360b961947112b7e836af284389c2c38402d04635ea5c63b507759a5e965");
}

TEST(Safetensors, RefusesEveryTruncationAndExtension) {
  Bytes file = model::write_safetensors(probe(), {}).value();
  for (std::size_t size = 0; size < file.size(); ++size)
    EXPECT_FALSE(model::read_safetensors(ByteView(file).first(size))) << size;
  file.push_back(0);
  EXPECT_FALSE(model::read_safetensors(file));
}

TEST(Safetensors, RefusesHostileHeaders) {
  const std::string good = R"("probe.values":{"dtype":"F32","shape":[3],"data_offsets":[0,12]})";
  ASSERT_TRUE(model::read_safetensors(file_with(header_of(good))));
  const std::vector<std::string> bad{
      R"("probe.values":{"dtype":"F16","shape":[3],"data_offsets":[0,12]})",
      R"("probe.values":{"dtype":"F32","shape":[2],"data_offsets":[0,12]})",
      R"("probe.values":{"dtype":"F32","shape":[3,1],"data_offsets":[0,12]})",
      R"("probe.values":{"dtype":"F32","shape":[-3],"data_offsets":[0,12]})",
      R"("probe.values":{"dtype":"F32","shape":[3.0],"data_offsets":[0,12]})",
      R"("probe.values":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,12]})",
      R"("probe.values":{"dtype":"F32","shape":"3","data_offsets":[0,12]})",
      R"("probe.values":{"dtype":"F32","shape":[3],"data_offsets":[4,16]})",  // a gap
      R"("probe.values":{"dtype":"F32","shape":[3],"data_offsets":[0,8]})",   // too short
      R"("probe.values":{"dtype":"F32","shape":[3],"data_offsets":[12,0]})",
      R"("probe.values":{"dtype":"F32","shape":[3],"data_offsets":[0]})",
      R"("probe.values":{"dtype":"F32","shape":[3]})",
      R"("probe.values":{"dtype":"F32","shape":[3],"data_offsets":[0,12],"x":1})",
      R"("probe.values":[])",
      R"("other":{"dtype":"F32","shape":[3],"data_offsets":[0,12]})",
      good + "," + good,  // a name twice
      good + R"(,"more":{"dtype":"F32","shape":[0],"data_offsets":[12,12]})",
  };
  for (const std::string& tensor : bad) EXPECT_FALSE(model::read_safetensors(file_with(header_of(tensor)))) << tensor;
}

TEST(Safetensors, RefusesHostileFiles) {
  const std::string good = R"("probe.values":{"dtype":"F32","shape":[3],"data_offsets":[0,12]})";
  for (const std::string& header :
       {std::string("{}"), std::string("[]"), std::string("null"), "{" + good + "}", std::string(100'000, '['),
        std::string(kMetadata), "  " + header_of(good), header_of(good) + "{}", std::string("{\xff}"),
        "{\"__metadata__\":{\"fovea.architecture\":\"nothing\"}," + good + "}",
        "{\"__metadata__\":{\"fovea.architecture\":3}," + good + "}", "{\"__metadata__\":[]," + good + "}",
        "{\"__metadata__\":{\"fovea.architecture\":\"probe-67108864\"}," + good + "}"})
    EXPECT_FALSE(model::read_safetensors(file_with(header))) << header.substr(0, 80);

  Bytes claims_gigabytes(16, 0xFF);
  EXPECT_FALSE(model::read_safetensors(claims_gigabytes));
  Bytes not_finite = file_with(header_of(good));
  not_finite[not_finite.size() - 1] = 0x7F;  // 0x7F800000: infinity
  not_finite[not_finite.size() - 2] = 0x80;
  EXPECT_EQ(model::read_safetensors(not_finite).error().code, ErrorCode::corruption);
}

TEST(Safetensors, EveryFlippedBitOfTheHeaderIsRefusedOrHarmless) {
  const Bytes file = model::write_safetensors(probe(), {}).value();
  const Digest expected = probe().digest();
  for (std::size_t bit = 0; bit < 8 * (file.size() - 12); ++bit) {
    Bytes changed = file;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1U << (bit % 8)));
    const auto read = model::read_safetensors(changed);
    if (read) {
      EXPECT_EQ(read->state.digest(), expected) << bit;
    }
  }
}

TEST(Safetensors, WriterRefusesMetadataThatNoReaderAccepts) {
  EXPECT_FALSE(model::write_safetensors(probe(), {{"a", std::string(model::kMetadataTextMax + 1, 'x')}}));
  EXPECT_FALSE(model::write_safetensors(probe(), {{"", "x"}}));
  EXPECT_FALSE(model::write_safetensors(probe(), {{"a", "\xff"}}));
  model::ModelMetadata many;
  for (std::size_t n = 0; n <= model::kMetadataEntriesMax; ++n) many.emplace(std::to_string(n), "x");
  EXPECT_FALSE(model::write_safetensors(probe(), many));
}

TEST(ModelUse, SurvivesTheFile) {
  const model::ModelUse use{.finding_kind = "lesion",
                            .modality = "MR",
                            .normalisation = "mr-foreground",
                            .n4 = true,
                            .regions = 32,
                            .exploration = 0.125,
                            .nms_mm = 10,
                            .seed = 9007199254740991U,
                            .plan_hash = "ab"};
  const Bytes file = model::write_safetensors(probe(), model::to_metadata(use)).value();
  EXPECT_EQ(model::read_model_use(model::read_safetensors(file).value().metadata).value(), use);
}

TEST(ModelUse, RefusesWhatIsMissingOrOutOfBounds) {
  const model::ModelUse use{.finding_kind = "lesion",
                            .modality = "MR",
                            .normalisation = "mr-foreground",
                            .n4 = true,
                            .regions = 32,
                            .exploration = 0.125,
                            .nms_mm = 10,
                            .seed = 7,
                            .plan_hash = "ab"};
  const model::ModelMetadata good = model::to_metadata(use);
  for (const auto& [key, value] : good) {
    model::ModelMetadata metadata = good;
    metadata.erase(key);
    EXPECT_FALSE(model::read_model_use(metadata)) << key;
  }
  for (const auto& [key, value] : std::map<std::string, std::string>{{"fovea.look.regions", "0"},
                                                                     {"fovea.look.regions", "257"},
                                                                     {"fovea.look.regions", "32 "},
                                                                     {"fovea.look.exploration", "nan"},
                                                                     {"fovea.look.exploration", "1.5"},
                                                                     {"fovea.look.nms_mm", "-1"},
                                                                     {"fovea.seed", "-1"},
                                                                     {"fovea.n4", "yes"}}) {
    model::ModelMetadata metadata = good;
    metadata[key] = value;
    EXPECT_FALSE(model::read_model_use(metadata)) << key << " " << value;
  }
}

}  // namespace
}  // namespace fovea::federation
