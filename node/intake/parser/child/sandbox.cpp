#include "node/intake/parser/child/sandbox.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "common/numbers.h"
#include "node/intake/parser/child/job_memory.h"

namespace fovea::node::intake {
namespace {

// Read by the signal handler; written once before the filter is up.
const int* g_inputs = nullptr;
std::size_t g_input_count = 0;

// The descriptor a virtual path names, or -1. Runs in the signal handler: no allocation, no locale.
int descriptor_of(const char* path) {
  for (const char expected : kVirtualFolder)
    if (*path++ != expected) return -1;
  std::size_t number = 0;
  int digits = 0;
  for (; *path >= '0' && *path <= '9' && digits < 6; ++path, ++digits)
    number = number * 10 + static_cast<std::size_t>(*path - '0');
  return digits > 0 && number < g_input_count ? g_inputs[number] : -1;
}

long or_errno(long result) { return result < 0 ? -errno : result; }

long open_virtual(const char* path) {
  const int input = descriptor_of(path);
  if (input < 0) return -ENOENT;
  const int copy = fcntl(input, F_DUPFD_CLOEXEC, 0);
  if (copy >= 0) lseek(copy, 0, SEEK_SET);
  return or_errno(copy);
}

long stat_virtual(const char* path, void* out) {
  const int input = descriptor_of(path);
  return input < 0 ? -ENOENT : or_errno(syscall(SYS_fstat, input, out));
}

long answer(int number, const long* a) {
  const auto text = [&](int at) { return reinterpret_cast<const char*>(a[at]); };
  switch (number) {
    case SYS_openat: return open_virtual(text(1));
    case SYS_newfstatat:
      if ((a[3] & AT_EMPTY_PATH) != 0 && *text(1) == '\0')
        return or_errno(syscall(SYS_fstat, static_cast<int>(a[0]), a[2]));
      return stat_virtual(text(1), reinterpret_cast<void*>(a[2]));
    case SYS_faccessat: return descriptor_of(text(1)) < 0 ? -ENOENT : 0;
#ifdef SYS_open
    case SYS_open: return open_virtual(text(0));
    case SYS_stat: return stat_virtual(text(0), reinterpret_cast<void*>(a[1]));
    case SYS_lstat: return stat_virtual(text(0), reinterpret_cast<void*>(a[1]));
    case SYS_access: return descriptor_of(text(0)) < 0 ? -ENOENT : 0;
#endif
    default: return -EPERM;
  }
}

void on_trap(int, siginfo_t* info, void* context) {
  const int saved = errno;
  auto* machine = static_cast<ucontext_t*>(context);
#if defined(__x86_64__)
  greg_t* registers = machine->uc_mcontext.gregs;
  const long arguments[4] = {registers[REG_RDI], registers[REG_RSI], registers[REG_RDX], registers[REG_R10]};
  registers[REG_RAX] = answer(info->si_syscall, arguments);
#elif defined(__aarch64__)
  auto* registers = machine->uc_mcontext.regs;
  const long arguments[4] = {static_cast<long>(registers[0]), static_cast<long>(registers[1]),
                             static_cast<long>(registers[2]), static_cast<long>(registers[3])};
  registers[0] = static_cast<unsigned long long>(answer(info->si_syscall, arguments));
#else
#error "the parser's sandbox knows x86-64 and arm64"
#endif
  errno = saved;
}

Result<void> install_trap() {
  struct sigaction action {};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  if (sigaction(SIGSYS, &action, nullptr) != 0) return unavailable("sandbox: no signal handler");
  return {};
}

bool allow(scmp_filter_ctx filter, std::span<const int> calls, std::uint32_t action) {
  for (const int call : calls)
    if (call >= 0 && seccomp_rule_add(filter, action, call, 0) != 0) return false;
  return true;
}

bool fill(scmp_filter_ctx filter) {
  // Memory that is never executable, reading and seeking in what is open, and leaving.
  const int allowed[] = {SCMP_SYS(read),           SCMP_SYS(readv),     SCMP_SYS(pread64),       SCMP_SYS(write),
                         SCMP_SYS(writev),         SCMP_SYS(lseek),     SCMP_SYS(fstat),         SCMP_SYS(close),
                         SCMP_SYS(munmap),         SCMP_SYS(mremap),    SCMP_SYS(brk),           SCMP_SYS(madvise),
                         SCMP_SYS(futex),          SCMP_SYS(exit),      SCMP_SYS(exit_group),    SCMP_SYS(rt_sigreturn),
                         SCMP_SYS(rt_sigprocmask), SCMP_SYS(ftruncate), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
                         SCMP_SYS(getrandom),      SCMP_SYS(getpid),    SCMP_SYS(gettid),        SCMP_SYS(sched_yield),
                         SCMP_SYS(fcntl),          SCMP_SYS(dup)};
  const int trapped[] = {SCMP_SYS(openat), SCMP_SYS(newfstatat), SCMP_SYS(faccessat), SCMP_SYS(open),
                         SCMP_SYS(stat),   SCMP_SYS(lstat),      SCMP_SYS(access)};
  // What libraries try and can do without; OpenJPEG decodes alone when it gets no threads.
  const int refused[] = {
      SCMP_SYS(ioctl),  SCMP_SYS(getcwd), SCMP_SYS(readlink),     SCMP_SYS(readlinkat),        SCMP_SYS(unlink),
      SCMP_SYS(statx),  SCMP_SYS(uname),  SCMP_SYS(sysinfo),      SCMP_SYS(sched_getaffinity), SCMP_SYS(faccessat2),
      SCMP_SYS(clone3), SCMP_SYS(clone),  SCMP_SYS(rt_sigaction), SCMP_SYS(fadvise64),         SCMP_SYS(statfs)};
  if (!allow(filter, allowed, SCMP_ACT_ALLOW) || !allow(filter, trapped, SCMP_ACT_TRAP)) return false;
  if (!allow(filter, refused, SCMP_ACT_ERRNO(ENOSYS))) return false;
  const auto not_executable = [&](int call) {
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
  };
  // A process that aborts may signal itself; the handler's default is death.
  const bool abort_allowed =
      seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A2(SCMP_CMP_EQ, SIGABRT)) == 0;
  return not_executable(SCMP_SYS(mmap)) && not_executable(SCMP_SYS(mprotect)) && abort_allowed;
}

bool set_limit(__rlimit_resource_t resource, rlim_t soft, rlim_t hard) {
  const rlimit limit{soft, hard};
  return setrlimit(resource, &limit) == 0;
}

}  // namespace

