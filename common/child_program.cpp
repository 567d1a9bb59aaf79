#include "common/child_program.h"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "common/descriptor.h"

namespace fovea {
namespace {

constexpr int kFirstHanded = 3;

// As the system takes them: ended by a null. Valid as long as the texts are.
std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

Result<pid_t> start_child(const ChildProgram& program, std::span<const int> descriptors) {
  const int last_handed = kFirstHanded + static_cast<int>(descriptors.size());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::vector<Descriptor> sources;  // out of the way of the numbers that are made from them
  for (std::size_t n = 0; n < descriptors.size(); ++n) {
    sources.emplace_back(::fcntl(descriptors[n], F_DUPFD_CLOEXEC, last_handed));
    posix_spawn_file_actions_adddup2(&actions, sources.back().number(), kFirstHanded + static_cast<int>(n));
  }
  std::vector<std::string> words{program.path.string()}, settings = program.environment;
  words.insert(words.end(), program.arguments.begin(), program.arguments.end());
  pid_t process = -1;
  const int failed = ::posix_spawn(&process, words.front().c_str(), &actions, nullptr, pointers_to(words).data(),
                                   pointers_to(settings).data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return unavailable(program.path.string() + ": cannot be started: " + std::strerror(failed));
  return process;
}

}  // namespace fovea
