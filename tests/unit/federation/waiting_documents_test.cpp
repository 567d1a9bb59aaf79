// Failure class: several administrators sign copies of one document, and their signatures never come together, or are
// lost under another document; a roster that has run out takes the place of a valid one; a person is told too late.
#include <fstream>

#include "common/durable_file.h"
#include "coordinator/registry/next_steps.h"
#include "tests/unit/federation/founding_fixture.h"

namespace fovea::federation {
namespace {

using coordinator::registry::CoordinatorConfig;
using coordinator::registry::TakenFounding;
using coordinator::registry::Waiting;
using membership::Roster;

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kDayMs = 24 * kHourMs;

class WaitingDocuments : public FoundingTest {
 protected:
  static SignedDocument signed_by(SignedDocument document, const std::vector<const crypto::SigningKey*>& keys) {
    for (const auto* key : keys) EXPECT_TRUE(document.sign(*key));
    return document;
  }
  SignedDocument waiting_founding() const { return files::read_signed_document(coordinator().founding_file()).value(); }
  // A roster of the next epoch that nobody has signed.
  SignedDocument unsigned_roster(UnixMs now = kNow) {
    Roster roster;
    roster.federation = "test";
    roster.epoch = 1;
    roster.valid_from = now;
    roster.valid_until = UnixMs{now.value + kDayMs};
    roster.coordinator_signing_key = coordinator().federation()->coordinator_signing_key;
    roster.sites = {new_site("berta")};
    return {"roster", roster.document().value(), {}};
  }
};

TEST_F(WaitingDocuments, CopiesThatAdministratorsSignedApartFoundTheFederationTogether) {
  const SignedDocument blank = begin(coordinator(), {&anna_, &ben_, &cleo_}, 2);
  const TakenFounding first = coordinator().take_founding(signed_by(blank, {&anna_})).value();
  EXPECT_FALSE(first.in_force);
  EXPECT_EQ(first.signatures, 1U);
  // The same copy again brings nothing, and is no success.
  EXPECT_EQ(coordinator().take_founding(signed_by(blank, {&anna_})).error().code, ErrorCode::permission_denied);
  EXPECT_EQ(coordinator().take_founding(signed_by(blank, {&ben_}))->signatures, 2U);
  EXPECT_FALSE(coordinator().federation());
  const TakenFounding last = coordinator().take_founding(signed_by(blank, {&cleo_})).value();
  EXPECT_TRUE(last.in_force);
  EXPECT_FALSE(last.before);
  EXPECT_EQ(coordinator().federation()->quorum, 2U);
}

TEST_F(WaitingDocuments, TwoAdministratorsWhoEachSignTheirOwnCopyAreEnough) {
  const SignedDocument blank = begin(coordinator(), {&anna_, &ben_}, 2);
  EXPECT_FALSE(coordinator().take_founding(signed_by(blank, {&ben_}))->in_force);
  EXPECT_TRUE(coordinator().take_founding(signed_by(blank, {&anna_}))->in_force);
}

TEST_F(WaitingDocuments, NobodyElsesSignatureIsMergedNorOneUnderAnotherDocument) {
  const SignedDocument blank = begin(coordinator(), {&anna_, &ben_}, 2);
  const crypto::SigningKey stranger = new_key();
  EXPECT_EQ(coordinator().take_founding(signed_by(blank, {&stranger})).error().code, ErrorCode::permission_denied);
  EXPECT_TRUE(waiting_founding().signatures.empty());
  // Ben's signature under another document, put beside this one's text.
  const SignedDocument other = begin(coordinator("another"), {&anna_, &ben_}, 1);
  SignedDocument forged = blank;
  forged.signatures = signed_by(other, {&ben_}).signatures;
  EXPECT_EQ(coordinator().take_founding(forged).error().code, ErrorCode::corruption);
  EXPECT_EQ(coordinator().take_founding(signed_by(other, {&ben_})).error().code, ErrorCode::permission_denied);
  EXPECT_TRUE(waiting_founding().signatures.empty());
  // Eight strangers take no place away from those who count.
  SignedDocument crowded = signed_by(blank, {&anna_});
  for (std::size_t i = 0; i + 1 < membership::kDocumentSignaturesMax; ++i) ASSERT_TRUE(crowded.sign(new_key()));
  EXPECT_EQ(coordinator().take_founding(crowded)->signatures, 1U);
  EXPECT_EQ(waiting_founding().signatures.size(), 1U);
  EXPECT_TRUE(coordinator().take_founding(signed_by(blank, {&ben_}))->in_force);
}

TEST_F(WaitingDocuments, AnAmendmentIsCalledSoAndNamesWhatItReplaced) {
  const SignedDocument first = founded(coordinator(), {&anna_}, 1);
  Invite facts = coordinator().federation().value();
  EXPECT_EQ(coordinator().amend(facts).error().code, ErrorCode::failed_precondition);  // nothing would change
  EXPECT_FALSE(std::filesystem::exists(coordinator().founding_file()));
  facts.endpoint = "tcp://127.0.0.1:7444";
  ASSERT_TRUE(coordinator().amend(facts));
  const SignedDocument second = signed_by(waiting_founding(), {&anna_});
  const TakenFounding taken = coordinator().take_founding(second).value();
  ASSERT_TRUE(taken.before);
  EXPECT_EQ(membership::differences(*taken.before, taken.facts),
            std::vector<std::string>{"endpoint: tcp://127.0.0.1:7443 becomes tcp://127.0.0.1:7444"});
  SignedDocument once_more = second;
  once_more.signatures.clear();  // whoever has signed this copy: the document is in force
  const TakenFounding again = coordinator().take_founding(once_more).value();
  EXPECT_FALSE(again.before);
  EXPECT_TRUE(again.was_in_force);
  const auto old = coordinator().take_founding(first);
  EXPECT_NE(old.error().message.find("was replaced"), std::string::npos) << old.error().message;
}

TEST_F(WaitingDocuments, AnAmendmentThatWaitsIsWrittenOverByNameOnly) {
  founded(coordinator(), {&anna_}, 1);
  Invite facts = coordinator().federation().value();
  facts.endpoint = "tcp://127.0.0.1:7444";
  const Invite waiting = coordinator().amend(facts).value();
  facts.endpoint = "tcp://127.0.0.1:7445";
  const auto refused = coordinator().amend(facts);
  ASSERT_FALSE(refused);
  for (const std::string& part : {waiting.fingerprint(), std::string("founding.json"), std::string("--replace")})
    EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
  EXPECT_EQ(Invite::parse(waiting_founding().document)->hash, waiting.hash);
  EXPECT_TRUE(coordinator().amend(facts, Waiting::replace));
  EXPECT_EQ(Invite::parse(waiting_founding().document)->endpoint, facts.endpoint);
}

TEST_F(WaitingDocuments, CopiesOfARosterThatAdministratorsSignedApartComeIntoForceTogether) {
  founded(coordinator(), {&anna_, &ben_, &cleo_}, 3);
  const SignedDocument blank = unsigned_roster();
  EXPECT_FALSE(coordinator().take_roster(signed_by(blank, {&anna_, &ben_}), kNow)->in_force);
  const auto half = coordinator().take_roster(signed_by(blank, {&anna_}), kNow);
  EXPECT_EQ(half->signatures, 2U);  // what was there stays
  const auto whole = coordinator().take_roster(signed_by(blank, {&anna_, &cleo_}), kNow);
  EXPECT_TRUE(whole->in_force);
  EXPECT_EQ(whole->signatures, 3U);
  EXPECT_TRUE(coordinator().roster(kNow));
  EXPECT_FALSE(std::filesystem::exists(coordinator().next_roster_file()));
}

TEST_F(WaitingDocuments, TwoAdministratorsWhoEachSignTheirOwnCopyOfARosterAreEnough) {
  founded(coordinator(), {&anna_, &ben_}, 2);
  const SignedDocument blank = unsigned_roster();
  EXPECT_FALSE(coordinator().take_roster(signed_by(blank, {&anna_}), kNow)->in_force);
  const crypto::SigningKey stranger = new_key();
  EXPECT_FALSE(coordinator().take_roster(signed_by(blank, {&stranger}), kNow));
  EXPECT_TRUE(coordinator().take_roster(signed_by(blank, {&ben_}), kNow)->in_force);
}

TEST_F(WaitingDocuments, ARosterThatWaitsIsWrittenOverByNameOnly) {
  founded(coordinator(), {&anna_, &ben_}, 2);
  ASSERT_FALSE(coordinator().sign_next({{new_site("berta")}, {}}, anna_, kNow)->in_force);
  const SignedDocument waiting = coordinator().waiting_roster().value();
  // Ben signs a roster of his own instead of Anna's: neither would ever have two signatures.
  const auto refused = coordinator().sign_next({{new_site("clara")}, {}}, ben_, kNow);
  ASSERT_FALSE(refused);
  for (const char* part : {"roster-next.json", "cosign", "--replace"})
    EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
  const SignedDocument other = signed_by(unsigned_roster(), {&ben_});
  EXPECT_EQ(coordinator().take_roster(other, kNow).error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(coordinator().waiting_roster()->document, waiting.document);
  EXPECT_FALSE(coordinator().take_roster(other, kNow, Waiting::replace)->in_force);
  EXPECT_EQ(coordinator().waiting_roster()->document, other.document);
  ASSERT_TRUE(coordinator().sign_next({{new_site("clara")}, {}, Waiting::replace}, ben_, kNow));
  // One that is complete needs nobody's leave, and one that waited for the epoch before is nothing to keep.
  const SignedDocument whole = signed_by(unsigned_roster(), {&anna_, &ben_});
  ASSERT_TRUE(coordinator().take_roster(whole, kNow)->in_force);
  ASSERT_TRUE(write_file_durably(coordinator().next_roster_file(), other.serialize()));
  EXPECT_TRUE(coordinator().sign_next({}, anna_, kNow));
}

TEST_F(WaitingDocuments, ARosterThatIsNotValidNowReplacesNone) {
  founded(coordinator(), {&anna_}, 1);
  ASSERT_TRUE(coordinator().sign_next({{new_site("berta")}, {}}, anna_, kNow)->in_force);
  const Roster before = coordinator().newest_roster().value();
  for (const std::int64_t days : {-2, 2}) {
    Roster next = before;
    next.epoch = 2;
    next.valid_from = UnixMs{kNow.value + days * kDayMs};
    next.valid_until = UnixMs{next.valid_from.value + kDayMs};
    const auto refused = coordinator().take_roster(signed_by({"roster", next.document().value(), {}}, {&anna_}), kNow);
    ASSERT_FALSE(refused) << days;
    EXPECT_EQ(refused.error().code, ErrorCode::deadline_exceeded);
    for (const std::string& part : {utc_text(days < 0 ? next.valid_until : next.valid_from),
                                    "The roster of epoch 1, valid until " + utc_text(before.valid_until) + ", stays"})
      EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
    EXPECT_EQ(coordinator().newest_roster()->hash, before.hash);
  }
}

TEST_F(WaitingDocuments, ARosterThatRanOutWhileItWaitedIsNotCosigned) {
  founded(coordinator(), {&anna_, &ben_}, 2);
  ASSERT_FALSE(coordinator().sign_next({{new_site("berta")}, {}}, anna_, kNow)->in_force);
  EXPECT_EQ(coordinator().cosign(ben_, UnixMs{kNow.value + 8 * kDayMs}).error().code, ErrorCode::deadline_exceeded);
  EXPECT_FALSE(coordinator().roster_document());
  // And hinders no other one.
  EXPECT_TRUE(coordinator().sign_next({{new_site("clara")}, {}}, ben_, UnixMs{kNow.value + 8 * kDayMs}));
}

Roster roster_of(std::int64_t days) {
  Roster out;
  out.epoch = 4;
  out.valid_from = kNow;
  out.valid_until = UnixMs{kNow.value + days * kDayMs};
  return out;
}

TEST(NextSteps, APersonIsWarnedADayATenthAndAnHourBeforeARosterRunsOut) {
  const Roster roster = roster_of(7);
  const auto due = [&](std::int64_t left_ms) {
    return coordinator::registry::warnings_due(roster, UnixMs{roster.valid_until.value - left_ms});
  };
  EXPECT_EQ(due(7 * kDayMs), 0U);
  EXPECT_EQ(due(kDayMs), 0U);
  EXPECT_EQ(due(kDayMs - 1), 1U);
  EXPECT_EQ(due(7 * kDayMs / 10), 1U);
  EXPECT_EQ(due(7 * kDayMs / 10 - 1), 2U);
  EXPECT_EQ(due(kHourMs - 1), 3U);
}

TEST(NextSteps, WhatIsToBeDoneNamesTheTimeAndAsManySignaturesAsTheFederationAsksFor) {
  const Roster roster = roster_of(1);
  Invite facts;
  facts.quorum = 1;
  EXPECT_EQ(coordinator::registry::why_not_valid(roster, facts, kNow), "");
  const std::string alone = coordinator::registry::why_not_valid(roster, facts, UnixMs{kNow.value + 2 * kDayMs});
  for (const std::string& part : {std::string("epoch 4 ran out at "), utc_text(roster.valid_until),
                                  std::string("fovea-coordinator sign --renew --key KEYFILE")})
    EXPECT_NE(alone.find(part), std::string::npos) << alone;
  EXPECT_EQ(alone.find("cosign"), std::string::npos) << alone;
  facts.quorum = 3;
  const std::string three = coordinator::registry::why_not_valid(roster, facts, UnixMs{kNow.value + 2 * kDayMs});
  EXPECT_NE(three.find("2 more administrators must sign: fovea-coordinator cosign"), std::string::npos) << three;
  const std::string early = coordinator::registry::why_not_valid(roster, facts, UnixMs{kNow.value - kDayMs});
  EXPECT_NE(early.find("check this machine's clock"), std::string::npos) << early;
}

TEST(NextSteps, AnEndpointThatTheSettingsDoNotServeIsNamed) {
  Invite facts;
  CoordinatorConfig config;
  const auto warning = [&](const std::string& endpoint, const std::string& host, std::uint16_t port) {
    facts.endpoint = endpoint;
    config.listen_host = host;
    config.listen_port = port;
    return coordinator::registry::endpoint_warning(facts, config);
  };
  EXPECT_EQ(warning("tcp://fovea.example.org:7443", "0.0.0.0", 7443), "");
  EXPECT_EQ(warning("tcp://127.0.0.1:7443", "127.0.0.1", 7443), "");
  EXPECT_EQ(warning("tcp://[2001:db8::1]:7443", "10.0.0.5", 7443), "");  // another address may be a router's
  const std::string port = warning("tcp://fovea.example.org:7444", "0.0.0.0", 7443);
  for (const char* part : {"tcp://fovea.example.org:7444", "port 7443", "port = 7444"})
    EXPECT_NE(port.find(part), std::string::npos) << port;
  EXPECT_NE(warning("tcp://fovea.example.org:7443", "127.0.0.1", 7443).find("0.0.0.0"), std::string::npos);
}

}  // namespace
}  // namespace fovea::federation
