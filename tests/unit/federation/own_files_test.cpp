// Failure class: files of a folder that do not belong together, or a clock that is off: one of them is taken for right,
// something is signed or written under it, and the folder is of no use any more; or the wrong file is blamed, and who
// does as told makes it worse.
#include <algorithm>

#include "common/durable_file.h"
#include "crypto/key_file.h"
#include "federation/membership/join_request.h"
#include "tests/unit/federation/founding_fixture.h"

namespace fovea::federation {
namespace {

namespace fs = std::filesystem;
using coordinator::registry::Waiting;
using membership::Roster;

constexpr std::int64_t kDayMs = 24LL * 3'600'000;

template <class T>
std::string error_of(const Result<T>& result) {
  return result ? "" : result.error().message;
}

class OwnFiles : public FoundingTest {
 protected:
  void other_key(const fs::path& file) {
    crypto::SecretKey key;
    random_.fill(key.span());
    ASSERT_TRUE(crypto::write_key_file(file, key));
  }
  node::io::SiteFolder site_called(const std::string& name) {
    const node::io::SiteFolder out(folder_.path() / name);
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe(ends), 0);
    const Descriptor reader(ends[0]), writer(ends[1]);
    EXPECT_EQ(::write(writer.number(), "correct horse\n", 14), 14);
    EXPECT_TRUE(out.create(SiteId::create(name).value(), {.descriptor = reader.number()}));
    return out;
  }
  // A site that is on the roster of this founding document.
  node::io::SiteFolder joined(const SignedDocument& founding) {
    const node::io::SiteFolder out = site();
    EXPECT_TRUE(out.pin_invite(founding));
    EXPECT_TRUE(coordinator().sign_next({{out.site().value()}, {}}, anna_, kNow));
    EXPECT_TRUE(out.keep_roster(coordinator().roster_document().value(), 1));
    return out;
  }
  void write_request(const node::io::SiteFolder& folder, const std::string& federation) {
    const membership::JoinRequest request{federation, folder.site().value(), kNow};
    SignedDocument document{"join-request", request.document().value(), {}};
    ASSERT_TRUE(document.sign(folder.keys()->identity));
    ASSERT_TRUE(write_file_durably(folder.root() / "join-request.json", document.serialize()));
  }
  static void expect_parts(const std::string& said, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) EXPECT_NE(said.find(part), std::string::npos) << part << "\n" << said;
  }
};

TEST_F(OwnFiles, TheCoordinatorRunsOnNoKeyButThoseOfItsFoundingDocument) {
  founded(coordinator(), {&anna_}, 1);
  const fs::path keys = coordinator().root() / "keys", signing = keys / "signing.key", other = keys / "transport.key";
  ASSERT_TRUE(coordinator().keys());
  const Bytes first = read_file(signing, 100).value(), second = read_file(other, 100).value();
  const std::string not_named = ": is not the key that invite.json names; restore it from your backup";
  for (const fs::path& file : {signing, other}) {
    other_key(file);
    EXPECT_EQ(error_of(coordinator().keys()), file.string() + not_named);
    EXPECT_EQ(coordinator().keys().error().code, ErrorCode::corruption);
    ASSERT_TRUE(write_file_durably(file, file == signing ? first : second, FileMode::secret));
  }
  ASSERT_TRUE(write_file_durably(signing, second, FileMode::secret));
  ASSERT_TRUE(write_file_durably(other, first, FileMode::secret));
  expect_parts(error_of(coordinator().keys()), {signing.string() + " and " + other.string(), "invite.json"});
  fs::remove(other);
  EXPECT_EQ(error_of(coordinator().keys()), other.string() + ": is missing; restore it from your backup");
}

