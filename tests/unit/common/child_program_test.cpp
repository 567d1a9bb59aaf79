#include "common/child_program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>

#include "common/descriptor.h"

namespace fovea {
namespace {

// What the program wrote to its descriptor 4, a pipe, until it ended; descriptor 3 is the pipe's reading end.
std::string written_by(const ChildProgram& program, int& status) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  const Result<pid_t> child = start_child(program, std::array{reading.number(), writing.number()});
  EXPECT_TRUE(child);
  writing = Descriptor();
  std::string out;
  char block[256];
  for (ssize_t got = 0; (got = ::read(reading.number(), block, sizeof block)) > 0;)
    out.append(block, static_cast<std::size_t>(got));
  EXPECT_EQ(::waitpid(*child, &status, 0), *child);
  return out;
}

TEST(ChildProgram, GetsItsArgumentsEnvironmentAndDescriptorsOnly) {
  ASSERT_EQ(::setenv("FOVEA_OF_THE_PARENT", "seen", 1), 0);
  const ChildProgram program{.path = "/bin/sh",
                             .arguments = {"-c", "echo \"$1 $GIVEN $FOVEA_OF_THE_PARENT\" >&4; exit 7", "sh", "word"},
                             .environment = {"GIVEN=value", "PATH=/usr/bin:/bin"}};
  int status = 0;
  const std::string out = written_by(program, status);
  EXPECT_EQ(out, "word value \n");
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(ChildProgram, AMissingOneIsNamedInTheError) {
  const Result<pid_t> child = start_child({.path = "/no/such/program"}, {});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().code, ErrorCode::unavailable);
  EXPECT_NE(child.error().message.find("/no/such/program"), std::string::npos);
}

}  // namespace
}  // namespace fovea
