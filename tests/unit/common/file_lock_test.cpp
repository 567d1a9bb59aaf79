// Failure class: two processes that work on one folder at the same time.
#include "common/file_lock.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/bytes.h"
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

}  // namespace
}  // namespace fovea
