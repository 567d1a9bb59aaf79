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
  membership::RosterSite new_site(std::string_view name) {
    return {SiteId::create(name).value(), new_key().verify_key(), new_key().verify_key(), new_key().verify_key(),
            new_key().verify_key()};
  }
  membership::Roster new_roster(std::vector<membership::RosterSite> sites) {
    membership::Roster out;
    out.federation = "test";
    out.epoch = 3;
    out.valid_from = UnixMs{1'000};
    out.valid_until = UnixMs{1'000 + membership::kRosterValidityMaxMs};
    out.coordinator_signing_key = new_key().verify_key();
    out.sites = std::move(sites);
    return out;
  }
  membership::SignedDocument sign_roster(const membership::Roster& roster,
                                         const std::vector<const crypto::SigningKey*>& keys) {
    membership::SignedDocument out{"roster", roster.document().value(), {}};
    for (const auto* key : keys) EXPECT_TRUE(out.sign(*key).has_value());
    return out;
  }

  crypto::SystemRandom random_;
  crypto::SigningKey administrator_ = crypto::SigningKey::create(random_);
  crypto::SigningKey second_ = crypto::SigningKey::create(random_);
  const UnixMs now_{2'000};
};

TEST_F(DocumentsTest, ARosterSurvivesItsFileAndKeepsItsHash) {
  const membership::Roster roster = new_roster({new_site("anna"), new_site("berta")});
  const membership::SignedDocument document = sign_roster(roster, {&administrator_});
  const membership::SignedDocument again = membership::SignedDocument::parse(document.serialize()).value();
  const membership::Roster verified =
      membership::verify_roster(again, {"test", {administrator_.verify_key()}, 1}, now_).value();
  EXPECT_EQ(verified.sites.size(), 2U);
  EXPECT_EQ(verified.index_of(SiteId::create("berta").value()), 1);
  EXPECT_EQ(verified.find_transport_key(roster.sites[0].transport_key)->id.text(), "anna");
  EXPECT_EQ(again.serialize(), document.serialize());
}

TEST_F(DocumentsTest, EveryAdministratorMustHaveSignedARoster) {
  const membership::RosterTrust both{"test", {administrator_.verify_key(), second_.verify_key()}, 1};
  const membership::Roster roster = new_roster({new_site("anna")});
  EXPECT_EQ(membership::verify_roster(sign_roster(roster, {&administrator_}), both, now_).error().code,
            ErrorCode::permission_denied);
  EXPECT_TRUE(membership::verify_roster(sign_roster(roster, {&administrator_, &second_}), both, now_));
  // One key named twice is one administrator.
  const membership::RosterTrust doubled{"test", {administrator_.verify_key(), administrator_.verify_key()}, 1};
  EXPECT_FALSE(membership::verify_roster(sign_roster(roster, {&administrator_}), doubled, now_));
  const membership::RosterTrust nobody{"test", {}, 1};
  EXPECT_FALSE(membership::verify_roster(sign_roster(roster, {&administrator_}), nobody, now_));
}

TEST_F(DocumentsTest, AChangedRosterIsRefused) {
  membership::SignedDocument document = sign_roster(new_roster({new_site("anna")}), {&administrator_});
  document.document[document.document.find("anna")] = 'b';
  EXPECT_EQ(membership::verify_roster(document, {"test", {administrator_.verify_key()}, 1}, now_).error().code,
            ErrorCode::corruption);
}

TEST_F(DocumentsTest, ARosterOutOfItsTimeEpochOrFederationIsRefused) {
  const membership::SignedDocument document = sign_roster(new_roster({new_site("anna")}), {&administrator_});
  const std::vector<membership::PublicKeyBytes> keys = {administrator_.verify_key()};
  EXPECT_EQ(membership::verify_roster(document, {"test", keys, 4}, now_).error().code, ErrorCode::permission_denied);
  EXPECT_EQ(membership::verify_roster(document, {"other", keys, 1}, now_).error().code, ErrorCode::permission_denied);
  EXPECT_EQ(membership::verify_roster(document, {"test", keys, 1}, UnixMs{999}).error().code,
            ErrorCode::deadline_exceeded);
  EXPECT_EQ(membership::verify_roster(document, {"test", keys, 1}, UnixMs{1'001 + membership::kRosterValidityMaxMs})
                .error()
                .code,
            ErrorCode::deadline_exceeded);
}

TEST_F(DocumentsTest, ARosterOutOfOrderWithAReusedKeyOrValidTooLongIsRefused) {
  EXPECT_FALSE(new_roster({new_site("berta"), new_site("anna")}).document());
  const membership::RosterSite anna = new_site("anna");
  membership::RosterSite twin = new_site("berta");
  twin.transport_key = anna.transport_key;
  EXPECT_FALSE(new_roster({anna, twin}).document());
  membership::Roster long_lived = new_roster({anna});
  long_lived.valid_until.value += 1;
  EXPECT_FALSE(long_lived.document());
}

TEST_F(DocumentsTest, ADocumentOfAnotherKindDoesNotPass) {
  membership::SignedDocument document = sign_roster(new_roster({new_site("anna")}), {&administrator_});
  document.kind = "invite";
  EXPECT_EQ(membership::verify_roster(document, {"test", {administrator_.verify_key()}, 1}, now_).error().code,
            ErrorCode::permission_denied);
  document.kind = "roster";
  membership::SignedDocument relabelled = document;
  relabelled.kind = "approval";
  const membership::PublicKeyBytes keys[] = {administrator_.verify_key()};
  EXPECT_EQ(relabelled.count_valid("approval", keys).error().code, ErrorCode::corruption);
}

TEST_F(DocumentsTest, AnInviteIsSignedByOneItNames) {
  const membership::Invite invite{
      "test", "tcp://127.0.0.1:7443", new_key().verify_key(), new_key().verify_key(), {administrator_.verify_key()}};
  membership::SignedDocument document{"invite", invite.document().value(), {}};
  ASSERT_TRUE(document.sign(second_).has_value());
  EXPECT_EQ(membership::verify_invite(document).error().code, ErrorCode::permission_denied);
  ASSERT_TRUE(document.sign(administrator_).has_value());
  EXPECT_EQ(membership::verify_invite(document).value().endpoint, "tcp://127.0.0.1:7443");
  membership::Invite nowhere = invite;
  nowhere.endpoint = "http://example.org";
  EXPECT_FALSE(nowhere.document());
}

TEST_F(DocumentsTest, AJoinRequestIsSignedWithTheKeyItAsksFor) {
  const crypto::SigningKey identity = new_key();
  membership::RosterSite site = new_site("anna");
  site.identity_key = identity.verify_key();
  membership::SignedDocument document{
      "join-request", membership::JoinRequest{"test", site, now_}.document().value(), {}};
  ASSERT_TRUE(document.sign(second_).has_value());
  EXPECT_EQ(membership::verify_join_request(document).error().code, ErrorCode::permission_denied);
  ASSERT_TRUE(document.sign(identity).has_value());
  EXPECT_EQ(membership::verify_join_request(document).value().site.id.text(), "anna");
}

TEST_F(DocumentsTest, AnApprovalCountsUnderTheApproversKeyOnly) {
  membership::Approval approval{.site = SiteId::create("anna").value()};
  approval.decision = membership::ApprovalDecision::approved;
  approval.approver = "Dr. Müller";
  membership::SignedDocument document{"approval", approval.document().value(), {}};
  ASSERT_TRUE(document.sign(administrator_).has_value());
  EXPECT_EQ(membership::verify_approval(document, administrator_.verify_key()).value().approver, "Dr. Müller");
  EXPECT_EQ(membership::verify_approval(document, second_.verify_key()).error().code, ErrorCode::permission_denied);
}

TEST_F(DocumentsTest, FederationNamesFitTheLedgersOrigin) {
  for (const std::string_view name : {"lesions 2026", "a+b", "", "a/b"}) {
    membership::Roster roster = new_roster({});
    roster.federation = name;
    EXPECT_FALSE(roster.document()) << name;
  }
}

}  // namespace
}  // namespace fovea::federation
