// Failure class: signed documents that were forged, changed, spliced or kept too long.
#include <gtest/gtest.h>

#include "crypto/signature.h"
#include "federation/membership/approval.h"
#include "federation/membership/invite.h"
#include "federation/membership/join_request.h"
#include "federation/membership/roster.h"

namespace fovea::federation {
namespace {

class DocumentsTest : public ::testing::Test {
 protected:
  crypto::SigningKey new_key() { return crypto::SigningKey::create(random_); }
  RosterSite new_site(std::string_view name) {
    return {SiteId::create(name).value(), new_key().verify_key(), new_key().verify_key(), new_key().verify_key(),
            new_key().verify_key()};
  }
  Roster new_roster(std::vector<RosterSite> sites) {
    Roster out;
    out.federation = "test";
    out.epoch = 3;
    out.valid_from = UnixMs{1'000};
    out.valid_until = UnixMs{1'000 + kRosterValidityMaxMs};
    out.coordinator_signing_key = new_key().verify_key();
    out.sites = std::move(sites);
    return out;
  }
  SignedDocument sign_roster(const Roster& roster, const std::vector<const crypto::SigningKey*>& keys) {
    SignedDocument out{"roster", roster.document().value(), {}};
    for (const auto* key : keys) EXPECT_TRUE(out.sign(*key).has_value());
    return out;
  }

  crypto::SystemRandom random_;
  crypto::SigningKey administrator_ = crypto::SigningKey::create(random_);
  crypto::SigningKey second_ = crypto::SigningKey::create(random_);
  const UnixMs now_{2'000};
};

TEST_F(DocumentsTest, ARosterSurvivesItsFileAndKeepsItsHash) {
  const Roster roster = new_roster({new_site("anna"), new_site("berta")});
  const SignedDocument document = sign_roster(roster, {&administrator_});
  const SignedDocument again = SignedDocument::parse(document.serialize()).value();
  const Roster verified = verify_roster(again, {"test", {administrator_.verify_key()}, 1}, now_).value();
  EXPECT_EQ(verified.sites.size(), 2U);
  EXPECT_EQ(verified.index_of(SiteId::create("berta").value()), 1);
  EXPECT_EQ(verified.find_transport_key(roster.sites[0].transport_key)->id.text(), "anna");
  EXPECT_EQ(again.serialize(), document.serialize());
}

TEST_F(DocumentsTest, EveryAdministratorMustHaveSignedARoster) {
  const RosterTrust both{"test", {administrator_.verify_key(), second_.verify_key()}, 1};
  const Roster roster = new_roster({new_site("anna")});
  EXPECT_EQ(verify_roster(sign_roster(roster, {&administrator_}), both, now_).error().code,
            ErrorCode::permission_denied);
  EXPECT_TRUE(verify_roster(sign_roster(roster, {&administrator_, &second_}), both, now_));
  // One key named twice is one administrator.
  const RosterTrust doubled{"test", {administrator_.verify_key(), administrator_.verify_key()}, 1};
  EXPECT_FALSE(verify_roster(sign_roster(roster, {&administrator_}), doubled, now_));
  const RosterTrust nobody{"test", {}, 1};
  EXPECT_FALSE(verify_roster(sign_roster(roster, {&administrator_}), nobody, now_));
}

TEST_F(DocumentsTest, AChangedRosterIsRefused) {
  SignedDocument document = sign_roster(new_roster({new_site("anna")}), {&administrator_});
  document.document[document.document.find("anna")] = 'b';
  EXPECT_EQ(verify_roster(document, {"test", {administrator_.verify_key()}, 1}, now_).error().code,
            ErrorCode::corruption);
}

TEST_F(DocumentsTest, ARosterOutOfItsTimeEpochOrFederationIsRefused) {
  const SignedDocument document = sign_roster(new_roster({new_site("anna")}), {&administrator_});
  const std::vector<PublicKeyBytes> keys = {administrator_.verify_key()};
  EXPECT_EQ(verify_roster(document, {"test", keys, 4}, now_).error().code, ErrorCode::permission_denied);
  EXPECT_EQ(verify_roster(document, {"other", keys, 1}, now_).error().code, ErrorCode::permission_denied);
  EXPECT_EQ(verify_roster(document, {"test", keys, 1}, UnixMs{999}).error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(verify_roster(document, {"test", keys, 1}, UnixMs{1'001 + kRosterValidityMaxMs}).error().code,
            ErrorCode::deadline_exceeded);
}

TEST_F(DocumentsTest, ARosterOutOfOrderWithAReusedKeyOrValidTooLongIsRefused) {
  EXPECT_FALSE(new_roster({new_site("berta"), new_site("anna")}).document());
  const RosterSite anna = new_site("anna");
  RosterSite twin = new_site("berta");
  twin.transport_key = anna.transport_key;
  EXPECT_FALSE(new_roster({anna, twin}).document());
  Roster long_lived = new_roster({anna});
  long_lived.valid_until.value += 1;
  EXPECT_FALSE(long_lived.document());
}

TEST_F(DocumentsTest, ADocumentOfAnotherKindDoesNotPass) {
  SignedDocument document = sign_roster(new_roster({new_site("anna")}), {&administrator_});
  document.kind = "invite";
  EXPECT_EQ(verify_roster(document, {"test", {administrator_.verify_key()}, 1}, now_).error().code,
            ErrorCode::permission_denied);
  document.kind = "roster";
  SignedDocument relabelled = document;
  relabelled.kind = "approval";
  const PublicKeyBytes keys[] = {administrator_.verify_key()};
  EXPECT_EQ(relabelled.count_valid("approval", keys).error().code, ErrorCode::corruption);
}

TEST_F(DocumentsTest, AnInviteIsSignedByOneItNames) {
  const Invite invite{
      "test", "tcp://127.0.0.1:7443", new_key().verify_key(), new_key().verify_key(), {administrator_.verify_key()}};
  SignedDocument document{"invite", invite.document().value(), {}};
  ASSERT_TRUE(document.sign(second_).has_value());
  EXPECT_EQ(verify_invite(document).error().code, ErrorCode::permission_denied);
  ASSERT_TRUE(document.sign(administrator_).has_value());
  EXPECT_EQ(verify_invite(document).value().endpoint, "tcp://127.0.0.1:7443");
  Invite nowhere = invite;
  nowhere.endpoint = "http://example.org";
  EXPECT_FALSE(nowhere.document());
}

TEST_F(DocumentsTest, AJoinRequestIsSignedWithTheKeyItAsksFor) {
  const crypto::SigningKey identity = new_key();
  RosterSite site = new_site("anna");
  site.identity_key = identity.verify_key();
  SignedDocument document{"join-request", JoinRequest{"test", site, now_}.document().value(), {}};
  ASSERT_TRUE(document.sign(second_).has_value());
  EXPECT_EQ(verify_join_request(document).error().code, ErrorCode::permission_denied);
  ASSERT_TRUE(document.sign(identity).has_value());
  EXPECT_EQ(verify_join_request(document).value().site.id.text(), "anna");
}

TEST_F(DocumentsTest, AnApprovalCountsUnderTheApproversKeyOnly) {
  Approval approval{.site = SiteId::create("anna").value()};
  approval.decision = ApprovalDecision::approved;
  approval.approver = "Dr. Müller";
  SignedDocument document{"approval", approval.document().value(), {}};
  ASSERT_TRUE(document.sign(administrator_).has_value());
  EXPECT_EQ(verify_approval(document, administrator_.verify_key()).value().approver, "Dr. Müller");
  EXPECT_EQ(verify_approval(document, second_.verify_key()).error().code, ErrorCode::permission_denied);
}

TEST_F(DocumentsTest, FederationNamesFitTheLedgersOrigin) {
  for (const std::string_view name : {"lesions 2026", "a+b", "", "a/b"}) {
    Roster roster = new_roster({});
    roster.federation = name;
    EXPECT_FALSE(roster.document()) << name;
  }
}

}  // namespace
}  // namespace fovea::federation
