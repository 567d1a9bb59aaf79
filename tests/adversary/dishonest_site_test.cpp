// Failure class: one hospital that ends the run of all others, or costs the coordinator what it does not have. A real
// fovea-coordinator, and four hospitals that the test plays, of which dora is dishonest.
#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "crypto/linear_hash.h"
#include "federation/messages/site_messages.h"
#include "federation/messages/sum_check.h"
#include "federation/messages/vector_chunk.h"
#include "federation/secagg/statements.h"
#include "tests/adversary/load_fixture.h"

namespace fovea::test {
namespace {

using namespace federation::messages;

// What leaves instead of one message of dora's.
using SiteForger = std::function<std::vector<Bytes>(const ScriptedSite&, const SignedMessage&)>;

struct SiteAttack {
  std::string name;
  std::set<MessageKind> kinds;
  std::string_view event;  // of the coordinator; none where it has nothing to say
  std::string_view reason;
  SiteForger forge;
  bool always = false;  // else only the first such message
};
void PrintTo(const SiteAttack& attack, std::ostream* out) { *out << attack.name; }

template <class Message>
SiteForger changed(std::function<void(const ScriptedSite&, Message&)> edit) {
  return [edit](const ScriptedSite& site, const SignedMessage& honest) {
    auto message = Message::decode(honest.payload()).value();
    edit(site, message);
    return std::vector<Bytes>{site.seal(honest.kind(), message.encode())};
  };
}
// The honest message, and then another of the kind.
SiteForger and_then(SiteForger second) {
  return [second = std::move(second)](const ScriptedSite& site, const SignedMessage& honest) {
    std::vector<Bytes> out = second(site, honest);
    out.insert(out.begin(), honest.wire());
    return out;
  };
}
// It is refused, and nothing else has happened: the honest one counts.
SiteForger in_vain(SiteForger first) {
  return [first = std::move(first)](const ScriptedSite& site, const SignedMessage& honest) {
    std::vector<Bytes> out = first(site, honest);
    out.push_back(honest.wire());
    return out;
  };
}

void sign_keys(const ScriptedSite& site, KeysMessage& m) {
  m.keys.signature = site.identity().sign(federation::secagg::keys_statement(m.ref.parameters, site.index(), m.keys));
}
void sign_statement(const ScriptedSite& site, MaskedStatement& m) {
  m.signature = site.identity().sign(federation::secagg::masked_statement(
      m.ref.parameters, {site.index(), m.vector_hash, m.survivors_hash, m.self_seed_commitment,
                         federation::secagg::tag_hash(m.ref.parameters, site.index(), m.tag)}));
}

std::vector<std::uint32_t> words_of(const SignedMessage& chunk) {
  const auto view = federation::messages::decode_chunk(chunk.payload()).value();
  std::vector<std::uint32_t> words(view.words.size() / 4);
  federation::messages::copy_words(view.words, words);
  return words;
}

// Another vector, whole and signed: only the sum can show that it is out of bounds. The probe's is one chunk.
SiteForger vector_with(std::function<void(std::vector<std::uint32_t>&)> change) {
  return [change, digest = std::make_shared<Digest>(), tag = std::make_shared<crypto::LinearTag>()](
             const ScriptedSite& site, const SignedMessage& honest) {
    if (honest.kind() == MessageKind::masked_chunk) {
      const auto view = federation::messages::decode_chunk(honest.payload()).value();
      std::vector<std::uint32_t> words = words_of(honest);
      change(words);
      const Bytes payload = federation::messages::encode_chunk(view.ref, view.index, words);
      federation::secagg::VectorHash hash(view.ref.parameters, words.size());
      hash.add_chunk(federation::messages::hash_payload(payload));
      *digest = hash.finish();
      *tag = crypto::linear_hash(view.ref.parameters, words, {}, 1);
      return std::vector<Bytes>{site.seal(honest.kind(), payload)};
    }
    auto statement = MaskedStatement::decode(honest.payload()).value();
    statement.vector_hash = *digest;
    statement.tag = *tag;
    sign_statement(site, statement);
    return std::vector<Bytes>{site.seal(honest.kind(), statement.encode())};
  };
}

// It commits to another self seed than the one whose shares it deals: each share is good, and they open nothing.
std::vector<Bytes> deal_another_seed(const ScriptedSite& site, const SignedMessage& honest) {
  if (honest.kind() == MessageKind::shares) {
    auto shares = SharesMessage::decode(honest.payload()).value();
    if (shares.ref.round > 1) return {honest.wire()};
    shares.self_seed_commitment[0] ^= 1;
    return {site.seal(honest.kind(), shares.encode())};
  }
  auto statement = MaskedStatement::decode(honest.payload()).value();
  if (statement.ref.round > 1) return {honest.wire()};
  statement.self_seed_commitment[0] ^= 1;
  sign_statement(site, statement);
  return {site.seal(honest.kind(), statement.encode())};
}

// Two sites' shares, said to be unreadable.
std::vector<Bytes> accuse_two(const ScriptedSite& site, const SignedMessage& honest) {
  const auto ref = federation::messages::decode_chunk(honest.payload()).value().ref;
  std::vector<Bytes> out;
  for (const RosterIndex accused : {RosterIndex{0}, RosterIndex{1}}) {
    const AttemptFailure failure{ref.round, ref.attempt, RefusalReason::share_unreadable, accused};
    out.push_back(site.seal(MessageKind::attempt_failure, failure.encode()));
  }
  return out;
}

std::vector<SiteAttack> key_and_share_attacks() {
  const auto changed_keys = changed<KeysMessage>([](const ScriptedSite& site, KeysMessage& m) {
    std::swap(m.keys.channel, m.keys.mask);
    sign_keys(site, m);
  });
  return {
      {"KeysUnderABadSignature",
       {MessageKind::keys},
       "site_blamed",
       "bad-signature",
       changed<KeysMessage>([](const auto&, KeysMessage& m) { m.keys.signature[0] ^= 1; })},
      {"ALowOrderKey",
       {MessageKind::keys},
       "site_blamed",
       "low-order-key",
       changed<KeysMessage>([](const ScriptedSite& site, KeysMessage& m) {
         m.keys.mask = {1};
         sign_keys(site, m);
       })},
      {"OneKeyForTwoPurposes",
       {MessageKind::keys},
       "site_blamed",
       "duplicate-key",
       changed<KeysMessage>([](const ScriptedSite& site, KeysMessage& m) {
         m.keys.mask = m.keys.channel;
         sign_keys(site, m);
       })},
      {"OtherKeysInTheSameAttempt",
       {MessageKind::keys},
       "message_refused",
       "",  // second-statement, or too late
       and_then(changed_keys)},
      {"SharesForTooFewSites",
       {MessageKind::shares},
       "site_blamed",
       "list-out-of-order",
       changed<SharesMessage>([](const auto&, SharesMessage& m) { m.shares.pop_back(); })},
      {"SharesUnderAnotherKeyList",
       {MessageKind::shares},
       "message_refused",
       "statement-differs",
       in_vain(changed<SharesMessage>([](const auto&, SharesMessage& m) { m.key_list[0] ^= 1; }))},
      {"SharesThatNobodyCanRead",
       {MessageKind::shares},
       "site_blamed",
       "disputed-shares",
       changed<SharesMessage>([](const auto&, SharesMessage& m) {
         for (federation::messages::SealedShares& share : m.shares) share.sealed[10] ^= 1;
       })},
      {"SharesOfAnotherSecretThanTheOneCommittedTo",
       {MessageKind::shares, MessageKind::masked_statement},
       "round_aborted",
       "the sum is repeated with the other 3 sites",
       deal_another_seed,
       true},
      {"AFalseAccusationOfTwoSites", {MessageKind::masked_chunk}, "site_blamed", "disputed-shares", accuse_two},
  };
}

std::vector<SiteAttack> vector_attacks() {
  const auto another_tag = [](auto change) {
    return changed<MaskedStatement>([change](const ScriptedSite& site, MaskedStatement& m) {
      change(m.tag);
      sign_statement(site, m);
    });
  };
  return {
      {"AnotherVectorThanTheOneSigned",
       {MessageKind::masked_statement},
       "site_blamed",
       "vector-hash-differs",
       changed<MaskedStatement>([](const auto&, MaskedStatement& m) { m.vector_hash[0] ^= 1; })},
      {"AnotherCommitmentToItsSeed",
       {MessageKind::masked_statement},
       "site_blamed",
       "share-commitment-differs",
       changed<MaskedStatement>([](const auto&, MaskedStatement& m) { m.self_seed_commitment[0] ^= 1; })},
      // The first costs an attempt, and shows only that some tag is wrong.
      {"ATagOfAnotherVector",
       {MessageKind::masked_statement},
       "site_blamed",
       "linear-tag-differs",
       another_tag([](crypto::LinearTag& tag) { tag[0] ^= 1; }),
       true},
      {"ATagThatIsNone",
       {MessageKind::masked_statement},
       "site_blamed",
       "linear-tag-differs",
       another_tag([](crypto::LinearTag& tag) { tag.fill(0xff); })},
      {"AVectorOfTooFewWords",
       {MessageKind::masked_chunk},
       "message_refused",
       "chunk-out-of-bounds",
       in_vain([](const ScriptedSite& site, const SignedMessage& honest) {
         const auto view = federation::messages::decode_chunk(honest.payload()).value();
         std::vector<std::uint32_t> words = words_of(honest);
         words.pop_back();
         return std::vector<Bytes>{
             site.seal(honest.kind(), federation::messages::encode_chunk(view.ref, view.index, words))};
       })},
      {"AChunkBehindTheVector",
       {MessageKind::masked_chunk},
       "message_refused",
       "chunk-out-of-bounds",
       in_vain([](const ScriptedSite& site, const SignedMessage& honest) {
         const auto view = federation::messages::decode_chunk(honest.payload()).value();
         return std::vector<Bytes>{
             site.seal(honest.kind(), federation::messages::encode_chunk(view.ref, view.index + 1, words_of(honest)))};
       })},
      {"TwoVectors",
       {MessageKind::masked_chunk},
       "message_refused",
       "second-statement",
       and_then(vector_with([](std::vector<std::uint32_t>& words) { words[0] += 1; }))},
      // The first is what it is held to.
      {"TwoStatementsAboutItsVector",
       {MessageKind::masked_statement},
       "",
       "",
       and_then(changed<MaskedStatement>([](const ScriptedSite& site, MaskedStatement& m) {
         m.vector_hash[0] ^= 1;
         sign_statement(site, m);
       }))},
  };
}

std::vector<SiteAttack> late_attacks() {
  return {
      {"ABadSignatureUnderTheStatement",
       {MessageKind::consistency_signature},
       "site_blamed",
       "bad-signature",
       changed<ConsistencySignature>([](const auto&, ConsistencySignature& m) { m.signature[0] ^= 1; })},
      {"ASignatureUnderAnotherStatement",
       {MessageKind::consistency_signature},
       "site_blamed",
       "bad-signature",
       changed<ConsistencySignature>(
           [](const ScriptedSite& site, ConsistencySignature& m) { m.signature = site.identity().sign(Digest{1}); })},
      {"ASecondSignature",
       {MessageKind::consistency_signature},
       "",
       "",
       and_then(changed<ConsistencySignature>(
           [](const ScriptedSite& site, ConsistencySignature& m) { m.signature = site.identity().sign(Digest{1}); }))},
      {"TheOtherSecretOfASite",
       {MessageKind::unmask_shares},
       "site_blamed",
       "bad-revealed-share",
       changed<UnmaskShares>(
           [](const auto&, UnmaskShares& m) { m.shares[0].secret = federation::messages::RevealedSecret::mask_key; })},
      {"ReadyForAnotherRound",
       {MessageKind::training_ready},
       "message_refused",
       "stale-round",
       in_vain(changed<TrainingReady>([](const auto&, TrainingReady& m) { m.round += 7; }))},
      {"AnEnvelopeInAnotherSitesName",
       {MessageKind::keys},
       "message_refused",
       "",
       in_vain([](const ScriptedSite& site, const SignedMessage& honest) {
         auto header = honest.header();
         header.sender = SiteId::create("anna").value();
         return std::vector<Bytes>{seal_message(header, honest.payload(), site.identity())};
       })},
      {"AnEnvelopeThatIsCut",
       {MessageKind::keys},
       "message_refused",
       "",
       in_vain([](const ScriptedSite&, const SignedMessage& honest) {
         return std::vector<Bytes>{Bytes(honest.wire().begin(), honest.wire().end() - 1)};
       })},
      {"AMessageWithBytesLeftOver",
       {MessageKind::keys},
       "message_refused",
       "malformed",
       in_vain([](const ScriptedSite& site, const SignedMessage& honest) {
         Bytes payload(honest.payload().begin(), honest.payload().end());
         payload.push_back(0);
         return std::vector<Bytes>{site.seal(honest.kind(), payload)};
       })},
  };
}

std::vector<SiteAttack> site_attacks() {
  std::vector<SiteAttack> out;
  for (auto* table : {&key_and_share_attacks, &vector_attacks, &late_attacks})
    for (SiteAttack& attack : (*table)()) out.push_back(std::move(attack));
  return out;
}

class DishonestSiteBase : public LoadTest {
 protected:
  void play(const std::set<MessageKind>& kinds, const SiteForger& forge, bool always) {
    hospitals_->dishonest = [=, this](const ScriptedSite& site, SignedMessage honest) {
      // Of shares, the first that are enough are looked at: dora's are among them.
      if (site.id().text() == "anna" && honest.kind() == MessageKind::unmask_shares && !std::exchange(lost_, true))
        return std::vector<Bytes>{};
      if ((done_ && !always) || site.id().text() != "dora" || !kinds.contains(honest.kind()))
        return std::vector<Bytes>{honest.wire()};
      done_ = true;
      return forge(site, honest);
    };
  }
  // With this reason, or words.
  bool said(std::string_view name, std::string_view reason) const {
    const std::vector<Json> events = events_of(home() / "events.jsonl");
    return std::any_of(events.begin(), events.end(), [&](const Json& event) {
      return event["event"] == name && (reason.empty() || event.value("reason", "") == reason ||
                                        event.value("why", "").find(reason) != std::string::npos);
    });
  }

