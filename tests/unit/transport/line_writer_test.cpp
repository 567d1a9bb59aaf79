// Failure class: a terminal that was stopped, or a pipe that nobody reads, stops the program that writes to it.
#include "federation/io/line_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "common/descriptor.h"

namespace fovea::test {
namespace {

using federation::io::LineWriter;
using std::chrono::milliseconds;

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    read = Descriptor(ends[0]);
    write = Descriptor(ends[1]);
  }
  // A write blocks from here on.
  void fill() const {
    const std::string block(4096, '.');
    ::fcntl(write.number(), F_SETFL, O_NONBLOCK);
    while (::write(write.number(), block.data(), block.size()) > 0) {
    }
    ::fcntl(write.number(), F_SETFL, 0);
  }
  // All that comes until `last` has, without what the pipe was filled with.
  std::string read_to(const std::string& last) const {
    std::string out;
    char some[4096];
    while (out.find(last) == std::string::npos) {
      pollfd ready{read.number(), POLLIN, 0};
      if (::poll(&ready, 1, 10'000) != 1) break;
      const ssize_t got = ::read(read.number(), some, sizeof some);
      if (got <= 0) break;
      for (ssize_t i = 0; i < got; ++i)
        if (some[i] != '.') out.push_back(some[i]);
    }
    return out;
  }
  Descriptor read, write;
};

TEST(LineWriter, WritesInOrderToEachDescriptor) {
  const Pipe out, err;
  {
    LineWriter lines;
    lines.write(err.write.number(), "one\n");
    lines.write(out.write.number(), "data\n");
    lines.write(err.write.number(), "two\n");
  }
  EXPECT_EQ(err.read_to("two\n"), "one\ntwo\n");
  EXPECT_EQ(out.read_to("data\n"), "data\n");
}

TEST(LineWriter, NeverWaitsAndSaysHowManyLinesWereNotWritten) {
  const Pipe pipe;
  pipe.fill();
  LineWriter lines({.bytes_max = 64, .at_end = milliseconds(10'000)});
  lines.write(pipe.write.number(), "first\n");
  const std::string line = std::string(30, 'x') + "\n";
  for (int i = 0; i < 100; ++i) lines.write(pipe.write.number(), line);
  EXPECT_EQ(pipe.read_to(line), "first\n" + line);  // now it moves again
  std::string said;
  for (int i = 0; said.find("not written here") == std::string::npos && i < 100; ++i) {
    lines.write(pipe.write.number(), "later\n");
    said += pipe.read_to("later\n");
  }
  EXPECT_NE(said.find("99 lines were not written here: nobody took them\nlater\n"), std::string::npos) << said;
}

TEST(LineWriter, EndsThoughNobodyReads) {
  const Pipe pipe;
  pipe.fill();
  const auto before = std::chrono::steady_clock::now();
  {
    LineWriter lines({.bytes_max = 1024, .at_end = milliseconds(20)});
    lines.write(pipe.write.number(), "lost\n");
  }
  EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(5'000));
  EXPECT_EQ(pipe.read_to("lost\n"), "lost\n");  // so that the thread which was left behind can end
}

TEST(LineWriter, AReaderThatIsGoneEndsNothing) {
  Pipe gone;
  const Pipe there;
  gone.read = Descriptor();
  LineWriter lines;
  lines.write(gone.write.number(), "nobody\n");
  lines.write(there.write.number(), "somebody\n");
  EXPECT_EQ(there.read_to("somebody\n"), "somebody\n");
}

}  // namespace
}  // namespace fovea::test
