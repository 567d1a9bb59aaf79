// Failure class: a byte leaves a site that the ledger does not know of.
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "federation/ledger/journal.h"
#include "federation/messages/beacon_messages.h"
#include "tests/support/full_disk.h"
#include "tests/unit/egress/gate_fixture.h"

namespace fovea::node {
namespace {

TEST_F(Gate, TheMessagesOfARoundLeaveAndAreRecorded) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
    const Bytes hello = site.hello(), ready = site.ready(), keys = site.keys(),
                chunk = site.chunk(site.masked_words(2000));
    const auto tickets = intend(gate, {hello, ready, keys, chunk}).value();
    ASSERT_EQ(tickets.size(), 4U);
    EXPECT_EQ(gate.unconfirmed().size(), 4U);
    EXPECT_EQ(gate.run_bytes_spent(site.run), ready.size() + keys.size() + chunk.size());
    ASSERT_TRUE(gate.sent(tickets));
    EXPECT_TRUE(gate.unconfirmed().empty());
    ASSERT_TRUE(
        gate.close_round({.key = {site.run, 1, 1}, .outcome = "applied", .model = test::filled(0x56), .cohort = 4}));
    ASSERT_TRUE(gate.publish());
  }
  const auto entries = entries_of(site);
  const auto intents = only<federation::ledger::EgressIntent>(entries);
  ASSERT_EQ(intents.size(), 4U);
  EXPECT_EQ(intents[0].kind, "hello");
  EXPECT_FALSE(intents[0].binding);
  EXPECT_FALSE(intents[0].previous);
  EXPECT_EQ(intents[3].kind, "masked-chunk");
  EXPECT_EQ(intents[3].payload, crypto::sha256(site.chunk(site.masked_words(2000))));
  EXPECT_EQ(intents[3].body, federation::messages::hash_payload(federation::messages::encode_chunk(
                                 site.parameters.ref(), 0, site.masked_words(2000))));
  EXPECT_EQ(intents[3].checks,
            (std::vector<std::string>{"kind", "length", "plan", "model", "uniform", "cohort", "budget"}));
  EXPECT_EQ(intents[3].binding->clip, "0.05");
  EXPECT_EQ(intents[3].binding->weights, "equal");
  EXPECT_EQ(intents[3].binding->noise, "none");
  EXPECT_EQ(intents[3].previous, 5U);
  EXPECT_EQ(intents[3].bytes_spent + intents[3].bytes_left, site.run_bytes_max);
  const auto sent = only<federation::ledger::EgressSent>(entries);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].first, 3U);
  EXPECT_EQ(sent[0].count, 4U);
  EXPECT_EQ(only<federation::ledger::RoundClose>(entries).size(), 1U);
}

TEST_F(Gate, AcceptancesAreDurableOnceAndOnlyByTheApprover) {
  const auto berta = site.other_site("berta", 0x10), clara = site.other_site("clara", 0x20);
  const Digest entry = federation::membership::entry_digest(berta);
  {
    egress::EgressGate gate = site.open().value();
    EgressSite elsewhere = EgressSite(folder.path() / "elsewhere");
    elsewhere.site = SiteId::create("elsewhere").value();
    EgressSite stranger = EgressSite(folder.path() / "stranger");
    stranger.approver = test::signing_key(77);
    for (const EgressSite* forger : {&elsewhere, &stranger}) {
      // None of a batch with a bad one is taken.
      const federation::membership::SignedDocument batch[] = {site.acceptance(clara), forger->acceptance(berta)};
      EXPECT_EQ(gate.decide_sites(batch).error().code, ErrorCode::permission_denied);
    }
    EXPECT_TRUE(gate.acquainted().empty());
    const federation::membership::SignedDocument batch[] = {site.acceptance(berta), site.acceptance(berta)};
    ASSERT_TRUE(gate.decide_sites(batch));
    ASSERT_TRUE(gate.decide_sites(batch));
    EXPECT_EQ(gate.acquainted(), std::set<Digest>{entry});
  }
  EXPECT_EQ(only<federation::ledger::RosterAccepted>(entries_of(site)).size(), 1U);
  EXPECT_EQ(site.open().value().acquainted(), std::set<Digest>{entry});
  site.approver = test::signing_key(78);  // a site with new keys: what the old approver accepted does not count
  EXPECT_TRUE(site.open().value().acquainted().empty());
}

// In the complete graph a release names every site of the sum.
TEST_F(Gate, SharesForASumBelowThePolicysLeastCohortDoNotLeave) {
  site.cohort_min = 4;
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  expect_refused(gate, {site.unmask_shares(3, 1)}, "cohort");
  expect_refused(gate, {site.unmask_shares(3)}, "cohort");
  EXPECT_TRUE(intend(gate, {site.unmask_shares(4)}));
}

TEST_F(Gate, MakesTheIntentDurableBeforeItAnswers) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  ASSERT_TRUE(intend(gate, {site.keys()}));
  // What another process would find after a crash at this point.
  const auto journal = federation::ledger::read_ledger_journal(folder.path() / "journal").value();
  ASSERT_FALSE(journal.entries.empty());
  EXPECT_NE(journal.entries.back().entry.find("\"egress.intent\""), std::string::npos);
  EXPECT_EQ(journal.torn_bytes, 0U);
}

