#include "common/descriptor.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

namespace fovea {

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    if (number_ >= 0) ::close(number_);
    number_ = other.release();
  }
  return *this;
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

int Descriptor::release() noexcept { return std::exchange(number_, -1); }

Descriptor open_file(const char* path, int flags, unsigned mode, const std::function<void()>& wait) {
  constexpr int kWaits = 1000;
  for (int waits = 0;; ++waits) {
    Descriptor out(::open(path, flags | O_CLOEXEC, mode));
    if (out || (errno != EMFILE && errno != ENFILE) || waits == kWaits) return out;
    if (wait) wait();
    else std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace fovea
