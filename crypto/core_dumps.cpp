#include "crypto/core_dumps.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/check.h"

namespace fovea::crypto {

void forbid_core_dumps() {
  // The limit alone would not do: a core_pattern that is a pipe ignores it.
  const rlimit none{0, 0};
  FOVEA_CHECK(::setrlimit(RLIMIT_CORE, &none) == 0 && ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
}

}  // namespace fovea::crypto
