#include "federation/files/passphrase.h"

#include <poll.h>
#include <signal.h>
#include <termios.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <system_error>

#include "common/descriptor.h"
#include "common/durable_file.h"
#include "common/file_lock.h"
#include "common/stop_signals.h"
#include "crypto/hash.h"
#include "crypto/key_file.h"

namespace fovea::federation::files {
namespace {

// No echo while it lives.
class QuietTerminal {
 public:
  explicit QuietTerminal(int terminal) : terminal_(terminal) {
    valid_ = ::tcgetattr(terminal_, &before_) == 0;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHOE | ECHOK | ECHONL);
    valid_ = valid_ && ::tcsetattr(terminal_, TCSAFLUSH, &quiet) == 0;
  }
  QuietTerminal(const QuietTerminal&) = delete;
  QuietTerminal& operator=(const QuietTerminal&) = delete;
  ~QuietTerminal() {
    if (valid_) ::tcsetattr(terminal_, TCSADRAIN, &before_);
  }
  bool valid() const noexcept { return valid_; }

 private:
  int terminal_;
  termios before_{};
  bool valid_ = false;
};

// Up to the end of the line, and not a byte further: a script may give several commands one descriptor. `stop`, if it
// is one, ends the wait.
Result<crypto::SecretBytes> read_line(int descriptor, const std::string& source, int stop) {
  crypto::SecretBytes line(crypto::kPassphraseBytesMax);
  std::size_t size = 0;
  for (;;) {
    pollfd ready[] = {{descriptor, POLLIN, 0}, {stop, POLLIN, 0}};
    if (stop >= 0 && ::poll(ready, 2, -1) < 0 && errno != EINTR)
      return unavailable(source + ": cannot be waited for: " + std::strerror(errno));
    if (stop >= 0 && ready[1].revents != 0) return failed_precondition("interrupted; nothing was changed");
    if (stop >= 0 && ready[0].revents == 0) continue;
    std::uint8_t byte = 0;
    const ssize_t got = ::read(descriptor, &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unavailable(source + ": cannot be read: " + std::strerror(errno));
    if (got == 0 || byte == '\n') {
      // A file of another system ends its lines with both.
      if (got > 0 && size > 0 && line.view()[size - 1] == '\r') --size;
      break;
    }
    if (size == line.size())
      return invalid_argument(source + ": the passphrase is longer than " +
                              std::to_string(crypto::kPassphraseBytesMax) + " bytes");
    line.span()[size++] = byte;
  }
  if (size == 0) return invalid_argument(source + ": the passphrase is empty");
  return crypto::SecretBytes::copy_of(line.view().first(size));
}

Result<crypto::SecretBytes> ask(int terminal, const std::string& question, const Descriptor& signals) {
  std::fprintf(stderr, "%s: ", question.c_str());
  std::fflush(stderr);
  auto line = read_line(terminal, "terminal", signals.number());
  std::fputc('\n', stderr);
  return line;
}

Result<crypto::SecretBytes> ask_at_terminal(int terminal, std::string_view key, bool twice) {
  if (::isatty(terminal) == 0)
    return failed_precondition("the passphrase of " + std::string(key) +
                               " is asked for at a terminal, and standard input is none; in a script give "
                               "--passphrase-fd N and the passphrase as the first line of descriptor N");
  // Whoever gives up here must get the terminal back with its echo on.
  const std::initializer_list<int> ending = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
  block_signals(ending);
  FOVEA_TRY_ASSIGN(const Descriptor signals, open_signals(ending));
  const QuietTerminal quiet(terminal);
  if (!quiet.valid()) return unavailable("terminal: its echo cannot be turned off");
  FOVEA_TRY_ASSIGN(crypto::SecretBytes first,
                   ask(terminal, (twice ? "New passphrase for " : "Passphrase of ") + std::string(key), signals));
  if (!twice) return first;
  FOVEA_TRY(crypto::check_new_passphrase(first));
  FOVEA_TRY_ASSIGN(const crypto::SecretBytes second, ask(terminal, "The same again", signals));
  if (!crypto::constant_time_equal(first.view(), second.view()))
    return invalid_argument("the two passphrases differ; nothing was changed");
  return first;
}

}  // namespace

Result<crypto::SecretBytes> PassphraseSource::existing(std::string_view key) const {
  if (descriptor) return read_line(*descriptor, "--passphrase-fd " + std::to_string(*descriptor), -1);
  return ask_at_terminal(terminal, key, false);
}

Result<crypto::SecretBytes> PassphraseSource::fresh(std::string_view key) const {
  if (!descriptor) return ask_at_terminal(terminal, key, true);
  FOVEA_TRY_ASSIGN(crypto::SecretBytes line,
                   read_line(*descriptor, "--passphrase-fd " + std::to_string(*descriptor), -1));
  FOVEA_TRY(crypto::check_new_passphrase(line));
  return line;
}

Result<crypto::SigningKey> change_passphrase(const std::filesystem::path& key_file, const PassphraseSource& source) {
  const std::string name = "the key " + key_file.string();
  std::error_code error;
  // Through a link: else the file that it leads to would stay open to the old passphrase.
  const std::filesystem::path file = std::filesystem::canonical(key_file, error);
  if (error) return not_found(key_file.string() + ": " + error.message());
  FOVEA_TRY(crypto::check_protected_key_file(file));  // before a person types anything
  FOVEA_TRY_ASSIGN(const crypto::SecretBytes before, source.existing(name));
  FOVEA_TRY(crypto::read_protected_key_file(file, before));
  FOVEA_TRY_ASSIGN(const crypto::SecretBytes after, source.fresh(name));
  if (crypto::constant_time_equal(before.view(), after.view()))
    return invalid_argument(key_file.string() + ": the new passphrase is the old one; nothing was changed");
  FOVEA_TRY_ASSIGN(const FileLock lock,
                   FileLock::take(file.parent_path(),
                                  file.parent_path().string() + ": another program changes a key here; try again"));
  // Again, under the lock: of two people at once one changes it, and the other hears that the passphrase is wrong.
  FOVEA_TRY_ASSIGN(crypto::SigningKey key, crypto::read_protected_key_file(file, before));
  FOVEA_TRY(remove_unfinished(file));
  FOVEA_TRY(crypto::write_protected_key_file(file, key, after));
  return key;
}

}  // namespace fovea::federation::files
