// Failure class: evidence against a site that a restart, or somebody with access to the disk, makes disappear.
#include "coordinator/store/blame_folder.h"

#include <gtest/gtest.h>

#include "federation/membership/pardon.h"
#include "tests/support/ledger_folder.h"
#include "tests/support/temporary_folder.h"

namespace fovea::coordinator {
namespace {

class BlameFolderTest : public ::testing::Test {
 protected:
  store::Blame blame(const char* site = "dora") const {
    return {.site = SiteId::create(site).value(),
            .key = test::signing_key(3).verify_key(),
            .run = run,
            .round = 7,
            .reason = "bad-signature",
            .evidence = {Bytes{1, 2, 3}, Bytes(100'000, 9)}};
  }
  federation::membership::Pardon pardon() const {
    return {.site = SiteId::create("dora").value(),
            .run = run,
            .evidence = blame().digest(),
            .reason = "a disk fault, mended",
            .decided = test::kTestTime};
  }
  static federation::membership::SignedDocument sign(const federation::membership::Pardon& pardon, std::uint64_t key) {
    federation::membership::SignedDocument out{"pardon", pardon.document().value(), {}};
    EXPECT_TRUE(out.sign(test::signing_key(key)));
    return out;
  }

  test::TemporaryFolder folder;
  RunId run{{1, 2, 3}};
  store::BlameFolder blames{folder.path()};
};

TEST_F(BlameFolderTest, EvidenceSurvivesARestart) {
  EXPECT_TRUE(blames.standing().value().empty());
  ASSERT_TRUE(blames.add(blame()));
  ASSERT_TRUE(blames.add(blame("anna")));
  const auto standing = store::BlameFolder(folder.path()).standing().value();
  ASSERT_EQ(standing.size(), 2U);
  EXPECT_EQ(standing[0].site.text(), "anna");
  EXPECT_EQ(standing[1].encode(), blame().encode());
  EXPECT_EQ(standing[1].evidence, blame().evidence);
}

TEST_F(BlameFolderTest, AChangedFileIsNotAnEmptyOne) {
  ASSERT_TRUE(blames.add(blame()));
  const std::size_t size = test::slurp(folder.path() / "blame" / "dora").size();
  for (const std::size_t at : {std::size_t{0}, std::size_t{10}, std::size_t{60}, size / 2, size - 1}) {
    test::flip_byte(folder.path() / "blame" / "dora", at);
    const auto found = blames.standing();
    ASSERT_FALSE(found) << at;
    EXPECT_NE(found.error().message.find("dora"), std::string::npos);
    test::flip_byte(folder.path() / "blame" / "dora", at);
  }
  EXPECT_TRUE(blames.standing());
  test::spill(folder.path() / "blame" / "clara", test::slurp(folder.path() / "blame" / "dora"));
  EXPECT_FALSE(blames.standing());
}

TEST_F(BlameFolderTest, APardonIsAnAdministratorsAndAboutOneBlame) {
  const std::vector<federation::membership::PublicKeyBytes> administrators = {test::signing_key(50).verify_key(),
                                                                              test::signing_key(51).verify_key()};
  const auto verified = federation::membership::verify_pardon(sign(pardon(), 51), administrators);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->administrator, administrators[1]);
  EXPECT_EQ(verified->pardon.evidence, blame().digest());
  EXPECT_EQ(federation::membership::verify_pardon(sign(pardon(), 52), administrators).error().code,
            ErrorCode::permission_denied);
  auto changed = sign(pardon(), 51);
  changed.document[changed.document.find("dora")] = 'n';
  EXPECT_FALSE(federation::membership::verify_pardon(changed, administrators));
  store::Blame later = blame();
  later.round += 1;
  EXPECT_NE(later.digest(), blame().digest());
}

TEST_F(BlameFolderTest, WhatWasPardonedIsKept) {
  ASSERT_TRUE(blames.add(blame()));
  ASSERT_TRUE(blames.put_pardon(blame().site, sign(pardon(), 50)));
  EXPECT_EQ(blames.standing().value().size(), 1U);  // until the process that serves takes it up
  ASSERT_TRUE(blames.pardon_of(blame().site).value().has_value());
  ASSERT_TRUE(blames.close(blame(), sign(pardon(), 50)));
  EXPECT_TRUE(blames.standing().value().empty());
  EXPECT_FALSE(blames.pardon_of(blame().site).value().has_value());
  const std::string kept = test::slurp(folder.path() / "blame" / "pardoned" / to_hex(blame().digest()));
  EXPECT_EQ(store::Blame::decode(as_bytes(kept)).value().encode(), blame().encode());
}

}  // namespace
}  // namespace fovea::coordinator
