// A POSIX file descriptor that closes itself.
#pragma once

#include <functional>

namespace fovea {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}  // a negative number owns nothing
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  int number() const noexcept { return number_; }
  int release() noexcept;
  explicit operator bool() const noexcept { return number_ >= 0; }

 private:
  int number_ = -1;
};

// open(2), with O_CLOEXEC. While no descriptor is left it waits, seconds at most: strangers who have taken those that
// are kept for files are being sent away (federation/io/inbound_guard.h), and must not end a program that stores a sum.
// Afterwards errno says why there is none, as it does of other failures at once. `wait`: 5 ms, but in tests.
Descriptor open_file(const char* path, int flags, unsigned mode = 0, const std::function<void()>& wait = {});

}  // namespace fovea
