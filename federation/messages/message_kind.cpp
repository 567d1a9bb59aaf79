#include "federation/messages/message_kind.h"

#include <string>

namespace fovea::federation::messages {
namespace {

// What a site sends is numbered below 32, and so can be told from the number alone.
constexpr std::uint16_t kCoordinatorFirst = 32;

constexpr bool is_ordered() {
  std::uint16_t previous = 0;
  for (const MessageKindInfo& info : kMessageKinds) {
    const auto number = static_cast<std::uint16_t>(info.kind);
    if (number <= previous || is_sent_by_site(info) != (number < kCoordinatorFirst)) return false;
    previous = number;
  }
  return true;
}
static_assert(is_ordered());

}  // namespace

const MessageKindInfo* find_kind(MessageKind kind) noexcept { return find_entry(kMessageKinds, kind); }

std::string_view to_string(MessageKind kind) noexcept {
  const MessageKindInfo* info = find_kind(kind);
  return info != nullptr ? info->name : "unknown";
}

Result<MessageKind> message_kind(std::uint16_t number) {
  const auto kind = static_cast<MessageKind>(number);
  if (find_kind(kind) == nullptr) return invalid_argument("message kind: unknown number " + std::to_string(number));
  return kind;
}

bool is_from_site(MessageKind kind) noexcept { return static_cast<std::uint16_t>(kind) < kCoordinatorFirst; }

}  // namespace fovea::federation::messages