TEST_F(OwnFiles, AnotherSitesFileIsNamedAndNotTheSettings) {
  const node::io::SiteFolder anna = site(), berta = site_called("berta");
  const Bytes own = read_file(anna.root() / "site.json", 9999).value();
  fs::copy_file(berta.root() / "site.json", anna.root() / "site.json", fs::copy_options::overwrite_existing);
  expect_parts(error_of(anna.keys()),
               {(anna.root() / "site.json").string() + ": is the site berta's", "put site.json of anna back"});
  EXPECT_EQ(anna.approver_key({}).error().message, error_of(anna.keys()));  // nobody is asked for a passphrase
  ASSERT_TRUE(write_file_durably(anna.root() / "site.json", own));
  ASSERT_TRUE(anna.keys());
  for (const char* key : {"identity.key", "log.key", "transport.key"})
    fs::copy_file(berta.root() / "keys" / key, anna.root() / "keys" / key, fs::copy_options::overwrite_existing);
  expect_parts(error_of(anna.keys()), {(anna.root() / "keys").string() + ": no key in it", "another site's"});
}

TEST_F(OwnFiles, AnotherFederationsInviteIsNamedAndNotTheRoster) {
  const SignedDocument own = founded(coordinator(), {&anna_}, 1);
  const node::io::SiteFolder folder = joined(own);
  ASSERT_TRUE(folder.newest_roster());
  CoordinatorFolder::NewFederation fresh{"other", "127.0.0.1", 7443, {anna_.verify_key()}, 1};
  ASSERT_TRUE(coordinator("elsewhere").create(fresh));
  SignedDocument other = files::read_signed_document(coordinator("elsewhere").founding_file()).value();
  ASSERT_TRUE(other.sign(anna_));
  ASSERT_TRUE(write_file_durably(folder.root() / "invite.json", other.serialize()));
  const std::string invite = (folder.root() / "invite.json").string();
  expect_parts(error_of(folder.newest_roster()),
               {invite + ": is the founding document of other", "roster.json is of test"});
  // A coordinator of the same name.
  const SignedDocument namesake = founded(coordinator("namesake"), {&anna_}, 1);
  ASSERT_TRUE(write_file_durably(folder.root() / "invite.json", namesake.serialize()));
  expect_parts(error_of(folder.newest_roster()),
               {invite + ": is the founding document of another coordinator of test"});
  // Where the site asked to join that federation, the roster is the one that came from elsewhere.
  ASSERT_TRUE(write_file_durably(folder.root() / "invite.json", other.serialize()));
  write_request(folder, "other");
  expect_parts(error_of(folder.newest_roster()), {(folder.root() / "roster.json").string() + ": "});
  EXPECT_EQ(error_of(folder.newest_roster()).find(invite), std::string::npos);
}

