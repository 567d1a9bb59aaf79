// What a process did, for scripts and tests: JSON lines {"at_ms":…,"event":"shares_sent","round":5,…} appended
// to a file, one write each. Not durable and not evidence: the ledger is. Never secrets or patient data.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "common/clock.h"
#include "common/result.h"

namespace fovea::federation::io {

class EventLog {
 public:
  static Result<EventLog> open(const std::filesystem::path& path, const Clock& clock);
  EventLog(EventLog&& other) noexcept;
  EventLog& operator=(EventLog&& other) noexcept;
  ~EventLog();

  // A full disk loses the line, never the run.
  void write(std::string_view event, const nlohmann::ordered_json& fields);
  void write(std::string_view event);

 private:
  EventLog(int descriptor, const Clock& clock) : descriptor_(descriptor), clock_(&clock) {}
  int descriptor_ = -1;
  const Clock* clock_;
};

}  // namespace fovea::federation::io
