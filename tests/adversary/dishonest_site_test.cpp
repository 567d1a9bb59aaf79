// Failure class: one hospital that ends the run of all others, or costs the coordinator what it does not have. A real
// fovea-coordinator, and four hospitals that the test plays, of which dora is dishonest.
#include "federation/messages/site_messages.h"
#include "federation/secagg/statements.h"
#include "tests/adversary/load_fixture.h"

namespace fovea::test {
namespace {

using federation::messages::MessageKind;
using federation::messages::SignedMessage;

struct SiteAttack {
  std::string name;
  MessageKind kind = MessageKind::keys;
  std::string_view event;  // of the coordinator
  std::string_view reason;
  std::function<Bytes(const ScriptedSite&, const SignedMessage&)> forge;  // instead of dora's message, once
};
void PrintTo(const SiteAttack& attack, std::ostream* out) { *out << attack.name; }

template <class Message>
std::function<Bytes(const ScriptedSite&, const SignedMessage&)> changed(
    std::function<void(const ScriptedSite&, Message&)> edit) {
  return [edit](const ScriptedSite& site, const SignedMessage& honest) {
    auto message = Message::decode(honest.payload()).value();
    edit(site, message);
    return site.seal(honest.kind(), message.encode());
  };
}

std::vector<SiteAttack> site_attacks() {
  using namespace federation::messages;
  return {
      {"KeysUnderABadSignature", MessageKind::keys, "site_blamed", "bad-signature",
       changed<KeysMessage>([](const auto&, KeysMessage& m) { m.keys.signature[0] ^= 1; })},
      {"ALowOrderKey", MessageKind::keys, "site_blamed", "low-order-key",
       changed<KeysMessage>([](const ScriptedSite& site, KeysMessage& m) {
         m.keys.mask = {1};
         m.keys.signature =
             site.identity().sign(federation::secagg::keys_statement(m.ref.parameters, site.index(), m.keys));
       })},
      {"SharesForTooFewSites", MessageKind::shares, "site_blamed", "list-out-of-order",
       changed<SharesMessage>([](const auto&, SharesMessage& m) { m.shares.pop_back(); })},
      {"AnotherVectorThanTheOneSigned", MessageKind::masked_statement, "site_blamed", "vector-hash-differs",
       changed<MaskedStatement>([](const auto&, MaskedStatement& m) { m.vector_hash[0] ^= 1; })},
      {"AnotherCommitmentToItsSeed", MessageKind::masked_statement, "site_blamed", "share-commitment-differs",
       changed<MaskedStatement>([](const auto&, MaskedStatement& m) { m.self_seed_commitment[0] ^= 1; })},
      {"ABadSignatureUnderTheStatement", MessageKind::consistency_signature, "site_blamed", "bad-signature",
       changed<ConsistencySignature>([](const auto&, ConsistencySignature& m) { m.signature[0] ^= 1; })},
      {"ReadyForAnotherRound", MessageKind::training_ready, "message_refused", "stale-round",
       changed<TrainingReady>([](const auto&, TrainingReady& m) { m.round += 7; })},
      {"AnEnvelopeInAnotherSitesName", MessageKind::keys, "message_refused", "",
       [](const ScriptedSite& site, const SignedMessage& honest) {
         auto header = honest.header();
         header.sender = SiteId::create("anna").value();
         return seal_message(header, honest.payload(), site.identity());
       }},
      {"AnEnvelopeThatIsCut", MessageKind::keys, "message_refused", "",
       [](const ScriptedSite&, const SignedMessage& honest) {
         return Bytes(honest.wire().begin(), honest.wire().end() - 1);
       }},
      {"AMessageWithBytesLeftOver", MessageKind::keys, "message_refused", "malformed",
       [](const ScriptedSite& site, const SignedMessage& honest) {
         Bytes payload(honest.payload().begin(), honest.payload().end());
         payload.push_back(0);
         return site.seal(honest.kind(), payload);
       }},
  };
}

class DishonestSite : public LoadTest, public ::testing::WithParamInterface<SiteAttack> {
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
  bool done = false;
  hospitals_->dishonest = [&](const ScriptedSite& site, SignedMessage honest) {
    if (done || site.id().text() != "dora" || honest.kind() != attack.kind) return std::vector<Bytes>{honest.wire()};
    done = true;
    std::vector<Bytes> out{attack.forge(site, honest)};
    if (attack.event == "message_refused") out.push_back(honest.wire());  // refused, and nothing else has happened
    return out;
  };
  expect_complete_run();
  EXPECT_TRUE(done);
  const std::vector<Json> events = events_of(home() / "events.jsonl");
  EXPECT_TRUE(std::any_of(events.begin(), events.end(),
                          [&](const Json& event) {
                            return event["event"] == attack.event &&
                                   (attack.reason.empty() || event.value("reason", "") == attack.reason);
                          }))
      << attack.event << " " << attack.reason;
  if (attack.event == "site_blamed") expect_evidence_at("anna", attack.reason);
}

INSTANTIATE_TEST_SUITE_P(Attacks, DishonestSite, ::testing::ValuesIn(site_attacks()),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace fovea::test
