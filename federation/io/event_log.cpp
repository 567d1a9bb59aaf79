#include "federation/io/event_log.h"

#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>

#include "common/durable_file.h"

namespace fovea::federation::io {

Result<EventLog> EventLog::open(const std::filesystem::path& path, const Clock& clock) {
  auto file = AppendFile::open(path);
  if (file) return EventLog(std::move(*file).release(), clock);
  std::error_code ignored;
  const auto there = std::filesystem::symlink_status(path, ignored).type();
  const bool says_so = file.error().message.find("\n  fix: ") != std::string::npos;
  if (says_so || there == std::filesystem::file_type::not_found || file.error().code == ErrorCode::permission_denied)
    return file.error();
  return Error{
      file.error().code,
      file.error().message + "\n  fix: move it away; the next start begins it anew, and no record rests on it"};
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
