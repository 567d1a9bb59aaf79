// A fuzzer's bytes as a file with a name, in memory, gone with the object.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "common/bytes.h"
#include "common/check.h"

namespace fovea::fuzz {

class ScratchFile {
 public:
  explicit ScratchFile(ByteView bytes) {
    const int file = ::mkstemp(path_.data());
    FOVEA_CHECK(file >= 0 && ::write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    ::close(file);
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  ~ScratchFile() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/dev/shm/fovea-fuzz-XXXXXX";
};

}  // namespace fovea::fuzz
