#include "common/check.h"

#include <cstdio>
#include <cstdlib>

namespace fovea {

void check_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "bug: %s does not hold at %s:%d; please report it\n", expression, file, line);
  std::abort();
}

}  // namespace fovea
