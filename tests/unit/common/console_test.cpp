#include "common/console.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "common/descriptor.h"

namespace fovea {
namespace {

// Replaces stdin and stderr while it exists.
class Redirected {
 public:
  Redirected(int in, int error) : in_(::dup(STDIN_FILENO)), error_(::dup(STDERR_FILENO)) { put(in, error); }
  ~Redirected() {
    put(in_, error_);
    ::close(in_);
    ::close(error_);
  }

 private:
  static void put(int in, int error) {
    ::dup2(in, STDIN_FILENO);
    ::dup2(error, STDERR_FILENO);
  }
  int in_, error_;
};

struct Terminal {
  Descriptor ours{::posix_openpt(O_RDWR | O_NOCTTY)};
  Descriptor theirs = open_theirs();

  Descriptor open_theirs() const {
    EXPECT_EQ(::grantpt(ours.number()), 0);
    EXPECT_EQ(::unlockpt(ours.number()), 0);
    return Descriptor(::open(::ptsname(ours.number()), O_RDWR | O_NOCTTY));
  }
  bool answers(const std::string& typed) const {
    EXPECT_EQ(::write(ours.number(), typed.data(), typed.size()), static_cast<ssize_t>(typed.size()));
    const Redirected to_it(theirs.number(), theirs.number());
    return Console{}.confirmed("delete it?");
  }
};

// A name of somebody else that clears the screen and writes other lines.
TEST(Console, ANumberAndItsWordAgree) {
  EXPECT_EQ(counted(1, "site"), "1 site");
  EXPECT_EQ(counted(0, "site"), "0 sites");
  EXPECT_EQ(counted(2, "entry"), "2 entries");
  EXPECT_EQ(counted(1, "entry"), "1 entry");
  EXPECT_EQ(counted(3, "day"), "3 days");
  EXPECT_EQ(counted(2, "more administrator"), "2 more administrators");
}

TEST(Console, WhatATerminalWouldObeyIsShownAsText) {
  EXPECT_EQ(printable("plan \x1b[2J\x1b[Hother\r\x7f"), "plan \\x1b[2J\\x1b[Hother\\x0d\\x7f");
  EXPECT_EQ(printable("\xc2\x9b 31m"), "\\xc2\\x9b 31m");                     // C1: CSI
  EXPECT_EQ(printable("a\xe2\x80\xae txt.exe"), "a\\xe2\\x80\\xae txt.exe");  // right-to-left override
  EXPECT_EQ(printable("a\xe2\x80\x8b\xe2\x80\xa8"),
            "a\\xe2\\x80\\x8b\\xe2\\x80\\xa8");  // no width; a separator of lines
  EXPECT_EQ(printable("\xe2\x81\xa7\xd8\x9c"), "\\xe2\\x81\\xa7\\xd8\\x9c");
  for (const char* plain : {"Dr. A. Bäuer", "two\nlines\tof a table", "…→≥", "", "\xe2\x80"})
    EXPECT_EQ(printable(plain), plain);
}

// A script reads one line; the exit code says that the command failed.
TEST(Console, ACommandThatFailsAfterItsDataPrintsOneLineOfJson) {
  Console console{.json = true};
  testing::internal::CaptureStdout();
  console.run("check", [&]() -> Result<void> {
    console.data("check", {{"verdict", "FAIL"}}, "");
    return corruption("fix this first");
  });
  const std::string said = testing::internal::GetCapturedStdout();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  EXPECT_NE(said.find("\"data\":{\"verdict\":\"FAIL\"}"), std::string::npos) << said;
  EXPECT_EQ(console.exit_code, ExitCode::integrity);
  Console other{.json = true};
  testing::internal::CaptureStdout();
  other.run("check", []() -> Result<void> { return corruption("at once"); });
  EXPECT_NE(testing::internal::GetCapturedStdout().find("\"error\":"), std::string::npos);
}

TEST(Console, AtATerminalOnlyYesConfirms) {
  const Terminal terminal;
  ASSERT_GE(terminal.theirs.number(), 0);
  EXPECT_TRUE(terminal.answers("y\n"));
  EXPECT_TRUE(terminal.answers("yes\n"));
  for (const char* no : {"\n", "n\n", "Y?\n", "yes please\n", "\x04"}) EXPECT_FALSE(terminal.answers(no)) << no;
}

TEST(Console, NobodyIsAskedWithoutATerminal) {
  const Descriptor nothing(::open("/dev/null", O_RDWR));
  const Redirected to_it(nothing.number(), nothing.number());
  EXPECT_TRUE(Console{}.confirmed("delete it?"));
}

}  // namespace
}  // namespace fovea
