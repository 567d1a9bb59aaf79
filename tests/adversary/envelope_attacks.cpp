// What is wrong before anybody looks at what a message says.
#include "tests/adversary/attack.h"

namespace fovea::test {
namespace {

// Every kind that a round sends to a site.
constexpr MessageKind kKinds[] = {
    MessageKind::train_task,     MessageKind::parameters,          MessageKind::key_list,
    MessageKind::routed_shares,  MessageKind::consistency_request, MessageKind::unmask_request,
    MessageKind::round_evidence, MessageKind::aggregate_chunk};

Bytes copy(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

Bytes sealed_as(const Situation& s, const RunId& run, EpochNumber epoch, const crypto::SigningKey& key) {
  return federation::messages::seal_message(
      {.kind = s.honest.kind(), .run = run, .sender = std::nullopt, .epoch = epoch}, s.honest.payload(), key);
}

std::vector<Bytes> truncated(const Situation& s) {
  Bytes payload = copy(s.honest.payload());
  payload.pop_back();
  return {s.again(payload)};
}
std::vector<Bytes> lengthened(const Situation& s) {
  Bytes payload = copy(s.honest.payload());
  payload.push_back(0);
  return {s.again(payload)};
}
std::vector<Bytes> of_another_run(const Situation& s) {
  return {sealed_as(s, random_run(), s.honest.header().epoch, s.coordinator.key())};
}
std::vector<Bytes> of_another_epoch(const Situation& s) {
  return {sealed_as(s, s.honest.header().run, s.honest.header().epoch + 1, s.coordinator.key())};
}
std::vector<Bytes> signed_by_another_key(const Situation& s) {
  return {sealed_as(s, s.honest.header().run, s.honest.header().epoch, s.coordinator.sybil(s.sybil()).identity())};
}
std::vector<Bytes> changed_on_the_way(const Situation& s) {
  Bytes wire = s.honest.wire();
  wire[wire.size() / 2] ^= 1;
  return {wire};
}

}  // namespace

std::vector<Attack> envelope_attacks() {
  std::vector<Attack> out;
  for (const MessageKind kind : kKinds) {
    const std::string name(to_string(kind));
    // The last word of a chunk is cut: its length is then wrong for its place, or no multiple of four.
    out.push_back({name + " truncated", kind, Timing::instead, refused(RefusalReason::malformed), truncated});
    out.push_back({name + " lengthened", kind, Timing::instead, refused(RefusalReason::malformed), lengthened});
    out.push_back({name + " of another run", kind, Timing::instead, refused(RefusalReason::wrong_run), of_another_run});
    out.push_back({name + " signed by another key", kind, Timing::instead, kIgnored, signed_by_another_key});
    out.push_back({name + " changed on the way", kind, Timing::instead, kIgnored, changed_on_the_way});
    const bool published = kind == MessageKind::round_evidence || kind == MessageKind::aggregate_chunk;
    if (!published)  // a sum may be older than the roster, and names its own
      out.push_back(
          {name + " of another epoch", kind, Timing::instead, refused(RefusalReason::wrong_epoch), of_another_epoch});
  }
  out.push_back({"garbage", MessageKind::parameters, Timing::instead, kIgnored,
                 [](const Situation&) { return std::vector<Bytes>{Bytes(5'000, 0xa5)}; }});
  out.push_back(
      {"a message that a site sends", MessageKind::parameters, Timing::instead, kIgnored,
       [](const Situation& s) { return std::vector<Bytes>{s.seal(MessageKind::training_ready, Bytes(40))}; }});
  out.push_back(
      {"another site speaks as itself", MessageKind::parameters, Timing::instead, kIgnored, [](const Situation& s) {
         const ScriptedSite& site = s.coordinator.sybil(s.sybil());
         return std::vector<Bytes>{site.seal(s.honest.kind(), s.honest.payload())};
       }});
  out.push_back({"a refusal that is no refusal", MessageKind::parameters, Timing::instead,
                 refused(RefusalReason::malformed),
                 [](const Situation& s) { return std::vector<Bytes>{s.seal(MessageKind::refusal, Bytes(3))}; }});
  return out;
}

}  // namespace fovea::test
