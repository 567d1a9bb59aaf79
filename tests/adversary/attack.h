// An attack of a dishonest coordinator on one real hospital, as a row of a table: at which message it stops, what it
// sends instead or on top, and why the hospital must refuse it. After each of them the honest round goes on, so that
// one hospital process meets them all.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "federation/messages/attempt_ref.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/vector_chunk.h"
#include "federation/secagg/round_evidence.h"
#include "tests/adversary/scripted_coordinator.h"

namespace fovea::test {

using federation::messages::MessageKind;
using federation::messages::RefusalReason;
using federation::messages::SignedMessage;
using federation::secagg::RoundEvidence;
using federation::secagg::RoundParameters;

// What a forger has: the coordinator with all its keys, and the honest message that would go out now.
struct Situation {
  const ScriptedCoordinator& coordinator;
  const SignedMessage& honest;

  template <class Message>
  Message decoded() const {
    return Message::decode(honest.payload()).value();
  }
  Bytes seal(MessageKind kind, ByteView payload) const { return coordinator.seal(kind, payload); }
  Bytes again(ByteView payload) const { return seal(honest.kind(), payload); }
  RosterIndex victim() const { return coordinator.victim(); }
  RosterIndex sybil() const { return coordinator.any_sybil(); }
  federation::messages::AttemptRef ref() const;  // of the attempt that runs
};

using Forger = std::function<std::vector<Bytes>(const Situation&)>;

enum class Timing {
  instead,  // the forged messages come before the honest one
  on_top,   // the site has answered the honest one
};

// A line of the victim's event file.
struct ExpectedEvent {
  std::string_view event = "message_refused";
  std::string_view reason{};  // of message_refused
};
ExpectedEvent refused(RefusalReason reason);
inline constexpr ExpectedEvent kIgnored{"message_ignored"};  // its envelope: nobody knows who speaks

struct Attack {
  std::string name;
  MessageKind at = MessageKind::parameters;
  Timing timing = Timing::instead;
  ExpectedEvent expected{};
  Forger forge{};
};

// The honest message, changed and signed by the coordinator.
template <class Message>
Forger edited(std::function<void(const Situation&, Message&)> edit) {
  return [edit](const Situation& s) {
    auto message = s.decoded<Message>();
    edit(s, message);
    return std::vector<Bytes>{s.again(message.encode())};
  };
}
// A message of a kind that nobody awaits now.
template <class Message>
Forger untimely(MessageKind kind, std::function<Message(const Situation&)> make) {
  return [kind, make](const Situation& s) { return std::vector<Bytes>{s.seal(kind, make(s).encode())}; };
}

// One table each: attack_envelope.cpp, attack_round.cpp, attack_sum.cpp. A new subject is a new table, named here and
// in all_attacks().
std::vector<Attack> envelope_attacks();  // every kind of message: truncated, garbage, of another key, run and epoch
std::vector<Attack> session_attacks();   // rosters, plans, tasks
std::vector<Attack> blame_attacks();     // what is said of other sites
Attack true_blame();                     // what the hospital must believe
std::vector<Attack> round_attacks();     // R0 to R5
std::vector<Attack> sum_attacks();       // what is published
std::vector<Attack> all_attacks();
// Those on a round of more than 128 sites, which takes seconds: in the order of its messages, so that they can meet one
// round.
std::vector<Attack> graph_attacks();

}  // namespace fovea::test
