// Lines of a program that serves, written by a thread of their own: a terminal that was stopped (Ctrl-S), or a pipe
// that nobody reads, holds up that thread and never the loop. What finds the queue full is dropped, counted and said
// later.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

namespace fovea::federation::io {

struct LineLimits {
  std::size_t bytes_max = std::size_t{1} << 20U;  // that wait to be written
  std::chrono::milliseconds at_end{1'000};        // for what waits when the program ends; then it is lost
};

class LineWriter {
 public:
  explicit LineWriter(const LineLimits& limits = {});
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;
  // Waits for `at_end` at most. A thread that is held up is left behind and ends with the process.
  ~LineWriter();

  // Never waits. In order, also of several descriptors; an error of one loses what was written to it. Any thread.
  void write(int descriptor, std::string text);

 private:
  struct State;
  LineLimits limits_;
  std::shared_ptr<State> state_;  // the thread's too
};

}  // namespace fovea::federation::io
