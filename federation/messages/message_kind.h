// What a message is, and all that is fixed for each kind, in one table. The numbers are on the wire and never reused.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/result.h"

namespace fovea::federation::messages {

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
  beacon_commitment = 11,  // once per roster, for rounds of more than 128 sites
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
  // with a published sum, to check it by
  aggregate_tags = 49,
  aggregate_carries = 50,
  // outside rounds
  site_blame = 51,  // a site that is left out of the run, and the signed messages that show why
};

// What must be in force before a site may send a message of a kind.
enum class MessageScope {
  session,  // nothing of a plan is in it: a greeting, the reason of a refusal
  plan,     // an approved plan
  round,    // an open attempt under an approved plan
};

struct MessageKindInfo {
  MessageKind kind;
  std::string_view name;              // in ledger entries, logs and refusals
  std::optional<MessageScope> scope;  // of what a site sends; none: the coordinator sends it
  std::string_view sent_event;        // in a site's event log when it has sent one; empty: not logged
};

// Ascending by number.
inline constexpr std::array kMessageKinds{
    MessageKindInfo{MessageKind::hello, "hello", MessageScope::session, "hello_sent"},
    MessageKindInfo{MessageKind::training_progress, "training-progress", MessageScope::plan, ""},
    MessageKindInfo{MessageKind::training_ready, "training-ready", MessageScope::plan, "ready_sent"},
    MessageKindInfo{MessageKind::keys, "keys", MessageScope::round, "keys_sent"},
    MessageKindInfo{MessageKind::shares, "shares", MessageScope::round, "shares_sent"},
    MessageKindInfo{MessageKind::masked_chunk, "masked-chunk", MessageScope::round, ""},
    MessageKindInfo{MessageKind::masked_statement, "masked-statement", MessageScope::round, "masked_sent"},
    MessageKindInfo{MessageKind::consistency_signature, "consistency-signature", MessageScope::round,
                    "consistency_sent"},
    MessageKindInfo{MessageKind::unmask_shares, "unmask-shares", MessageScope::round, "unmask_sent"},
    MessageKindInfo{MessageKind::attempt_failure, "attempt-failure", MessageScope::session, "failure_sent"},
    MessageKindInfo{MessageKind::beacon_commitment, "beacon-commitment", MessageScope::plan, ""},
    MessageKindInfo{MessageKind::beacon_nonce, "beacon-nonce", MessageScope::plan, ""},
    MessageKindInfo{MessageKind::plan_offer, "plan-offer", std::nullopt, ""},
    MessageKindInfo{MessageKind::roster_offer, "roster-offer", std::nullopt, ""},
    MessageKindInfo{MessageKind::train_task, "train-task", std::nullopt, ""},
    MessageKindInfo{MessageKind::parameters, "parameters", std::nullopt, ""},
    MessageKindInfo{MessageKind::key_list, "key-list", std::nullopt, ""},
    MessageKindInfo{MessageKind::routed_shares, "routed-shares", std::nullopt, ""},
    MessageKindInfo{MessageKind::chunk_request, "chunk-request", std::nullopt, ""},
    MessageKindInfo{MessageKind::consistency_request, "consistency-request", std::nullopt, ""},
    MessageKindInfo{MessageKind::unmask_request, "unmask-request", std::nullopt, ""},
    MessageKindInfo{MessageKind::aggregate_chunk, "aggregate-chunk", std::nullopt, ""},
    MessageKindInfo{MessageKind::round_evidence, "round-evidence", std::nullopt, ""},
    MessageKindInfo{MessageKind::refusal, "refusal", std::nullopt, ""},
    MessageKindInfo{MessageKind::attempt_abandoned, "attempt-abandoned", std::nullopt, ""},
    MessageKindInfo{MessageKind::beacon_request, "beacon-request", std::nullopt, ""},
    MessageKindInfo{MessageKind::beacon_commitments, "beacon-commitments", std::nullopt, ""},
    MessageKindInfo{MessageKind::beacon, "beacon", std::nullopt, ""},
    MessageKindInfo{MessageKind::dealer_fault, "dealer-fault", std::nullopt, ""},
    MessageKindInfo{MessageKind::aggregate_tags, "aggregate-tags", std::nullopt, ""},
    MessageKindInfo{MessageKind::aggregate_carries, "aggregate-carries", std::nullopt, ""},
    MessageKindInfo{MessageKind::site_blame, "site-blame", std::nullopt, ""},
};

// Null for a number that names no kind.
const MessageKindInfo* find_kind(MessageKind kind) noexcept;
std::string_view to_string(MessageKind kind) noexcept;
Result<MessageKind> message_kind(std::uint16_t number);  // invalid_argument: unknown
bool is_from_site(MessageKind kind) noexcept;

// The entry of a kind in a table whose entries have a member `kind`; null when there is none.
template <class Table>
constexpr auto find_entry(const Table& table, MessageKind kind) -> decltype(table.data()) {
  const auto found = std::find_if(table.begin(), table.end(), [kind](const auto& entry) { return entry.kind == kind; });
  return found == table.end() ? nullptr : &*found;
}

// Whether a table has exactly the kinds that `belongs` (a predicate of a MessageKindInfo) names, each once: for
// static_assert, so that a new kind cannot be forgotten.
template <class Table, class Predicate>
constexpr bool covers(const Table& table, Predicate belongs) {
  std::size_t wanted = 0;
  for (const MessageKindInfo& info : kMessageKinds) {
    if (!belongs(info)) continue;
    ++wanted;
    const auto is_kind = [&info](const auto& entry) { return entry.kind == info.kind; };
    if (std::none_of(table.begin(), table.end(), is_kind)) return false;
  }
  return wanted == table.size();
}
constexpr bool is_sent_by_site(const MessageKindInfo& info) { return info.scope.has_value(); }

}  // namespace fovea::federation::messages
