// Failure class: a passphrase that is shown, is taken from the wrong place, or takes what belongs to the next command.
#include "federation/files/passphrase.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "common/descriptor.h"
#include "crypto/key_file.h"

namespace fovea::federation::files {
namespace {

// The reading end of a pipe that holds `text`.
Descriptor pipe_of(const std::string& text) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::pipe(ends), 0);
  const Descriptor writer(ends[1]);
  EXPECT_EQ(::write(writer.number(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return Descriptor(ends[0]);
}

std::string text_of(const Result<crypto::SecretBytes>& secret) {
  return secret ? std::string(as_text(secret->view())) : "error: " + secret.error().message;
}

TEST(Passphrase, IsTheFirstLineOfTheDescriptorAndLeavesTheRest) {
  const Descriptor in = pipe_of("correct horse\nthe next one\nlast without an end");
  const PassphraseSource source{.descriptor = in.number()};
  EXPECT_EQ(text_of(source.existing("the key")), "correct horse");
  EXPECT_EQ(text_of(source.fresh("the key")), "the next one");
  EXPECT_EQ(text_of(source.fresh("the key")), "last without an end");
}

// Notepad ends lines so; the same file must serve on both machines.
TEST(Passphrase, TheEndOfALineOfAnotherSystemIsNoPartOfIt) {
  const Descriptor in = pipe_of("correct horse\r\nwith\rinside\r\n\r\nlast one\r");
  const PassphraseSource source{.descriptor = in.number()};
  EXPECT_EQ(text_of(source.existing("the key")), "correct horse");
  EXPECT_EQ(text_of(source.fresh("the key")), "with\rinside");
  EXPECT_EQ(source.existing("the key").error().code, ErrorCode::invalid_argument);  // empty
  EXPECT_EQ(text_of(source.existing("the key")), "last one\r");                     // that is no end of a line
}

TEST(Passphrase, ThatIsEmptyTooShortOrTooLongIsRefused) {
  const std::string long_line(crypto::kPassphraseBytesMax + 1, 'x');
  for (const std::string& text : {std::string(), std::string("\n"), long_line}) {
    const Descriptor in = pipe_of(text);
    EXPECT_EQ(PassphraseSource{.descriptor = in.number()}.existing("k").error().code, ErrorCode::invalid_argument);
  }
  const Descriptor in = pipe_of("short77\n");
  const auto refused = PassphraseSource{.descriptor = in.number()}.fresh("k");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("at least 8"), std::string::npos) << refused.error().message;
}

TEST(Passphrase, WithoutATerminalTheErrorNamesTheOption) {
  const Descriptor in = pipe_of("correct horse\n");
  for (const auto& asked : {PassphraseSource{.descriptor = {}, .terminal = in.number()}.existing("the key a.pem"),
                            PassphraseSource{.descriptor = {}, .terminal = in.number()}.fresh("the key a.pem")}) {
    ASSERT_FALSE(asked);
    EXPECT_NE(asked.error().message.find("--passphrase-fd"), std::string::npos) << asked.error().message;
    EXPECT_NE(asked.error().message.find("a.pem"), std::string::npos) << asked.error().message;
  }
  const auto closed = PassphraseSource{.descriptor = 1000}.existing("k");
  ASSERT_FALSE(closed);
  EXPECT_NE(closed.error().message.find("--passphrase-fd 1000"), std::string::npos) << closed.error().message;
}

// A terminal of the test's own, and a person at it who types once the echo is off.
class PassphraseAtATerminal : public testing::Test {
 protected:
  void SetUp() override {
    person_ = Descriptor(::posix_openpt(O_RDWR | O_NOCTTY));
    ASSERT_TRUE(person_);
    ASSERT_EQ(::grantpt(person_.number()), 0);
    ASSERT_EQ(::unlockpt(person_.number()), 0);
    terminal_ = Descriptor(::open(::ptsname(person_.number()), O_RDWR | O_NOCTTY));
    ASSERT_TRUE(terminal_);
    ASSERT_TRUE(echoes());
  }
  bool echoes() const {
    termios now{};
    return ::tcgetattr(terminal_.number(), &now) == 0 && (now.c_lflag & ECHO) != 0;
  }
  template <class Ask>
  std::string asked(const std::string& typed, Ask ask) {
    const std::jthread person([&] {
      while (echoes()) std::this_thread::yield();
      EXPECT_EQ(::write(person_.number(), typed.data(), typed.size()), static_cast<ssize_t>(typed.size()));
    });
    return text_of(ask(PassphraseSource{.descriptor = {}, .terminal = terminal_.number()}));
  }
  std::string shown() const {
    EXPECT_EQ(::fcntl(person_.number(), F_SETFL, O_NONBLOCK), 0);
    std::string out(4096, '\0');
    const ssize_t size = ::read(person_.number(), out.data(), out.size());
    return out.substr(0, size < 0 ? 0 : static_cast<std::size_t>(size));
  }

  Descriptor person_, terminal_;
};

TEST_F(PassphraseAtATerminal, IsNotShownAndTheEchoComesBack) {
  EXPECT_EQ(asked("correct horse\n", [](const PassphraseSource& source) { return source.existing("the key"); }),
            "correct horse");
  EXPECT_TRUE(echoes());
  EXPECT_EQ(shown().find("horse"), std::string::npos);
}

TEST_F(PassphraseAtATerminal, IsAskedTwiceForANewKey) {
  const auto fresh = [](const PassphraseSource& source) { return source.fresh("the key"); };
  EXPECT_EQ(asked("correct horse\ncorrect horse\n", fresh), "correct horse");
  EXPECT_NE(asked("correct horse\ncorrect house\n", fresh).find("differ"), std::string::npos);
  EXPECT_NE(asked("short77\n", fresh).find("at least 8"), std::string::npos);
  EXPECT_TRUE(echoes());
}

}  // namespace
}  // namespace fovea::federation::files
