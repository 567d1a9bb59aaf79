#include "node/intake/parser/parser_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "common/bytes.h"
#include "common/child_program.h"

namespace fovea::node::intake {

ParserProcess::ParserProcess(std::filesystem::path program) : program_(std::move(program)) {}
ParserProcess::ParserProcess(ParserProcess&&) noexcept = default;

ParserProcess& ParserProcess::operator=(ParserProcess&& other) noexcept {
  std::swap(program_, other.program_);
  std::swap(child_, other.child_);
  return *this;
}

ParserProcess::~ParserProcess() { stop(); }

void ParserProcess::stop() {
  if (!child_) return;
  child_->socket = Descriptor();  // end of input: the program exits by itself
  kill(child_->pid, SIGKILL);
  while (waitpid(child_->pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  child_.reset();
}

Result<void> ParserProcess::ensure_running() {
  if (child_) return {};
  int ends[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return unavailable("scan parser: no socket pair");
  Descriptor ours(ends[0]), theirs(ends[1]);
  // Symbols are bound once at the start instead of in every forked child; large buffers lie in huge pages where the
  // kernel gives them, since a child does not live long enough to pay for a fault per small page.
  const ChildProgram program{.path = program_,
                             .environment = {"LD_BIND_NOW=1", "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"}};
  static_assert(kControlDescriptor == 3);  // the first that a child is handed
  FOVEA_TRY_ASSIGN(const pid_t pid, start_child(program, std::array{theirs.number()}));
  child_ = std::make_unique<Child>(Child{pid, std::move(ours)});
  return {};
}

Result<JobFate> ParserProcess::exchange(const ParserJob& job, std::span<const int> descriptors) {
  const int socket = child_->socket.number();
  const Bytes header = encode(job);
  std::size_t sent = 0;
  do {
    const std::size_t count = std::min(kDescriptorsPerMessage, descriptors.size() - sent);
    FOVEA_TRY(send_message(socket, header, descriptors.subspan(sent, count)));
    sent += count;
  } while (sent < descriptors.size());
  // The program enforces the limit itself; a program that does not answer is stopped a little later.
  pollfd ready{socket, POLLIN, 0};
  constexpr int kGraceMs = 10'000;
  int events = -1;
  do events = poll(&ready, 1, static_cast<int>(job.limits.wall_ms) + kGraceMs);
  while (events < 0 && errno == EINTR);
  if (events <= 0) return deadline_exceeded("the parser does not answer; the file was given up");
  FOVEA_TRY_ASSIGN(const ReceivedMessage reply, receive_message(socket));
  for (const int descriptor : reply.descriptors) ::close(descriptor);
  return decode_fate(reply.bytes);
}

Result<JobFate> ParserProcess::run(const ParserJob& job, std::span<const int> descriptors) {
  FOVEA_TRY(ensure_running());
  Result<JobFate> fate = exchange(job, descriptors);
  if (!fate) stop();
  return fate;
}

}  // namespace fovea::node::intake
