// Always-on assertion for programmer errors. No peer input, file or setting may ever reach one:
// those return Result (common/result.h).
#pragma once

namespace fovea {
[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;
}

#define FOVEA_CHECK(expression) \
  (static_cast<bool>(expression) ? static_cast<void>(0) : ::fovea::check_failed(#expression, __FILE__, __LINE__))
