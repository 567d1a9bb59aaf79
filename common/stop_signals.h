// Signals that a program wants to read from a signalfd instead of being ended by them.
#pragma once

#include <initializer_list>

#include "common/descriptor.h"
#include "common/result.h"

namespace fovea {

// Blocks the signals in the calling thread and in every thread there is or will be, so that a signalfd gets them.
// Blocking them in main() alone is not enough: libraries start threads before it (OpenBLAS), and one of these would
// take the signal and die of it with the whole program. SIGPIPE is ignored from here on.
void block_signals(std::initializer_list<int> signals);

// A signalfd of blocked signals, for an event loop. Reading from it never blocks. unavailable: too many open files.
Result<Descriptor> open_signals(std::initializer_list<int> signals);
// The number of the next signal that came, 0 when none is waiting.
int next_signal(const Descriptor& signals);

}  // namespace fovea