TEST_F(OwnFiles, ASiteKnowsAFoundingDocumentThatWasReplacedHere) {
  const SignedDocument first = founded(coordinator(), {&anna_}, 1);
  const node::io::SiteFolder folder = joined(first);
  const Digest hash = folder.invite()->hash;
  EXPECT_FALSE(folder.replaced_at(hash));
  Invite facts = coordinator().federation().value();
  facts.endpoint = "tcp://127.0.0.1:7444";
  ASSERT_TRUE(coordinator().amend(facts));
  SignedDocument second = files::read_signed_document(coordinator().founding_file()).value();
  ASSERT_TRUE(second.sign(anna_));
  const std::int64_t before = SystemClock().wall().value;
  ASSERT_TRUE(folder.pin_invite(second));
  ASSERT_TRUE(folder.replaced_at(hash));
  EXPECT_GE(folder.replaced_at(hash)->value, before - 2'000);
  EXPECT_LE(folder.replaced_at(hash)->value, SystemClock().wall().value + 2'000);
  EXPECT_FALSE(folder.replaced_at(folder.invite()->hash));
}

// Whoever can write the folder, and has none of its keys, must not be able to say whose federation it is in, nor who
// decides there.
TEST_F(OwnFiles, WhatAFolderPinsIsBelievedAsAPersonLeftItOnly) {
  const node::io::SiteFolder anna = site(), berta = site_called("berta");
  const fs::path site_file = anna.root() / "site.json", invite = anna.root() / "invite.json", pins = anna.pins();
  EXPECT_EQ(error_of(anna.check_pins()), "");  // has not joined yet
  const SignedDocument own = founded(coordinator(), {&anna_}, 1), other = founded(coordinator("other"), {&ben_}, 1);
  const auto expect_refused = [&](const std::string& what) {
    expect_parts(error_of(anna.check_pins()), {what, "fix: ", "join INVITE", "telephone"});
    EXPECT_EQ(anna.check_pins().error().code, ErrorCode::permission_denied);
    EXPECT_EQ(anna.approver_key({}).error().message, error_of(anna.check_pins()));  // before a passphrase is asked for
  };
  const std::string not_joined = invite.string() + ": is not a founding document that a person here joined with";
  ASSERT_TRUE(write_file_durably(invite, other.serialize()));  // where nobody joined
  expect_refused(not_joined);
  ASSERT_TRUE(anna.pin_invite(own));
  EXPECT_EQ(error_of(anna.check_pins()), "");
  const Bytes joined_site = read_file(site_file, 9999).value(), joined_pins = read_file(pins, 9999).value();
  ASSERT_TRUE(write_file_durably(invite, other.serialize()));  // the same name, another administrator
  expect_refused(not_joined);
  ASSERT_TRUE(write_file_durably(invite, own.serialize()));
  EXPECT_EQ(error_of(anna.check_pins()), "");

  std::string text(as_text(joined_site));
  const std::string approver = to_hex(anna.site()->approver_key);
  text.replace(text.find(approver), approver.size(), to_hex(ben_.verify_key()));
  ASSERT_TRUE(write_file_durably(site_file, as_bytes(text)));
  expect_refused(site_file.string() + ": is not what " + pins.string() + " was written for");
  ASSERT_TRUE(write_file_durably(site_file, joined_site));
  fs::copy_file(berta.pins(), pins, fs::copy_options::overwrite_existing);
  expect_refused(site_file.string() + ": is not what ");
  fs::remove(pins);
  expect_refused(pins.string() + ": is missing");
  ASSERT_TRUE(write_file_durably(pins, joined_pins));
  EXPECT_EQ(error_of(anna.check_pins()), "");
}

// Somebody exchanges the documents between two looks of one program.
TEST_F(OwnFiles, WhatWasReadOnceIsWhatIsCheckedAndUsed) {
  const node::io::SiteFolder anna = site();
  const fs::path site_file = anna.root() / "site.json", invite = anna.root() / "invite.json";
  const SignedDocument own = founded(coordinator(), {&anna_}, 1), other = founded(coordinator("other"), {&ben_}, 1);
  ASSERT_TRUE(anna.pin_invite(own));
  const Bytes genuine = read_file(site_file, 9999).value();
  std::string text(as_text(genuine));
  const std::string approver = to_hex(anna.site()->approver_key);
  text.replace(text.find(approver), approver.size(), to_hex(ben_.verify_key()));

  const node::io::SiteFolder program = anna.read_once();
  EXPECT_EQ(to_hex(program.site()->approver_key), approver);
  EXPECT_EQ(error_of(program.check_pins()), "");
  ASSERT_TRUE(write_file_durably(site_file, as_bytes(text)));
  ASSERT_TRUE(write_file_durably(invite, other.serialize()));
  EXPECT_EQ(to_hex(program.site()->approver_key), approver);
  EXPECT_EQ(program.invite()->hash, federation::membership::verify_invite(own)->hash);

  const node::io::SiteFolder fooled = anna.read_once();  // what it goes by is what it checks
  ASSERT_TRUE(fooled.site());
  ASSERT_TRUE(write_file_durably(site_file, genuine));
  ASSERT_TRUE(write_file_durably(invite, own.serialize()));
  EXPECT_NE(error_of(fooled.check_pins()), "");
}

// Killed in the middle of a join, a folder does not start on what nobody compared, and the same join ends it.
TEST_F(OwnFiles, AJoinThatAKillCutShortIsDoneAgain) {
  const node::io::SiteFolder anna = site();
  const SignedDocument first = founded(coordinator(), {&anna_}, 1), second = founded(coordinator("moved"), {&anna_}, 1);
  for (const SignedDocument& document : {first, second}) {
    const Bytes before = read_file(anna.pins(), 9999).value();
    ASSERT_TRUE(anna.pin_invite(document));
    const Bytes after = read_file(anna.pins(), 9999).value();
    EXPECT_NE(before, after);
    ASSERT_TRUE(write_file_durably(anna.pins(), before));
    expect_parts(error_of(anna.check_pins()),
                 {(anna.root() / "invite.json").string(), "a join did not come to its end"});
    EXPECT_EQ(error_of(anna.check_site_pin()), "");  // no passphrase is asked for
    ASSERT_TRUE(anna.pin(anna.invite()->hash));
    EXPECT_EQ(error_of(anna.check_pins()), "");
    EXPECT_EQ(read_file(anna.pins(), 9999).value(), after);
  }
}

// Sums made under past rosters are taken: whose they may be says `pins`, and not who can write invites/ and rosters/.
TEST_F(OwnFiles, ARosterOfAFederationThatNobodyHereJoinedIsNoPastOne) {
  const node::io::SiteFolder folder = joined(founded(coordinator(), {&anna_}, 1));
  const auto keep = [&](const SignedDocument& document, const fs::path& name) {
    EXPECT_TRUE(create_directories_durably(folder.root() / name.parent_path()));
    EXPECT_TRUE(write_file_durably(folder.root() / name, document.serialize()));
  };
  const SignedDocument evil = founded(coordinator("evil"), {&ben_}, 1);
  ASSERT_TRUE(coordinator("evil").sign_next({{folder.site().value()}, {}}, ben_, kNow));
  keep(evil, fs::path("invites") / (to_hex(membership::verify_invite(evil)->hash) + ".json"));
  keep(coordinator("evil").roster_document().value(), "rosters/9.json");
  ASSERT_EQ(folder.past_rosters().size(), 1U);
  EXPECT_EQ(folder.past_rosters()[0].coordinator_signing_key, coordinator().federation()->coordinator_signing_key);
  const Bytes own = read_file(folder.pins(), 99'999).value();
  std::string text(as_text(own));
  text.replace(text.find("[]"), 2, "[\"" + to_hex(membership::verify_invite(evil)->hash) + "\"]");
  ASSERT_TRUE(write_file_durably(folder.pins(), as_bytes(text)));
  EXPECT_TRUE(folder.past_rosters().empty());
  EXPECT_FALSE(folder.check_pins());
  ASSERT_TRUE(write_file_durably(folder.pins(), own));
  // Those that people joined with stay, also where a kill came in the middle of a join.
  for (const char* name : {"second", "third"}) {
    const SignedDocument next = founded(coordinator(name), {&anna_}, 1);
    const Bytes before = read_file(folder.pins(), 99'999).value();
    ASSERT_TRUE(folder.pin_invite(next));
    ASSERT_TRUE(write_file_durably(folder.pins(), before));
    EXPECT_TRUE(folder.past_rosters().empty());
    ASSERT_TRUE(folder.pin(folder.invite()->hash));
    ASSERT_TRUE(coordinator(name).sign_next({{folder.site().value()}, {}}, anna_, kNow));
    keep(coordinator(name).roster_document().value(), fs::path("rosters") / (std::string(name) + ".json"));
  }
  EXPECT_EQ(folder.past_rosters().size(), 3U);
  fs::remove(folder.pins());
  EXPECT_TRUE(folder.past_rosters().empty());
}

TEST_F(OwnFiles, AClockThatIsOffSignsNoRosterOverAGoodOne) {
  founded(coordinator(), {&anna_}, 1);
  ASSERT_TRUE(coordinator().sign_next({{new_site("berta")}, {}}, anna_, kNow));
  const auto signed_at = [&](std::int64_t ms, Waiting waiting) {
    return coordinator().sign_next({.added = {}, .removed = {}, .waiting = waiting}, anna_, UnixMs{kNow.value + ms});
  };
  for (const std::int64_t off : {-kDayMs / 120, -kDayMs, 68 * kDayMs, 365 * kDayMs}) {
    const auto refused = signed_at(off, Waiting::keep);
    ASSERT_FALSE(refused) << off;
    EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
    expect_parts(refused.error().message, {"this machine's clock says ", "roster of epoch 1", "set the clock right",
                                           "--replace", off < 0 ? "behind" : "ahead"});
  }
  EXPECT_EQ(coordinator().newest_roster()->epoch, 1U);
  ASSERT_TRUE(signed_at(0, Waiting::keep));            // a minute or two apart
  ASSERT_TRUE(signed_at(30 * kDayMs, Waiting::keep));  // a federation that rested
  // The clock that was ahead is right again: the only way out.
  ASSERT_TRUE(signed_at(365 * kDayMs, Waiting::replace));
  ASSERT_FALSE(signed_at(31 * kDayMs, Waiting::keep));
  ASSERT_TRUE(signed_at(31 * kDayMs, Waiting::replace));
}

TEST_F(OwnFiles, ARosterThatNobodySignedIsRefusedWithTheTrueQuorum) {
  founded(coordinator(), {&anna_, &ben_, &cleo_}, 2);
  Roster roster;
  roster.federation = "test";
  roster.epoch = 1;
  roster.valid_from = kNow;
  roster.valid_until = UnixMs{kNow.value + kDayMs};
  roster.coordinator_signing_key = coordinator().federation()->coordinator_signing_key;
  const SignedDocument document{"roster", roster.document().value(), {}};
  expect_parts(error_of(coordinator().take_roster(document, kNow)),
               {"signed by 0 of 3 administrators; 2 of them must"});
}

TEST_F(OwnFiles, ARosterThatWasChangedIsNamedByItsFile) {
  founded(coordinator(), {&anna_}, 1);
  ASSERT_TRUE(coordinator().sign_next({{new_site("berta")}, {}}, anna_, kNow));
  SignedDocument changed = coordinator().roster_document().value();
  changed.document.replace(changed.document.find("berta"), 5, "clara");
  ASSERT_TRUE(write_file_durably(coordinator().roster_file(), changed.serialize()));
  expect_parts(error_of(coordinator().roster(kNow)), {coordinator().roster_file().string() + ": ", "was changed"});
}

TEST_F(OwnFiles, WhatChangesIsSaidToScriptsToo) {
  founded(coordinator(), {&anna_}, 1);
  ASSERT_TRUE(coordinator().sign_next({{new_site("berta")}, {}}, anna_, kNow)->before.sites.empty());
  const auto next = coordinator().sign_next({{new_site("clara")}, {}}, anna_, kNow);
  ASSERT_TRUE(next);
  ASSERT_EQ(next->before.sites.size(), 1U);
  EXPECT_EQ(next->before.sites[0].id.text(), "berta");
}

TEST_F(OwnFiles, ADocumentOfAnotherKindIsCalledByItsName) {
  const SignedDocument founding = founded(coordinator(), {&anna_}, 1);
  ASSERT_TRUE(coordinator().sign_next({{new_site("berta")}, {}}, anna_, kNow));
  const SignedDocument roster = coordinator().roster_document().value();
  EXPECT_EQ(error_of(membership::verify_invite(roster)), "is a roster, not an invite");
  EXPECT_EQ(error_of(membership::verify_join_request(founding)), "is an invite, not a request to join");
  EXPECT_EQ(error_of(membership::verify_roster_signatures(founding, coordinator().federation()->trust())),
            "is an invite, not a roster");
}

}  // namespace
}  // namespace fovea::federation
