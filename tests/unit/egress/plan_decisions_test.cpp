// Failure class: what a person said last about a plan is undone by something they said before.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "node/egress/egress_gate.h"
#include "tests/support/egress_site.h"
#include "tests/support/temporary_folder.h"

namespace fovea::node {
namespace {

using federation::membership::ApprovalDecision;

class PlanDecisions : public testing::Test {
 protected:
  federation::membership::SignedDocument approved_at(std::int64_t later_ms) const {
    return site.approval(ApprovalDecision::approved, UnixMs{test::kTestTime.value + later_ms});
  }
  federation::membership::SignedDocument rejected_at(std::int64_t later_ms) const {
    return site.approval(ApprovalDecision::rejected, UnixMs{test::kTestTime.value + later_ms});
  }

  test::TemporaryFolder folder;
  test::EgressSite site{folder.path()};
};

// Whoever can write the folder has the bytes of every decision there ever was.
TEST_F(PlanDecisions, AnOldApprovalUndoesNoRejection) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(gate.decide_plan(approved_at(0)));
    ASSERT_TRUE(gate.decide_plan(rejected_at(10)));
    for (const std::int64_t at : {0, 9, 10}) {
      const auto put_back = gate.decide_plan(approved_at(at));
      ASSERT_FALSE(put_back) << at;
      EXPECT_EQ(put_back.error().code, ErrorCode::permission_denied);
      EXPECT_FALSE(gate.plan_approved(site.plan.hash));
    }
  }
  {
    egress::EgressGate gate = site.open().value();
    EXPECT_FALSE(gate.decide_plan(approved_at(0)));
    ASSERT_TRUE(gate.decide_plan(approved_at(11)));
    EXPECT_TRUE(gate.plan_approved(site.plan.hash));
    const std::uint64_t size = gate.ledger().size();
    ASSERT_TRUE(gate.decide_plan(approved_at(11)));  // the file is read again at each start
    EXPECT_EQ(gate.ledger().size(), size);
  }
  // A ledger in which a version before this rule followed such a copy.
  {
    auto ledger =
        federation::ledger::Ledger::open(test::ledger_options(site.folder, "test/" + site.site.text(), site.log_key))
            .value();
    const auto key = site.approver.verify_key();
    const std::vector<federation::ledger::LedgerEntry> entries = {
        federation::ledger::PlanWithdrawn{site.plan.hash, key, rejected_at(12).serialize()},
        federation::ledger::PlanApproved{site.plan.hash, key, approved_at(11).serialize()}};
    ASSERT_TRUE(ledger.append(test::kTestTime, entries));
    ASSERT_TRUE(ledger.publish());
  }
  EXPECT_FALSE(site.open().value().plan_approved(site.plan.hash));
}

// To stop is always allowed, even by a person whose clock is behind; what they then want again, they sign again.
TEST_F(PlanDecisions, ARejectionCountsWheneverItWasSigned) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(gate.decide_plan(approved_at(10)));
  ASSERT_TRUE(gate.decide_plan(rejected_at(5)));
  EXPECT_FALSE(gate.plan_approved(site.plan.hash));
  EXPECT_FALSE(gate.decide_plan(approved_at(10)));
  EXPECT_TRUE(gate.decide_plan(approved_at(11)));
}

// A later decision of the same kind counts too: else a copy from between the two would.
TEST_F(PlanDecisions, ALaterRejectionIsRecordedAndNoApprovalFromBeforeItCounts) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(gate.decide_plan(approved_at(0)));
    ASSERT_TRUE(gate.decide_plan(rejected_at(10)));
    ASSERT_TRUE(gate.decide_plan(rejected_at(20)));
    const std::uint64_t size = gate.ledger().size();
    ASSERT_TRUE(gate.decide_plan(rejected_at(20)));
    ASSERT_TRUE(gate.decide_plan(rejected_at(10)));
    EXPECT_EQ(gate.ledger().size(), size);
    EXPECT_FALSE(gate.decide_plan(approved_at(15)));
  }
  EXPECT_FALSE(site.open().value().decide_plan(approved_at(15)));
}

// No run is open: what the journal of a run may hold of such an attempt is of no use any more.
TEST_F(PlanDecisions, AnotherRosterClosesTheAttemptsOfEveryRun) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
  }
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(gate.pin_roster(site.roster));
  EXPECT_TRUE(gate.attempts_closed().empty());
  federation::membership::Roster newer = site.roster;
  newer.hash[0] ^= 1U;
  newer.epoch += 1;
  ASSERT_TRUE(gate.pin_roster(newer));
  EXPECT_EQ(gate.attempts_closed().at(site.run), (federation::ledger::RoundKey{site.run, 1, 1}));
}

}  // namespace
}  // namespace fovea::node
