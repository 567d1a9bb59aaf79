// What a serving program logs for people: lines with the time on stderr. Scripts read the event log (event_log.h).
#pragma once

#include <string>

namespace fovea::federation::io {

// Makes spdlog's default logger one of this name; `level` is "debug", "info", "warn" or "error". Once per process.
void set_up_log(const std::string& program, const std::string& level);

}  // namespace fovea::federation::io
