#include "node/intake/parser/child/parser_server.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <new>
#include <utility>
#include <vector>

#include "common/result.h"
#include "node/intake/parser/child/last_words.h"
#include "node/intake/parser/child/sandbox.h"

namespace fovea::node::intake {
namespace {

struct Walls {
  WallFilter filter;
  std::uint64_t address_space = 0;  // of this program, before a file
};

void close_all(std::vector<int>& descriptors) {
  for (const int descriptor : descriptors) ::close(descriptor);
  descriptors.clear();
}

// Waits for the child to end, kills it at the limit, and says how it ended.
JobFate wait_for(pid_t child, std::uint32_t wall_ms) {
  const int watched = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  pollfd ended{watched, POLLIN, 0};
  int events = -1;
  if (watched >= 0) do
      events = poll(&ended, 1, static_cast<int>(wall_ms));
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

// Limits itself, raises the walls, does the job, leaves its answer in the result memory. Exit status 0: an answer is
// there.
[[noreturn]] void run_child(const ParserProgram& program, const ParserJob& job, const std::vector<int>& handed,
                            const Walls& walls) {
  // A parser that dies takes its child with it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::close(kControlDescriptor);
  leave_last_words_in(handed[0]);
  std::vector<int> inputs(handed.begin() + 2, handed.end());
  inputs.push_back(handed[1]);
  const JobDescriptors descriptors{.result = handed[0], .scratch = handed[1], .inputs = inputs};
  Result<void> up = limit_resources(job.limits, walls.address_space);
  if (up) up = raise_walls(walls.filter, inputs);
  leave_answer(descriptors.result,
               up ? answer_job(program, job, descriptors) : encode_answer(Result<VolumeAnswer>(up.error())));
  _exit(0);
}

JobFate run_forked(const ParserProgram& program, const ParserJob& job, const std::vector<int>& descriptors,
                   const Walls& walls) {
  const pid_t child = fork();
  if (child == 0) run_child(program, job, descriptors, walls);
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

bool is_started_by_a_node() {
  int type = 0;
  socklen_t size = sizeof type;
  return getsockopt(kControlDescriptor, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

// Does what a hostile file might make a parser do.
Result<VolumeAnswer> provoke(JobKind kind, const JobDescriptors& descriptors) {
  if (kind == JobKind::find_leftovers)
    return holds_something(descriptors.result) || holds_something(descriptors.scratch)
               ? internal_error("memory: an earlier file left something")
               : invalid_argument("memory: clean");
  if (kind == JobKind::crash) __builtin_trap();
  if (kind == JobKind::allocate) {
    // Touched, so that no optimiser and no overcommit makes it nothing.
    for (std::vector<Bytes> held;;) held.emplace_back(Bytes(64u << 20, 1));
  }
  if (kind == JobKind::spin)
    for (volatile bool forever = true; forever;) {
    }
  if (kind == JobKind::open_file) {
    const int file = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    if (file >= 0) return internal_error("sandbox: a file could be opened by path");
    return permission_denied("sandbox: a file was refused");
  }
  ::socket(AF_INET, SOCK_STREAM, 0);
  return internal_error("sandbox: a socket could be asked for");
}

}  // namespace

Bytes answer_job(const ParserProgram& program, const ParserJob& job, const JobDescriptors& descriptors) {
  try {
    if (job.kind >= JobKind::crash) return encode_answer(provoke(job.kind, descriptors));
    return program.answer(job, descriptors);
  } catch (const std::bad_alloc&) {
    return encode_answer(Result<VolumeAnswer>(invalid_argument("memory: the file needs more than the parser may use")));
  } catch (const std::exception&) {
    return encode_answer(Result<VolumeAnswer>(
        invalid_argument("contents: the file cannot be decoded (damaged or cut off; copy it again)")));
  }
}

int serve_jobs(const ParserProgram& program) {
  if (!is_started_by_a_node()) {
    std::fputs("a scan parser is started by fovea-node; it has no use of its own\n", stderr);
    return 2;
  }
  prctl(PR_SET_DUMPABLE, 0);
  allow_many_descriptors();
  syscall(SYS_close_range, kControlDescriptor + 1, ~0u, 0);
  Result<WallFilter> filter = WallFilter::compile();
  if (!filter) return 3;
  prepare_last_words();
  program.warm_up();
  malloc_trim(0);  // what was freed is put in order now, not by every child
  const Walls walls{std::move(*filter), address_space_bytes()};
  for (;;) {
    ParserJob job;
    std::vector<int> descriptors;
    if (!receive_job(job, descriptors)) return 0;
    const JobFate fate = run_forked(program, job, descriptors, walls);
    close_all(descriptors);
    if (!send_message(kControlDescriptor, encode(fate), {})) return 0;
  }
}

}  // namespace fovea::node::intake
