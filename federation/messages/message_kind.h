// What a message is. The numbers are on the wire and never reused.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/result.h"

namespace fovea::federation {

enum class MessageKind : std::uint16_t {
  // from a site
  hello = 1,
  training_progress = 2,
  training_ready = 3,
  keys = 4,                   // R1
  shares = 5,                 // R2
  masked_chunk = 6,           // R3
  masked_statement = 7,       // R3
  consistency_signature = 8,  // R4
  unmask_shares = 9,          // R5
  attempt_failure = 10,
  beacon_commitment = 11,  // once a roster, for rounds of more than 128 sites
  beacon_nonce = 12,
  // from the coordinator
  plan_offer = 32,
  roster_offer = 33,
  train_task = 34,
  parameters = 35,  // R0
  key_list = 36,
  routed_shares = 37,  // with the survivors U2: the order to send the masked vector
  chunk_request = 38,
  consistency_request = 39,
  unmask_request = 40,
  aggregate_chunk = 41,
  round_evidence = 42,
  refusal = 43,
  attempt_abandoned = 44,
  beacon_request = 45,
  beacon_commitments = 46,
  beacon = 47,
  dealer_fault = 48,  // after R5: why a sum could not be opened, and may be repeated
};

std::string_view to_string(MessageKind kind) noexcept;
Result<MessageKind> message_kind(std::uint16_t number);  // invalid_argument: unknown
bool is_from_site(MessageKind kind) noexcept;

}  // namespace fovea::federation
