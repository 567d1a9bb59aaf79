// Failure class: signed documents that were forged, changed, spliced or kept too long.
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <regex>
#include <set>

#include "crypto/signature.h"
#include "federation/membership/acquaintance.h"
#include "federation/membership/approval.h"
#include "federation/membership/invite.h"
#include "federation/membership/join_request.h"
#include "federation/membership/pardon.h"
#include "federation/membership/roster.h"

namespace fovea::federation {
namespace {

// Nothing when it was accepted.
template <class T>
std::optional<ErrorCode> refusal_of(const Result<T>& result) {
  return result ? std::nullopt : std::optional(result.error().code);
}

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
    out.coordinator_signing_key = coordinator_;
    out.sites = std::move(sites);
    return out;
  }
  // Trust in these administrators, `quorum` of whom must sign.
  membership::RosterTrust trust_in(const std::vector<const crypto::SigningKey*>& keys, std::uint32_t quorum) {
    membership::RosterTrust out{
        .federation = "test", .administrators = {}, .quorum = quorum, .coordinator_signing_key = coordinator_};
    for (const auto* key : keys) out.administrators.push_back(key->verify_key());
    return out;
  }
  membership::Invite new_invite(const std::vector<const crypto::SigningKey*>& keys, std::uint32_t quorum) {
    membership::Invite out{.federation = "test",
                           .endpoint = "tcp://127.0.0.1:7443",
                           .coordinator_transport_key = new_key().verify_key(),
                           .coordinator_signing_key = coordinator_,
                           .administrators = {},
                           .quorum = quorum};
    for (const auto* key : keys) out.administrators.push_back(key->verify_key());
    return out;
  }
  static membership::SignedDocument sign_invite(const membership::Invite& invite,
                                                const std::vector<const crypto::SigningKey*>& keys) {
    membership::SignedDocument out{"invite", invite.document().value(), {}};
    for (const auto* key : keys) EXPECT_TRUE(out.sign(*key).has_value());
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
  const membership::PublicKeyBytes coordinator_ = new_key().verify_key();
  const UnixMs now_{2'000};
};

TEST_F(DocumentsTest, ARosterSurvivesItsFileAndKeepsItsHash) {
  const membership::Roster roster = new_roster({new_site("anna"), new_site("berta")});
  const membership::SignedDocument document = sign_roster(roster, {&administrator_});
  const membership::SignedDocument again = membership::SignedDocument::parse(document.serialize()).value();
  const membership::Roster verified = membership::verify_roster(again, trust_in({&administrator_}, 1), now_).value();
  EXPECT_EQ(verified.sites.size(), 2U);
  EXPECT_EQ(verified.index_of(SiteId::create("berta").value()), 1);
  EXPECT_EQ(verified.find_transport_key(roster.sites[0].transport_key)->id.text(), "anna");
  EXPECT_EQ(again.serialize(), document.serialize());
}

TEST_F(DocumentsTest, ARosterNeedsTheSignaturesOfAQuorumOfAdministrators) {
  const crypto::SigningKey third = new_key();
  const membership::RosterTrust trust = trust_in({&administrator_, &second_, &third}, 2);
  const membership::Roster roster = new_roster({new_site("anna")});
  EXPECT_EQ(refusal_of(membership::verify_roster(sign_roster(roster, {&administrator_}), trust, now_)),
            ErrorCode::permission_denied);
  EXPECT_TRUE(membership::verify_roster(sign_roster(roster, {&administrator_, &third}), trust, now_));
  EXPECT_TRUE(membership::verify_roster(sign_roster(roster, {&third, &second_, &administrator_}), trust, now_));
  const crypto::SigningKey stranger = new_key();
  EXPECT_FALSE(membership::verify_roster(sign_roster(roster, {&administrator_, &stranger}), trust, now_));
  // One key named twice is one administrator, and one that signed twice is one signature.
  membership::SignedDocument doubled = sign_roster(roster, {&administrator_});
  doubled.signatures.push_back(doubled.signatures.front());
  EXPECT_FALSE(membership::verify_roster(doubled, trust, now_));
  EXPECT_FALSE(membership::verify_roster(sign_roster(roster, {&administrator_}),
                                         trust_in({&administrator_, &administrator_}, 2), now_));
  EXPECT_FALSE(membership::verify_roster(sign_roster(roster, {&administrator_}), trust_in({}, 0), now_));
}

TEST_F(DocumentsTest, ARosterThatNamesAnotherCoordinatorThanTheFoundingDocumentIsRefused) {
  membership::Roster roster = new_roster({new_site("anna")});
  roster.coordinator_signing_key = new_key().verify_key();
  const auto refused =
      membership::verify_roster(sign_roster(roster, {&administrator_}), trust_in({&administrator_}, 1), now_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
  EXPECT_NE(refused.error().message.find("--accept-change"), std::string::npos) << refused.error().message;
}

TEST_F(DocumentsTest, AChangedRosterIsRefused) {
  membership::SignedDocument document = sign_roster(new_roster({new_site("anna")}), {&administrator_});
  document.document[document.document.find("anna")] = 'b';
  EXPECT_EQ(membership::verify_roster(document, trust_in({&administrator_}, 1), now_).error().code,
            ErrorCode::corruption);
}

TEST_F(DocumentsTest, ARosterOutOfItsTimeEpochOrFederationIsRefused) {
  const membership::SignedDocument document = sign_roster(new_roster({new_site("anna")}), {&administrator_});
  const membership::RosterTrust trust = trust_in({&administrator_}, 1);
  membership::RosterTrust newer = trust, other = trust;
  newer.epoch_min = 4;
  other.federation = "other";
  EXPECT_EQ(membership::verify_roster(document, newer, now_).error().code, ErrorCode::permission_denied);
  EXPECT_EQ(membership::verify_roster(document, other, now_).error().code, ErrorCode::permission_denied);
  EXPECT_EQ(membership::verify_roster(document, trust, UnixMs{999}).error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(membership::verify_roster(document, trust, UnixMs{1'001 + membership::kRosterValidityMaxMs}).error().code,
            ErrorCode::deadline_exceeded);
  EXPECT_TRUE(membership::verify_roster_signatures(document, newer));  // which asks neither for epoch nor for time
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
  EXPECT_EQ(membership::verify_roster(document, trust_in({&administrator_}, 1), now_).error().code,
            ErrorCode::permission_denied);
  document.kind = "roster";
  membership::SignedDocument relabelled = document;
  relabelled.kind = "approval";
  const membership::PublicKeyBytes keys[] = {administrator_.verify_key()};
  EXPECT_EQ(relabelled.count_valid("approval", keys).error().code, ErrorCode::corruption);
}

TEST_F(DocumentsTest, AnInviteCountsWhenEveryAdministratorItListsHasSignedIt) {
  const membership::Invite invite = new_invite({&administrator_, &second_}, 2);
  EXPECT_EQ(refusal_of(membership::verify_invite(sign_invite(invite, {}))), ErrorCode::permission_denied);
  EXPECT_EQ(refusal_of(membership::verify_invite(sign_invite(invite, {&administrator_}))),
            ErrorCode::permission_denied);
  const membership::Invite verified =
      membership::verify_invite(sign_invite(invite, {&second_, &administrator_})).value();
  EXPECT_EQ(verified.endpoint, "tcp://127.0.0.1:7443");
  EXPECT_EQ(verified.trust(7).quorum, 2U);
  EXPECT_EQ(verified.trust(7).epoch_min, 7U);
  EXPECT_EQ(verified.trust(7).coordinator_signing_key, coordinator_);
}

// The attack on version 0.1: an invite whose first administrator is the true one, whose fingerprint was read out, and
// whose second one made and signed it alone.
TEST_F(DocumentsTest, NobodyListsTheTrueAdministratorBesideHimselfAndSignsAlone) {
  const crypto::SigningKey& attacker = second_;
  const membership::Invite truth = new_invite({&administrator_}, 1);
  membership::Invite forged = truth;
  forged.administrators.push_back(attacker.verify_key());
  const auto refused = membership::verify_invite(sign_invite(forged, {&attacker}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
  EXPECT_NE(refused.error().message.find("1 of the 2"), std::string::npos) << refused.error().message;
  EXPECT_NE(membership::Invite::parse(forged.document().value())->fingerprint(),
            membership::Invite::parse(truth.document().value())->fingerprint());
}

TEST_F(DocumentsTest, TheFingerprintOfAnInviteChangesWithEveryPartOfIt) {
  const crypto::SigningKey third = new_key();
  const membership::Invite base = new_invite({&administrator_, &second_}, 1);
  std::vector<membership::Invite> all(7, base);
  all[1].federation = "another";
  all[2].endpoint = "tcp://127.0.0.1:7444";
  all[3].coordinator_transport_key = third.verify_key();
  all[4].coordinator_signing_key = third.verify_key();
  all[5].administrators[1] = third.verify_key();
  all[6].quorum = 2;
  std::set<std::string> prints;
  for (const membership::Invite& invite : all) {
    const membership::Invite parsed = membership::Invite::parse(invite.document().value()).value();
    EXPECT_TRUE(std::regex_match(parsed.fingerprint(), std::regex("([0-9a-f]{4}-){5}[0-9a-f]{4}")))
        << parsed.fingerprint();
    prints.insert(parsed.fingerprint());
    EXPECT_EQ(membership::differences(base, parsed).size(), 1U);  // also for the first: `base` has no hash yet
  }
  EXPECT_EQ(prints.size(), all.size());
  const std::string text = base.document().value();
  EXPECT_NE(membership::Invite::parse(text + " ")->fingerprint(), membership::Invite::parse(text)->fingerprint());
}

TEST_F(DocumentsTest, AnInviteWithARuleBrokenIsRefused) {
  const membership::Invite good = new_invite({&administrator_, &second_}, 2);
  ASSERT_TRUE(good.document());
  const auto broken = [&](auto change) {
    membership::Invite invite = good;
    change(invite);
    return invite.document().has_value();
  };
  EXPECT_FALSE(broken([](auto& invite) { invite.endpoint = "http://example.org"; }));
  EXPECT_FALSE(broken([](auto& invite) { invite.quorum = 0; }));
  EXPECT_FALSE(broken([](auto& invite) { invite.quorum = 3; }));
  EXPECT_FALSE(broken([](auto& invite) { invite.administrators.clear(); }));
  EXPECT_FALSE(broken([](auto& invite) { invite.administrators[1] = invite.administrators[0]; }));
  EXPECT_FALSE(broken([&](auto& invite) {
    while (invite.administrators.size() <= membership::kAdministratorsMax)
      invite.administrators.push_back(new_key().verify_key());
  }));
}

// What is printed of an invite must not be able to print a second one.
TEST_F(DocumentsTest, AnEndpointIsAHostAndAPortAndNothingThatPeopleReadAsMore) {
  membership::Invite invite = new_invite({&administrator_}, 1);
  for (const char* good : {"tcp://127.0.0.1:1", "tcp://fed-1.example.org:65535", "tcp://[::1]:7443"}) {
    invite.endpoint = good;
    EXPECT_TRUE(invite.document().has_value()) << good;
  }
  for (const char* bad : {"tcp://", "tcp://:7443", "tcp://host", "tcp://host:", "tcp://host:0", "tcp://host:65536",
                          "tcp://host:7 ", "tcp://*:7443", "tcp://a;b:1", "tcp://h:1\nfederation fingerprint 0000",
                          "tcp://\x1b[8m:1", "tcp://\xe2\x80\xaeh:1", "ipc://x:1"}) {
    invite.endpoint = bad;
    EXPECT_FALSE(invite.document().has_value()) << bad;
  }
}

// The parser takes a zero byte for the end: what comes after it was signed, and printed, and never read.
TEST_F(DocumentsTest, NothingFollowsADocument) {
  const std::string text = new_invite({&administrator_}, 1).document().value();
  ASSERT_TRUE(membership::Invite::parse(text));
  for (const std::string& changed : {text + std::string("\0{}", 3), text + std::string("\0", 1), "\xef\xbb\xbf" + text})
    EXPECT_FALSE(membership::Invite::parse(changed));
}

// A key or digest in capitals is the same key under another hash of the document.
TEST_F(DocumentsTest, KeysAndDigestsHaveOneSpellingInEveryDocument) {
  const membership::RosterSite anna = new_site("anna");
  const auto code = [](const auto& parsed) { return refusal_of(parsed); };
  const std::vector<std::pair<std::string, std::function<std::optional<ErrorCode>(const std::string&)>>> documents = {
      {new_invite({&administrator_, &second_}, 2).document().value(),
       [&](const std::string& text) { return code(membership::Invite::parse(text)); }},
      {new_roster({anna}).document().value(),
       [&](const std::string& text) { return code(membership::Roster::parse(text)); }},
      {membership::JoinRequest{"test", anna, now_}.document().value(),
       [&](const std::string& text) { return code(membership::JoinRequest::parse(text)); }},
      {membership::Approval{.site = anna.id, .plan = Digest{0xab}, .approver = "Dr. A"}.document().value(),
       [&](const std::string& text) { return code(membership::Approval::parse(text)); }},
      {membership::Acquaintance{.site = anna.id, .accepted = new_site("berta"), .approver = "Dr. A"}.document().value(),
       [&](const std::string& text) { return code(membership::Acquaintance::parse(text)); }},
      {membership::Acquaintance{
           .site = anna.id, .accepted = new_site("berta"), .approver = "Dr. A", .accepted_at = {}, .ended = true}
           .document()
           .value(),
       [&](const std::string& text) {
         return code(membership::Acquaintance::parse(text, membership::kAcquaintanceEndKind));
       }},
      {membership::Pardon{.site = anna.id, .run = RunId{{0xab}}, .evidence = Digest{0xcd}}.document().value(),
       [&](const std::string& text) { return code(membership::Pardon::parse(text)); }},
      {std::string(as_text(sign_roster(new_roster({anna}), {&administrator_}).serialize())),
       [&](const std::string& text) { return code(membership::SignedDocument::parse(as_bytes(text))); }},
  };
  const std::regex digits("[0-9a-f]{32,128}");
  for (const auto& [text, parse] : documents) {
    ASSERT_FALSE(parse(text).has_value()) << text;
    std::size_t tried = 0;
    for (std::sregex_iterator found(text.begin(), text.end(), digits), end; found != end; ++found) {
      std::string capital = text;
      const auto letter = capital.find_first_of("abcdef", static_cast<std::size_t>(found->position()));
      ASSERT_LT(letter, static_cast<std::size_t>(found->position() + found->length()));
      // What lies inside another text is for the one who parses that.
      if (text.find("fovea_signed") != std::string::npos && letter < text.find("\"signatures\"")) continue;
      capital[letter] = static_cast<char>(capital[letter] - 'a' + 'A');
      EXPECT_EQ(parse(capital), ErrorCode::invalid_argument) << capital;
      ++tried;
    }
    EXPECT_GT(tried, 0U) << text;
  }
}

// Version 0.1 took any text, and ledgers keep what it signed; what is written now is a line.
TEST_F(DocumentsTest, DecisionsWithReasonsOfSeveralLinesAreReadAndNotWritten) {
  const SiteId site = SiteId::create("anna").value();
  const membership::Approval approval{.site = site, .plan = {}, .approver = "Dr. A", .reason = "one @ two"};
  const membership::Pardon pardon{.site = site, .run = {}, .evidence = {}, .reason = "one @ two"};
  const auto broken = [](std::string text) { return text.replace(text.find(" @ "), 3, "\\n"); };
  const auto old = membership::Approval::parse(broken(approval.document().value()));
  ASSERT_TRUE(old) << old.error().message;
  EXPECT_EQ(old->reason, "one\ntwo");
  EXPECT_EQ(old->document().error().code, ErrorCode::invalid_argument);
  membership::SignedDocument document{"approval", broken(approval.document().value()), {}};
  ASSERT_TRUE(document.sign(second_));
  EXPECT_TRUE(membership::verify_approval(document, second_.verify_key()));
  const auto old_pardon = membership::Pardon::parse(broken(pardon.document().value()));
  ASSERT_TRUE(old_pardon) << old_pardon.error().message;
  EXPECT_EQ(old_pardon->document().error().code, ErrorCode::invalid_argument);
  membership::Approval two_names = approval;
  two_names.approver = "Dr. A\nDr. B";
  EXPECT_FALSE(two_names.document().has_value());
}

TEST_F(DocumentsTest, AnInviteOfAnOlderFormatIsRefusedByNumberWithWhatToDo) {
  std::string text = new_invite({&administrator_}, 1).document().value();
  text.replace(text.find("\"fovea_invite\": 2"), 17, "\"fovea_invite\": 1");
  const auto refused = membership::Invite::parse(text);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("fovea_invite: 1"), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find("init"), std::string::npos) << refused.error().message;
}

TEST_F(DocumentsTest, AnEntrysFingerprintChangesWithItsNameAndEachKey) {
  const membership::RosterSite anna = new_site("anna");
  std::set<std::string> prints = {membership::site_fingerprint(anna)};
  EXPECT_EQ(prints.begin()->size(), 6 * 4 + 5U);
  for (const auto& change : std::vector<std::function<void(membership::RosterSite&)>>{
           [](auto& site) { site.id = SiteId::create("berta").value(); },
           [](auto& site) { site.identity_key[31] ^= 1U; }, [](auto& site) { site.transport_key[31] ^= 1U; },
           [](auto& site) { site.log_key[31] ^= 1U; }, [](auto& site) { site.approver_key[31] ^= 1U; },
           [](auto& site) { std::swap(site.identity_key, site.approver_key); }}) {
    membership::RosterSite changed = anna;
    change(changed);
    EXPECT_TRUE(prints.insert(membership::site_fingerprint(changed)).second);
  }
}

TEST_F(DocumentsTest, AnAcceptanceIsOfThisSitesApproverAndAboutExactlyTheseKeys) {
  const crypto::SigningKey approver = new_key();
  membership::RosterSite anna = new_site("anna");
  anna.approver_key = approver.verify_key();
  const membership::RosterSite berta = new_site("berta");
  const membership::Acquaintance acceptance{
      .site = anna.id, .accepted = berta, .approver = "Dr. A. Bauer", .accepted_at = now_};
  membership::SignedDocument document{"acquaintance", acceptance.document().value(), {}};
  ASSERT_TRUE(document.sign(approver).has_value());
  const auto again = membership::SignedDocument::parse(document.serialize()).value();
  EXPECT_EQ(membership::verify_acquaintance(again, anna, berta).value().approver, "Dr. A. Bauer");

  membership::RosterSite other_key = berta;
  other_key.log_key[0] ^= 1U;
  EXPECT_EQ(membership::verify_acquaintance(again, anna, other_key).error().code, ErrorCode::permission_denied);
  membership::RosterSite elsewhere = anna;
  elsewhere.id = SiteId::create("clara").value();
  EXPECT_EQ(membership::verify_acquaintance(again, elsewhere, berta).error().code, ErrorCode::permission_denied);
  EXPECT_EQ(membership::verify_acquaintance(again, berta, berta).error().code, ErrorCode::permission_denied);
  membership::SignedDocument changed = document;
  changed.document.replace(changed.document.find("Bauer"), 5, "Maier");
  EXPECT_EQ(membership::verify_acquaintance(changed, anna, berta).error().code, ErrorCode::corruption);
  membership::SignedDocument approval = document;
  approval.kind = "approval";
  EXPECT_FALSE(membership::verify_acquaintance(approval, anna, berta));
  // Nor is the end of one an acceptance, or the other way round.
  membership::Acquaintance end = acceptance;
  end.ended = true;
  membership::SignedDocument taken_back{std::string(end.kind()), end.document().value(), {}};
  ASSERT_TRUE(taken_back.sign(approver).has_value());
  EXPECT_FALSE(membership::verify_acquaintance(taken_back, anna, berta));
  EXPECT_FALSE(membership::verify_acquaintance_end(document, anna.approver_key));
  EXPECT_FALSE(membership::Acquaintance::parse(taken_back.document));
  const auto kept = membership::SignedDocument::parse(taken_back.serialize()).value();
  EXPECT_TRUE(membership::verify_word_about_site(kept, anna.approver_key)->ended);
  EXPECT_FALSE(membership::verify_word_about_site(document, anna.approver_key)->ended);
  membership::Acquaintance nameless = acceptance;
  nameless.approver.clear();
  EXPECT_FALSE(nameless.document());
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
