// Failure class: one site that costs the coordinator more than all others together.
#include <gtest/gtest.h>

#include "coordinator/io/site_load.h"

namespace fovea::coordinator::io {
namespace {

constexpr std::int64_t kReceipts = 100;
MonotonicMs at(std::int64_t ms) { return {ms}; }

TEST(RateLimit, ABurstAndThenOneInEachInterval) {
  federation::io::RateLimit limit({.burst = 3, .every_ms = 10});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.admit(at(1'000)));
  EXPECT_FALSE(limit.admit(at(1'000)));
  EXPECT_FALSE(limit.admit(at(1'009)));
  EXPECT_TRUE(limit.admit(at(1'010)));
  EXPECT_FALSE(limit.admit(at(1'010)));
  EXPECT_EQ(limit.refused(), 3U);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.admit(at(1'000'000)));  // never more than the burst
  EXPECT_FALSE(limit.admit(at(1'000'000)));
}

TEST(RateLimit, AskingTakesNothing) {
  federation::io::RateLimit limit({.burst = 1, .every_ms = 10});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.has_one(at(50)));
  EXPECT_TRUE(limit.admit(at(50)));
  EXPECT_FALSE(limit.has_one(at(59)));
  EXPECT_TRUE(limit.has_one(at(60)));
  EXPECT_EQ(limit.refused(), 0U);
}

TEST(RateLimit, AClockThatStandsStillEarnsNothing) {
  federation::io::RateLimit limit({.burst = 1, .every_ms = 10});
  EXPECT_TRUE(limit.admit(at(50)));
  EXPECT_FALSE(limit.admit(at(50)));
  EXPECT_FALSE(limit.admit(at(40)));
}

TEST(SiteLoad, AStreamOfHellosIsBounded) {
  SiteLoad load(kReceipts);
  int admitted = 0;
  for (int i = 0; i < 10'000; ++i) admitted += load.admit_hello(0, 7, at(i / 10)) ? 1 : 0;  // a second of them
  EXPECT_LE(admitted, kHelloRate.burst + 2);
  EXPECT_GE(admitted, kHelloRate.burst);
  EXPECT_TRUE(load.admit_hello(0, 7, at(60'000)));
}

TEST(SiteLoad, AHelloAboutASumAppliedIsFreeOnceForEachSum) {
  SiteLoad load(kReceipts);
  while (load.admit_hello(0, 500, at(0))) {
  }
  for (RoundNumber round = 1; round <= 500; ++round) EXPECT_TRUE(load.admit_hello(round, 500, at(0)));
  EXPECT_FALSE(load.admit_hello(499, 500, at(0)));
  EXPECT_FALSE(load.admit_hello(501, 500, at(0)));  // of a sum that there is not
}

TEST(SiteLoad, HellosThatLackTheSameSumCostOnePublication) {
  SiteLoad load(kReceipts);
  int sent = 0;
  for (int i = 0; i < 1'000; ++i) sent += load.admit_publication(3, at(i)) ? 1 : 0;
  EXPECT_EQ(sent, 1);
  EXPECT_TRUE(load.admit_publication(3, at(kSameSumEveryMs)));  // it was lost on the way
}

TEST(SiteLoad, ASiteThatCatchesUpIsSentEverySumAtOnce) {
  SiteLoad load(kReceipts);
  for (RoundNumber round = 0; round < 500; ++round) EXPECT_TRUE(load.admit_publication(round, at(0)));
}

TEST(SiteLoad, HellosThatJumpBackAndForthCostFewPublications) {
  SiteLoad load(kReceipts);
  for (RoundNumber round = 0; round < 10; ++round) EXPECT_TRUE(load.admit_publication(round, at(0)));
  int sent = 0;
  for (int i = 0; i < 10'000; ++i) sent += load.admit_publication(static_cast<RoundNumber>(i % 10), at(i)) ? 1 : 0;
  EXPECT_LE(sent, kRepeatedSumRate.burst + 10'000 / kRepeatedSumRate.every_ms);
}

TEST(SiteLoad, ReceiptsOfARoundAreBoundedAndTheNextRoundBeginsAnew) {
  SiteLoad load(kReceipts);
  int admitted = 0;
  for (int i = 0; i < 10'000; ++i) admitted += load.admit_receipt(1, at(0)) ? 1 : 0;
  EXPECT_EQ(admitted, kReceipts);
  EXPECT_TRUE(load.take_incident());
  EXPECT_FALSE(load.take_incident());
  EXPECT_FALSE(load.admit_receipt(1, at(0)));
  EXPECT_FALSE(load.take_incident());  // one a round
  EXPECT_TRUE(load.admit_receipt(2, at(0)));
  for (int i = 0; i < kReceipts; ++i) load.admit_receipt(2, at(0));
  EXPECT_TRUE(load.take_incident());
}

TEST(SiteLoad, WhatIsRefusedIsReportedOnceAMinute) {
  SiteLoad load(kReceipts);
  EXPECT_FALSE(load.due_report(at(0)).has_value());
  int reports = 0;
  std::uint64_t reported = 0;
  for (int i = 0; i < 120'000; ++i) {
    while (load.admit_faulty(at(i))) {
    }
    if (const auto count = load.due_report(at(i))) {
      ++reports;
      reported += *count;
    }
  }
  EXPECT_EQ(reports, 2);
  EXPECT_GT(reported, 50'000U);
}

TEST(SiteLoad, APlansLongestRoundFitsItsAllowance) {
  federation::membership::Plan plan;
  plan.stages.resize(2);
  plan.stages[1].local_steps = 400;
  constexpr std::size_t kChunks = 50;
  // Progress of every step, and the whole vector in each of five attempts.
  EXPECT_GE(receipts_of_round(plan, kChunks, 5), 400 + 5 * (50 + 5));
}

}  // namespace
}  // namespace fovea::coordinator::io
