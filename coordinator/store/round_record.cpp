#include "coordinator/store/round_record.h"

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/json_fields.h"

namespace fovea::coordinator::store {
namespace {

constexpr std::size_t kRecordBytesMax = 1 << 20;

Result<RoundRecord> read_record(JsonFields fields, const nlohmann::json& value) {
  RoundRecord out;
  FOVEA_TRY_ASSIGN(out.round, fields.integer32("round", 1, UINT32_MAX));
  FOVEA_TRY_ASSIGN(out.attempt, fields.integer32("attempt", 0, UINT32_MAX));
  FOVEA_TRY_ASSIGN(out.stage, fields.text("stage", 1, 40));
  FOVEA_TRY_ASSIGN(out.stage_round, fields.integer32("stage_round", 1, UINT32_MAX));
  FOVEA_TRY_ASSIGN(out.transcript, fields.hex<32>("transcript"));
  FOVEA_TRY_ASSIGN(out.model, fields.hex<32>("model"));
  FOVEA_TRY_ASSIGN(out.contributors, fields.texts("contributors", 0, 1024, 40));
  FOVEA_TRY_ASSIGN(out.dropouts, fields.texts("dropouts", 0, 1024, 40));
  FOVEA_TRY_ASSIGN(out.weight_sum, fields.integer("weight_sum", 0, UINT64_MAX));
  const auto metrics = value.find("metric_sums");
  if (metrics == value.end() || !metrics->is_array() || metrics->size() != out.metric_sums.size())
    return invalid_argument(fields.path_of("metric_sums") + ": expected a list of " +
                            std::to_string(out.metric_sums.size()) + " numbers");
  for (std::size_t i = 0; i < out.metric_sums.size(); ++i) {
    if (!(*metrics)[i].is_number()) return invalid_argument(fields.path_of("metric_sums") + ": expected numbers");
    out.metric_sums[i] = (*metrics)[i].get<double>();
  }
  FOVEA_TRY_ASSIGN(out.seconds, fields.number("seconds", 0, 1e9));
  FOVEA_TRY_ASSIGN(out.aborted, fields.text("aborted", 0, 2000));
  FOVEA_TRY_ASSIGN(out.next_round, fields.integer32("next_round", 1, UINT32_MAX));
  if (value.contains("repeats")) {  // not in records of version 0.1
    FOVEA_TRY_ASSIGN(const std::uint64_t repeats, fields.integer("repeats", 0, 1));
    out.repeats = repeats == 1;
  }
  return out;
}

}  // namespace

nlohmann::ordered_json round_record_json(const RoundRecord& record) {
  return {{"round", record.round},
          {"attempt", record.attempt},
          {"stage", record.stage},
          {"stage_round", record.stage_round},
          {"transcript", to_hex(record.transcript)},
          {"model", to_hex(record.model)},
          {"contributors", record.contributors},
          {"dropouts", record.dropouts},
          {"weight_sum", record.weight_sum},
          {"metric_sums", record.metric_sums},
          {"seconds", record.seconds},
          {"aborted", record.aborted},
          {"next_round", record.next_round},
          {"repeats", record.repeats ? 1 : 0}};
}

Result<Bytes> encode_round_record(const RoundRecord& record) {
  try {
    const std::string text = round_record_json(record).dump();
    const ByteView view = as_bytes(text);
    return Bytes(view.begin(), view.end());
  } catch (const nlohmann::json::exception& error) {
    return internal_error(std::string("round record: ") + error.what());
  }
}

Result<RoundRecord> decode_round_record(ByteView bytes) {
  const auto value = parse_json(bytes, "history", kRecordBytesMax);
  if (!value) return corruption(value.error().message);
  auto fields = JsonFields::open(*value, "history");
  if (!fields) return corruption(fields.error().message);
  auto record = read_record(std::move(fields).value(), *value);
  if (!record) return corruption(record.error().message);
  return record;
}

}  // namespace fovea::coordinator::store
