// Masks, share channels and unmasking, without the machines: any surviving set of at least t gives the exact sum, any
// smaller gives nothing, and everything derived is bound to H(P), the model, the key list and the direction.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/codec.h"
#include "common/ids.h"
#include "common/result.h"
#include "coordinator/aggregation/unmask.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "crypto/key_agreement.h"
#include "crypto/random_source.h"
#include "crypto/secret_bytes.h"
#include "crypto/shamir.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/refusal_reason.h"
#include "federation/messages/site_messages.h"
#include "federation/secagg/statements.h"
#include "tests/simulation/test_federation.h"

namespace fovea::test {
namespace {

using namespace federation;

struct Peer {
  federation::secagg::AttemptSecrets secrets;
  std::optional<federation::secagg::AttemptSecrets::Dealt> dealt;
  std::vector<federation::secagg::HeldShares> held;
};

// An attempt of n sites, up to the shares.
struct AttemptOf {
  explicit AttemptOf(std::size_t sites, AttemptNumber attempt = 1, std::uint64_t seed = 1) : federation(sites) {
    context.parameters.round = 1;
    context.parameters.attempt = attempt;
    context.parameters.dimension = 100;
    context.parameters.thresholds = table_thresholds(sites);
    for (RosterIndex i = 0; i < sites; ++i) context.parameters.candidates.push_back(i);
    context.parameters_hash = context.parameters.hash();
    for (RosterIndex i = 0; i < sites; ++i) {
      peers.push_back({federation::secagg::AttemptSecrets::derive(seed_of("masking", seed * 100 + i), i), {}, {}});
      context.keys.push_back({i, {peers[i].secrets.channel_key(), peers[i].secrets.mask_key(), {}}});
    }
    context.key_list = federation::secagg::key_list_hash(context.parameters_hash, context.keys);
    for (Peer& peer : peers) peer.dealt = peer.secrets.deal(context).value();
    for (Peer& peer : peers)
      for (const Peer& dealer : peers)
        if (&dealer != &peer)
          peer.held.push_back(peer.secrets.open(context, sealed(dealer.secrets.self(), peer.secrets.self())).value());
  }
  federation::messages::SealedShares sealed(RosterIndex dealer, RosterIndex recipient) const {
    federation::messages::SealedShares out;
    for (const federation::messages::SealedShares& shares : peers[dealer].dealt->sealed)
      if (shares.peer == recipient) out = shares;
    out.peer = dealer;
    return out;
  }
  federation::messages::RevealedShare reveal(RosterIndex from, RosterIndex subject,
                                             federation::messages::RevealedSecret kind) {
    const federation::secagg::HeldShares* held = &*peers[from].dealt->own;
    for (const federation::secagg::HeldShares& entry : peers[from].held)
      if (entry.dealer == subject) held = &entry;
    federation::messages::RevealedShare out{.subject = subject, .secret = kind};
    const auto bytes =
        (kind == federation::messages::RevealedSecret::self_seed ? held->self_seed : held->mask_key).encode();
    std::copy(bytes.view().begin(), bytes.view().end(), out.share.begin());
    return out;
  }
  coordinator::aggregation::UnmaskInput input(const std::vector<RosterIndex>& committed,
                                              const std::vector<RosterIndex>& responders) {
    coordinator::aggregation::UnmaskInput out;
    out.context = context;
    out.survivors = context.parameters.candidates;
    out.committed = committed;
    out.sum.resize(context.parameters.dimension);
    for (const RosterIndex site : committed) {
      std::vector<std::uint32_t> y(out.sum.size(), 10U + site);
      crypto::apply_masks(y, 0, peers[site].secrets.masks(context, out.survivors).value());
      crypto::add_words(out.sum, y);
    }
    for (const Peer& peer : peers)
      out.dealers.push_back(
          {peer.secrets.self(), peer.secrets.self_seed_commitment(context.parameters_hash), peer.dealt->sealed});
    for (const RosterIndex site : responders) {
      coordinator::aggregation::UnmaskResponse response{.site = site, .shares = {}};
      for (const RosterIndex subject : out.survivors) {
        const bool in_sum = std::find(committed.begin(), committed.end(), subject) != committed.end();
        response.shares.push_back(reveal(
            site, subject,
            in_sum ? federation::messages::RevealedSecret::self_seed : federation::messages::RevealedSecret::mask_key));
      }
      out.responses.push_back(std::move(response));
    }
    return out;
  }
  TestFederation federation;
  federation::secagg::AttemptContext context;
  std::vector<Peer> peers;
};

TEST(Unmask, AnySurvivingSetOfAtLeastTGivesTheExactSumAndASmallerNothing) {
  AttemptOf attempt(6);
  const std::size_t threshold = attempt.context.parameters.thresholds.threshold;
  for (std::uint32_t set = 1; set < 64; ++set) {
    std::vector<RosterIndex> committed;
    std::uint32_t expected = 0;
    for (RosterIndex i = 0; i < 6; ++i)
      if (set >> i & 1U) {
        committed.push_back(i);
        expected += 10U + i;
      }
    const auto masked = attempt.input(committed, committed).sum;
    const auto outcome = coordinator::aggregation::unmask(attempt.input(committed, committed));
    EXPECT_EQ(outcome.complete, committed.size() >= threshold) << set;
    EXPECT_TRUE(outcome.blames.empty());
    if (outcome.complete) EXPECT_EQ(outcome.sum, std::vector<std::uint32_t>(100, expected)) << set;
    else EXPECT_EQ(outcome.sum, masked) << "an incomplete unmasking changed the sum";
  }
}

TEST(Unmask, AChangedShareIsTracedToItsSenderAndReplacedByAnother) {
  AttemptOf attempt(6);
  const std::vector<RosterIndex> all = {0, 1, 2, 3, 4, 5};
  auto input = attempt.input(all, all);
  input.responses[0].shares[3].share[8] ^= 1;
  input.responses[1].shares[2].share[0] ^= 2;  // another point
  const auto outcome = coordinator::aggregation::unmask(std::move(input));
  EXPECT_TRUE(outcome.complete);
  EXPECT_EQ(outcome.sum, std::vector<std::uint32_t>(100, 75));
  ASSERT_EQ(outcome.blames.size(), 2U);
  for (const auto& blame : outcome.blames) {
    EXPECT_EQ(blame.reason, federation::messages::RefusalReason::bad_revealed_share);
    EXPECT_LE(blame.site, 1U);
  }
}

TEST(Unmask, ADealerWhoseSharesDoNotGiveItsCommittedSecretIsNamed) {
  AttemptOf attempt(6);
  const std::vector<RosterIndex> all = {0, 1, 2, 3, 4, 5};
  auto input = attempt.input(all, all);
  input.dealers[4].self_seed_commitment[0] ^= 1;
  const auto outcome = coordinator::aggregation::unmask(std::move(input));
  EXPECT_FALSE(outcome.complete);
  ASSERT_EQ(outcome.blames.size(), 1U);
  EXPECT_EQ(outcome.blames[0],
            (coordinator::aggregation::Blame{4, federation::messages::RefusalReason::inconsistent_dealer}));
}

TEST(Unmask, ThreadsDoNotChangeTheSum) {
  AttemptOf attempt(5);
  const std::vector<RosterIndex> committed = {0, 1, 3, 4};
  EXPECT_EQ(coordinator::aggregation::unmask(attempt.input(committed, committed), 1).sum,
            coordinator::aggregation::unmask(attempt.input(committed, committed), 2).sum);
}

TEST(Masking, BothSidesOfAPairDeriveOneSeed) {
  AttemptOf attempt(3);
  const auto zero = attempt.peers[0].secrets.masks(attempt.context, std::vector<RosterIndex>{0, 1}).value();
  const auto one = attempt.peers[1].secrets.masks(attempt.context, std::vector<RosterIndex>{0, 1}).value();
  ASSERT_EQ(zero.size(), 2U);
  EXPECT_TRUE(crypto::constant_time_equal(zero[1].seed.view(), one[1].seed.view()));
  EXPECT_NE(zero[1].sign, one[1].sign);
  EXPECT_EQ(zero[1].sign, crypto::MaskSign::add);
}

TEST(Masking, EverySeedIsBoundToParametersModelAndDimension) {
  AttemptOf attempt(3);
  const auto seeds = [&](const federation::secagg::AttemptContext& context) {
    std::vector<Bytes> out;
    const auto masks = attempt.peers[0].secrets.masks(context, std::vector<RosterIndex>{0, 1, 2}).value();
    for (const auto& key : masks) out.emplace_back(key.seed.view().begin(), key.seed.view().end());
    return out;
  };
  const auto base = seeds(attempt.context);
  const auto differs = [&](auto change) {
    federation::secagg::AttemptContext other = attempt.context;
    change(other);
    const auto changed = seeds(other);
    for (std::size_t i = 0; i < base.size(); ++i) EXPECT_NE(changed[i], base[i]) << i;
  };
  differs([](auto& c) { c.parameters_hash[0] ^= 1; });  // H(P) alone
  differs([](auto& c) { c.parameters.model_hash[0] ^= 1; });
  differs([](auto& c) { c.parameters.dimension += 1; });
}

TEST(Masking, SharesOpenOnlyInTheirDirectionAndUnderTheirKeyList) {
  AttemptOf attempt(4);
  const auto& self = attempt.peers[1].secrets;
  ASSERT_TRUE(self.open(attempt.context, attempt.sealed(0, 1)).has_value());
  auto wrong_dealer = attempt.sealed(0, 1);
  wrong_dealer.peer = 2;
  EXPECT_EQ(self.open(attempt.context, wrong_dealer).error().code, ErrorCode::corruption);
  EXPECT_EQ(self.open(attempt.context, attempt.sealed(0, 2)).error().code, ErrorCode::corruption);
  // Reflected to its own sender.
  auto reflected = attempt.sealed(1, 0);
  reflected.peer = 0;
  EXPECT_EQ(self.open(attempt.context, reflected).error().code, ErrorCode::corruption);
  for (const bool parameters : {true, false}) {
    federation::secagg::AttemptContext other = attempt.context;
    (parameters ? other.parameters_hash : other.key_list)[0] ^= 1;
    EXPECT_EQ(self.open(other, attempt.sealed(0, 1)).error().code, ErrorCode::corruption);
  }
  auto uncommitted = attempt.sealed(0, 1);
  uncommitted.mask_key_commitment[0] ^= 1;
  EXPECT_EQ(self.open(attempt.context, uncommitted).error().code, ErrorCode::permission_denied);
}

// The key that seals what `dealer` sends to `recipient`, as the documents have it.
crypto::SecretKey channel_key(const AttemptOf& attempt, std::uint64_t seed, RosterIndex dealer, RosterIndex recipient) {
  ByteWriter label;
  label.sized(std::string_view("FOVEA/1/attempt/channel"));
  const auto own = crypto::AgreementKey::from_private(
      crypto::hkdf_sha256({.secret = seed_of("masking", seed).view(), .salt = {}, .info = label.bytes()}));
  const auto shared = own.shared_secret(attempt.peers[recipient].secrets.channel_key()).value();
  ByteWriter info;
  info.sized(std::string_view("FOVEA/1/share-channel"));
  info.u16(dealer);
  info.u16(recipient);
  info.raw(attempt.peers[dealer].secrets.channel_key());
  info.raw(attempt.peers[recipient].secrets.channel_key());
  info.raw(attempt.context.key_list);
  return crypto::hkdf_sha256({.secret = shared.view(), .salt = attempt.context.parameters_hash, .info = info.bytes()});
}

// A dealer seals, for site 1, shares that are of site 2: properly committed to, and of no use to site 1.
TEST(Masking, AShareOfAnotherSitesPointIsRefused) {
  AttemptOf attempt(4);
  for (const RosterIndex points_of : {RosterIndex{1}, RosterIndex{2}}) {
    const federation::secagg::HeldShares& held = attempt.peers[points_of].held.front();
    ASSERT_EQ(held.dealer, 0U);
    const auto mask_share = held.mask_key.encode();
    const auto seed_share = held.self_seed.encode();
    Bytes plain(mask_share.view().begin(), mask_share.view().end());
    plain.insert(plain.end(), seed_share.view().begin(), seed_share.view().end());
    ByteWriter associated;
    associated.sized(std::string_view("FOVEA/1/share-message"));
    associated.raw(attempt.context.parameters_hash);
    associated.u16(0);
    associated.u16(1);
    associated.raw(attempt.context.key_list);
    federation::messages::SealedShares message{
        .peer = 0, .mask_key_commitment = {}, .self_seed_commitment = {}, .sealed = {}};
    const Digest& hash = attempt.context.parameters_hash;
    message.mask_key_commitment = federation::secagg::share_commitment(
        hash, {0, 1, federation::messages::RevealedSecret::mask_key}, mask_share.view());
    message.self_seed_commitment = federation::secagg::share_commitment(
        hash, {0, 1, federation::messages::RevealedSecret::self_seed}, seed_share.view());
    const Bytes sealed = crypto::aead_seal(channel_key(attempt, 100, 0, 1), {}, associated.bytes(), plain);
    message.sealed = to_array<federation::messages::kSealedSharesBytes>(sealed, "sealed").value();
    const auto opened = attempt.peers[1].secrets.open(attempt.context, message);
    if (points_of == 1) EXPECT_TRUE(opened.has_value()) << opened.error().message;
    else EXPECT_EQ(opened.error().code, ErrorCode::permission_denied);
  }
}

// The nonce is constant: under one key, the difference of the two messages would be that of the shares in them.
TEST(Masking, EachDirectionOfAChannelHasAKeyOfItsOwn) {
  AttemptOf attempt(3);
  const auto keystream = [&](RosterIndex dealer, RosterIndex recipient) {
    const auto sealed = attempt.sealed(dealer, recipient).sealed;
    for (const federation::secagg::HeldShares& held : attempt.peers[recipient].held) {
      if (held.dealer != dealer) continue;
      const auto plain = held.mask_key.encode();
      Bytes out(plain.view().begin(), plain.view().end());
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(out[i] ^ sealed[i]);
      return out;
    }
    return Bytes();
  };
  ASSERT_EQ(keystream(0, 1).size(), crypto::kShareBytes);
  EXPECT_NE(keystream(0, 1), keystream(1, 0));
  EXPECT_NE(keystream(0, 1), keystream(0, 2));
}

// R5 opens the self seed of every site in the sum. Did the polynomials come from it, one share of the mask key would
// give the mask key too.
TEST(Masking, TheOpenedSelfSeedDoesNotGiveThePolynomials) {
  AttemptOf attempt(4);
  const std::vector<RosterIndex> all = attempt.context.parameters.candidates;
  const auto outcome = coordinator::aggregation::unmask(attempt.input(all, all));
  ASSERT_TRUE(outcome.complete);
  const auto seed = crypto::SecretKey::from(outcome.opened.front().value, "opened").value();
  const std::vector<std::uint32_t> points{1, 2, 3, 4};
  const std::uint32_t threshold = attempt.context.parameters.thresholds.threshold;
  const auto truth = attempt.reveal(1, 0, federation::messages::RevealedSecret::self_seed).share;
  crypto::SeededRandom random(seed);
  for (int draws = 0; draws < 2; ++draws) {  // the mask key is shared first
    const auto shares = crypto::split_secret(seed, threshold, points, random).value();
    const auto share = shares[1].encode();
    EXPECT_FALSE(std::equal(truth.begin(), truth.end(), share.view().begin())) << draws;
  }
}

TEST(Masking, ShamirPointsOfZeroAndForAnotherSiteAreRefused) {
  crypto::SecretArray<crypto::kShareBytes> zero;
  EXPECT_FALSE(crypto::Share::decode(zero.view()).has_value());
  crypto::SeededRandom random(seed_of("coefficients", 1));
  EXPECT_FALSE(crypto::split_secret(seed_of("s", 1), 2, std::vector<std::uint32_t>{1, 1, 2}, random).has_value());
  EXPECT_FALSE(crypto::split_secret(seed_of("s", 1), 2, std::vector<std::uint32_t>{0, 1, 2}, random).has_value());
}

TEST(Masking, AnotherAttemptSharesNothingWithTheFirst) {
  AttemptOf first(3, 1, 1);
  AttemptOf second(3, 2, 2);
  for (RosterIndex i = 0; i < 3; ++i) {
    EXPECT_NE(first.peers[i].secrets.mask_key(), second.peers[i].secrets.mask_key());
    EXPECT_NE(first.peers[i].secrets.channel_key(), first.peers[i].secrets.mask_key());
  }
}

TEST(Statements, EachIsBoundToItsLabelParametersAndFields) {
  const Digest p{1};
  const Digest q{2};
  EXPECT_NE(federation::secagg::survivors_hash(p, std::vector<RosterIndex>{1, 2}),
            federation::secagg::survivors_hash(q, std::vector<RosterIndex>{1, 2}));
  EXPECT_NE(federation::secagg::survivors_hash(p, std::vector<RosterIndex>{1, 2}),
            federation::secagg::survivors_hash(p, std::vector<RosterIndex>{1, 3}));
  EXPECT_NE(federation::secagg::keys_statement(p, 1, {}), federation::secagg::keys_statement(p, 2, {}));
  EXPECT_NE(federation::secagg::self_seed_commitment(p, 1, Bytes(32)),
            federation::secagg::self_seed_commitment(p, 2, Bytes(32)));
  EXPECT_NE(
      federation::secagg::share_commitment(p, {1, 2, federation::messages::RevealedSecret::mask_key}, Bytes(44)),
      federation::secagg::share_commitment(p, {1, 2, federation::messages::RevealedSecret::self_seed}, Bytes(44)));
  const std::vector<RosterIndex> u2 = {0, 1, 2};
  const std::vector<federation::messages::CommittedVector> u3 = {{.site = 0}, {.site = 1}};
  auto other = u3;
  other[1].vector_hash[0] = 1;
  EXPECT_NE(federation::secagg::consistency_statement(p, {p, u2, u3}),
            federation::secagg::consistency_statement(p, {p, u2, other}));
  EXPECT_NE(federation::secagg::consistency_statement(p, {p, u2, u3}),
            federation::secagg::consistency_statement(p, {q, u2, u3}));
  EXPECT_NE(federation::secagg::consistency_statement(p, {p, u2, u3}),
            federation::secagg::consistency_statement(p, {p, std::span(u2).first(2), u3}));
}

// That no two of these are equal: each differs from the first in one thing.
void expect_all_different(const std::vector<Digest>& digests) {
  for (std::size_t i = 0; i < digests.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(digests[i], digests[j]) << j << " and " << i;
}

TEST(Statements, AMaskedVectorIsBoundToEachOfItsParts) {
  using federation::secagg::masked_statement;
  const Digest p{1}, other{2};
  expect_all_different({masked_statement(p, {1, p, p, p, p}), masked_statement(other, {1, p, p, p, p}),
                        masked_statement(p, {2, p, p, p, p}), masked_statement(p, {1, other, p, p, p}),
                        masked_statement(p, {1, p, other, p, p}), masked_statement(p, {1, p, p, other, p}),
                        masked_statement(p, {1, p, p, p, other})});
  crypto::LinearTag tag{}, changed{};
  changed[0] = 1;
  using federation::secagg::tag_hash;
  expect_all_different({tag_hash(p, 1, tag), tag_hash(other, 1, tag), tag_hash(p, 2, tag), tag_hash(p, 1, changed)});
}

TEST(Statements, TheListsAreBoundToEachPartOfTheirEntries) {
  const Digest p{1}, other{2};
  std::vector<std::vector<federation::messages::CommittedVector>> lists(6, {{.site = 0}, {.site = 1}, {.site = 2}});
  lists[1][2].site = 3;
  lists[2][2].vector_hash = other;
  lists[3][2].self_seed_commitment = other;
  lists[4][2].tag_hash = other;
  lists[5].pop_back();
  std::vector<Digest> roots{federation::secagg::committed_root(other, lists[0])};
  for (const auto& list : lists) roots.push_back(federation::secagg::committed_root(p, list));
  expect_all_different(roots);

  std::vector<std::vector<federation::messages::ListedKeys>> keys(5, {{0, {}}, {1, {}}});
  keys[1][1].site = 2;
  keys[2][1].keys.channel[0] = 1;
  keys[3][1].keys.mask[0] = 1;
  keys[4][1].keys.signature[0] = 1;
  std::vector<Digest> hashes{federation::secagg::key_list_hash(other, keys[0])};
  for (const auto& list : keys) hashes.push_back(federation::secagg::key_list_hash(p, list));
  expect_all_different(hashes);
  using federation::secagg::transcript_hash;
  expect_all_different({transcript_hash(p, p, p), transcript_hash(other, p, p), transcript_hash(p, other, p),
                        transcript_hash(p, p, other)});
}

}  // namespace
}  // namespace fovea::test
