// A child process of a test: its output in a file, killed with the object, waited for with a deadline; and what else a
// test needs to meet a program from outside.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace fovea::test {

class Program {
 public:
  // `program` is a name in the build's bin folder. stdin comes from `input`; stdout and stderr go to `output`.out and
  // .err.
  static Program start(const std::string& program, const std::vector<std::string>& arguments,
                       const std::filesystem::path& output, const std::filesystem::path& input = "/dev/null");
  Program(Program&& other) noexcept;
  Program& operator=(Program&& other) noexcept;
  ~Program();  // SIGKILL when it still runs

  void signal(int number) const;
  pid_t id() const noexcept { return process_; }
  // The exit code, 128 + signal when killed; nothing when it still runs after `timeout`.
  std::optional<int> wait(std::chrono::milliseconds timeout);
  std::string standard_output() const;
  std::string standard_error() const;

 private:
  Program(pid_t process, int handle, std::filesystem::path output)
      : process_(process), handle_(handle), output_(std::move(output)) {}
  pid_t process_ = -1;
  int handle_ = -1;  // pidfd
  std::filesystem::path output_;
};

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};
Outcome run_program(const std::string& program, const std::vector<std::string>& arguments,
                    const std::filesystem::path& output, const std::filesystem::path& input = "/dev/null");

// A TCP port that was free a moment ago.
int free_port();

std::string read_text(const std::filesystem::path& path);

// Looks again whenever a file of the folder changes. False when `holds` still does not after `timeout`.
bool wait_until(const std::filesystem::path& folder, const std::function<bool()>& holds,
                std::chrono::milliseconds timeout);

// A loopback TCP socket that is closed with the object.
class LoopbackSocket {
 public:
  LoopbackSocket();
  LoopbackSocket(const LoopbackSocket&) = delete;
  LoopbackSocket& operator=(const LoopbackSocket&) = delete;
  ~LoopbackSocket();

  bool listen_on(int port) const;
  bool connect_to(int port) const;
  void send(const std::string& bytes) const;
  std::string receive() const;  // what comes next, up to 4 kB; empty at the end
  bool was_closed() const;      // by the other side; what it has sent is lost
 private:
  int descriptor_;
};

}  // namespace fovea::test
