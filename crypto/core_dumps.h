// Keys that a core dump would write to disk.
#pragma once

namespace fovea::crypto {

// No core dump of this process, and no other process of the same user may read its memory (ptrace, /proc/PID/mem).
// Called first in main() of every program that holds a key. A program that it starts keeps the limit and has to call
// this itself for the rest (the scan parsers, which hold no key, shut themselves in with their sandbox). Aborts if the
// kernel refuses.
void forbid_core_dumps();

}  // namespace fovea::crypto
