// R3 at the coordinator: masked vectors arrive in chunks, in a bounded number of staging slots. A complete and signed
// vector is added to the sum and its slot freed; an incomplete one never touches the sum.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/check.h"
#include "coordinator/round/round_core.h"
#include "crypto/mask_stream.h"
#include "federation/membership/plan.h"

namespace fovea::coordinator::round {

using federation::messages::MessageKind;
using federation::messages::RefusalReason;

namespace {

constexpr std::size_t kChunksAskedAtOnce = 8;
// Beside a vector's own bytes: headers, and what is still under way of an attempt that was given up.
constexpr std::uint64_t kBytesBeside = std::uint64_t{8} << 20U;

}  // namespace

std::size_t RoundMachine::Core::staging_slots() const {
  const std::size_t vector_bytes = 4 * federation::secagg::vector_words(setup.delta_size);
  return std::max<std::size_t>(3, setup.limits.staging_bytes / vector_bytes);
}

void RoundMachine::Core::send_routed(const CollectingMasked& masked, RosterIndex site) {
  federation::messages::RoutedShares routed{.ref = masked.context.ref(), .survivors = masked.survivors, .shares = {}};
  for (const aggregation::DealerCommitments& dealer : masked.dealers) {
    if (!masked.context.are_neighbours(dealer.dealer, site)) continue;
    const auto for_site =
        std::find_if(dealer.shares.begin(), dealer.shares.end(),
                     [&](const federation::messages::SealedShares& shares) { return shares.peer == site; });
    FOVEA_CHECK(for_site != dealer.shares.end());  // on_shares took only complete ones
    routed.shares.push_back(*for_site);
    routed.shares.back().peer = dealer.dealer;
  }
  send({site}, MessageKind::routed_shares, routed.encode());
}

void RoundMachine::Core::grant_vectors(CollectingMasked& masked) {
  std::size_t used = static_cast<std::size_t>(std::count_if(masked.incoming.begin(), masked.incoming.end(),
                                                            [](const auto& entry) { return entry.second.granted; }));
  for (auto& [site, vector] : masked.incoming) {
    if (vector.granted) continue;
    if (used == staging_slots()) return;
    ++used;
    vector.granted = true;
    vector.missing = federation::messages::chunk_count(masked.context.parameters.dimension);
    vector.chunks.resize(vector.missing);
    vector.progress = vector.asked = now;
    vector.arriving_allowed = std::uint64_t{4} * masked.context.parameters.dimension + kBytesBeside;
    send_routed(masked, site);
  }
}

void RoundMachine::Core::request_missing(CollectingMasked& masked, RosterIndex site, IncomingVector& vector) {
  if (now.value - vector.progress.value < setup.limits.resend_ms / 2) return;  // it is sending
  if (vector.missing == vector.chunks.size()) send_routed(masked, site);
  federation::messages::ChunkRequest request{.ref = masked.context.ref(), .chunks = {}, .statement = !vector.statement};
  for (std::uint32_t i = 0; i < vector.chunks.size() && request.chunks.size() < kChunksAskedAtOnce; ++i)
    if (!vector.chunks[i]) request.chunks.push_back(i);
  vector.asked = now;
  send({site}, MessageKind::chunk_request, request.encode());
}

// Over a slow link one chunk takes longer than a phase may be silent. A site that sends bytes without end and no chunk
// holds the others up only for as long as a vector over the slowest link would.
void RoundMachine::Core::on(const BytesArriving& event) {
  now = std::max(now, event.now);
  auto* masked = std::get_if<CollectingMasked>(&phase);
  const auto site = setup.roster.index_of(event.site);
  if (masked == nullptr || !site) return;
  const auto found = masked->incoming.find(*site);
  if (found == masked->incoming.end() || !found->second.granted) return;
  IncomingVector& vector = found->second;
  const std::uint64_t bytes = std::min(event.bytes, vector.arriving_allowed);
  vector.arriving_allowed -= bytes;
  vector.arriving += bytes;
  if (vector.arriving < federation::membership::kVectorProgressBytes) return;
  vector.arriving = 0;
  vector.progress = progress = now;
}

void RoundMachine::Core::on_masked_chunk(const federation::messages::SignedMessage& message, RosterIndex site) {
  const auto chunk = federation::messages::decode_chunk(message.payload());
  if (!chunk) return refuse_to(site, message, RefusalReason::malformed, chunk.error().message);
  auto* masked = std::get_if<CollectingMasked>(&phase);
  if (masked == nullptr)
    return refuse_to(site, message, RefusalReason::late_vector, "masked vectors are not collected now");
  if (!is_current(chunk->ref, message, site)) return;
  if (masked->committed.contains(site)) return;
  const auto found = masked->incoming.find(site);
  if (found == masked->incoming.end() || !found->second.granted)
    return refuse_to(site, message, RefusalReason::late_vector, "this site's vector is no longer awaited, or not yet");
  IncomingVector& vector = found->second;
  const std::size_t dimension = masked->context.parameters.dimension;
  if (chunk->index >= vector.chunks.size() ||
      chunk->words.size() != 4 * federation::messages::chunk_size(dimension, chunk->index))
    return refuse_to(site, message, RefusalReason::chunk_out_of_bounds, "a chunk outside the vector");
  if (const auto& arrived = vector.chunks[chunk->index]) {
    if (*arrived != message.payload_digest())
      refuse_to(site, message, RefusalReason::second_statement,
                "a second, different chunk " + std::to_string(chunk->index));
    return;
  }
  if (vector.words.empty()) vector.words.resize(dimension);
  const std::size_t first = chunk->index * federation::messages::kChunkWords;
  federation::messages::copy_words(chunk->words, std::span(vector.words).subspan(first, chunk->words.size() / 4));
  vector.chunks[chunk->index] = message.payload_digest();
  --vector.missing;
  vector.progress = progress = now;
  finish_vector(*masked, site);
}

void RoundMachine::Core::leave_silent_out(CollectingMasked& masked) {
  std::vector<RosterIndex> silent;
  for (const auto& [site, vector] : masked.incoming) {
    if (!vector.granted || now.value - vector.progress.value < setup.limits.phase_ms) continue;
    silent.push_back(site);
    effects.notices.push_back(id_of(site).text() + " is left out of this sum: nothing came of its masked vector for " +
                              std::to_string(setup.limits.phase_ms / 1000) +
                              " s (deadlines.phase_s of the plan), and " + std::to_string(vector.missing) + " of its " +
                              std::to_string(vector.chunks.size()) + " chunks are missing");
  }
  if (silent.empty()) return;
  for (const RosterIndex site : silent) {
    trainees[site].readiness = Readiness::awaited;
    masked.incoming.erase(site);
  }
  grant_vectors(masked);
  consider_masked();
}

void RoundMachine::Core::on_masked_statement(const federation::messages::SignedMessage& message, RosterIndex site) {
  const auto decoded = federation::messages::MaskedStatement::decode(message.payload());
  if (!decoded) return refuse_to(site, message, RefusalReason::malformed, decoded.error().message);
  auto* masked = std::get_if<CollectingMasked>(&phase);
  if (masked == nullptr)
    return refuse_to(site, message, RefusalReason::late_vector, "masked vectors are not collected now");
  if (!is_current(decoded->ref, message, site)) return;
  if (masked->committed.contains(site)) return;
  const auto found = masked->incoming.find(site);
  if (found == masked->incoming.end() || !found->second.granted)
    return refuse_to(site, message, RefusalReason::late_vector, "this site's vector is no longer awaited, or not yet");
  if (found->second.statement) return;
  found->second.statement = *decoded;
  found->second.statement_wire = message.wire();
  found->second.progress = progress = now;
  finish_vector(*masked, site);
}

void RoundMachine::Core::finish_vector(CollectingMasked& masked, RosterIndex site) {
  IncomingVector& vector = masked.incoming.at(site);
  if (vector.missing > 0 || !vector.statement) return;
  const federation::messages::MaskedStatement& statement = *vector.statement;
  const Digest& hash = masked.context.parameters_hash;
  federation::secagg::VectorHash vector_hash(hash, vector.words.size());
  for (const std::optional<Digest>& chunk : vector.chunks) vector_hash.add_chunk(*chunk);
  const auto dealer = std::find_if(masked.dealers.begin(), masked.dealers.end(),
                                   [&](const aggregation::DealerCommitments& entry) { return entry.dealer == site; });
  const Digest tag_hash = federation::secagg::tag_hash(hash, site, statement.tag);
  const federation::secagg::MaskedCommitment commitment{site, statement.vector_hash, statement.survivors_hash,
                                                        statement.self_seed_commitment, tag_hash};
  std::optional<RefusalReason> broken;
  if (vector_hash.finish() != statement.vector_hash) broken = RefusalReason::vector_hash_differs;
  else if (statement.survivors_hash != federation::secagg::survivors_hash(hash, masked.survivors))
    broken = RefusalReason::statement_differs;
  else if (statement.self_seed_commitment != dealer->self_seed_commitment)
    broken = RefusalReason::share_commitment_differs;
  else if (crypto::check_signature(key_of(site), federation::secagg::masked_statement(hash, commitment),
                                   statement.signature) != crypto::SignatureVerdict::valid)
    broken = RefusalReason::bad_signature;
  else if (!crypto::LinearTagSum().add(statement.tag)) broken = RefusalReason::linear_tag_differs;  // no tag at all
  else if (verify_each_tag && crypto::linear_hash(hash, vector.words, {}, setup.limits.threads) != statement.tag)
    broken = RefusalReason::linear_tag_differs;
  if (broken) {
    blame(site, *broken, {share_wires[site], vector.statement_wire});
    refuse(*broken, id_of(site).text() + ": the masked vector is not what it signed");
    return drop(site);
  }
  if (masked.sum.empty()) {
    masked.sum = std::move(vector.words);
    masked.carries.assign(masked.sum.size(), 0);
  } else {
    crypto::add_words(masked.sum, masked.carries, vector.words);
  }
  masked.tags.emplace(site, statement.tag);
  masked.committed.emplace(
      site, federation::messages::CommittedVector{site, statement.vector_hash, statement.self_seed_commitment, tag_hash,
                                                  statement.signature});
  masked.incoming.erase(site);
  grant_vectors(masked);
  consider_masked();
}

void RoundMachine::Core::consider_masked() {
  auto& masked = std::get<CollectingMasked>(phase);
  if (!masked.incoming.empty()) return;
  std::vector<RosterIndex> committed;
  for (const auto& [site, entry] : masked.committed) committed.push_back(site);
  if (committed.size() < std::max<std::size_t>(masked.context.parameters.survivors_min(), cohort_min()))
    return retry(RefusalReason::too_few_survivors, "vectors of " + count_of_sites(committed.size()) + " only");
  if (const auto isolated = masked.context.find_isolated(masked.survivors, committed))
    return retry(RefusalReason::too_few_survivors,
                 "too few neighbours of " + id_of(*isolated).text() + " sent their vectors");
  // No site would take a sum whose tags are not those of its vectors, and after R5 there is no second one: so one check
  // of all of them before R4, and of each vector from then on if it fails.
  crypto::LinearTagSum tags;
  for (const auto& [site, tag] : masked.tags) FOVEA_CHECK(tags.add(tag).has_value());
  if (!tags.equals(
          crypto::linear_hash(masked.context.parameters_hash, masked.sum, masked.carries, setup.limits.threads))) {
    verify_each_tag = effects.verify_each_tag = true;
    return retry(RefusalReason::linear_tag_differs, "a linear tag is not that of its vector; each is checked now");
  }
  CollectingConsistency next;
  for (auto& [site, entry] : masked.committed) next.attempt.committed.push_back(entry);
  for (const auto& [site, tag] : masked.tags) next.attempt.tags.push_back(tag);
  next.attempt.context = std::move(masked.context);
  next.attempt.dealers = std::move(masked.dealers);
  next.attempt.survivors = std::move(masked.survivors);
  next.attempt.sum = std::move(masked.sum);
  next.attempt.carries = std::move(masked.carries);
  const federation::secagg::AttemptContext& context = next.attempt.context;
  next.statement = federation::secagg::consistency_statement(
      context.parameters_hash, {context.key_list, next.attempt.survivors, next.attempt.committed});
  phase = std::move(next);
  progress = asked = now;
  const auto& collecting = std::get<CollectingConsistency>(phase);
  ask_consistency(collecting, federation::messages::sites_of(collecting.attempt.committed));
}

}  // namespace fovea::coordinator::round
