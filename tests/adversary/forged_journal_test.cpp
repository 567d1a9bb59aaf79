// Failure class: somebody who can write a hospital's files, and has no key, adds to what waits for its signature, and
// the hospital signs it. Real programs; the coordinator is played by the test.
#include <filesystem>
#include <fstream>

#include "common/codec.h"
#include "crypto/hash.h"
#include "federation/ledger/entry.h"
#include "federation/ledger/tile_check.h"
#include "federation/secagg/framed_journal.h"
#include "node/round/site_marks.h"
#include "tests/adversary/hospital_fixture.h"

namespace fovea::test {
namespace {

namespace fs = std::filesystem;

// With the check that anybody can make, and what can be had for the MAC.
std::string forged_record(std::uint64_t index, const std::string& entry) {
  ByteWriter record;
  record.raw(as_bytes("FVJ2"));
  record.u64(index);
  record.u64(0);
  record.sized(entry);
  record.raw(Bytes(16));
  const Digest check = crypto::sha256(record.bytes());
  record.raw(ByteView(check).first(8));
  return std::string(as_text(record.bytes()));
}

class ForgedJournal : public HospitalTest {
 protected:
  fs::path journal() const { return site_folder("anna") / "ledger" / "journal"; }
  void stop() {
    stop_hospital();
    scripted_->follow_roster();
  }
  std::uint64_t size() const { return entries_under_checkpoint(site_folder("anna")); }
  // The newest message of a round, as if it had been sent once more and the run had nothing spent.
  std::string one_more_message() const {
    for (std::uint64_t index = size(); index-- > 0;) {
      const std::string text = federation::ledger::read_entry(site_folder("anna") / "ledger", size(), index).value();
      auto entry = federation::ledger::decode_entry(as_bytes(text), "entry").value();
      auto* intent = std::get_if<federation::ledger::EgressIntent>(&entry.body);
      if (intent == nullptr || !intent->binding) continue;
      intent->bytes_left += intent->bytes_spent - intent->length;
      intent->bytes_spent = intent->length;
      intent->previous = index;
      return federation::ledger::encode_entry(entry).value();
    }
    ADD_FAILURE() << "no message";
    return "";
  }
  // It says why, and has changed neither this file nor what it signs.
  void expect_start_refused(const fs::path& file, const std::string& why) {
    const std::string before = read_text(file);
    const std::string checkpoint = read_text(site_folder("anna") / "ledger" / "checkpoint");
    start_site("anna");
    EXPECT_NE(sites_.at("anna").wait(kPatience), 0);
    const std::string said = sites_.at("anna").standard_error();
    EXPECT_NE(said.find(file.string() + ": " + why), std::string::npos) << said;
    EXPECT_EQ(read_text(file), before);
    EXPECT_EQ(read_text(site_folder("anna") / "ledger" / "checkpoint"), checkpoint);
  }
};

TEST_F(ForgedJournal, AMessageThatTheNodeDidNotRecordStopsItAndIsNotSigned) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  expect_round();
  stop();
  ASSERT_EQ(read_text(journal()), "");
  std::ofstream(journal(), std::ios::binary) << forged_record(size(), one_more_message());
  expect_start_refused(journal(), "the record of entry " + std::to_string(size()) + " was not written by the owner");
  // With the record gone it goes on.
  fs::resize_file(journal(), 0);
  start_hospital();
  expect_round();
  // Half a record is a torn write, as it always was.
  stop();
  const std::string half = forged_record(size(), one_more_message()).substr(0, 200);
  std::ofstream(journal(), std::ios::binary) << half;
  start_hospital();
  expect_round();
  stop_hospital();
  const Outcome audit = run_program(
      "fovea-audit", {"verify", site_folder("anna").string(), "--roster", (home() / "roster.json").string()},
      root() / "audit");
  EXPECT_EQ(audit.exit_code, 0) << audit.out;
}

// The memory of a run: how many signatures a release needs, which attempt was joined, what was signed.
TEST_F(ForgedJournal, ARecordOfARunThatTheNodeDidNotWriteStopsIt) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  expect_round();
  stop();
  const RunId run = scripted_->facts().run;
  const fs::path file = site_folder("anna") / "runs" / run.text() / "journal";
  const std::string good = read_text(file);
  Bytes record = node::round::encode_mark(run, node::round::ClosedMark{1'000'000, 1});
  std::ofstream(file, std::ios::binary | std::ios::app) << as_text(federation::secagg::frame_record(record));
  expect_start_refused(file, "record ");
  record.resize(record.size() + 16);
  std::ofstream(file, std::ios::binary) << good << as_text(federation::secagg::frame_record(record));
  expect_start_refused(file, "record ");
  std::ofstream(file, std::ios::binary) << good;
  start_hospital();
  expect_round();
  stop_hospital();
}

}  // namespace
}  // namespace fovea::test