  bool done_ = false;
  bool lost_ = false;
};

class DishonestSite : public DishonestSiteBase, public ::testing::WithParamInterface<SiteAttack> {
 protected:
  // Another hospital has got the messages that show it, each signed by who sent it.
  void expect_evidence_at(std::string_view name, std::string_view reason) {
    const ScriptedSite& site = hospitals_->site(name);
    ASSERT_EQ(site.blames().size(), 1U);
    const federation::membership::Blame& blame = site.blames()[0];
    EXPECT_EQ(blame.site.text(), "dora");
    EXPECT_EQ(blame.reason, reason);
    ASSERT_FALSE(blame.evidence.empty());
    for (const Bytes& wire : blame.evidence)
      EXPECT_TRUE(SignedMessage::open(wire, {.sender = blame.site, .key = blame.key}));
  }
};

TEST_P(DishonestSite, IsNamedOrRefusedAndTheRunCompletes) {
  const SiteAttack& attack = GetParam();
  serve_hospitals(2);
  play(attack.kinds, attack.forge, attack.always);
  expect_complete_run();
  EXPECT_TRUE(done_);
  EXPECT_TRUE(attack.event.empty() || said(attack.event, attack.reason)) << attack.event << " " << attack.reason;
  const bool blamed = attack.event == "site_blamed" || attack.event == "round_aborted";
  EXPECT_EQ(said("site_blamed", ""), blamed);
  for (const Json& event : events_of(home() / "events.jsonl"))
    EXPECT_TRUE(event["event"] != "site_blamed" || event["site"] == "dora") << event;  // nobody who is honest
  // Only the number of its disputes shows a site whose word stands against others'.
  if (attack.event == "site_blamed" && attack.reason != "disputed-shares") expect_evidence_at("anna", attack.reason);
}

INSTANTIATE_TEST_SUITE_P(Attacks, DishonestSite, ::testing::ValuesIn(site_attacks()),
                         [](const auto& row) { return row.param.name; });

// What is inside the mask can be blamed on nobody. But no model moves by it, and the run says why it ends.
struct Excess {
  const char* name;
  std::string_view why;
  std::function<void(std::vector<std::uint32_t>&)> change;
};
void PrintTo(const Excess& excess, std::ostream* out) { *out << excess.name; }

class ExcessiveVector : public DishonestSiteBase, public ::testing::WithParamInterface<Excess> {};

TEST_P(ExcessiveVector, MovesNoModel) {
  serve_hospitals(2, [](Json& plan) {
    plan["strategy"]["weights"] = "studies";
    plan["strategy"]["weight_max"] = 1000;
  });
  play({MessageKind::masked_chunk, MessageKind::masked_statement}, vector_with(GetParam().change), true);
  std::optional<int> code;
  ASSERT_TRUE(hospitals_->play_until([&] { return (code = server_->wait(std::chrono::milliseconds(0))).has_value(); }));
  EXPECT_NE(code, 0);
  EXPECT_EQ(hospitals_->last_round(), 0U);
  EXPECT_TRUE(said("round_aborted", GetParam().why)) << GetParam().why;
  EXPECT_FALSE(said("round_finished", ""));
  EXPECT_FALSE(said("site_blamed", ""));
}

constexpr std::size_t kWeightWord = 1'000;  // of the probe's vector

INSTANTIATE_TEST_SUITE_P(
    Attacks, ExcessiveVector,
    ::testing::Values(
        Excess{"AWeightAboveThePlans", "the total weight", [](auto& words) { words[kWeightWord] += 5'000; }},
        Excess{"ANegativeWeight", "the total weight", [](auto& words) { words[kWeightWord] -= 5; }},
        Excess{"OneWordOfManyClips", "a word is out of range", [](auto& words) { words[0] += 0x1000'0000; }},
        Excess{"TwoSitesInOne", "the canary is", [](auto& words) { words.back() += 1; }}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace fovea::test
