// Signals that a program wants to read from a signalfd instead of being ended by them.
#pragma once

#include <initializer_list>

namespace fovea {

// Blocks the signals in the calling thread and in every thread there is or will be, so that a signalfd gets them.
// Blocking them in main() alone is not enough: libraries start threads before it (OpenBLAS), and one of these would
// take the signal and die of it with the whole program. SIGPIPE is ignored from here on.
void block_signals(std::initializer_list<int> signals);

}  // namespace fovea
