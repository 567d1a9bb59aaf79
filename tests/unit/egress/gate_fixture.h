// A site's gate, and what its ledger holds.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "node/egress/egress_gate.h"
#include "tests/support/egress_site.h"
#include "tests/support/temporary_folder.h"

namespace fovea::node {

using federation::messages::MessageKind;
using test::EgressSite;

inline std::vector<federation::ledger::StampedEntry> entries_of(const EgressSite& site) {
  std::vector<federation::ledger::StampedEntry> out;
  const auto ledger =
      federation::ledger::Ledger::open(test::ledger_options(site.folder, "test/" + site.site.text(), site.log_key),
                                       [&out](std::uint64_t, const federation::ledger::StampedEntry& entry) {
                                         out.push_back(entry);
                                         return Result<void>();
                                       });
  EXPECT_TRUE(ledger) << ledger.error().message;
  return out;
}

template <class Entry>
std::vector<Entry> only(const std::vector<federation::ledger::StampedEntry>& entries) {
  std::vector<Entry> out;
  for (const auto& entry : entries)
    if (const auto* body = std::get_if<Entry>(&entry.body)) out.push_back(*body);
  return out;
}

inline Result<std::vector<egress::EgressTicket>> intend(egress::EgressGate& gate, std::initializer_list<Bytes> wires) {
  std::vector<ByteView> views;
  for (const Bytes& wire : wires) views.emplace_back(wire);
  return gate.intend(views);
}

class Gate : public testing::Test {
 protected:
  // That this batch is refused by this rule, durably recorded, and leaves nothing behind.
  void expect_refused(egress::EgressGate& gate, std::initializer_list<Bytes> wires, const std::string& rule) {
    const std::uint64_t before = gate.ledger().size();
    const std::uint64_t spent = gate.run_bytes_spent(site.run);
    site.clock.now.value += 60'000;  // of refusals by one rule, one a minute is recorded
    const auto refused = intend(gate, wires);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
    EXPECT_EQ(refused.error().message.rfind("egress refused by rule " + rule + ":", 0), 0U) << refused.error().message;
    EXPECT_EQ(gate.ledger().size(), before + 1);  // the incident
    EXPECT_EQ(gate.run_bytes_spent(site.run), spent);
    EXPECT_TRUE(gate.unconfirmed().empty());
  }

  std::vector<federation::ledger::StampedEntry> entries_after_close(egress::EgressGate gate) {
    { const egress::EgressGate closed = std::move(gate); }
    return entries_of(site);
  }

  federation::membership::SignedDocument approved_at(std::int64_t later_ms) const {
    return site.approval(federation::membership::ApprovalDecision::approved, UnixMs{test::kTestTime.value + later_ms});
  }

  test::TemporaryFolder folder;
  EgressSite site{folder.path()};
};

}  // namespace fovea::node
