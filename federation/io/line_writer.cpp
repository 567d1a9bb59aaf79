#include "federation/io/line_writer.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "common/console.h"

namespace fovea::federation::io {
namespace {

// Somebody who shares the terminal may have made it non-blocking.
void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd ready{descriptor, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return;
    }
  }
}

}  // namespace

struct LineWriter::State {
  struct Line {
    int descriptor = -1;
    std::string text;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Line> lines;  // the first is being written
  std::size_t bytes = 0;
  std::uint64_t dropped = 0;
  bool ending = false, ended = false;

  void push(int descriptor, std::string text) {
    bytes += text.size();
    lines.push_back({descriptor, std::move(text)});
  }

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return ending || !lines.empty(); });
      if (lines.empty()) break;
      const Line line = std::move(lines.front());
      lock.unlock();
      write_all(line.descriptor, line.text);
      lock.lock();
      bytes -= line.text.size();
      lines.pop_front();
    }
    ended = true;
    changed.notify_all();
  }
};

LineWriter::LineWriter(const LineLimits& limits) : limits_(limits), state_(std::make_shared<State>()) {
  // The new thread inherits the mask: no signal of the program may go to it, and a reader who is gone ends nothing.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([state = state_] { state->run(); }).detach();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LineWriter::~LineWriter() {
  std::unique_lock lock(state_->mutex);
  state_->ending = true;
  state_->changed.notify_all();
  state_->changed.wait_for(lock, limits_.at_end, [this] { return state_->ended; });
}

void LineWriter::write(int descriptor, std::string text) {
  const std::lock_guard lock(state_->mutex);
  std::string missing;
  if (state_->dropped > 0)
    missing = counted(state_->dropped, "line was", "lines were") + " not written here: nobody took them\n";
  if (state_->bytes + missing.size() + text.size() > limits_.bytes_max) {
    ++state_->dropped;
    return;
  }
  if (!missing.empty()) state_->push(descriptor, std::move(missing));
  state_->dropped = 0;
  state_->push(descriptor, std::move(text));
  state_->changed.notify_all();
}

}  // namespace fovea::federation::io
