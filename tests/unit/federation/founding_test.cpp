// Failure class: somebody comes to speak for a federation who was not chosen: at the coordinator's folder, where
// founding documents and rosters become valid, and at a site's folder, which has pinned one.
#include <algorithm>
#include <fstream>

#include "common/durable_file.h"
#include "tests/unit/federation/founding_fixture.h"

namespace fovea::federation {
namespace {

TEST_F(FoundingTest, AFederationIsFoundedWhenEveryAdministratorHasSigned) {
  SignedDocument document = begin(coordinator(), {&anna_, &ben_}, 2);
  EXPECT_TRUE(document.signatures.empty());
  EXPECT_FALSE(coordinator().found(document));
  ASSERT_TRUE(document.sign(anna_));
  EXPECT_EQ(coordinator().found(document).error().code, ErrorCode::permission_denied);
  const auto waiting = coordinator().federation();
  ASSERT_FALSE(waiting);
  EXPECT_NE(waiting.error().message.find("sign-founding"), std::string::npos) << waiting.error().message;
  ASSERT_TRUE(document.sign(ben_));
  ASSERT_TRUE(coordinator().found(document));
  EXPECT_EQ(coordinator().federation()->quorum, 2U);
  EXPECT_TRUE(coordinator().found(document));  // again, the same
}

TEST_F(FoundingTest, TheCoordinatorHoldsNoAdministratorsKey) {
  founded(coordinator(), {&anna_}, 1);
  std::vector<std::string> keys;
  for (const auto& entry : std::filesystem::directory_iterator(coordinator().root() / "keys"))
    keys.push_back(entry.path().filename().string());
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(keys, (std::vector<std::string>{"signing.key", "transport.key"}));
}

TEST_F(FoundingTest, TheCoordinatorTakesNoFoundingDocumentButItsOwn) {
  SignedDocument own = begin(coordinator(), {&anna_}, 1);
  const SignedDocument other = founded(coordinator("another"), {&anna_}, 1);
  const auto refused = coordinator().found(other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
  EXPECT_NE(refused.error().message.find("coordinator_signing_key"), std::string::npos) << refused.error().message;
  ASSERT_TRUE(own.sign(anna_));
  ASSERT_TRUE(coordinator().found(own));
  EXPECT_FALSE(coordinator().found(other));
  EXPECT_FALSE(coordinator().create({"test", "127.0.0.1", 7443, {anna_.verify_key()}, 1}));
}

// Cleo takes over from Anna: Ben and she sign the new document, the roster goes on from the present one.
TEST_F(FoundingTest, AnAmendedFoundingDocumentCountsWhenThoseItListsHaveSignedIt) {
  founded(coordinator(), {&anna_, &ben_}, 2);
  ASSERT_TRUE(coordinator().sign_next({{new_site("berta")}, {}}, anna_, kNow));
  ASSERT_TRUE(coordinator().cosign(ben_, kNow)->in_force);
  Invite facts = coordinator().federation().value();
  const Invite before = facts;
  facts.endpoint = "tcp://127.0.0.2:7443";
  facts.administrators = {ben_.verify_key(), cleo_.verify_key()};
  ASSERT_TRUE(coordinator().amend(facts));
  EXPECT_EQ(coordinator().federation()->hash, before.hash);  // not yet
  SignedDocument next = files::read_signed_document(coordinator().founding_file()).value();
  ASSERT_TRUE(next.sign(ben_));
  ASSERT_TRUE(next.sign(anna_));
  EXPECT_FALSE(coordinator().found(next));
  EXPECT_TRUE(coordinator().roster(kNow));
  ASSERT_TRUE(next.sign(cleo_));
  const Invite after = coordinator().found(next).value();
  EXPECT_EQ(membership::differences(before, after).size(), 2U);
  EXPECT_EQ(after.coordinator_signing_key, before.coordinator_signing_key);

  // Anna's signature does not count any more.
  EXPECT_EQ(coordinator().roster(kNow).error().code, ErrorCode::permission_denied);
  EXPECT_FALSE(coordinator().sign_next({}, anna_, kNow));
  ASSERT_TRUE(coordinator().sign_next({}, ben_, kNow));
  EXPECT_TRUE(coordinator().cosign(cleo_, kNow)->in_force);
  EXPECT_EQ(coordinator().roster(kNow)->sites.size(), 1U);
  EXPECT_EQ(coordinator().roster(kNow)->epoch, 2U);
}

TEST_F(FoundingTest, ARosterWaitsUntilAQuorumHasSignedIt) {
  founded(coordinator(), {&anna_, &ben_, &cleo_}, 2);
  const RosterChange change{{new_site("berta")}, {}};
  EXPECT_FALSE(coordinator().sign_next(change, new_key(), kNow));  // a stranger
  const auto first = coordinator().sign_next(change, anna_, kNow).value();
  EXPECT_FALSE(first.in_force);
  EXPECT_FALSE(coordinator().roster(kNow));
  EXPECT_FALSE(coordinator().cosign(anna_, kNow)->in_force);  // once more the same person
  EXPECT_FALSE(coordinator().cosign(new_key(), kNow));
  EXPECT_TRUE(coordinator().cosign(cleo_, kNow)->in_force);
  EXPECT_EQ(coordinator().roster(kNow)->sites.size(), 1U);
  EXPECT_EQ(coordinator().cosign(ben_, kNow).error().code, ErrorCode::not_found);  // nothing waits any more
}

// Administrators at two institutions: each in a folder of her own, which holds public files only.
TEST_F(FoundingTest, AdministratorsSignARosterElsewhereAndTheCoordinatorTakesIt) {
  const SignedDocument document = founded(coordinator(), {&anna_, &ben_}, 2);
  for (const char* name : {"of-anna", "of-ben"}) {
    ASSERT_TRUE(create_directories_durably(coordinator(name).root()));
    ASSERT_TRUE(write_file_durably(coordinator(name).root() / "invite.json", document.serialize()));
  }
  ASSERT_TRUE(coordinator("of-anna").sign_next({{new_site("berta")}, {}}, anna_, kNow));
  const SignedDocument half = coordinator("of-anna").waiting_roster().value();
  EXPECT_FALSE(coordinator().take_roster(half, kNow)->in_force);
  EXPECT_FALSE(coordinator().roster(kNow));
  ASSERT_TRUE(coordinator("of-ben").take_roster(half, kNow));
  EXPECT_TRUE(coordinator("of-ben").cosign(ben_, kNow)->in_force);
  const SignedDocument whole = coordinator("of-ben").roster_document().value();
  EXPECT_TRUE(coordinator().take_roster(whole, kNow)->in_force);
  EXPECT_EQ(coordinator().roster(kNow)->sites.size(), 1U);
  EXPECT_EQ(coordinator().take_roster(whole, kNow).error().code, ErrorCode::permission_denied);  // not newer
}

// An administrator's folder without the coordinator's roster would make a second roster of epoch 1, of no site.
TEST_F(FoundingTest, ARosterIsNotRenewedWhereNoneIs) {
  founded(coordinator(), {&anna_}, 1);
  const auto renewed = coordinator().sign_next({}, anna_, kNow);
  ASSERT_FALSE(renewed);
  EXPECT_NE(renewed.error().message.find("roster.json"), std::string::npos) << renewed.error().message;
  EXPECT_TRUE(coordinator().sign_next({{new_site("berta")}, {}}, anna_, kNow));
}

TEST_F(FoundingTest, ASiteTakesRostersOfItsPinnedDocumentOnly) {
  const node::io::SiteFolder anna = site();
  ASSERT_TRUE(anna.pin_invite(founded(coordinator(), {&anna_}, 1)));
  ASSERT_TRUE(coordinator().sign_next({{anna.site().value()}, {}}, anna_, kNow));
  const SignedDocument roster = coordinator().roster_document().value();
  ASSERT_TRUE(anna.keep_roster(roster, 1));
  EXPECT_EQ(anna.newest_roster().value()->sites.size(), 1U);

  // The same administrator, another coordinator: without a new document it is another one's roster.
  const SignedDocument moved = founded(coordinator("another"), {&anna_}, 1);
  ASSERT_TRUE(coordinator("another").sign_next({{anna.site().value()}, {}}, anna_, kNow));
  const auto foreign =
      membership::verify_roster(coordinator("another").roster_document().value(), anna.invite()->trust(), kNow);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, ErrorCode::permission_denied);

  // A person accepts the change: the old roster is not in force any more, and sums made under it can still be checked.
  ASSERT_TRUE(anna.pin_invite(moved));
  const auto now_in_force = anna.newest_roster();
  ASSERT_TRUE(now_in_force) << now_in_force.error().message;
  EXPECT_FALSE(now_in_force->has_value());
  ASSERT_EQ(anna.past_rosters().size(), 1U);
  EXPECT_EQ(anna.past_rosters()[0].coordinator_signing_key,
            Invite::parse(files::read_signed_document(coordinator().root() / "invite.json")->document)
                ->coordinator_signing_key);
  ASSERT_TRUE(anna.keep_roster(coordinator("another").roster_document().value(), 1));  // the same number again
  EXPECT_EQ(anna.past_rosters().size(), 2U);
  EXPECT_TRUE(anna.newest_roster().value().has_value());
}

TEST_F(FoundingTest, ASitesApproverKeyIsUnderItsPassphraseAndTheDaemonsKeysAreNot) {
  const node::io::SiteFolder anna = site();
  EXPECT_TRUE(anna.keys());
  EXPECT_TRUE(std::filesystem::exists(anna.root() / "keys" / "approver.pem"));
  EXPECT_FALSE(std::filesystem::exists(anna.root() / "keys" / "approver.key"));
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe(ends), 0);
  const Descriptor reader(ends[0]), writer(ends[1]);
  ASSERT_EQ(::write(writer.number(), "correct horse\nwrong horse\n", 26), 26);
  const files::PassphraseSource source{.descriptor = reader.number()};
  EXPECT_EQ(anna.approver_key(source)->verify_key(), anna.site()->approver_key);
  EXPECT_EQ(anna.approver_key(source).error().code, ErrorCode::permission_denied);
}

// People write an address of either kind as they see it elsewhere; the document has one spelling of it.
TEST_F(FoundingTest, AFederationIsFoundedUnderAnAddressOfIPv6WithItsBracketsOrWithout) {
  for (const std::string host : {"2001:db8::1", "[2001:db8::1]"}) {
    const CoordinatorFolder::NewFederation fresh{"test", host, 7443, {anna_.verify_key()}, 1};
    const auto facts = coordinator(host == "2001:db8::1" ? "bare" : "bracketed").create(fresh);
    ASSERT_TRUE(facts.has_value()) << facts.error().message;
    EXPECT_EQ(facts->endpoint, "tcp://[2001:db8::1]:7443");
  }
  for (const char* host : {"2001:db8::1:x", "tcp://fed.example.org", "fed.example.org:7443", "[fed.example.org]"}) {
    const auto refused = coordinator("new").check_new({"test", host, 7443, {anna_.verify_key()}, 1});
    ASSERT_FALSE(refused.has_value()) << host;
    EXPECT_NE(refused.error().message.find(host), std::string::npos) << refused.error().message;
  }
}

TEST_F(FoundingTest, ASiteFolderOfAnOlderFormatIsRefusedByNumberWithWhatToDo) {
  const node::io::SiteFolder anna = site();
  const Bytes bytes = read_file(anna.root() / "site.json", 4096).value();
  std::string text(as_text(bytes));
  text.replace(text.find("\"fovea_site\": 2"), 15, "\"fovea_site\": 1");
  std::ofstream(anna.root() / "site.json") << text;
  const auto refused = anna.site();
  ASSERT_FALSE(refused);
  for (const char* part : {"fovea_site 1", "init", "data/"})
    EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
}

// The signature of one administrator vouched for all of them in it: nothing of such a folder may be gone on from.
TEST_F(FoundingTest, ACoordinatorFolderOfAnOlderFormatIsRefusedByNumberWithWhatToDo) {
  SignedDocument document = founded(coordinator(), {&anna_}, 1);
  document.document.replace(document.document.find("\"fovea_invite\": 2"), 17, "\"fovea_invite\": 1");
  const Bytes bytes = document.serialize();
  std::ofstream(coordinator().root() / "invite.json") << as_text(bytes);
  const auto refused = coordinator().federation();
  ASSERT_FALSE(refused);
  for (const char* part : {"invite.json", "fovea_invite: 1", "init"})
    EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
  EXPECT_FALSE(coordinator().sign_next({{new_site("berta")}, {}}, anna_, kNow));
}

}  // namespace
}  // namespace fovea::federation
