// Failure class: a site that a person no longer vouches for counts as known, or what was begun with it goes on leaving.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "node/egress/egress_gate.h"
#include "tests/support/egress_site.h"
#include "tests/support/temporary_folder.h"

namespace fovea::node {
namespace {

class Acquaintances : public testing::Test {
 protected:
  Result<void> say(egress::EgressGate& gate, std::int64_t later_ms, bool ended) const {
    const federation::membership::SignedDocument word[] = {site.acceptance(berta, later_ms, ended)};
    return gate.decide_sites(word);
  }
  Result<void> accept(egress::EgressGate& gate, std::int64_t later_ms) const { return say(gate, later_ms, false); }
  Result<void> take_back(egress::EgressGate& gate, std::int64_t later_ms) const { return say(gate, later_ms, true); }
  std::vector<std::string_view> types() const {
    std::vector<std::string_view> out;
    const auto ledger =
        federation::ledger::Ledger::open(test::ledger_options(site.folder, "test/" + site.site.text(), site.log_key),
                                         [&out](std::uint64_t, const federation::ledger::StampedEntry& entry) {
                                           out.push_back(federation::ledger::entry_type(entry.body));
                                           return Result<void>();
                                         });
    EXPECT_TRUE(ledger);
    return out;
  }

  test::TemporaryFolder folder;
  test::EgressSite site{folder.path()};
  const federation::membership::RosterSite berta = site.other_site("berta", 0x10);
  const std::set<Digest> only_berta{federation::membership::entry_digest(berta)};
};

// Whoever can write the folder has the bytes of every acceptance there ever was.
TEST_F(Acquaintances, AnOldAcceptanceUndoesNoWithdrawal) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(accept(gate, 0));
    EXPECT_EQ(gate.acquainted(), only_berta);
    ASSERT_TRUE(take_back(gate, 10));
    EXPECT_TRUE(gate.acquainted().empty());
    for (const std::int64_t at : {0, 9, 10}) {
      const auto put_back = accept(gate, at);
      ASSERT_FALSE(put_back) << at;
      EXPECT_EQ(put_back.error().code, ErrorCode::permission_denied);
      EXPECT_NE(put_back.error().message.find("taken back"), std::string::npos) << put_back.error().message;
    }
    const std::uint64_t size = gate.ledger().size();
    ASSERT_TRUE(take_back(gate, 10));  // the file is read again at each start
    EXPECT_EQ(gate.ledger().size(), size);
  }
  egress::EgressGate gate = site.open().value();
  EXPECT_TRUE(gate.acquainted().empty());
  EXPECT_FALSE(accept(gate, 10));
  ASSERT_TRUE(accept(gate, 11));
  EXPECT_EQ(gate.acquainted(), only_berta);
}

// By a person whose clock is behind, too.
TEST_F(Acquaintances, ToTakeOneBackCountsWheneverItWasSigned) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(accept(gate, 10));
  ASSERT_TRUE(take_back(gate, 5));
  EXPECT_TRUE(gate.acquainted().empty());
  EXPECT_FALSE(accept(gate, 10));
  EXPECT_TRUE(accept(gate, 11));
}

TEST_F(Acquaintances, OneIsTakenBackByTheApproverOfThisSiteAlone) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(accept(gate, 0));
  test::EgressSite elsewhere(folder.path() / "elsewhere");
  elsewhere.site = SiteId::create("elsewhere").value();
  test::EgressSite stranger(folder.path() / "stranger");
  stranger.approver = test::signing_key(77);
  for (const test::EgressSite* forger : {&elsewhere, &stranger}) {
    const federation::membership::SignedDocument word[] = {forger->acceptance(berta, 10, true)};
    EXPECT_EQ(gate.decide_sites(word).error().code, ErrorCode::permission_denied);
  }
  // Nor does one document pass for the other.
  federation::membership::SignedDocument renamed = site.acceptance(berta, 10, false);
  renamed.kind = "acquaintance-end";
  const federation::membership::SignedDocument word[] = {renamed};
  EXPECT_EQ(gate.decide_sites(word).error().code, ErrorCode::corruption);
  EXPECT_EQ(gate.acquainted(), only_berta);
}

// Among friends of yesterday nothing leaves any more, not even what is asked for again; the next attempt is another.
TEST_F(Acquaintances, OneThatIsTakenBackClosesEveryAttempt) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(accept(gate, 0));
    ASSERT_TRUE(site.prepare(gate));
    const Bytes keys = site.keys();
    const ByteView batch[] = {keys};
    ASSERT_TRUE(gate.intend(batch));
    ASSERT_TRUE(take_back(gate, 10));
    EXPECT_FALSE(gate.attempt_open());
    EXPECT_EQ(gate.intend(batch).error().code, ErrorCode::permission_denied);
    EXPECT_FALSE(gate.open_round(site.parameters, site.own()));
    ASSERT_TRUE(gate.publish());
  }
  const std::vector<std::string_view> written = types();
  const auto ended = std::find(written.begin(), written.end(), "roster.withdrawn");
  ASSERT_NE(ended, written.end());
  EXPECT_EQ(*(ended + 1), "round.close");
  egress::EgressGate gate = site.open().value();
  EXPECT_EQ(gate.attempts_closed().at(site.run), (federation::ledger::RoundKey{site.run, 1, 1}));
}

}  // namespace
}  // namespace fovea::node
