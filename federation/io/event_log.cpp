#include "federation/io/event_log.h"

#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/durable_file.h"

namespace fovea::federation::io {

Result<EventLog> EventLog::open(const std::filesystem::path& path, const Clock& clock) {
  FOVEA_TRY_ASSIGN(AppendFile file, AppendFile::open(path));
  return EventLog(std::move(file).release(), clock);
}

EventLog::EventLog(EventLog&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), clock_(other.clock_) {}

EventLog& EventLog::operator=(EventLog&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(clock_, other.clock_);
  return *this;
}

EventLog::~EventLog() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void EventLog::write(std::string_view event, const nlohmann::ordered_json& fields) {
  nlohmann::ordered_json line = {{"at_ms", clock_->wall().value}, {"event", event}};
  if (fields.is_object())
    for (const auto& [name, value] : fields.items()) line[name] = value;
  const std::string text = line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  // One write with O_APPEND: a reader never sees half a line of a process that was killed between two.
  [[maybe_unused]] const ssize_t written = ::write(descriptor_, text.data(), text.size());
}

void EventLog::write(std::string_view event) { write(event, nlohmann::ordered_json::object()); }

}  // namespace fovea::federation::io
