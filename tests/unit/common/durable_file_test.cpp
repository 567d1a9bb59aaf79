#include "common/durable_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/descriptor.h"
#include "tests/support/temporary_folder.h"

namespace fovea {
namespace {

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) out.push_back(entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

TEST(DurableFile, ReplacesAFileWholeAndLeavesNoTemporary) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a";
  ASSERT_TRUE(write_file_durably(path, as_bytes("first, longer")).has_value());
  ASSERT_TRUE(write_file_durably(path, as_bytes("second")).has_value());
  EXPECT_EQ(as_text(*read_file(path, 100)), "second");
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"a"});
}

TEST(DurableFile, ANameMayBeAsLongAsTheDiskAllows) {
  const test::TemporaryFolder folder;
  const std::string name(NAME_MAX, 'n');
  ASSERT_TRUE(write_file_durably(folder.path() / name, as_bytes("x")).has_value());
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{name});
  EXPECT_FALSE(write_file_durably(folder.path() / (name + "n"), as_bytes("x")).has_value());
}

TEST(DurableFile, ReplacingAStatusLeavesNoTemporaryAndNamesAnAbsentFolder) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "status.json";
  ASSERT_TRUE(replace_file(path, as_bytes("first, longer")).has_value());
  ASSERT_TRUE(replace_file(path, as_bytes("second")).has_value());
  EXPECT_EQ(as_text(*read_file(path, 100)), "second");
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"status.json"});
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

// Nor a pipe, or a link, that somebody put where a file in the making had its name in earlier versions, or has it now.
TEST(DurableFile, NothingIsWrittenThroughAPipeOrALinkThatLiesThere) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "invite.json", pipe = folder.path() / "invite.json.tmp";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  ASSERT_TRUE(write_file_durably(folder.path() / "other", as_bytes("untouched")));
  for (int n = 0; n < 200; ++n)
    std::filesystem::create_symlink(
        "other", path.string() + ".fovea-" + std::to_string(::getpid()) + "-" + std::to_string(n) + ".tmp");
  EXPECT_TRUE(write_file_durably(path, as_bytes("x")));
  EXPECT_TRUE(replace_file(path, as_bytes("x")));
  auto staged = StagedFile::create(path, FileMode::normal);
  ASSERT_TRUE(staged);
  EXPECT_TRUE(staged->append(as_bytes("y")));
  EXPECT_TRUE(staged->finish());
  EXPECT_EQ(as_text(*read_file(path, 9)), "y");
  EXPECT_EQ(as_text(*read_file(folder.path() / "other", 99)), "untouched");
  EXPECT_FALSE(AppendFile::open(pipe));
}

// Two processes that make a volume, a roster or a status at once.
TEST(DurableFile, OfTwoWritersOneHasTheLastWordAndNobodyReadsAMixture) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a";
  constexpr std::size_t kBytes = 300'000;
  {
    std::vector<std::jthread> writers;
    for (std::uint8_t fill = 1; fill <= 4; ++fill)
      writers.emplace_back([&path, fill] {
        for (int n = 0; n < 20; ++n) {
          EXPECT_TRUE(replace_file(path, Bytes(kBytes, fill)));
          const auto read = read_file(path, kBytes);
          ASSERT_TRUE(read) << read.error().message;
          ASSERT_EQ(*read, Bytes(kBytes, read->front()));
        }
      });
  }
  auto first = StagedFile::create(path, FileMode::normal), second = StagedFile::create(path, FileMode::normal);
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(first->append(as_bytes("first")) && second->append(as_bytes("second")));
  EXPECT_TRUE(second->finish() && first->finish());
  EXPECT_EQ(as_text(*read_file(path, kBytes)), "first");
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"a"});
}

TEST(DurableFile, WhatIsMadeOnceIsTheSameForAllWhoMakeItAtOnce) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "catalogue.key";
  std::atomic<int> made{0}, by{0};
  {
    std::vector<std::jthread> makers;
    for (int n = 1; n <= 8; ++n)
      makers.emplace_back([&, n] {
        const auto mine = create_file_durably(path, as_bytes(std::to_string(n)), FileMode::secret);
        ASSERT_TRUE(mine) << mine.error().message;
        if (*mine) ++made, by = n;
      });
  }
  EXPECT_EQ(made, 1);
  EXPECT_EQ(as_text(*read_file(path, 9)), std::to_string(by));
  EXPECT_FALSE(*create_file_durably(path, as_bytes("late")));
  EXPECT_EQ(as_text(*read_file(path, 9)), std::to_string(by));
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"catalogue.key"});
  EXPECT_FALSE(create_file_durably(folder.path() / "absent" / "key", as_bytes("x")));
}

TEST(DurableFile, WhatAKilledProcessLeftIsRemovedAndNothingElse) {
  const test::TemporaryFolder folder;
  const auto put = [&](const std::string& name) { std::ofstream(folder.path() / name) << "half"; };
  for (const char* left : {"a.fovea-17-0.tmp", "CODE.bricks.fovea-1234567-89.tmp"}) put(left);
  const std::vector<std::string> others{"a.fovea-17-x.tmp", "a.fovea-.tmp", "a.tmp", "notes.tmp"};
  for (const std::string& other : others) put(other);
  ASSERT_TRUE(write_file_durably(folder.path() / "b", as_bytes("x")));
  std::vector<std::string> expected = others;
  expected.emplace_back("b");
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(names_in(folder.path()), expected);

  // Of one file, also what an older version left; but never what somebody is writing.
  put("b.tmp"), put("b.fovea-17-0.tmp"), put("c.fovea-17-0.tmp");
  auto writing = StagedFile::create(folder.path() / "b", FileMode::normal);
  ASSERT_TRUE(writing);
  EXPECT_TRUE(remove_unfinished(folder.path() / "b"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "b.tmp"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "b.fovea-17-0.tmp"));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "c.fovea-17-0.tmp"));
  EXPECT_TRUE(writing->append(as_bytes("y")));
  EXPECT_TRUE(writing->finish());
  EXPECT_EQ(as_text(*read_file(folder.path() / "b", 9)), "y");
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
