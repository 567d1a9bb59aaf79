// The JSON form of a RoundRecord in `history`, and in a run's summary.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "common/bytes.h"
#include "common/result.h"
#include "coordinator/store/run_store.h"

namespace fovea::coordinator::store {

nlohmann::ordered_json round_record_json(const RoundRecord& record);
Result<Bytes> encode_round_record(const RoundRecord& record);
Result<RoundRecord> decode_round_record(ByteView bytes);  // corruption

}  // namespace fovea::coordinator::store
