// Failure class: whoever makes a site refuse without end fills its disk, or the refusals leave no trace.
#include <array>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "node/egress/egress_gate.h"

#include <gtest/gtest.h>

#include "tests/support/egress_site.h"
#include "tests/support/temporary_folder.h"

namespace fovea::node {
namespace {

using federation::ledger::Incident;

class RefusedEgress : public testing::Test {
 protected:
  void refuse(egress::EgressGate& gate, const Bytes& wire) {
    const ByteView view(wire);
    const auto refused = gate.intend(std::span(&view, 1));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
  }
  std::vector<Incident> incidents() const {
    std::vector<Incident> out;
    const auto ledger =
        federation::ledger::Ledger::open(test::ledger_options(site.folder, "test/" + site.site.text(), site.log_key),
                                         [&out](std::uint64_t, const federation::ledger::StampedEntry& entry) {
                                           if (const auto* found = std::get_if<Incident>(&entry.body))
                                             out.push_back(*found);
                                           return Result<void>();
                                         });
    EXPECT_TRUE(ledger) << ledger.error().message;
    return out;
  }

  test::TemporaryFolder folder;
  test::EgressSite site{folder.path()};
};

TEST_F(RefusedEgress, AMinuteOfRefusalsByOneRuleIsOneIncidentThatCounts) {
  {
    egress::EgressGate gate = site.open().value();
    for (int i = 0; i < 1'000; ++i) refuse(gate, Bytes{});
    EXPECT_EQ(gate.ledger().size(), 1U);
    refuse(gate, site.keys());  // by another rule
    EXPECT_EQ(gate.ledger().size(), 2U);
    site.clock.now.value += 59'999;
    refuse(gate, Bytes{});
    EXPECT_EQ(gate.ledger().size(), 2U);
    site.clock.now.value += 1;
    refuse(gate, Bytes{});
    EXPECT_EQ(gate.ledger().size(), 3U);
  }
  const std::vector<Incident> found = incidents();
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].rule, "kind");
  EXPECT_EQ(found[1].rule, "plan");
  EXPECT_EQ(found[2].rule, "kind");
  EXPECT_NE(found[2].detail.find("1000 more were refused by this rule"), std::string::npos) << found[2].detail;
}

// Not with those in between, which come every two seconds: it would be an entry each.
TEST_F(RefusedEgress, ThoseThatNoIncidentCountsYetAreWrittenWithTheLastCheckpoint) {
  {
    egress::EgressGate gate = site.open().value();
    for (int i = 0; i < 5; ++i) refuse(gate, Bytes{});
    ASSERT_TRUE(gate.checkpoint());
    EXPECT_EQ(gate.ledger().published_size(), 1U);
    ASSERT_TRUE(gate.publish());
    ASSERT_TRUE(gate.publish());
  }
  const std::vector<Incident> found = incidents();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[1].detail, "4 more were refused by this rule since the last entry about it");
}

}  // namespace
}  // namespace fovea::node
