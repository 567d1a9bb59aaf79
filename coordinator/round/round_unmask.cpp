// R4, R5 and the publication of the sum.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/round/round_core.h"
#include "coordinator/round/round_marks.h"
#include "federation/messages/sum_check.h"

namespace fovea::coordinator::round {

using federation::messages::MessageKind;
using federation::messages::RefusalReason;

void RoundMachine::Core::ask_consistency(const CollectingConsistency& from, const std::vector<RosterIndex>& to) {
  const federation::messages::ConsistencyRequest request{from.attempt.context.ref(), from.attempt.survivors,
                                                         from.attempt.committed};
  send(to, MessageKind::consistency_request, request.encode());
}

void RoundMachine::Core::ask_unmask(const CollectingUnmask& from, const std::vector<RosterIndex>& to) {
  send(to, MessageKind::unmask_request,
       federation::messages::UnmaskRequest{from.attempt.context.ref(), from.signatures}.encode());
}

void RoundMachine::Core::on_consistency_signature(const federation::messages::SignedMessage& message,
                                                  RosterIndex site) {
  const auto decoded = federation::messages::ConsistencySignature::decode(message.payload());
  if (!decoded) return refuse_to(site, message, RefusalReason::malformed, decoded.error().message);
  if (!is_current(decoded->ref, message, site)) return;
  auto* collecting = std::get_if<CollectingConsistency>(&phase);
  if (collecting == nullptr) return refuse(RefusalReason::unexpected_kind, "signatures are not collected now");
  if (!contains(federation::messages::sites_of(collecting->attempt.committed), site))
    return refuse_to(site, message, RefusalReason::survivors_not_subset, "a signature of a site outside U3");
  if (collecting->signatures.contains(site)) return;
  if (crypto::check_signature(key_of(site), collecting->statement, decoded->signature) !=
      crypto::SignatureVerdict::valid) {
    refuse_to(site, message, RefusalReason::bad_signature, "signature of the consistency statement");
    blame(site, RefusalReason::bad_signature, {message.wire()});
    return drop(site);
  }
  collecting->signatures.emplace(site, decoded->signature);
  progress = now;
  consider_consistency(false);
}

void RoundMachine::Core::consider_consistency(bool deadline) {
  auto& collecting = std::get<CollectingConsistency>(phase);
  const std::size_t expected = collecting.attempt.committed.size();
  if (!deadline && collecting.signatures.size() + collecting.gone.size() < expected) return;
  for (const federation::messages::CommittedVector& entry : collecting.attempt.committed)
    if (!collecting.signatures.contains(entry.site) && !collecting.gone.contains(entry.site))
      trainees[entry.site].readiness = Readiness::awaited;
  std::vector<RosterIndex> to;
  for (const auto& [site, signature] : collecting.signatures) to.push_back(site);
  // Each site demands s signatures in all, t of them by holders of its shares; and only sites that signed open secrets.
  if (to.size() < collecting.attempt.context.parameters.signatures_min())
    return retry(RefusalReason::too_few_signatures, "signatures of " + count_of_sites(to.size()) + " only");
  if (const auto isolated = collecting.attempt.context.find_isolated(collecting.attempt.survivors, to))
    return retry(RefusalReason::too_few_signatures, "signatures of " + count_of_sites(to.size()) +
                                                        " only, too few of them neighbours of " +
                                                        id_of(*isolated).text());
  CollectingUnmask next;
  for (const auto& [site, signature] : collecting.signatures) next.signatures.push_back({site, signature});
  next.attempt = std::move(collecting.attempt);
  next.since = now;
  // Durable first: sites release shares once per round, so a coordinator that lost this could never finish it.
  effects.journal.push_back(encode_unmask_mark(next, share_wires));
  ask_unmask(next, to);
  phase = std::move(next);
  progress = asked = now;
}

void RoundMachine::Core::on_unmask_shares(const federation::messages::SignedMessage& message, RosterIndex site) {
  auto decoded = federation::messages::UnmaskShares::decode(message.payload());
  if (!decoded) return refuse_to(site, message, RefusalReason::malformed, decoded.error().message);
  if (std::holds_alternative<Unmasking>(phase) || std::holds_alternative<Finished>(phase))
    return;  // enough came earlier
  if (!is_current(decoded->ref, message, site)) return;
  auto* collecting = std::get_if<CollectingUnmask>(&phase);
  if (collecting == nullptr) return refuse(RefusalReason::unexpected_kind, "shares are not released now");
  const std::vector<RosterIndex> committed = federation::messages::sites_of(collecting->attempt.committed);
  if (!contains(committed, site))
    return refuse_to(site, message, RefusalReason::survivors_not_subset, "shares released by a site outside U3");
  if (collecting->responses.contains(site)) return;
  const std::vector<RosterIndex> survivors = collecting->attempt.context.holders(site, collecting->attempt.survivors);
  const bool complete = std::equal(survivors.begin(), survivors.end(), decoded->shares.begin(), decoded->shares.end(),
                                   [&](RosterIndex subject, const federation::messages::RevealedShare& share) {
                                     const bool in_sum = contains(committed, subject);
                                     return share.subject == subject &&
                                            (share.secret == federation::messages::RevealedSecret::self_seed) == in_sum;
                                   });
  if (!complete) {
    refuse_to(site, message, RefusalReason::bad_revealed_share,
              "not exactly one share of the right kind for each site of U2 that shared with it");
    blame(site, RefusalReason::bad_revealed_share, {message.wire()});
    collecting->gone.insert(site);
    return consider_unmask();
  }
  collecting->responses.emplace(site, std::move(decoded->shares));
  unmask_wires[site] = message.wire();
  progress = now;
  consider_unmask();
}

void RoundMachine::Core::consider_unmask() {
  auto& collecting = std::get<CollectingUnmask>(phase);
  std::vector<RosterIndex> responders;
  for (const auto& [site, shares] : collecting.responses) responders.push_back(site);
  const CommittedAttempt& attempt_ = collecting.attempt;
  while (collecting.openable < attempt_.survivors.size() &&
         attempt_.context.count_holders(attempt_.survivors[collecting.openable], responders) >=
             attempt_.context.parameters.thresholds.threshold)
    ++collecting.openable;
  const bool few = collecting.openable < attempt_.survivors.size();
  const bool all = std::all_of(collecting.signatures.begin(), collecting.signatures.end(), [&](const auto& entry) {
    return collecting.responses.contains(entry.site) || collecting.gone.contains(entry.site);
  });
  if (few || collecting.responses.size() == collecting.tried) {
    if (all) abort(RefusalReason::too_few_survivors, "too few good shares were released; the round cannot be repeated");
    return;
  }
  collecting.tried = collecting.responses.size();
  aggregation::UnmaskInput input{.context = collecting.attempt.context,
                                 .survivors = collecting.attempt.survivors,
                                 .committed = federation::messages::sites_of(collecting.attempt.committed),
                                 .dealers = collecting.attempt.dealers,
                                 .responses = {},
                                 .sum = std::move(collecting.attempt.sum)};
  for (const auto& [site, shares] : collecting.responses) input.responses.push_back({site, shares});
  effects.unmask = std::move(input);
  phase = Unmasking{std::move(collecting)};
}

std::optional<federation::secagg::DealerFault> RoundMachine::Core::describe_fault(
    const CommittedAttempt& attempt_, const aggregation::BadDealing& dealing) const {
  const auto wire = share_wires.find(dealing.dealer);
  if (wire == share_wires.end()) return std::nullopt;  // taken up from a journal that did not have it
  return federation::secagg::DealerFault{.parameters = attempt_.context.parameters,
                                         .dealer = dealing.dealer,
                                         .secret = dealing.secret,
                                         .keys = *attempt_.context.find(dealing.dealer),
                                         .shares = wire->second,
                                         .openings = dealing.openings};
}

// The secrets of these dealers cannot be opened, nor can this sum. Another round can make the sum without them.
void RoundMachine::Core::end_at_fault(const CommittedAttempt& attempt_,
                                      const std::vector<aggregation::BadDealing>& dealings) {
  const federation::secagg::RoundParameters& p = attempt_.context.parameters;
  SumToRepeat repeat{.released = p.ref(),
                     .task = setup.task,
                     .roster = setup.roster.hash,
                     .sites = federation::messages::sites_of(attempt_.committed),
                     .encoded_for = static_cast<std::uint16_t>(p.encoded_for()),
                     .faults = {}};
  std::string names;
  for (const aggregation::BadDealing& dealing : dealings) {
    std::erase(repeat.sites, dealing.dealer);
    names += (names.empty() ? "" : ", ") + id_of(dealing.dealer).text();
    if (const auto fault = describe_fault(attempt_, dealing)) repeat.faults.push_back(fault->encode());
  }
  const std::string what = "the shares that " + names + " dealt do not give the secret that was committed to; ";
  const std::string left = count_of_sites(repeat.sites.size());
  if (repeat.faults.size() < dealings.size())
    return abort(RefusalReason::model_already_released,
                 what + "the evidence was not in the journal of an older version." + kNeedsNewSeed);
  if (repeat.sites.size() < setup.cohort_smallest)
    return abort(RefusalReason::model_already_released, what + "the sum is left with " + left + ", the plan asks for " +
                                                            std::to_string(setup.cohort_smallest) + "." +
                                                            kNeedsNewSeed);
  abort(RefusalReason::inconsistent_dealer, what + "the sum is repeated with the other " + left + " of it");
  effects.aborted->repeat = std::move(repeat);
}

void RoundMachine::Core::publish_tags(const CommittedAttempt& attempt_, std::vector<Bytes>& publication) const {
  for (std::size_t first = 0; first < attempt_.tags.size(); first += federation::messages::kTagsPerMessage) {
    federation::messages::TagList list{
        .ref = attempt_.context.ref(), .first = static_cast<std::uint16_t>(first), .tags = {}};
    const std::size_t end = std::min(attempt_.tags.size(), first + federation::messages::kTagsPerMessage);
    for (std::size_t i = first; i < end; ++i) list.tags.push_back(attempt_.tags[i]);
    publication.push_back(seal(MessageKind::aggregate_tags, list.encode()));
  }
}

// The sum in chunks, each with the carries of its words. Returns the hash of the sum.
Digest RoundMachine::Core::publish_words(const CommittedAttempt& attempt_, std::span<const std::uint32_t> sum,
                                         std::vector<Bytes>& publication) const {
  const federation::messages::AttemptRef ref = attempt_.context.ref();
  federation::secagg::VectorHash hash(ref.parameters, sum.size());
  for (std::size_t i = 0; i < federation::messages::chunk_count(sum.size()); ++i) {
    const std::size_t first = i * federation::messages::kChunkWords;
    const std::size_t size = federation::messages::chunk_size(sum.size(), i);
    const auto index = static_cast<std::uint32_t>(i);
    const auto carries = std::span(attempt_.carries).subspan(first, size);
    const federation::messages::CarryChunk packed{
        ref, index, federation::messages::pack_carries(carries, attempt_.committed.size())};
    publication.push_back(seal(MessageKind::aggregate_carries, packed.encode()));
    federation::messages::SealedPayload chunk =
        federation::messages::seal_chunk({MessageKind::aggregate_chunk, setup.run, std::nullopt, setup.roster.epoch},
                                         ref, index, sum.subspan(first, size), setup.key);
    hash.add_chunk(chunk.digest);
    publication.push_back(std::move(chunk.wire));
  }
  return hash.finish();
}

void RoundMachine::Core::finish(Unmasking from, aggregation::UnmaskOutcome outcome) {
  CommittedAttempt& done = from.from.attempt;
  for (const aggregation::Blame& entry : outcome.blames) {
    if (excluded.contains(entry.site)) continue;
    std::vector<Bytes> evidence;
    for (const auto& [site, wire] : share_wires) evidence.push_back(wire);
    for (const auto& [site, wire] : unmask_wires) evidence.push_back(wire);
    blame(entry.site, entry.reason, std::move(evidence));
  }
  if (!outcome.complete && !outcome.dealings.empty()) return end_at_fault(done, outcome.dealings);
  if (!outcome.complete) {
    done.sum = std::move(outcome.sum);
    phase = std::move(from.from);
    asked = now;
    return consider_unmask();
  }
  const federation::messages::AttemptRef ref = done.context.ref();
  federation::secagg::RoundEvidence evidence{.parameters = done.context.parameters,
                                             .keys = done.context.keys,
                                             .survivors = done.survivors,
                                             .committed = done.committed,
                                             .signatures = std::move(from.from.signatures),
                                             .opened = std::move(outcome.opened)};
  RoundResult result;
  result.round = ref.round;
  result.attempt = ref.attempt;
  // The evidence goes first, then the tags: a site checks both before it takes the sum.
  result.publication.emplace_back();
  publish_tags(done, result.publication);
  evidence.sum_hash = publish_words(done, outcome.sum, result.publication);
  const bool canary = outcome.sum.back() == done.committed.size();
  auto sum = federation::secagg::decode_sum(done.context.parameters, std::move(outcome.sum), done.committed.size());
  if (!sum) return abort(canary ? RefusalReason::sum_out_of_range : RefusalReason::canary_differs, sum.error().message);
  result.publication.front() = seal(MessageKind::round_evidence, evidence.encode());
  result.transcript = evidence.transcript();
  result.sum = std::move(*sum);
  const std::vector<RosterIndex> committed = federation::messages::sites_of(done.committed);
  for (const RosterIndex site : done.context.parameters.candidates)
    (contains(committed, site) ? result.contributors : result.dropouts).push_back(id_of(site));
  result.evidence = std::move(evidence);
  phase = Finished{};
  effects.finished = std::move(result);
}

}  // namespace fovea::coordinator::round
