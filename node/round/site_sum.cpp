// The published sum of a round at a site: evidence first, then the tags of its vectors, then its chunks and carries.
// Accepted in any phase, since a site that dropped out, or was away for rounds, needs the sums as much as one that took
// part.
#include <algorithm>
#include <utility>

#include "federation/messages/sum_check.h"
#include "federation/secagg/published_sum.h"
#include "node/round/site_core.h"

namespace fovea::node::round {

using federation::messages::RefusalReason;

const federation::membership::Roster* SiteMachine::Core::roster_named(const Digest& hash) const {
  if (config.roster.hash == hash) return &config.roster;
  const auto past = std::find_if(config.rosters_past.begin(), config.rosters_past.end(),
                                 [&](const federation::membership::Roster& roster) { return roster.hash == hash; });
  return past != config.rosters_past.end() ? &*past : nullptr;
}

// A published sum may be made by the coordinator and its colluders alone: it must be one that this site could have been
// part of, under the site's own rules. Else two of them could move every site to a model of their choice, or to one so
// near the last that the difference of two sums shows a site's update.
std::optional<federation::messages::Refusal> SiteMachine::Core::check_published(
    const federation::secagg::RoundEvidence& evidence) const {
  using federation::messages::Refusal;
  const federation::secagg::RoundParameters& p = evidence.parameters;
  if (auto number = check_round_number(p.round)) return number;
  if (!has_model || p.model_hash != model.model_hash)
    return Refusal{RefusalReason::model_differs, "a sum on another model than this site's"};
  if (p.previous_transcript != model.transcript)
    return Refusal{RefusalReason::transcript_differs, "not the successor of the last round applied here"};
  if (auto shape = check_plan(p)) return shape;
  const federation::membership::Roster* roster = roster_named(p.roster_hash);
  if (roster == nullptr)
    return Refusal{RefusalReason::roster_differs, "evidence under a roster this site never pinned"};
  if (roster->epoch < model.epoch)
    return Refusal{RefusalReason::wrong_epoch, "evidence under the roster of epoch " + std::to_string(roster->epoch) +
                                                   ", the last sum was under epoch " + std::to_string(model.epoch)};
  std::vector<RosterIndex> keyed;
  for (const federation::messages::ListedKeys& entry : evidence.keys) keyed.push_back(entry.site);
  if (auto demand = check_demands(p, keyed, *roster, Speech::published)) return demand;
  if (memory.consistency && memory.consistency->ref == p.ref() &&
      memory.consistency->statement != evidence.consistency())
    return Refusal{RefusalReason::statement_differs, "another U2 or U3 than the one this site signed"};
  if (auto broken = federation::secagg::check_evidence(evidence, *roster, verified)) return broken;
  return check_cohort(evidence.committed.size(), "U3");
}

// The sum that follows on this site's model counts sites by their places on a roster that it never had: it was off the
// roster, or away, while that one was in force. Without this sum there is no later one either. Said once a connection,
// so that the coordinator sends it neither tasks nor sums until it stands elsewhere.
void SiteMachine::Core::lose_run(RoundNumber round, const Digest& roster) {
  roster_lacking = roster;
  effects.cut_off = round;
  if (!std::exchange(cut_off_said, true)) report_failure({.round = round}, RefusalReason::roster_differs);
}

void SiteMachine::Core::on_evidence(const federation::messages::SignedMessage& message) {
  auto decoded = federation::secagg::RoundEvidence::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  const federation::secagg::RoundParameters& p = decoded->parameters;
  if (p.run != config.run) return refuse(RefusalReason::wrong_run, "evidence of another run");
  if (p.round <= model.round) return;  // applied already
  // Sent again. With another sum it is another publication, and takes the place of the one that was never finished.
  if (incoming && incoming->ref == p.ref() && incoming->evidence.sum_hash == decoded->sum_hash) return;
  if (auto broken = check_published(*decoded)) {
    if (broken->reason == RefusalReason::roster_differs && roster_named(p.roster_hash) == nullptr)
      lose_run(p.round, p.roster_hash);
    return refuse(std::move(*broken));
  }
  IncomingSum sum;
  sum.ref = p.ref();
  const federation::membership::Roster& roster = *roster_named(p.roster_hash);  // checked above
  sum.epoch = roster.epoch;
  // Under another roster this site has another index.
  const std::optional<RosterIndex> own = roster.index_of(config.self);
  sum.in_sum = own && contains(federation::messages::sites_of(decoded->committed), *own);
  sum.words.resize(p.dimension);
  sum.chunks.resize(federation::messages::chunk_count(p.dimension));
  sum.carries.resize(p.dimension);
  sum.carry_chunks.resize(sum.chunks.size());
  sum.tags_arrived.resize(decoded->committed.size());
  sum.missing = 2 * sum.chunks.size() + sum.tags_arrived.size();
  sum.evidence = std::move(*decoded);
  incoming = std::move(sum);
  // The sum was opened, so it is not repeated, and its words take the place of the update's.
  if (auto* unmasked = std::get_if<Unmasked>(&phase)) unmasked->trained.update = {};
}

void SiteMachine::Core::note_arrived(std::size_t parts) {
  incoming->missing -= parts;
  if (incoming->missing == 0) finish_sum();
}

void SiteMachine::Core::on_aggregate_tags(const federation::messages::SignedMessage& message) {
  const auto decoded = federation::messages::TagList::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  if (decoded->ref.round <= model.round) return;  // applied already
  if (!incoming || incoming->ref != decoded->ref)
    return refuse(RefusalReason::unexpected_kind, "tags of a sum whose evidence has not come");
  const auto& committed = incoming->evidence.committed;
  if (decoded->first + decoded->tags.size() > committed.size())
    return refuse(RefusalReason::chunk_out_of_bounds, "tags of more sites than are in the sum");
  // The site signed this hash in R3, and t sites signed the list of hashes in R4. All are looked at before one is
  // taken: what was taken is not asked for again, and a list that is refused must leave the right one possible.
  for (std::size_t i = 0; i < decoded->tags.size(); ++i) {
    const std::size_t place = decoded->first + i;
    if (federation::secagg::tag_hash(incoming->ref.parameters, committed[place].site, decoded->tags[i]) !=
        committed[place].tag_hash)
      return refuse(RefusalReason::linear_tag_differs,
                    "not the tag that the site at place " + std::to_string(place) + " of the sum has signed");
  }
  std::size_t fresh = 0;
  for (std::size_t i = 0; i < decoded->tags.size(); ++i) {
    const std::size_t place = decoded->first + i;
    if (incoming->tags_arrived[place]) continue;
    if (const auto added = incoming->tags.add(decoded->tags[i]); !added) {
      refuse(RefusalReason::linear_tag_differs, added.error().message);
      break;
    }
    incoming->tags_arrived[place] = true;
    ++fresh;
  }
  note_arrived(fresh);
}

void SiteMachine::Core::on_aggregate_carries(const federation::messages::SignedMessage& message) {
  const auto decoded = federation::messages::CarryChunk::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  if (decoded->ref.round <= model.round) return;  // applied already
  if (!incoming || incoming->ref != decoded->ref)
    return refuse(RefusalReason::unexpected_kind, "carries of a sum whose evidence has not come");
  if (decoded->index >= incoming->carry_chunks.size())
    return refuse(RefusalReason::chunk_out_of_bounds, "carries of a chunk outside the vector");
  if (incoming->carry_chunks[decoded->index]) return;
  const auto out = std::span(incoming->carries)
                       .subspan(decoded->index * federation::messages::kChunkWords,
                                federation::messages::chunk_size(incoming->words.size(), decoded->index));
  if (const auto unpacked =
          federation::messages::unpack_carries(decoded->packed, incoming->evidence.committed.size(), out);
      !unpacked)
    return refuse(RefusalReason::malformed, unpacked.error().message);
  incoming->carry_chunks[decoded->index] = true;
  note_arrived(1);
}

void SiteMachine::Core::on_aggregate_chunk(const federation::messages::SignedMessage& message) {
  auto decoded = federation::messages::decode_chunk(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  if (decoded->ref.round <= model.round) return;  // applied already
  if (!incoming || incoming->ref != decoded->ref)
    return refuse(RefusalReason::unexpected_kind, "a chunk of a sum whose evidence has not come");
  if (decoded->index >= incoming->chunks.size() ||
      decoded->words.size() != 4 * federation::messages::chunk_size(incoming->words.size(), decoded->index))
    return refuse(RefusalReason::chunk_out_of_bounds, "a chunk outside the vector");
  std::optional<Digest>& arrived = incoming->chunks[decoded->index];
  if (arrived) return;
  arrived = message.payload_digest();
  const std::size_t first = decoded->index * federation::messages::kChunkWords;
  federation::messages::copy_words(decoded->words,
                                   std::span(incoming->words).subspan(first, decoded->words.size() / 4));
  note_arrived(1);
}

void SiteMachine::Core::finish_sum() {
  IncomingSum sum = std::move(*incoming);
  incoming.reset();
  federation::secagg::VectorHash hash(sum.ref.parameters, sum.words.size());
  for (const std::optional<Digest>& chunk : sum.chunks) hash.add_chunk(*chunk);
  if (hash.finish() != sum.evidence.sum_hash)
    return refuse(RefusalReason::aggregate_hash_differs, "the chunks are not the sum that the evidence names");
  if (sum.words.back() != sum.evidence.committed.size())
    return refuse(RefusalReason::canary_differs, "the last word of the sum is not the number of its sites");
  const auto context = federation::secagg::AttemptContext::after_keys(sum.evidence.parameters, sum.evidence.keys);
  if (!federation::secagg::is_sum_of_tagged(context, sum.evidence, sum.tags, sum.words, sum.carries, config.threads))
    return refuse(RefusalReason::linear_tag_differs,
                  "the published sum is not the sum of the vectors that its sites have signed");
  auto decoded =
      federation::secagg::decode_sum(sum.evidence.parameters, std::move(sum.words), sum.evidence.committed.size());
  if (!decoded) return refuse(RefusalReason::sum_out_of_range, decoded.error().message);
  effects.cancel_training = std::holds_alternative<Training>(phase);
  phase = Idle{};
  effects.verified_sum = VerifiedSum{.round = sum.evidence.parameters.round,
                                     .transcript = sum.evidence.transcript(),
                                     .epoch = sum.epoch,
                                     .in_sum = sum.in_sum,
                                     .evidence = std::move(sum.evidence),
                                     .sum = std::move(*decoded)};
}

}  // namespace fovea::node::round
