// What a serving program logs for people: lines with the time on stderr. Scripts read the event log (event_log.h).
#pragma once

#include <string>

#include "common/console.h"

namespace fovea::federation::io {

// Makes spdlog's default logger one of this name; `level` is "debug", "info", "warn" or "error". What `console` prints
// from here on goes the same way, through line_writer.h: no line is waited for. Once per process.
void set_up_log(const std::string& program, const std::string& level, Console& console);

}  // namespace fovea::federation::io
