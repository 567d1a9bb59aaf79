// Failure class: two processes that work on one folder at the same time.
#include "common/file_lock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>
#include <optional>
#include <string>
#include <thread>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "common/durable_file.h"
#include "tests/support/temporary_folder.h"

namespace fovea {
namespace {

class FileLockTest : public testing::Test {
 protected:
  void expect_exclusive(const std::filesystem::path& path) const {
    {
      const auto first = FileLock::take(path, "taken");
      ASSERT_TRUE(first.has_value()) << first.error().message;
      EXPECT_TRUE(FileLock::is_held(path));
      const auto second = FileLock::take(path, "taken");
      ASSERT_FALSE(second.has_value());
      EXPECT_EQ(second.error().code, ErrorCode::failed_precondition);
      EXPECT_EQ(second.error().message, "taken");
    }
    EXPECT_FALSE(FileLock::is_held(path));
    EXPECT_TRUE(FileLock::take(path, "taken").has_value());
  }

  test::TemporaryFolder folder_;
};

TEST_F(FileLockTest, OneHolderOfAFileOrAFolderUntilItLetsGo) {
  EXPECT_FALSE(FileLock::is_held(folder_.path() / "lock"));
  expect_exclusive(folder_.path() / "lock");
  expect_exclusive(folder_.path());
  EXPECT_EQ(FileLock::take(folder_.path() / "no-folder/lock", "taken").error().code, ErrorCode::unavailable);
}

TEST_F(FileLockTest, TheTextOfTheHolderReplacesThatOfAnEarlierOne) {
  const auto text = [this] { return std::string(as_text(read_file(folder_.path() / "lock", 64).value())); };
  {
    auto first = FileLock::take(folder_.path() / "lock", "taken").value();
    ASSERT_TRUE(first.write("12345\n").has_value());
    EXPECT_EQ(text(), "12345\n");
  }
  auto second = FileLock::take(folder_.path() / "lock", "taken").value();
  EXPECT_EQ(text(), "12345\n");
  ASSERT_TRUE(second.write("7\n").has_value());
  EXPECT_EQ(text(), "7\n");
}

TEST_F(FileLockTest, APipeInItsPlaceHoldsNobodyUp) {
  const auto path = folder_.path() / "lock";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_FALSE(FileLock::is_held(path));
}

TEST_F(FileLockTest, WhoeverIsRefusedHearsWhoHasIt) {
  const auto path = folder_.path() / "lock";
  const std::string me = "fovea-node data ingest (process " + std::to_string(::getpid()) + ")";
  {
    const auto held = FileLock::take_as(path, "fovea-node data ingest", "the site");
    ASSERT_TRUE(held) << held.error().message;
    const auto refused = FileLock::take_as(path, "fovea-node data forget", "the site");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
    EXPECT_EQ(refused.error().message.find("the site: " + me + " is at work on it"), 0U) << refused.error().message;
    EXPECT_EQ(FileLock::holder(path), me);
  }
  EXPECT_TRUE(FileLock::take_as(path, "fovea-node data forget", "the site"));
}

TEST_F(FileLockTest, WhoeverWaitsHearsForWhomAndIsNext) {
  const auto path = folder_.path() / "lock";
  auto held = std::make_optional(FileLock::take_as(path, "fovea-node data ingest", "").value());
  std::promise<std::string> waited_for;
  bool has_it = false;
  {
    std::jthread other([&] {
      const auto lock =
          FileLock::wait_as(path, "fovea-node data forget", [&](const std::string& h) { waited_for.set_value(h); });
      EXPECT_TRUE(lock);
      has_it = true;
    });
    EXPECT_EQ(waited_for.get_future().get().find("fovea-node data ingest (process "), 0U);
    held.reset();
  }
  EXPECT_TRUE(has_it);
  bool said = false;
  EXPECT_TRUE(FileLock::wait_as(path, "fovea-node data forget", [&](const std::string&) { said = true; }));
  EXPECT_FALSE(said);
}

// A killed process leaves its text, and whoever can write the folder could leave any.
TEST_F(FileLockTest, OnlyANameAndALivingProcessAreShown) {
  const auto path = folder_.path() / "lock";
  auto held = FileLock::take(path, "").value();
  for (const std::string text :
       {"", "12345\n", "fovea-node start (process 1)", "\x1b[2J (process 1)\n",
        "fovea-node start (process 999999999)\n", "x (process 1) (process 1)\n", "x (process -1)\n"}) {
    ASSERT_TRUE(held.write(text));
    EXPECT_EQ(FileLock::holder(path), "another program") << text;
  }
  ASSERT_TRUE(held.write("fovea-node start (process 1)\n"));
  EXPECT_EQ(FileLock::holder(path), "fovea-node start (process 1)");
}

// Two who ask at once do not take each other for the holder.
TEST_F(FileLockTest, AskingIsNotHolding) {
  const auto path = folder_.path() / "lock";
  ASSERT_TRUE(FileLock::take(path, ""));
  const Descriptor asking(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::flock(asking.number(), LOCK_SH | LOCK_NB), 0);
  EXPECT_FALSE(FileLock::is_held(path));
}

}  // namespace
}  // namespace fovea
