// The site's register and its journals on disk: what a crash or a damaged byte may and may not do.
#include <gtest/gtest.h>

#include <fstream>

#include "crypto/hash.h"
#include "federation/secagg/framed_journal.h"
#include "node/io/site_register.h"
#include "node/io/site_run.h"
#include "node/round/site_marks.h"
#include "tests/support/temporary_folder.h"

namespace fovea::test {
namespace {

using node::round::SiteMemory;

crypto::SigningKey log_key() { return crypto::SigningKey::from_seed({}); }

class SiteRegisterTest : public ::testing::Test {
 protected:
  static RunId run(std::uint8_t number) { return RunId{{number}}; }
  static node::round::UnmaskedMark unmasked(std::uint8_t model) {
    return {federation::messages::AttemptRef{1, 1, Digest{9}}, Digest{model}, Bytes{1}};
  }

  std::filesystem::path runs() const { return folder_.path() / "runs"; }
  std::filesystem::path journal(const RunId& id) const { return runs() / id.text() / "journal"; }
  std::filesystem::path path() const { return folder_.path() / "register"; }

  void write_journal(const RunId& id, const std::vector<std::uint8_t>& models) const {
    std::filesystem::create_directories(runs() / id.text());
    auto file = node::io::open_run_journal(journal(id), id, log_key()).value();
    for (const std::uint8_t model : models)
      ASSERT_TRUE(file.append(std::vector<Bytes>{node::round::encode_mark(id, unmasked(model))}));
  }
  std::map<Digest, RunId> released() const {
    const auto opened = node::io::open_site_register(path(), runs(), log_key());
    EXPECT_TRUE(opened.has_value());
    std::map<Digest, RunId> out;
    const auto memory = SiteMemory::restore(run(99), {}, opened->records());
    for (const auto& [model, release] : memory->released_models) out.emplace(model, release.run);
    return out;
  }
  void change_byte(const std::filesystem::path& file, std::size_t at) const {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(at));
    const int byte = stream.get();
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(static_cast<char>(byte ^ 0x40));
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(SiteRegisterTest, OpeningAddsWhatTheJournalsHaveAndTheRegisterLacks) {
  write_journal(run(1), {10, 11});
  EXPECT_EQ(released().size(), 2U);
  write_journal(run(2), {20});  // marked in the journal, and then the site fell over
  EXPECT_EQ(released().size(), 3U);
  EXPECT_EQ(released().at(Digest{20}), run(2));
  const auto size = std::filesystem::file_size(path());
  EXPECT_EQ(released().size(), 3U);
  EXPECT_EQ(std::filesystem::file_size(path()), size);  // nothing is added twice
}

TEST_F(SiteRegisterTest, ARebuildThatACrashInterruptedIsFinishedByTheNext) {
  write_journal(run(1), {10, 11});
  write_journal(run(2), {20});
  const auto whole = released();
  const auto size = std::filesystem::file_size(path());
  for (std::uintmax_t cut = 0; cut < size; ++cut) {
    std::filesystem::resize_file(path(), cut);
    ASSERT_EQ(released(), whole) << "cut at byte " << cut;
    ASSERT_EQ(std::filesystem::file_size(path()), size);
  }
  std::filesystem::remove(path());
  EXPECT_EQ(released(), whole);
}

// Run 2 marked a release on a model that run 1 had released on before: it never left, and takes nothing from run 1.
TEST_F(SiteRegisterTest, TheRunThatReleasedFirstKeepsTheModel) {
  write_journal(run(1), {10});
  EXPECT_EQ(released().at(Digest{10}), run(1));
  write_journal(run(2), {10});
  EXPECT_EQ(released().at(Digest{10}), run(1));
  EXPECT_EQ(released().size(), 1U);
}

// The ledger of a site names each model that shares were released on. Whoever loses the register, or its end, together
// with the journals, frees no model with it.
TEST_F(SiteRegisterTest, WhatTheLedgerShowsReleasedAndNothingElseKnowsIsMarkedAgain) {
  write_journal(run(1), {10, 11, 12});
  ASSERT_EQ(released().size(), 3U);
  std::filesystem::remove_all(runs());
  const std::map<Digest, node::egress::RecordedRelease> ledger = {{Digest{10}, {run(1), {1, 1, Digest{9}}}},
                                                                  {Digest{11}, {run(1), {2, 1, Digest{9}}}},
                                                                  {Digest{12}, {run(1), {3, 2, Digest{9}}}}};
  const auto restored = [&] {
    auto file = node::io::open_site_register(path(), runs(), log_key()).value();
    return node::io::restore_releases(file, ledger).value();
  };
  const auto whole = std::filesystem::file_size(path());
  EXPECT_EQ(restored(), 0U);
  EXPECT_EQ(std::filesystem::file_size(path()), whole);
  std::filesystem::resize_file(path(), whole - 1);  // the last record is torn, and cut off
  EXPECT_EQ(restored(), 1U);
  EXPECT_EQ(released().at(Digest{12}), run(1));
  std::filesystem::remove(path());
  EXPECT_EQ(restored(), 3U);
  EXPECT_EQ(restored(), 0U);
  EXPECT_EQ(released().size(), 3U);
  // Such a mark names nobody with whom the sum could be repeated.
  const auto opened = node::io::open_site_register(path(), runs(), log_key());
  const auto memory = SiteMemory::restore(run(99), {}, opened->records());
  EXPECT_EQ(memory->released_models.at(Digest{12}).mark.ref.attempt, 2U);
  EXPECT_TRUE(memory->released_models.at(Digest{12}).mark.committed.empty());
}

TEST_F(SiteRegisterTest, WhoeverOnlyLooksMendsNothing) {
  EXPECT_TRUE(node::io::check_site_register(path(), runs(), log_key()).has_value());
  EXPECT_FALSE(std::filesystem::exists(path()));
  write_journal(run(1), {10, 11});
  EXPECT_TRUE(node::io::check_site_register(path(), runs(), log_key()).has_value());
  EXPECT_FALSE(std::filesystem::exists(path()));
  released();
  const auto size = std::filesystem::file_size(path());
  std::filesystem::resize_file(path(), size - 1);  // torn, which a start cuts off and makes again
  EXPECT_TRUE(node::io::check_site_register(path(), runs(), log_key()).has_value());
  EXPECT_EQ(std::filesystem::file_size(path()), size - 1);
}

TEST_F(SiteRegisterTest, ADamagedJournalOrRegisterIsRefusedByNameAndLeftAsItIs) {
  write_journal(run(1), {10, 11});
  released();
  for (const auto& file : {journal(run(1)), path()}) {
    const auto size = std::filesystem::file_size(file);
    change_byte(file, 2);  // of the first length
    const auto refused = node::io::open_site_register(path(), runs(), log_key());
    ASSERT_FALSE(refused.has_value()) << file;
    EXPECT_EQ(refused.error().code, ErrorCode::corruption);
    EXPECT_NE(refused.error().message.find(file.string()), std::string::npos) << refused.error().message;
    EXPECT_NE(refused.error().message.find("at byte 0 is damaged"), std::string::npos) << refused.error().message;
    EXPECT_EQ(std::filesystem::file_size(file), size);
    const auto looked = node::io::check_site_register(path(), runs(), log_key());
    ASSERT_FALSE(looked.has_value()) << file;
    EXPECT_EQ(looked.error().message, refused.error().message);
    change_byte(file, 2);
    EXPECT_EQ(released().size(), 2U);
  }
}

// Its frame and its check anybody can make. Nothing is cut or added where somebody did.
TEST_F(SiteRegisterTest, ARunsJournalThatSomebodyElseWroteIsRefusedAndLeftAsItIs) {
  using federation::secagg::frame_record;
  write_journal(run(1), {10, 11, 12});
  write_journal(run(2), {10, 11, 12});
  const auto bytes_of = [](const std::filesystem::path& file) { return read_file(file, 1 << 20).value(); };
  const Bytes good = bytes_of(journal(run(1)));
  const std::vector<Bytes> records = federation::secagg::read_journal(good)->records;
  ASSERT_EQ(records.size(), 4U);  // what the file is, and three marks
  const auto expect_refused = [&](const std::vector<Bytes>& changed, const std::string& why) {
    Bytes file;
    for (const Bytes& record : changed) {
      const Bytes framed = frame_record(record);
      file.insert(file.end(), framed.begin(), framed.end());
    }
    ASSERT_TRUE(write_file_durably(journal(run(1)), file));
    const auto opened = node::io::open_site_register(path(), runs(), log_key());
    ASSERT_FALSE(opened) << why;
    EXPECT_EQ(opened.error().code, ErrorCode::corruption);
    EXPECT_NE(opened.error().message.find(journal(run(1)).string() + ": " + why), std::string::npos)
        << opened.error().message;
    EXPECT_NE(opened.error().message.find("fix: "), std::string::npos);
    const auto looked = node::io::check_site_register(path(), runs(), log_key());
    ASSERT_FALSE(looked) << why;
    EXPECT_EQ(looked.error().message, opened.error().message);
    EXPECT_EQ(bytes_of(journal(run(1))), file);
  };
  const auto expect_foreign = [&](const std::vector<Bytes>& changed, std::size_t record) {
    expect_refused(changed, "record " + std::to_string(record) + " was not written with this site's key");
  };
  Bytes own = node::round::encode_mark(run(1), unmasked(13));
  const Bytes plain = own;
  own.insert(own.end(), 16, 0);
  const std::vector<Bytes> other = federation::secagg::read_journal(bytes_of(journal(run(2))))->records;
  expect_foreign({records[0], records[1], records[2], records[3], own}, 4);
  expect_foreign({records[0], own, records[2], records[3]}, 1);
  expect_foreign({records[0], records[2], records[3]}, 1);
  expect_foreign({records[0], records[1], records[1], records[2]}, 2);
  expect_foreign(other, 0);
  // One of format 1 is as if it were gone: the site starts, and only that run is not gone on with.
  for (const std::vector<Bytes>& older : {std::vector<Bytes>{plain}, {records[1], records[2]}}) {
    Bytes file;
    for (const Bytes& record : older) {
      const Bytes framed = frame_record(record);
      file.insert(file.end(), framed.begin(), framed.end());
    }
    ASSERT_TRUE(write_file_durably(journal(run(1)), file));
    EXPECT_EQ(node::io::open_run_journal(journal(run(1)), run(1), log_key()).error().code,
              ErrorCode::failed_precondition);
    EXPECT_TRUE(node::io::check_site_register(path(), runs(), log_key()));
    EXPECT_EQ(released().count(Digest{13}), 0U);
    EXPECT_EQ(bytes_of(journal(run(1))), file);
  }
  // A torn tail is cut, as without a key.
  ASSERT_TRUE(write_file_durably(journal(run(1)), ByteView(good).first(good.size() - 1)));
  const auto opened = node::io::open_run_journal(journal(run(1)), run(1), log_key());
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->records().size(), 2U);
  EXPECT_EQ(opened->read()->size(), 2U);
  write_journal(run(1), {13});
  EXPECT_EQ(node::io::open_run_journal(journal(run(1)), run(1), log_key())->records().size(), 3U);
}

}  // namespace
}  // namespace fovea::test
