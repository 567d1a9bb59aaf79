// Failure class: whoever can write a site's ledger says there what only a person can say.
#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "node/egress/egress_gate.h"
#include "tests/support/egress_site.h"
#include "tests/support/temporary_folder.h"

namespace fovea::node {
namespace {

using federation::ledger::Ledger;
using federation::ledger::LedgerEntry;
using federation::ledger::PlanApproved;
using federation::ledger::PlanWithdrawn;
using federation::ledger::RosterAccepted;
using test::EgressSite;

// With the node's own keys somebody writes into the ledger what only a person can say: the start stops, by name.
TEST(SignedEntries, AWordThatNobodySignedStopsTheStart) {
  const test::TemporaryFolder folder;
  EgressSite site{folder.path()};
  const auto berta = site.other_site("berta", 0x10), clara = site.other_site("clara", 0x20);
  const auto approver = site.approver.verify_key();
  EgressSite elsewhere{folder.path() / "elsewhere"};
  elsewhere.site = SiteId::create("elsewhere").value();
  const auto accepted = [&](const federation::membership::RosterSite& named,
                            const federation::membership::SignedDocument& word) -> LedgerEntry {
    return RosterAccepted{named.id,           named.identity_key, named.transport_key, named.log_key,
                          named.approver_key, approver,           word.serialize()};
  };
  auto changed = site.acceptance(berta);
  changed.signatures.clear();
  const Bytes approval = site.approval().serialize();
  const Bytes rejection = site.approval(federation::membership::ApprovalDecision::rejected).serialize();
  const std::vector<std::pair<LedgerEntry, std::string>> forged = {
      {accepted(berta, changed), "roster.accepted"},
      {accepted(clara, site.acceptance(berta)), "about another site"},
      {accepted(berta, elsewhere.acceptance(berta)), "is for the site elsewhere"},
      {PlanApproved{test::filled(0x99), approver, approval}, "something else"},
      {PlanApproved{site.plan.hash, approver, rejection}, "something else"},
      {PlanWithdrawn{site.plan.hash, approver, approval}, "something else"},
      {PlanApproved{site.plan.hash, approver, elsewhere.approval().serialize()}, "is for the site elsewhere"},
      {PlanApproved{site.plan.hash, approver, Bytes{1, 2, 3}}, "plan.approved"}};
  for (std::size_t i = 0; i < forged.size(); ++i) {
    site.folder = folder.path() / std::to_string(i);
    {
      auto ledger = Ledger::open(test::ledger_options(site.folder, "test/" + site.site.text(), site.log_key)).value();
      const LedgerEntry entries[] = {accepted(berta, site.acceptance(berta)),
                                     PlanApproved{site.plan.hash, approver, approval},
                                     PlanWithdrawn{site.plan.hash, approver, rejection}};
      ASSERT_TRUE(ledger.append(test::kTestTime, entries));
      ASSERT_TRUE(ledger.publish());
    }
    ASSERT_TRUE(site.open()) << site.open().error().message;  // what a person said
    {
      auto ledger = Ledger::open(test::ledger_options(site.folder, "test/" + site.site.text(), site.log_key)).value();
      ASSERT_TRUE(ledger.append(test::kTestTime, std::span(&forged[i].first, 1)));
      ASSERT_TRUE(ledger.sync());
    }
    const auto opened = site.open();
    ASSERT_FALSE(opened) << i;
    EXPECT_EQ(opened.error().code, ErrorCode::corruption);
    EXPECT_EQ(opened.error().message.rfind("ledger entry 3 (", 0), 0U) << opened.error().message;
    EXPECT_NE(opened.error().message.find(forged[i].second), std::string::npos) << opened.error().message;
  }
}

// Under another approver's key: counts nowhere, and is no reason to stop.
TEST(SignedEntries, TheWordsOfAFormerApproverAreNotLookedAt) {
  const test::TemporaryFolder folder;
  const EgressSite site{folder.path()};
  {
    auto ledger = Ledger::open(test::ledger_options(site.folder, "test/" + site.site.text(), site.log_key)).value();
    const auto berta = site.other_site("berta", 0x10);
    const LedgerEntry entries[] = {PlanApproved{site.plan.hash, test::filled(7), Bytes{1}},
                                   RosterAccepted{berta.id, berta.identity_key, berta.transport_key, berta.log_key,
                                                  berta.approver_key, test::filled(7), Bytes{1}}};
    ASSERT_TRUE(ledger.append(test::kTestTime, entries));
    ASSERT_TRUE(ledger.sync());
  }
  const auto gate = site.open();
  ASSERT_TRUE(gate) << gate.error().message;
  EXPECT_FALSE(gate->plan_approved(site.plan.hash));
  EXPECT_TRUE(gate->acquainted().empty());
}

}  // namespace
}  // namespace fovea::node
