#include "node/intake/formats/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/descriptor.h"

namespace fovea::node::intake {

Result<MappedFile> MappedFile::open(const std::filesystem::path& file) {
  const Descriptor input(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!input) return invalid_argument("the file cannot be opened");
  struct stat info {};
  if (syscall(SYS_fstat, input.number(), &info) != 0) return invalid_argument("the file's size is not known");
  if (info.st_size <= 0) return MappedFile(nullptr, 0);
  const auto size = static_cast<std::size_t>(info.st_size);
  void* const at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, input.number(), 0);
  if (at == MAP_FAILED) return invalid_argument("memory: the file needs more than the parser may use");
  return MappedFile(static_cast<const std::uint8_t*>(at), size);
}

MappedFile::~MappedFile() {
  if (at_ != nullptr) munmap(const_cast<std::uint8_t*>(at_), size_);
}

}  // namespace fovea::node::intake
