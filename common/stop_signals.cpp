#include "common/stop_signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/check.h"

namespace fovea {
namespace {

// Runs in a thread that does not block the signal: from its return on this thread does, and the signal is sent again.
// When no thread takes it any more it stays pending, which is what a signalfd reads.
void pass_on(int number, siginfo_t*, void* context) {
  sigaddset(&static_cast<ucontext_t*>(context)->uc_sigmask, number);
  ::kill(::getpid(), number);
}

sigset_t set_of(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : signals) sigaddset(&set, number);
  return set;
}

}  // namespace

void block_signals(std::initializer_list<int> signals) {
  const sigset_t set = set_of(signals);
  FOVEA_CHECK(::pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  struct sigaction action {};
  action.sa_sigaction = pass_on;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  action.sa_mask = set;
  for (const int number : signals) FOVEA_CHECK(::sigaction(number, &action, nullptr) == 0);
  ::signal(SIGPIPE, SIG_IGN);
}

Result<Descriptor> open_signals(std::initializer_list<int> signals) {
  const sigset_t set = set_of(signals);
  Descriptor out(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!out) return unavailable("cannot make a signalfd; raise the limit of open files");
  return out;
}

int next_signal(const Descriptor& signals) {
  signalfd_siginfo info{};
  const ssize_t size = ::read(signals.number(), &info, sizeof info);
  return size == static_cast<ssize_t>(sizeof info) ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace fovea
