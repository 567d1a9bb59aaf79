#include "node/intake/parser/child/last_words.h"

#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <utility>

#include "common/bytes.h"
#include "common/codec.h"
#include "common/result.h"
#include "node/intake/parser/scan_protocol.h"

namespace fovea::node::intake {
namespace {

int g_result = -1;
// By Ending, each with its length before it; made beforehand, since a signal handler must not allocate.
Bytes* g_answers = nullptr;
constexpr std::size_t kHandlerStackBytes = 64 * 1024;
constexpr std::uintptr_t kNearStackBytes = 1u << 20;  // a frame of a library that recurses is smaller

Bytes with_length(const Error& error) {
  const Bytes answer = encode_answer(Result<VolumeAnswer>(error));
  ByteWriter out;
  out.u64(answer.size());
  out.raw(answer);
  return std::move(out).take();
}

std::uintptr_t stack_pointer(const void* context) {
  const auto* machine = static_cast<const ucontext_t*>(context);
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(machine->uc_mcontext.gregs[REG_RSP]);
#else
  return static_cast<std::uintptr_t>(machine->uc_mcontext.sp);
#endif
}

// A fault at the stack's end is a stack that is full. Any other comes again without this handler and is what it was.
void on_fault(int, siginfo_t* info, void* context) {
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr), stack = stack_pointer(context);
  if ((at < stack ? stack - at : at - stack) < kNearStackBytes) end_with(Ending::stack_full);
}

}  // namespace

void prepare_last_words() {
  static std::array<Bytes, 2> answers{
      with_length(invalid_argument(
          "contents: the file contradicts its own format (damaged or cut off; copy or export it again)")),
      with_length(
          invalid_argument("structure: nested deeper than can be read (damaged or hostile; export the series again)"))};
  static std::array<std::uint8_t, kHandlerStackBytes> handler_stack;
  g_answers = answers.data();
  std::set_terminate([] { end_with(Ending::contradiction); });
  stack_t stack{};
  stack.ss_sp = handler_stack.data();
  stack.ss_size = handler_stack.size();
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = static_cast<int>(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND);
  if (sigaltstack(&stack, nullptr) == 0) sigaction(SIGSEGV, &action, nullptr);
}

void leave_last_words_in(int result) noexcept { g_result = result; }

void end_with(Ending ending) noexcept {
  if (g_result < 0 || g_answers == nullptr) std::abort();
  const Bytes& answer = g_answers[static_cast<std::size_t>(ending)];
  std::size_t done = 0;
  bool good = lseek(g_result, 0, SEEK_SET) == 0;
  while (good && done < answer.size()) {
    const ssize_t got = ::write(g_result, answer.data() + done, answer.size() - done);
    good = got > 0;
    done += good ? static_cast<std::size_t>(got) : 0;
  }
  _exit(good ? 0 : 6);
}

}  // namespace fovea::node::intake
