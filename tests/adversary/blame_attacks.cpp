// What a coordinator says of other sites: who is left out of the run, and which messages show it.
#include "federation/membership/blame.h"

#include "tests/adversary/attack.h"

namespace fovea::test {
namespace {

using federation::membership::Blame;

// Of a colluding site, by a message that it signed itself.
Blame blame_of_a_sybil(const Situation& s) {
  const ScriptedSite& site = s.coordinator.sybil(s.sybil());
  return {.site = site.id(),
          .key = site.identity().verify_key(),
          .run = s.honest.header().run,
          .round = 1,
          .reason = "bad-signature",
          .evidence = {site.seal(MessageKind::keys, Bytes(40, 7))}};
}

Attack blame(const char* name, ExpectedEvent expected, std::function<void(const Situation&, Blame&)> edit) {
  return {name, MessageKind::train_task, Timing::instead, expected, [edit = std::move(edit)](const Situation& s) {
            Blame out = blame_of_a_sybil(s);
            edit(s, out);
            return std::vector<Bytes>{s.seal(MessageKind::site_blame, out.encode())};
          }};
}

std::vector<Bytes> blame_under_another_run(const Situation& s) {
  const federation::messages::MessageHeader header{MessageKind::site_blame, random_run(), std::nullopt,
                                                   s.honest.header().epoch};
  return {federation::messages::seal_message(header, blame_of_a_sybil(s).encode(), s.coordinator.key())};
}
std::vector<Bytes> cut_blame(const Situation& s) {
  Bytes cut = blame_of_a_sybil(s).encode();
  cut.pop_back();
  return {s.seal(MessageKind::site_blame, cut)};
}

}  // namespace

std::vector<Attack> blame_attacks() {
  constexpr ExpectedEvent kUnsound{"blame_ignored"};
  return {
      blame("a blame with a message that nobody signed", kUnsound,
            [](const Situation&, Blame& b) { b.evidence[0].back() ^= 1; }),
      blame("a blame with a message under another's key", kUnsound,
            [](const Situation& s, Blame& b) {
              b.evidence[0] = federation::messages::seal_message(
                  {.kind = MessageKind::keys, .run = b.run, .sender = b.site, .epoch = s.honest.header().epoch},
                  Bytes(40), s.coordinator.key());
            }),
      blame("a blame with a message of the coordinator", kUnsound,
            [](const Situation& s, Blame& b) { b.evidence[0] = s.honest.wire(); }),
      blame("a blame of another run", kUnsound, [](const Situation&, Blame& b) { b.run.bytes[0] ^= 1; }),
      blame("a blame under another key", kUnsound, [](const Situation&, Blame& b) { b.key[0] ^= 1; }),
      blame("a blame of a site that is not on the roster", kUnsound,
            [](const Situation&, Blame& b) { b.site = SiteId::create("eve").value(); }),
      Attack{"a blame that was cut", MessageKind::train_task, Timing::instead, kUnsound, cut_blame},
      Attack{"a blame that holds, sent under another run", MessageKind::train_task, Timing::instead, kUnsound,
             blame_under_another_run},
  };
}

Attack true_blame() {
  return blame("a blame that holds", {"site_blamed"}, [](const auto&, auto&) {});
}

}  // namespace fovea::test
