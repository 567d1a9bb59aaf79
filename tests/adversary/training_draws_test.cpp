// Failure class: the coordinator chooses what a hospital draws in training, and so which patients a sum is made of.
#include "node/io/site_folder.h"
#include "node/io/site_run.h"
#include "node/round/site_marks.h"
#include "tests/adversary/hospital_fixture.h"

namespace fovea::test {
namespace {

class TrainingDraws : public HospitalTest {
 protected:
  // What anna last joined an attempt with. She has been stopped.
  node::round::JoinedMark joined() const {
    const node::io::SiteFolder folder(site_folder("anna"));
    const RunId run = scripted_->facts().run;
    auto journal = node::io::open_run_journal(folder.run(run) / "journal", run, folder.keys().value().log);
    EXPECT_TRUE(journal) << journal.error().message;
    const auto memory = node::round::SiteMemory::restore(run, journal->records(), {});
    EXPECT_TRUE(memory && memory->joined);
    return *memory->joined;
  }
  // The next round, until anna has joined it; it ends without a sum.
  void join_round() {
    ASSERT_NO_FATAL_FAILURE(hold_round_at(MessageKind::key_list));
    scripted_->give_up_round();
    stop_hospital();
  }
};

// The number of a round is the coordinator's choice, out of thousands, and a restart makes the site train again. It is
// also what a repeated sum rests on (Q14).
TEST_F(TrainingDraws, AreTheSameUnderEveryNumberThatTheCoordinatorGivesARound) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  join_round();
  const node::round::JoinedMark first = joined();
  scripted_->follow_roster();  // anna has to join again
  scripted_->skip_rounds(7'000);
  start_hospital();
  join_round();
  const node::round::JoinedMark second = joined();
  EXPECT_EQ(second.ref.round, first.ref.round + 7'001);
  EXPECT_EQ(second.vector, first.vector);
}

}  // namespace
}  // namespace fovea::test
