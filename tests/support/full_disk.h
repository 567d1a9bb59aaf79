// A disk that is full for as long as the object lives: no file of this process may grow beyond a size.
#pragma once

#include <cstddef>

#include <signal.h>
#include <sys/resource.h>

#include "common/check.h"

namespace fovea::test {

class FullDisk {
 public:
  explicit FullDisk(std::size_t file_bytes_max) {
    FOVEA_CHECK(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    handler_ = ::signal(SIGXFSZ, SIG_IGN);  // write() then fails with EFBIG
    const rlimit limit{file_bytes_max, before_.rlim_max};
    FOVEA_CHECK(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  sighandler_t handler_ = SIG_DFL;
};

}  // namespace fovea::test
