// fovea-scan-parser: started by fovea-node, never by hand. Loads and warms up ITK once, then forks a child for each file, so
// that every file meets a fresh process and this one never sees a byte of any.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "node/intake/parse_job.h"
#include "node/intake/scan_protocol.h"

namespace fovea::node {
namespace {

void close_all(std::vector<int>& descriptors) {
  for (const int descriptor : descriptors) ::close(descriptor);
  descriptors.clear();
}

// Waits for the child to end, kills it at the limit, and says how it ended.
JobFate wait_for(pid_t child, std::uint32_t wall_ms) {
  const int watched = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  pollfd ended{watched, POLLIN, 0};
  int events = -1;
  if (watched >= 0)
    do events = poll(&ended, 1, static_cast<int>(wall_ms));
    while (events < 0 && errno == EINTR);
  const bool late = events <= 0;
  if (late) kill(child, SIGKILL);
  if (watched >= 0) ::close(watched);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (late) return {Fate::timed_out, 0};
  if (WIFSIGNALED(status)) return {Fate::signalled, static_cast<std::uint32_t>(WTERMSIG(status))};
  const auto code = static_cast<std::uint32_t>(WEXITSTATUS(status));
  return {code == 0 ? Fate::finished : Fate::failed, code};
}

JobFate run_forked(const ParserJob& job, std::vector<int>& descriptors, const WallFilter& filter) {
  const pid_t child = fork();
  if (child == 0) {
    // A parser that dies takes its child with it.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(kControlDescriptor);
    std::vector<int> inputs(descriptors.begin() + 2, descriptors.end());
    inputs.push_back(descriptors[1]);
    run_parse_job(job, {.result = descriptors[0], .scratch = descriptors[1], .inputs = inputs}, filter);
  }
  if (child < 0) return {Fate::failed, 5};
  return wait_for(child, job.limits.wall_ms);
}

// The job's header comes with every batch of descriptors; false when the node is gone or does not keep to the rules.
bool receive_job(ParserJob& job, std::vector<int>& descriptors) {
  do {
    Result<ReceivedMessage> message = receive_message(kControlDescriptor);
    if (!message) return false;
    descriptors.insert(descriptors.end(), message->descriptors.begin(), message->descriptors.end());
    Result<ParserJob> decoded = decode_job(message->bytes);
    if (!decoded || message->descriptors.empty()) return false;
    job = *decoded;
  } while (descriptors.size() < job.files + 2u);
  return true;
}

void allow_many_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int serve() {
  prctl(PR_SET_DUMPABLE, 0);
  allow_many_descriptors();
  syscall(SYS_close_range, kControlDescriptor + 1, ~0u, 0);
  const Result<WallFilter> filter = WallFilter::compile();
  if (!filter) return 3;
  warm_up_libraries();
  for (;;) {
    ParserJob job;
    std::vector<int> descriptors;
    if (!receive_job(job, descriptors)) return 0;
    const JobFate fate = run_forked(job, descriptors, *filter);
    close_all(descriptors);
    if (!send_message(kControlDescriptor, encode(fate), {})) return 0;
  }
}

}  // namespace
}  // namespace fovea::node

int main() {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(fovea::node::kControlDescriptor, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) {
    std::fputs("fovea-scan-parser is started by fovea-node; it has no use of its own\n", stderr);
    return 2;
  }
  return fovea::node::serve();
}
