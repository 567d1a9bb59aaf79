#include "common/durable_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "common/descriptor.h"
#include "tests/support/temporary_folder.h"

namespace fovea {
namespace {

TEST(DurableFile, ReplacesAFileWholeAndLeavesNoTemporary) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a";
  ASSERT_TRUE(write_file_durably(path, as_bytes("first, longer")).has_value());
  ASSERT_TRUE(write_file_durably(path, as_bytes("second")).has_value());
  EXPECT_EQ(as_text(*read_file(path, 100)), "second");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "a.tmp"));
}

TEST(DurableFile, ReplacingAStatusLeavesNoTemporaryAndNamesAnAbsentFolder) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "status.json";
  ASSERT_TRUE(replace_file(path, as_bytes("first, longer")).has_value());
  ASSERT_TRUE(replace_file(path, as_bytes("second")).has_value());
  EXPECT_EQ(as_text(*read_file(path, 100)), "second");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "status.json.tmp"));
  EXPECT_FALSE(replace_file(folder.path() / "absent" / "a", as_bytes("x")).has_value());
}

TEST(DurableFile, ANamedPipeIsNoFileAndHoldsNobodyUp) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "invite.json";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const auto refused = read_file(path, 100);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("is not a regular file"), std::string::npos) << refused.error().message;
}

// Nor a pipe where a file is to be written, or appended to.
TEST(DurableFile, NobodyWaitsForAReaderOfAPipe) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "invite.json", beside = folder.path() / "invite.json.tmp";
  ASSERT_EQ(::mkfifo(beside.c_str(), 0600), 0);
  const auto refused = write_file_durably(path, as_bytes("x"));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("invite.json.tmp: is a pipe"), std::string::npos) << refused.error().message;
  EXPECT_FALSE(replace_file(path, as_bytes("x")));
  EXPECT_FALSE(StagedFile::create(path, FileMode::normal));
  EXPECT_FALSE(AppendFile::open(beside));
  const Descriptor reader(::open(beside.c_str(), O_RDONLY | O_NONBLOCK));
  EXPECT_FALSE(write_file_durably(path, as_bytes("x")));  // what is read elsewhere is not written there
  EXPECT_FALSE(std::filesystem::exists(path));
}

// Strangers hold what is left, until they are sent away.
TEST(Descriptor, AFileIsOpenedAsSoonAsThereIsADescriptorForIt) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{.rlim_cur = 64, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<Descriptor> held;
  while (Descriptor next{::dup(STDERR_FILENO)}) held.push_back(std::move(next));
  int waits = 0;
  const auto free_one_in_the_third = [&] {
    if (++waits == 3) held.pop_back();
  };
  const bool opened = bool(open_file("/dev/null", O_RDONLY, 0, free_one_in_the_third));
  EXPECT_TRUE(opened);
  EXPECT_EQ(waits, 3);
  held.emplace_back(::dup(STDERR_FILENO));
  waits = 10;  // nobody goes: an end, and the reason
  EXPECT_FALSE(open_file("/dev/null", O_RDONLY, 0, free_one_in_the_third));
  EXPECT_EQ(errno, EMFILE);
  held.clear();
  waits = 0;
  EXPECT_FALSE(open_file("/dev/null/file", O_RDONLY, 0, free_one_in_the_third));
  EXPECT_EQ(waits, 0);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

// What a person typed is wrong; the disk is not.
TEST(DurableFile, APathThatLeadsNowhereIsTheCallersMistake) {
  const test::TemporaryFolder folder;
  std::filesystem::create_symlink("loop", folder.path() / "loop");
  std::filesystem::create_symlink("nothing", folder.path() / "dangling");
  ASSERT_TRUE(write_file_durably(folder.path() / "file", as_bytes("x")));
  EXPECT_EQ(read_file(folder.path() / "loop", 9).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(read_file(folder.path() / "dangling", 9).error().code, ErrorCode::not_found);
  EXPECT_EQ(read_file(folder.path() / "file" / "below", 9).error().code, ErrorCode::invalid_argument);
}

TEST(DurableFile, SecretFilesAreReadableByTheOwnerOnly) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "key";
  ASSERT_TRUE(write_file_durably(path, as_bytes("k"), FileMode::secret).has_value());
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST(DurableFile, NamesThePathWhenTheFolderIsAbsent) {
  const test::TemporaryFolder folder;
  const auto result = write_file_durably(folder.path() / "absent" / "a", as_bytes("x"));
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().message.find("absent/a"), std::string::npos);
}

TEST(DurableFile, ReportsAFullDisk) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  auto file = AppendFile::open("/dev/full");
  ASSERT_TRUE(file.has_value());
  const auto result = file->append(as_bytes("x"));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::unavailable);
  EXPECT_NE(result.error().message.find("free some space"), std::string::npos);
}

TEST(ReadFile, RefusesAFileAboveTheLimit) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a";
  ASSERT_TRUE(write_file_durably(path, as_bytes("12345")).has_value());
  EXPECT_FALSE(read_file(path, 4).has_value());
  EXPECT_EQ(read_file(folder.path() / "b", 4).error().code, ErrorCode::not_found);
}

TEST(AppendFile, APipeInItsPlaceIsRefusedWhoeverReadsIt) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "journal";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const auto unread = AppendFile::open(path);
  const Descriptor reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const auto read = AppendFile::open(path);
  for (const auto* refused : {&unread, &read}) {
    ASSERT_FALSE(refused->has_value());
    EXPECT_NE(refused->error().message.find("is a pipe"), std::string::npos) << refused->error().message;
  }
}

TEST(AppendFile, ContinuesAtTheEndAndTruncates) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "log";
  {
    auto file = AppendFile::open(path);
    ASSERT_TRUE(file->append(as_bytes("abc")).has_value());
    ASSERT_TRUE(file->sync().has_value());
  }
  auto file = AppendFile::open(path);
  EXPECT_EQ(file->size(), 3U);
  ASSERT_TRUE(file->append(as_bytes("def")).has_value());
  ASSERT_TRUE(file->truncate(4).has_value());
  EXPECT_EQ(as_text(*read_file(path, 100)), "abcd");
}

}  // namespace
}  // namespace fovea
