// A child process of a test: its output in a file, killed with the object, waited for with a deadline.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace fovea::test {

class Program {
 public:
  // `program` is a name in the build's bin folder. stdout and stderr go to `output`.out and .err.
  static Program start(const std::string& program, const std::vector<std::string>& arguments, const std::filesystem::path& output);
  Program(Program&& other) noexcept;
  Program& operator=(Program&& other) noexcept;
  ~Program();  // SIGKILL when it still runs

  void signal(int number) const;
  // The exit code, 128 + signal when killed; nothing when it still runs after `timeout`.
  std::optional<int> wait(std::chrono::milliseconds timeout);
  std::string standard_output() const;
  std::string standard_error() const;

 private:
  Program(pid_t process, int handle, std::filesystem::path output) : process_(process), handle_(handle), output_(std::move(output)) {}
  pid_t process_ = -1;
  int handle_ = -1;  // pidfd
  std::filesystem::path output_;
};

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};
Outcome run_program(const std::string& program, const std::vector<std::string>& arguments, const std::filesystem::path& output);

// A TCP port that was free a moment ago.
int free_port();

std::string read_text(const std::filesystem::path& path);

}  // namespace fovea::test
