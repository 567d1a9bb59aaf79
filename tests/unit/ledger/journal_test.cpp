// Failure class: the owner of a ledger signs what somebody else wrote into its journal, with the files and no key.
#include "federation/ledger/journal.h"

#include <gtest/gtest.h>

#include "common/codec.h"
#include "crypto/hash.h"
#include "federation/ledger/ledger.h"
#include "tests/support/ledger_folder.h"
#include "tests/support/temporary_folder.h"

namespace fovea::federation {
namespace {

using test::kTestTime;
using test::ledger_options;
using test::numbered_entries;
using test::numbered_entry;

constexpr std::size_t kCheckBytes = 8;

class LedgerJournalTest : public testing::Test {
 protected:
  // Three entries under the checkpoint, then three in the journal.
  void SetUp() override {
    write(0, 3, true);
    write(3, 3, false);
    record_size_ = journal().size() / 3;
    for (std::size_t i = 0; i < 3; ++i) records_.push_back(journal().substr(i * record_size_, record_size_));
  }

  void write(std::uint64_t first, std::uint64_t count, bool publish) {
    auto ledger = ledger::Ledger::open(ledger_options(folder_.path())).value();
    ASSERT_EQ(ledger.append(kTestTime, numbered_entries(first, count)).value(), first);
    ASSERT_TRUE(ledger.sync());
    if (publish) {
      ASSERT_TRUE(ledger.publish());
    }
  }
  std::filesystem::path path() const { return folder_.path() / "journal"; }
  std::string journal() const { return test::slurp(path()); }

  // A record whose check is right, as anybody can make it.
  static std::string forged(std::uint64_t index, std::string_view entry, std::string_view mac) {
    ByteWriter record;
    record.raw(as_bytes("FVJ2"));
    record.u64(index);
    record.u64(0);
    record.sized(entry);
    record.raw(as_bytes(mac));
    const Digest check = crypto::sha256(record.bytes());
    record.raw(ByteView(check).first(kCheckBytes));
    return std::string(as_text(record.bytes()));
  }
  static std::string text_of(std::uint64_t number) {
    return ledger::encode_entry({kTestTime, numbered_entry(number)}).value();
  }
  static std::string mac_of(const std::string& record) {
    return record.substr(record.size() - kCheckBytes - files::kRecordMacBytes, files::kRecordMacBytes);
  }
  // The owner stops, names the entry, and has changed nothing.
  void expect_refused(const std::string& bytes, std::uint64_t entry) {
    test::spill(path(), bytes);
    const std::string checkpoint = test::slurp(folder_.path() / "checkpoint");
    const auto opened = ledger::Ledger::open(ledger_options(folder_.path()));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::corruption);
    EXPECT_NE(opened.error().message.find("journal: the record of entry " + std::to_string(entry) + " was not written"),
              std::string::npos)
        << opened.error().message;
    EXPECT_EQ(journal(), bytes);
    EXPECT_EQ(test::slurp(folder_.path() / "checkpoint"), checkpoint);
  }

  test::TemporaryFolder folder_;
  std::size_t record_size_ = 0;
  std::vector<std::string> records_;  // of entries 3, 4 and 5
};

TEST_F(LedgerJournalTest, AnAddedRecordIsRefused) {
  const std::string good = journal();
  expect_refused(good + forged(6, text_of(6), std::string(files::kRecordMacBytes, '\0')), 6);
  expect_refused(good + forged(6, text_of(6), mac_of(records_[2])), 6);
  expect_refused(good + forged(6, text_of(5), mac_of(records_[2])), 6);  // the last one once more
  test::spill(path(), good);
  write(6, 1, true);
}

TEST_F(LedgerJournalTest, AChangedRecordIsRefused) {
  for (std::uint64_t i = 0; i < 3; ++i) {
    std::vector<std::string> changed = records_;
    changed[i] = forged(3 + i, text_of(99), mac_of(records_[i]));
    expect_refused(changed[0] + changed[1] + changed[2], 3 + i);
  }
}

TEST_F(LedgerJournalTest, AMovedOrDoubledRecordIsRefused) {
  const auto moved = [&](std::size_t from, std::uint64_t to) {
    return forged(to, text_of(3 + from), mac_of(records_[from]));
  };
  expect_refused(moved(1, 3) + moved(0, 4) + records_[2], 3);
  expect_refused(records_[0] + moved(0, 4) + moved(1, 5) + moved(2, 6), 4);
  expect_refused(records_[0] + moved(2, 4), 4);  // the one between them is left out
}

// Of the same key, place and length: an entry that the owner wrote once, and then went on without.
TEST_F(LedgerJournalTest, ARecordThatOthersFollowedInThePlaceOfAnotherIsRefused) {
  const std::string before = journal();
  test::spill(path(), records_[0]);  // as if the rest had been torn off
  {
    auto ledger = ledger::Ledger::open(ledger_options(folder_.path())).value();
    ASSERT_EQ(ledger.append(kTestTime, numbered_entries(8, 2)).value(), 4U);
    ASSERT_TRUE(ledger.sync());
  }
  const std::string after = journal();
  ASSERT_EQ(after.size(), before.size());
  expect_refused(after.substr(0, record_size_) + records_[1] + after.substr(2 * record_size_), 5);
}

TEST_F(LedgerJournalTest, ARecordOfAnotherLogOrKeyIsRefused) {
  for (const auto& [origin, key] : {std::pair<std::string, std::uint64_t>{"test/other", 1}, {"test/st-anna", 2}}) {
    const test::TemporaryFolder folder;
    auto ledger = ledger::Ledger::open(ledger_options(folder.path(), origin, key)).value();
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(0, 6)));
    ASSERT_TRUE(ledger.sync());
    const std::string other = test::slurp(folder.path() / "journal");
    expect_refused(other.substr(other.size() / 2), 3);
  }
}

// Without a key, too: of what is torn a reader need not know who wrote it.
TEST_F(LedgerJournalTest, ATornTailIsCutWhereverItEnds) {
  const std::string good = journal();
  for (std::size_t size = 2 * record_size_; size < good.size(); ++size) {
    test::spill(path(), good.substr(0, size));
    const auto read = ledger::read_ledger_journal(path());
    ASSERT_TRUE(read);
    EXPECT_EQ(read->entries.size(), 2U);
    EXPECT_EQ(read->torn_bytes, size - 2 * record_size_);
    EXPECT_EQ(ledger::Ledger::open(ledger_options(folder_.path())).value().size(), 5U) << size;
  }
}

TEST_F(LedgerJournalTest, AnotherFormatIsRefusedByNumberWithWhatToDoAndLeftAsItIs) {
  for (const char format : {'1', '3'}) {
    std::string other = journal();
    for (std::size_t at = 0; at < other.size(); at += record_size_) other[at + 3] = format;
    test::spill(path(), other);
    const auto opened = ledger::Ledger::open(ledger_options(folder_.path()));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::failed_precondition);
    EXPECT_NE(opened.error().message.find(std::string("is of format ") + format + ", this version writes 2"),
              std::string::npos)
        << opened.error().message;
    EXPECT_NE(opened.error().message.find("fix: "), std::string::npos);
    EXPECT_EQ(journal(), other);
  }
}

}  // namespace
}  // namespace fovea::federation
