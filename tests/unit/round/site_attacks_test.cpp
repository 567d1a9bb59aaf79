// Malicious sites against the coordinator and their peers: each is named with its reason, and the honest sites' round
// still ends in their exact sum wherever enough of them are left.
#include "crypto/aead.h"
#include "tests/unit/round/scene.h"

namespace fovea::test {
namespace {

constexpr RosterIndex kBad = 2;

class SiteAttack : public ::testing::Test {
 protected:
  Scene scene{4, 1};

  // The round ends, `kBad` is named for `reason`, and the sum is of `contributors` sites.
  void expect_named(RefusalReason reason, std::size_t contributors) {
    EXPECT_TRUE(scene.world.run());
    EXPECT_TRUE(scene.world.violations().empty());
    ASSERT_FALSE(scene.world.blamed().empty()) << "nobody was named";
    EXPECT_EQ(scene.world.blamed().front().site, scene.world.federation().id(kBad));
    EXPECT_EQ(scene.world.blamed().front().reason, reason)
        << federation::messages::to_string(scene.world.blamed().front().reason);
    ASSERT_EQ(scene.world.results().size(), 1U);
    EXPECT_EQ(scene.world.results().front().contributors.size(), contributors);
  }
  // As the bad site would, after it changed the statement.
  void sign(federation::messages::MaskedStatement& m) const {
    m.signature = scene.world.federation().identity(kBad).sign(federation::secagg::masked_statement(
        m.ref.parameters, {kBad, m.vector_hash, m.survivors_hash, m.self_seed_commitment,
                           federation::secagg::tag_hash(m.ref.parameters, kBad, m.tag)}));
  }
  bool refused_by_coordinator(RefusalReason reason) {
    const auto& all = scene.world.coordinator_refusals();
    return std::find(all.begin(), all.end(), reason) != all.end();
  }
};

TEST_F(SiteAttack, ABadSignatureUnderItsKeysIsNamed) {
  scene.corrupt<federation::messages::KeysMessage>(kBad, MessageKind::keys, [](auto& m) { m.keys.signature[0] ^= 1; });
  expect_named(RefusalReason::bad_signature, 3);
  ASSERT_FALSE(scene.world.blamed().front().evidence.empty());  // its own signed message
}

TEST_F(SiteAttack, ALowOrderKeyIsNamed) {
  scene.corrupt<federation::messages::KeysMessage>(kBad, MessageKind::keys, [&](auto& m) {
    m.keys.mask = {1};
    m.keys.signature = scene.world.federation().identity(kBad).sign(
        federation::secagg::keys_statement(m.ref.parameters, kBad, m.keys));
  });
  expect_named(RefusalReason::low_order_key, 3);
}

// Every honest site would refuse the list: one member could end each round, and nobody would be named.
TEST_F(SiteAttack, AKeyOfAnotherSiteIsNamed) {
  const TestFederation& f = scene.world.federation();
  std::optional<crypto::AgreementPublicKey> stolen;
  scene.world.intercept = [&](Delivery& delivery) {
    if (federation::messages::claimed_kind(delivery.wire).value() != MessageKind::keys) return true;
    const auto opened = f.open_at_coordinator(delivery.site, delivery.wire);
    auto keys = federation::messages::KeysMessage::decode(opened->payload()).value();
    if (delivery.site == 0) stolen = keys.keys.mask;
    if (delivery.site != kBad) return true;
    if (!stolen) return false;  // it is asked again
    keys.keys.mask = *stolen;
    keys.keys.signature =
        f.identity(kBad).sign(federation::secagg::keys_statement(keys.ref.parameters, kBad, keys.keys));
    delivery.wire = f.from_site(kBad, MessageKind::keys, keys.encode()).wire();
    return true;
  };
  expect_named(RefusalReason::duplicate_key, 3);
}

TEST_F(SiteAttack, OneKeyForTwoPurposesIsNamed) {
  scene.corrupt<federation::messages::KeysMessage>(kBad, MessageKind::keys, [&](auto& m) {
    m.keys.mask = m.keys.channel;
    m.keys.signature = scene.world.federation().identity(kBad).sign(
        federation::secagg::keys_statement(m.ref.parameters, kBad, m.keys));
  });
  expect_named(RefusalReason::duplicate_key, 3);
}

TEST_F(SiteAttack, SharesUnderAnotherKeyListAreRefused) {
  scene.corrupt<federation::messages::SharesMessage>(kBad, MessageKind::shares, [](auto& m) { m.key_list[0] ^= 1; });
  EXPECT_TRUE(scene.world.run());
  EXPECT_TRUE(refused_by_coordinator(RefusalReason::statement_differs));
  ASSERT_EQ(scene.world.results().size(), 1U);
  EXPECT_EQ(scene.world.results().front().contributors.size(), 3U);
}

TEST_F(SiteAttack, SharesForTheWrongSitesAreNamed) {
  scene.corrupt<federation::messages::SharesMessage>(kBad, MessageKind::shares, [](auto& m) { m.shares.pop_back(); });
  expect_named(RefusalReason::list_out_of_order, 3);
}

TEST_F(SiteAttack, AVectorThatIsNotWhatWasSignedIsNamed) {
  scene.corrupt<federation::messages::MaskedStatement>(kBad, MessageKind::masked_statement,
                                                       [](auto& m) { m.vector_hash[0] ^= 1; });
  expect_named(RefusalReason::vector_hash_differs, 3);
  EXPECT_EQ(scene.world.results().front().attempt, 1U);  // it was never in the sum, so no attempt was lost by it
}

TEST_F(SiteAttack, ABadSignatureUnderItsVectorIsNamed) {
  scene.corrupt<federation::messages::MaskedStatement>(kBad, MessageKind::masked_statement,
                                                       [](auto& m) { m.signature[0] ^= 1; });
  expect_named(RefusalReason::bad_signature, 3);
}

TEST_F(SiteAttack, AVectorUnderAnotherU2IsNamed) {
  scene.corrupt<federation::messages::MaskedStatement>(kBad, MessageKind::masked_statement, [this](auto& m) {
    m.survivors_hash[0] ^= 1;
    sign(m);
  });
  expect_named(RefusalReason::statement_differs, 3);
}

TEST_F(SiteAttack, AnotherSelfSeedCommitmentIsNamed) {
  scene.corrupt<federation::messages::MaskedStatement>(kBad, MessageKind::masked_statement,
                                                       [](auto& m) { m.self_seed_commitment[0] ^= 1; });
  expect_named(RefusalReason::share_commitment_differs, 3);
}

TEST_F(SiteAttack, ABadConsistencySignatureIsNamedAndTheOthersFinish) {
  scene.corrupt<federation::messages::ConsistencySignature>(kBad, MessageKind::consistency_signature,
                                                            [](auto& m) { m.signature[0] ^= 1; });
  expect_named(RefusalReason::bad_signature, 4);
}

TEST_F(SiteAttack, ABadRevealedShareIsNamedAndTheOthersFinish) {
  // Site 3 answers last, so that the bad share is among the first t.
  scene.world.intercept = [&](Delivery& delivery) {
    if (delivery.direction != Direction::to_coordinator) return true;
    const auto opened = scene.world.federation().open_at_coordinator(delivery.site, delivery.wire);
    if (opened->kind() != MessageKind::unmask_shares) return true;
    if (delivery.site == 3) return scene.world.now_ms() > 300;
    if (delivery.site != kBad) return true;
    auto shares = federation::messages::UnmaskShares::decode(opened->payload()).value();
    shares.shares[0].share[6] ^= 1;
    delivery.wire = scene.world.federation().from_site(kBad, MessageKind::unmask_shares, shares.encode()).wire();
    return true;
  };
  expect_named(RefusalReason::bad_revealed_share, 4);
  EXPECT_GE(scene.world.blamed().front().evidence.size(), 2U);  // its release, and the dealer's commitments
}

TEST_F(SiteAttack, SharesOfTheWrongKindAreNamed) {
  scene.corrupt<federation::messages::UnmaskShares>(kBad, MessageKind::unmask_shares, [](auto& m) {
    m.shares[0].secret = federation::messages::RevealedSecret::mask_key;
  });
  expect_named(RefusalReason::bad_revealed_share, 4);
}

// No site would take a sum with it: one member could end every run. The first such tag costs an attempt.
TEST_F(SiteAttack, ATagThatIsNotOfItsVectorIsNamed) {
  scene.corrupt<federation::messages::MaskedStatement>(kBad, MessageKind::masked_statement, [this](auto& m) {
    m.tag[0] ^= 1;
    sign(m);
  });
  expect_named(RefusalReason::linear_tag_differs, 3);
}

TEST_F(SiteAttack, ATagOutsideItsRingIsNamed) {
  scene.corrupt<federation::messages::MaskedStatement>(kBad, MessageKind::masked_statement, [this](auto& m) {
    m.tag.fill(0xff);
    sign(m);
  });
  expect_named(RefusalReason::linear_tag_differs, 3);
}

TEST_F(SiteAttack, ALateVectorIsRefused) {
  Bytes late;
  scene.world.intercept = [&](Delivery& delivery) {
    if (delivery.direction != Direction::to_coordinator || delivery.site != kBad) return true;
    const auto opened = scene.world.federation().open_at_coordinator(kBad, delivery.wire);
    if (opened->kind() == MessageKind::masked_chunk) late = delivery.wire;
    return opened->kind() != MessageKind::masked_chunk && opened->kind() != MessageKind::masked_statement;
  };
  ASSERT_TRUE(scene.world.run([&] {
    return scene.world.coordinator().phase() == coordinator::round::RoundPhase::collecting_unmask;
  }) || !late.empty());
  auto opened = scene.world.federation().open_at_coordinator(kBad, late);
  const auto effects = scene.world.coordinator().step(coordinator::round::MessageReceived{std::move(*opened)});
  ASSERT_TRUE(effects.refusal.has_value());
  EXPECT_EQ(effects.refusal->reason, RefusalReason::late_vector);
  ASSERT_TRUE(scene.world.run());
  EXPECT_EQ(scene.world.results().front().contributors.size(), 3U);
  EXPECT_EQ(scene.world.results().front().dropouts.front(), scene.world.federation().id(kBad));
}

TEST_F(SiteAttack, ASecondDifferentChunkIsRefused) {
  const auto chunk = scene.hold_to_coordinator(kBad, MessageKind::masked_statement);
  const auto ref = federation::messages::MaskedStatement::decode(chunk.payload())->ref;
  scene.world.run([n = 0]() mutable { return ++n > 20; });
  const std::vector<std::uint32_t> words(scene.world.update(0).delta.size() + federation::secagg::kTailWords, 7);
  auto other = scene.world.federation().from_site(kBad, MessageKind::masked_chunk,
                                                  federation::messages::encode_chunk(ref, 0, words));
  const auto effects = scene.world.coordinator().step(coordinator::round::MessageReceived{std::move(other)});
  ASSERT_TRUE(effects.refusal.has_value());
  EXPECT_EQ(effects.refusal->reason, RefusalReason::second_statement);
}

TEST_F(SiteAttack, AMessageInAnotherSitesNameIsRefused) {
  const TestFederation& f = scene.world.federation();
  const Bytes payload = federation::messages::TrainingReady{1, f.plan()}.encode();
  // Signed by 2 in the name of 1, signed by 2 as 2 on the connection of 1, and signed by 1 in the name of 2.
  EXPECT_FALSE(f.open_at_coordinator(1, federation::messages::seal_message(
                                            {MessageKind::training_ready, f.run(), f.id(1), 1}, payload, f.identity(2)))
                   .has_value());
  EXPECT_FALSE(f.open_at_coordinator(1, federation::messages::seal_message(
                                            {MessageKind::training_ready, f.run(), f.id(2), 1}, payload, f.identity(2)))
                   .has_value());
  EXPECT_FALSE(f.open_at_coordinator(1, federation::messages::seal_message(
                                            {MessageKind::training_ready, f.run(), f.id(2), 1}, payload, f.identity(1)))
                   .has_value());
  EXPECT_FALSE(f.open_at_coordinator(1, federation::messages::seal_message(
                                            {MessageKind::train_task, f.run(), f.id(1), 1}, payload, f.identity(1)))
                   .has_value());
}

TEST_F(SiteAttack, AnUnreadableShareEndsInADisputeAndTheRoundGoesOn) {
  // The dealer garbles what it seals for site 0; the coordinator cannot tell who lies.
  scene.corrupt<federation::messages::SharesMessage>(kBad, MessageKind::shares,
                                                     [](auto& m) { m.shares[0].sealed[20] ^= 1; });
  EXPECT_TRUE(scene.world.run());
  EXPECT_TRUE(scene.world.violations().empty());
  ASSERT_EQ(scene.world.results().size(), 1U);
  EXPECT_EQ(scene.world.results().front().contributors.size(), 3U);  // without the site that could not read its share
}

TEST_F(SiteAttack, AFalseAccuserOfTwoSitesIsNamed) {
  // Site 2 accuses a different peer in every attempt, and site 3 sends no vector in the first: the attempt is repeated.
  RosterIndex accused = 0;
  scene.world.intercept = [&](Delivery& delivery) {
    if (delivery.direction != Direction::to_coordinator) return true;
    const auto opened = scene.world.federation().open_at_coordinator(delivery.site, delivery.wire);
    if (opened->kind() == MessageKind::masked_chunk && delivery.site == 3 && accused < 2 &&
        scene.world.blamed().empty())
      return false;
    if (opened->kind() != MessageKind::masked_chunk || delivery.site != kBad || accused > 1) return true;
    const auto ref = federation::messages::decode_chunk(opened->payload())->ref;
    const federation::messages::AttemptFailure failure{ref.round, ref.attempt, RefusalReason::share_unreadable,
                                                       accused};
    accused = static_cast<RosterIndex>(accused + 1);
    delivery.wire = scene.world.federation().from_site(kBad, MessageKind::attempt_failure, failure.encode()).wire();
    return true;
  };
  expect_named(RefusalReason::disputed_shares, 3);
}

}  // namespace
}  // namespace fovea::test
