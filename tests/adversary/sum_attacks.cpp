// What is published: a sum that nobody sent, and evidence that does not hold.
#include <algorithm>
#include <span>
#include <utility>

#include "federation/messages/sum_check.h"
#include "federation/secagg/statements.h"
#include "tests/adversary/attack.h"

namespace fovea::test {
namespace {

Attack row(const char* name, RefusalReason reason, Forger forge) {
  return {name, MessageKind::round_evidence, Timing::instead, refused(reason), std::move(forge)};
}

Forger edit(std::function<void(const Situation&, RoundEvidence&)> e) { return edited<RoundEvidence>(std::move(e)); }

// Evidence, the honest tags and carries, and a chunk.
std::vector<Bytes> publication(const Situation& s, const RoundEvidence& evidence, Bytes chunk) {
  std::vector<Bytes> out{s.again(evidence.encode())};
  for (const MessageKind kind : {MessageKind::aggregate_tags, MessageKind::aggregate_carries})
    out.push_back(s.coordinator.last_to(s.victim(), kind).value().wire());
  out.push_back(std::move(chunk));
  return out;
}

// A sum that the coordinator changed: evidence that names it, signed by all, and its chunks. The probe's vector is one
// chunk.
Forger sum_with(std::function<void(std::vector<std::uint32_t>&)> change) {
  return [change](const Situation& s) {
    auto evidence = s.decoded<RoundEvidence>();
    const auto chunk = s.coordinator.last_to(s.victim(), MessageKind::aggregate_chunk).value();
    const auto view = federation::messages::decode_chunk(chunk.payload()).value();
    std::vector<std::uint32_t> words(view.words.size() / 4);
    federation::messages::copy_words(view.words, words);
    change(words);
    const Bytes payload = federation::messages::encode_chunk(view.ref, view.index, words);
    federation::secagg::VectorHash hash(view.ref.parameters, words.size());
    hash.add_chunk(federation::messages::hash_payload(payload));
    evidence.sum_hash = hash.finish();
    return publication(s, evidence, s.seal(MessageKind::aggregate_chunk, payload));
  };
}

// The honest evidence, and then a chunk that is not of its sum.
Forger chunk_with(std::function<void(federation::messages::AttemptRef&, std::uint32_t&)> change) {
  return [change](const Situation& s) {
    const auto chunk = s.coordinator.last_to(s.victim(), MessageKind::aggregate_chunk).value();
    const auto view = federation::messages::decode_chunk(chunk.payload()).value();
    std::vector<std::uint32_t> words(view.words.size() / 4);
    federation::messages::copy_words(view.words, words);
    auto ref = view.ref;
    std::uint32_t index = view.index;
    change(ref, index);
    return std::vector<Bytes>{
        s.honest.wire(), s.seal(MessageKind::aggregate_chunk, federation::messages::encode_chunk(ref, index, words))};
  };
}

std::vector<Attack> evidence_attacks() {
  return {
      row("evidence of another run", RefusalReason::wrong_run,
          edit([](const Situation&, RoundEvidence& e) { e.parameters.run = random_run(); })),
      row("evidence far ahead", RefusalReason::round_too_far,
          edit([](const Situation&, RoundEvidence& e) { e.parameters.round += 20'000; })),
      row("evidence on another model", RefusalReason::model_differs,
          edit([](const Situation&, RoundEvidence& e) { e.parameters.model_hash[0] ^= 1; })),
      row("evidence after another round", RefusalReason::transcript_differs,
          edit([](const Situation&, RoundEvidence& e) { e.parameters.previous_transcript[0] ^= 1; })),
      row("evidence of another plan", RefusalReason::plan_not_approved,
          edit([](const Situation&, RoundEvidence& e) { e.parameters.plan_hash[0] ^= 1; })),
      row("evidence of another length", RefusalReason::dimension_differs,
          edit([](const Situation&, RoundEvidence& e) { e.parameters.dimension -= 1; })),
      row("evidence with another scale", RefusalReason::scale_out_of_bounds,
          edit([](const Situation&, RoundEvidence& e) { e.parameters.encoding.scale /= 2; })),
      row("evidence under a roster that nobody pinned", RefusalReason::roster_differs,
          edit([](const Situation&, RoundEvidence& e) { e.parameters.roster_hash[0] ^= 1; })),
      row("evidence with a lower threshold", RefusalReason::threshold_too_low,
          edit([](const Situation&, RoundEvidence& e) { e.parameters.thresholds.threshold -= 1; })),
      row("evidence of a sum of two sites", RefusalReason::cohort_too_small,
          edit([](const Situation&, RoundEvidence& e) { e.keys.resize(2); })),
      row("evidence of another U3 than the one signed", RefusalReason::statement_differs,
          edit([](const Situation&, RoundEvidence& e) { e.committed.pop_back(); })),
      row("evidence of another U2 than the one signed", RefusalReason::statement_differs,
          edit([](const Situation&, RoundEvidence& e) { e.survivors.pop_back(); })),
      row("evidence with too few signatures", RefusalReason::too_few_signatures,
          edit([](const Situation&, RoundEvidence& e) { e.signatures.resize(2); })),
      row("evidence with a forged signature", RefusalReason::bad_signature,
          edit([](const Situation&, RoundEvidence& e) { e.signatures[0].signature[5] ^= 1; })),
      row("evidence with a secret missing", RefusalReason::evidence_incomplete,
          edit([](const Situation&, RoundEvidence& e) { e.opened.pop_back(); })),
      row("evidence with the other secret of a site", RefusalReason::evidence_incomplete,
          edit([](const Situation&, RoundEvidence& e) {
            e.opened[0].kind = federation::messages::RevealedSecret::mask_key;
          })),
      row("evidence with another secret", RefusalReason::share_commitment_differs,
          edit([](const Situation&, RoundEvidence& e) { e.opened[0].value[5] ^= 1; })),
  };
}

}  // namespace

std::vector<Attack> sum_attacks() {
  std::vector<Attack> all = evidence_attacks();
  const std::vector<Attack> sums{
      row("a sum that the evidence does not name", RefusalReason::aggregate_hash_differs,
          [](const Situation& s) {
            auto evidence = s.decoded<RoundEvidence>();
            evidence.sum_hash[0] ^= 1;
            return publication(s, evidence,
                               s.coordinator.last_to(s.victim(), MessageKind::aggregate_chunk).value().wire());
          }),
      row("a sum with another canary", RefusalReason::canary_differs,
          sum_with([](std::vector<std::uint32_t>& words) { words.back() += 1; })),
      row("a sum out of range", RefusalReason::linear_tag_differs,
          sum_with([](std::vector<std::uint32_t>& words) { words[0] = 0x7fff'ffff; })),
      row("a sum that is off by one", RefusalReason::linear_tag_differs,
          sum_with([](std::vector<std::uint32_t>& words) { words[0] += 1; })),
      row("a sum of nothing", RefusalReason::linear_tag_differs,
          sum_with([](std::vector<std::uint32_t>& words) { std::fill(words.begin(), words.end() - 1, 0U); })),
      row("tags that no site signed", RefusalReason::linear_tag_differs,
          [](const Situation& s) {
            auto tags = federation::messages::TagList::decode(
                            s.coordinator.last_to(s.victim(), MessageKind::aggregate_tags).value().payload())
                            .value();
            tags.tags[0][0] ^= 1;
            return std::vector<Bytes>{s.honest.wire(), s.seal(MessageKind::aggregate_tags, tags.encode())};
          }),
      row("carries of more vectors than are in the sum", RefusalReason::malformed,
          [](const Situation& s) {
            auto carries = federation::messages::CarryChunk::decode(
                               s.coordinator.last_to(s.victim(), MessageKind::aggregate_carries).value().payload())
                               .value();
            carries.packed = federation::messages::pack_carries(std::vector<std::uint16_t>(9, 200), 255);
            return std::vector<Bytes>{s.honest.wire(), s.seal(MessageKind::aggregate_carries, carries.encode())};
          }),
      row("a carry that is off by one", RefusalReason::linear_tag_differs,
          [](const Situation& s) {
            auto carries = federation::messages::CarryChunk::decode(
                               s.coordinator.last_to(s.victim(), MessageKind::aggregate_carries).value().payload())
                               .value();
            const auto evidence = s.decoded<RoundEvidence>();
            const std::size_t sites = evidence.committed.size();
            std::vector<std::uint16_t> words(evidence.parameters.dimension);
            if (!federation::messages::unpack_carries(carries.packed, sites, words)) return std::vector<Bytes>{};
            words[0] = words[0] == 0 ? 1 : words[0] - 1;
            carries.packed = federation::messages::pack_carries(words, sites);
            return std::vector<Bytes>{s.honest.wire(),
                                      s.coordinator.last_to(s.victim(), MessageKind::aggregate_tags).value().wire(),
                                      s.seal(MessageKind::aggregate_carries, carries.encode()),
                                      s.coordinator.last_to(s.victim(), MessageKind::aggregate_chunk).value().wire()};
          }),
      row("a sum without its evidence", RefusalReason::unexpected_kind,
          [](const Situation& s) {
            return std::vector<Bytes>{s.coordinator.last_to(s.victim(), MessageKind::aggregate_chunk).value().wire()};
          }),
      row("a chunk outside the sum", RefusalReason::chunk_out_of_bounds,
          chunk_with([](federation::messages::AttemptRef&, std::uint32_t& index) { index += 1; })),
      row("a chunk of another sum", RefusalReason::unexpected_kind,
          chunk_with([](federation::messages::AttemptRef& ref, std::uint32_t&) { ref.round += 1; })),
      row("a chunk under another H(P)", RefusalReason::unexpected_kind,
          chunk_with([](federation::messages::AttemptRef& ref, std::uint32_t&) { ref.parameters[0] ^= 1; })),
  };
  all.insert(all.end(), sums.begin(), sums.end());
  return all;
}

}  // namespace fovea::test