std::uint64_t address_space_bytes() {
  const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[128] = {};
  const ssize_t got = ::read(file, text, sizeof text - 1);
  ::close(file);
  const std::string_view all(text, got > 0 ? static_cast<std::size_t>(got) : 0);
  const std::uint64_t pages = read_digits(all.substr(0, all.find(' '))).value_or(0);
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

Result<void> limit_resources(const ParserLimits& limits, std::uint64_t address_space) {
  // The second past the soft limit is for SIGXCPU to end the process; then SIGKILL does.
  const bool good = address_space > 0 &&
                    set_limit(RLIMIT_AS, address_space + limits.memory_bytes, address_space + limits.memory_bytes) &&
                    set_limit(RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 1) && set_limit(RLIMIT_CORE, 0, 0) &&
                    prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  if (!good) return unavailable("sandbox: the kernel refused a resource limit");
  return {};
}

Result<WallFilter> WallFilter::compile() {
  const Error none = unavailable("sandbox: the seccomp filter cannot be compiled");
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
  if (filter == nullptr) return none;
  const int file = memfd_create("fovea-filter", MFD_CLOEXEC);
  // A tree of comparisons, not a list: at each installation the kernel runs the filter for every call there is.
  const bool tree = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0;
  const bool good = tree && file >= 0 && fill(filter) && seccomp_export_bpf(filter, file) == 0;
  seccomp_release(filter);
  struct stat info {};
  WallFilter out;
  if (good && fstat(file, &info) == 0) {
    const auto bytes = static_cast<std::size_t>(info.st_size);
    out.program_.resize(bytes / sizeof(sock_filter));
    if (pread(file, out.program_.data(), bytes, 0) != info.st_size) out.program_.clear();
  }
  if (file >= 0) ::close(file);
  if (out.program_.empty()) return none;
  return out;
}

Result<void> raise_walls(const WallFilter& filter, std::span<const int> inputs) {
  g_inputs = inputs.data();
  g_input_count = inputs.size();
  FOVEA_TRY(install_trap());
  const std::span<const sock_filter> program = filter.program();
  const sock_fprog installed{static_cast<unsigned short>(program.size()), const_cast<sock_filter*>(program.data())};
  if (program.empty() || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &installed) != 0)
    return unavailable("sandbox: this kernel takes no seccomp filter; no file is parsed without one");
  return {};
}

}  // namespace fovea::node::intake
