#include "tests/integration/program.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <utility>

#include "common/check.h"
#include "common/descriptor.h"

namespace fovea::test {
namespace {

constexpr std::chrono::milliseconds kCommandMax{30'000};

std::filesystem::path with(std::filesystem::path path, const char* ending) { return path += ending; }

void redirect(const std::filesystem::path& path, int flags, int target) {
  const int file = ::open(path.c_str(), flags, 0644);
  if (file < 0 || ::dup2(file, target) < 0) ::_exit(126);
}

}  // namespace

Program Program::start(const std::string& program, const std::vector<std::string>& arguments,
                       const std::filesystem::path& output, const std::filesystem::path& input) {
  const std::string path = std::string(FOVEA_BIN_DIR) + "/" + program;
  std::vector<char*> words{const_cast<char*>(path.c_str())};
  for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  const pid_t process = ::fork();
  FOVEA_CHECK(process >= 0);
  if (process == 0) {
    redirect(input, O_RDONLY, STDIN_FILENO);
    redirect(with(output, ".out"), O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
    redirect(with(output, ".err"), O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
    ::execv(path.c_str(), words.data());
    ::_exit(127);
  }
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, process, 0));
  FOVEA_CHECK(handle >= 0);
  return Program(process, handle, output);
}

Program::Program(Program&& other) noexcept
    : process_(std::exchange(other.process_, -1)),
      handle_(std::exchange(other.handle_, -1)),
      output_(std::move(other.output_)) {}

Program& Program::operator=(Program&& other) noexcept {
  std::swap(process_, other.process_);
  std::swap(handle_, other.handle_);
  std::swap(output_, other.output_);
  return *this;
}

Program::~Program() {
  if (process_ > 0) {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  if (handle_ >= 0) ::close(handle_);
}

// Of one that was waited for there is no number any more, and kill(-1) would reach every process of the machine.
void Program::signal(int number) const {
  if (process_ > 0) ::kill(process_, number);
}

std::optional<int> Program::wait(std::chrono::milliseconds timeout) {
  pollfd ready{handle_, POLLIN, 0};
  if (::poll(&ready, 1, static_cast<int>(timeout.count())) != 1) return std::nullopt;
  int status = 0;
  ::waitpid(process_, &status, 0);
  process_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Program::standard_output() const { return read_text(with(output_, ".out")); }
std::string Program::standard_error() const { return read_text(with(output_, ".err")); }

Outcome run_program(const std::string& program, const std::vector<std::string>& arguments,
                    const std::filesystem::path& output, const std::filesystem::path& input) {
  Program child = Program::start(program, arguments, output, input);
  const int code = child.wait(kCommandMax).value_or(-1);
  return {code, child.standard_output(), child.standard_error()};
}

int free_port() {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  FOVEA_CHECK(::bind(probe, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  socklen_t size = sizeof address;
  FOVEA_CHECK(::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ::close(probe);
  return ntohs(address.sin_port);
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

bool wait_until(const std::filesystem::path& folder, const std::function<bool()>& holds,
                std::chrono::milliseconds timeout) {
  const Descriptor watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  ::inotify_add_watch(watch.number(), folder.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO);
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!holds()) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd ready{watch.number(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) == 0) return holds();
    char drained[8192];
    while (::read(watch.number(), drained, sizeof drained) > 0) {
    }
  }
  return true;
}

namespace {

sockaddr_in loopback_at(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

LoopbackSocket::LoopbackSocket() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
LoopbackSocket::~LoopbackSocket() { ::close(descriptor_); }

bool LoopbackSocket::listen_on(int port) const {
  const sockaddr_in address = loopback_at(port);
  return ::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
         ::listen(descriptor_, 1) == 0;
}

bool LoopbackSocket::connect_to(int port) const {
  const sockaddr_in address = loopback_at(port);
  return ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

void LoopbackSocket::send(const std::string& bytes) const {
  static_cast<void>(::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
}

std::string LoopbackSocket::receive() const {
  std::string out(4096, '\0');
  const ssize_t got = ::recv(descriptor_, out.data(), out.size(), 0);
  out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return out;
}

bool LoopbackSocket::was_closed() const {
  char drained[4096];
  ssize_t got = 0;
  while ((got = ::recv(descriptor_, drained, sizeof drained, MSG_DONTWAIT)) > 0) {
  }
  return got == 0 || errno != EAGAIN;
}

}  // namespace fovea::test