// A record says how much of the journal had been synced when it was written. The confirmation is written after the
// bytes went out: if the intent had not been synced before, a damaged intent would pass for a torn last write.
TEST_F(Gate, SyncsTheIntentBeforeItAnswers) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
    ASSERT_TRUE(gate.sent(intend(gate, {site.keys()}).value()));
  }
  test::flip_byte(folder.path() / "journal", test::slurp(folder.path() / "journal").find("egress.intent"));
  const auto opened = site.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corruption);
}

TEST_F(Gate, SyncsTheRecordOfARefusal) {
  {
    egress::EgressGate gate = site.open().value();
    expect_refused(gate, {Bytes{}}, "kind");
    ASSERT_TRUE(gate.record(federation::ledger::Incident{"later", ""}));
  }
  test::flip_byte(folder.path() / "journal", test::slurp(folder.path() / "journal").find("incident"));
  const auto opened = site.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corruption);
}

TEST_F(Gate, ACrashBetweenIntentAndSendIsRememberedAndCounted) {
  std::uint64_t spent = 0;
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
    ASSERT_TRUE(intend(gate, {site.keys(), site.chunk(site.masked_words(2000))}));
    spent = gate.run_bytes_spent(site.run);
  }
  egress::EgressGate gate = site.open().value();
  EXPECT_EQ(gate.unconfirmed().size(), 2U);
  EXPECT_EQ(gate.run_bytes_spent(site.run), spent);
  EXPECT_TRUE(gate.plan_approved(site.plan.hash));
  // Byte-identical data may go again, under a new intent; the run and the round must be opened anew first.
  EXPECT_EQ(intend(gate, {site.keys()}).error().code, ErrorCode::permission_denied);
  ASSERT_TRUE(gate.pin_roster(site.roster));
  ASSERT_TRUE(gate.open_run(site.run, site.plan, site.model));
  ASSERT_TRUE(gate.open_round(site.parameters, site.own()));
  EXPECT_TRUE(intend(gate, {site.keys()}));
  EXPECT_GT(gate.run_bytes_spent(site.run), spent);
}

TEST_F(Gate, GivesNoTicketWhenTheIntentCannotBeWritten) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
    ASSERT_TRUE(gate.sent(intend(gate, {site.keys()}).value()));
    {
      const test::FullDisk full(test::slurp(folder.path() / "journal").size() + 10);
      const auto refused = intend(gate, {site.keys()});
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
    }
    EXPECT_FALSE(intend(gate, {site.keys()}));  // not before a new start
    EXPECT_TRUE(gate.unconfirmed().empty());
  }
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  EXPECT_TRUE(intend(gate, {site.keys()}));
}

TEST_F(Gate, ATornTailIsRecordedAsAnIncident) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
    ASSERT_TRUE(intend(gate, {site.keys()}));
  }
  test::spill(folder.path() / "journal", test::slurp(folder.path() / "journal") + "FVJ2 torn");
  { EXPECT_TRUE(site.open()); }
  const auto incidents = only<federation::ledger::Incident>(entries_of(site));
  ASSERT_EQ(incidents.size(), 1U);
  EXPECT_EQ(incidents[0].rule, "torn-tail");
}

// --- batches and confirmations ---

TEST_F(Gate, OneBadMessageHoldsBackItsBatch) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  expect_refused(gate, {site.keys(), site.chunk(std::vector<std::uint32_t>(2000, 1))}, "uniform");
}

TEST_F(Gate, ConfirmsEachIntentOnce) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  const auto tickets = intend(gate, {site.keys(), site.keys(), site.keys()}).value();
  const std::vector<egress::EgressTicket> apart{tickets[0], tickets[2]};
  ASSERT_TRUE(gate.sent(apart));
  EXPECT_FALSE(gate.sent(apart));
  const std::vector<egress::EgressTicket> twice{tickets[1], tickets[1]};
  EXPECT_FALSE(gate.sent(twice));
  const std::vector<egress::EgressTicket> unknown{{9'999}};
  EXPECT_FALSE(gate.sent(unknown));
  EXPECT_EQ(gate.unconfirmed().size(), 1U);
}

TEST_F(Gate, KeepsItsOwnEntryTypesToItself) {
  egress::EgressGate gate = site.open().value();
  EXPECT_TRUE(gate.record(federation::ledger::InputSealed{{site.run, 1, 1}, test::filled(1)}));
  EXPECT_TRUE(gate.record(federation::ledger::Incident{"disk", "nearly full"}));
  EXPECT_FALSE(gate.record(federation::ledger::PlanApproved{site.plan.hash, site.approver.verify_key(), {1}}));
  EXPECT_FALSE(gate.record(federation::ledger::EgressSent{0, 1}));
  EXPECT_FALSE(gate.record(federation::ledger::RoundOpen{}));
}

}  // namespace
}  // namespace fovea::node
