// R0 to R3 at a site. What it checks and why: docs/protocol.md; Bonawitz et al., CCS 2017, figure 4.
#include <algorithm>
#include <cstdint>
#include <set>
#include <string_view>
#include <utility>

#include "common/check.h"
#include "crypto/hash.h"
#include "node/round/site_core.h"

namespace fovea::node::round {

using federation::messages::MessageKind;
using federation::messages::Refusal;
using federation::messages::RefusalReason;

namespace {

constexpr std::size_t kAttemptsRemembered = 16;

Digest seed_tag(const crypto::SecretKey& seed) {
  return crypto::TaggedHash("FOVEA/1/seed-tag").add(seed.view()).finish();
}

std::vector<crypto::AgreementPublicKey> public_keys(std::span<const federation::messages::ListedKeys> list) {
  std::vector<crypto::AgreementPublicKey> keys;
  keys.reserve(2 * list.size());
  for (const federation::messages::ListedKeys& entry : list) {
    keys.push_back(entry.keys.channel);
    keys.push_back(entry.keys.mask);
  }
  return keys;
}

}  // namespace

// ---- R0

std::optional<Refusal> SiteMachine::Core::check_round_unreleased(RoundNumber round) const {
  if (!memory.unmasked || round > memory.unmasked->ref.round) return std::nullopt;
  return federation::messages::refused(
      RefusalReason::round_already_unmasked,
      "shares of round " + std::to_string(memory.unmasked->ref.round) + " were released; once per round");
}

// The graph is the one that the roster's beacon gives, and has enough neighbours for the sites this site assumes bad.
std::optional<Refusal> SiteMachine::Core::check_graph(const federation::secagg::RoundParameters& p,
                                                      std::uint32_t colluders_max,
                                                      const federation::membership::Roster& roster,
                                                      Speech speech) const {
  const federation::secagg::GraphParameters& graph = *p.graph;
  if (graph.roster_sites != roster.sites.size())
    return federation::messages::refused(RefusalReason::graph_differs,
                                         "a graph of " + std::to_string(graph.roster_sites) +
                                             " positions, the roster has " + std::to_string(roster.sites.size()) +
                                             " sites");
  const auto beacon = memory.beacons.find(roster.hash);
  const bool known = beacon != memory.beacons.end();
  if (known ? beacon->second != graph.beacon : speech == Speech::announced)
    return federation::messages::refused(RefusalReason::beacon_differs,
                                         "positions that do not follow from this roster's beacon");
  const federation::secagg::GraphAssumptions assumptions{
      .sites = graph.roster_sites,
      .corrupt_max = colluders_max,
      .dropped_max = std::uint32_t{graph.roster_sites} - graph.survivors_min,
      .security_bits = federation::secagg::kGraphSecurityBits,
      .correctness_bits = federation::secagg::kGraphCorrectnessBits};
  if (const auto enough = federation::secagg::check_neighbours(assumptions, {graph.neighbours, p.thresholds.threshold});
      !enough)
    return federation::messages::refused(RefusalReason::threshold_too_low, enough.error().message);
  return std::nullopt;
}

std::optional<Refusal> SiteMachine::Core::check_counts(const federation::secagg::RoundParameters& p,
                                                       const Demand& demand,
                                                       const federation::membership::Roster& roster,
                                                       Speech speech) const {
  const auto [sites, m, h] = demand;
  if (p.graph) {
    if (p.signatures_min() < m + h)
      return federation::messages::refused(RefusalReason::honest_too_few,
                                           "a sum of " + std::to_string(p.signatures_min()) +
                                               " sites with m = " + std::to_string(m) + ", h = " + std::to_string(h));
    // Two statements with s signatures each would share an honest signer, and nobody signs two.
    const std::uint32_t majority =
        federation::secagg::threshold_min(static_cast<std::uint32_t>(p.candidates.size()), m);
    if (p.signatures_min() < majority)
      return federation::messages::refused(RefusalReason::threshold_too_low,
                                           "a sum of " + std::to_string(p.signatures_min()) + " sites, of " +
                                               std::to_string(p.candidates.size()) + " with m = " + std::to_string(m) +
                                               " at least " + std::to_string(majority) + " must sign one statement");
    return check_graph(p, m, roster, speech);
  }
  if (const auto rule =
          federation::secagg::check_thresholds(static_cast<std::uint32_t>(sites), p.thresholds.threshold, m, h))
    return federation::messages::refused(*rule, "threshold " + std::to_string(p.thresholds.threshold) + " of " +
                                                    std::to_string(sites) + " sites with m = " + std::to_string(m) +
                                                    ", h = " + std::to_string(h));
  return std::nullopt;
}

// The vector has the shape that the approved plan gives it: nothing else can be decoded, applied, or travel in it.
std::optional<Refusal> SiteMachine::Core::check_plan(const federation::secagg::RoundParameters& p) const {
  if (!is_approved(p.plan_hash)) return refusal_of_plan();
  if (p.dimension != model.next.dimension)
    return federation::messages::refused(RefusalReason::dimension_differs,
                                         "a vector of " + std::to_string(p.dimension) +
                                             " words, the plan's next sum has " + std::to_string(model.next.dimension));
  const auto implied = federation::secagg::make_encoding(p.encoded_for(), model.next.delta_max, model.next.weight_max);
  if (!implied || *implied != p.encoding)
    return federation::messages::refused(
        RefusalReason::scale_out_of_bounds,
        "not the encoding that the plan gives for " + std::to_string(p.encoded_for()) + " sites");
  return std::nullopt;
}

std::optional<Refusal> SiteMachine::Core::check_round_number(RoundNumber round) const {
  if (round <= model.round || round - model.round <= kRoundsAheadMax) return std::nullopt;
  return federation::messages::refused(
      RefusalReason::round_too_far, "round " + std::to_string(round) + ", the last one here is " +
                                        std::to_string(model.round) + "; at most " + std::to_string(kRoundsAheadMax) +
                                        " further is believed");
}

// Rounds only go on, over restarts too: a coordinator that went back could try one round under two sets of parameters.
std::optional<Refusal> SiteMachine::Core::check_joined_round(RoundNumber round) const {
  if (!memory.joined || round >= memory.joined->ref.round) return std::nullopt;
  return federation::messages::refused(RefusalReason::stale_round, "round " + std::to_string(round) + ", round " +
                                                                       std::to_string(memory.joined->ref.round) +
                                                                       " was joined here already");
}

std::optional<Refusal> SiteMachine::Core::check_neighbourhood(const federation::secagg::AttemptContext& context,
                                                              std::span<const RosterIndex> sites,
                                                              std::string_view set) const {
  const federation::secagg::RoundParameters& p = context.parameters;
  if (sites.size() < p.survivors_min())
    return federation::messages::refused(RefusalReason::too_few_survivors,
                                         std::to_string(sites.size()) + " sites in " + std::string(set) +
                                             ", at least " + std::to_string(p.survivors_min()) + " are needed");
  const std::size_t holders = context.count_holders(self, sites);
  if (holders < p.thresholds.threshold)
    return federation::messages::refused(RefusalReason::too_few_survivors,
                                         std::to_string(holders) + " neighbours of this site in " + std::string(set) +
                                             ", the threshold is " + std::to_string(p.thresholds.threshold));
  return std::nullopt;
}

std::optional<Refusal> SiteMachine::Core::check_parameters(const federation::secagg::RoundParameters& p,
                                                           const TrainedUpdate& trained) const {
  if (p.run != config.run) return federation::messages::refused(RefusalReason::wrong_run, "parameters of another run");
  if (p.round != trained.task.round || p.round <= model.round)
    return federation::messages::refused(
        RefusalReason::stale_round,
        "round " + std::to_string(p.round) + ", the task in hand is round " + std::to_string(trained.task.round));
  if (auto release = check_round_unreleased(p.round)) return release;
  if (p.roster_hash != config.roster.hash)
    return federation::messages::refused(RefusalReason::roster_differs, "not the pinned roster");
  if (auto expired = check_roster_valid()) return expired;
  if (!on_roster || !contains(p.candidates, self))
    return federation::messages::refused(RefusalReason::not_a_candidate, "this site is not in U0");
  if (!knows(p.candidates.back()))
    return federation::messages::refused(RefusalReason::list_out_of_order, "a candidate is not in the roster");
  if (p.plan_hash != trained.task.plan_hash)
    return federation::messages::refused(RefusalReason::plan_not_approved, "another plan than the task's");
  if (p.model_hash != model.model_hash || p.model_hash != trained.task.model_hash)
    return federation::messages::refused(RefusalReason::model_differs, "not the model this site computed");
  if (p.previous_transcript != model.transcript)
    return federation::messages::refused(RefusalReason::transcript_differs,
                                         "not the successor of the last round known here");
  if (auto demand = check_demands(p, p.candidates, config.roster, Speech::announced)) return demand;
  if (auto shape = check_plan(p)) return shape;
  if (federation::secagg::vector_words(trained.update.delta.size()) != p.dimension)
    return federation::messages::refused(RefusalReason::dimension_differs, "the trained update has another length");
  if (auto encoder = federation::secagg::UpdateEncoder::create(p, trained.update); !encoder)
    return federation::messages::refused(RefusalReason::scale_out_of_bounds, encoder.error().message);
  return check_repeated(p, trained);
}

void SiteMachine::Core::on_parameters(const federation::messages::SignedMessage& message,
                                      std::optional<crypto::SecretKey> seed) {
  auto decoded = federation::secagg::RoundParameters::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  federation::secagg::RoundParameters& p = *decoded;
  const federation::messages::AttemptRef ref = p.ref();
  const auto refuse_attempt = [&](Refusal refusal) {
    std::optional<RosterIndex> stranger;  // named, so that the others need not wait for a person here
    if (refusal.reason == RefusalReason::unacquainted_sites)
      stranger = unacquainted(p.candidates, config.roster).front();
    report_failure(ref, refusal.reason, stranger);
    refuse(std::move(refusal));
  };
  if (const auto* sent = std::get_if<KeysSent>(&phase); sent != nullptr && sent->attempt.context.ref() == ref)
    return send(sent->sent);
  if (auto joined = check_joined_round(p.round)) return refuse_attempt(std::move(*joined));
  if (memory.joined && memory.joined->ref.round == p.round) {
    const AttemptNumber joined = memory.joined->ref.attempt;
    const bool known = attempt() != nullptr || (memory.consistency && memory.consistency->ref == ref);
    if (p.attempt < joined || (p.attempt == joined && known))
      return refuse(RefusalReason::stale_attempt, "attempt " + std::to_string(joined) + " was joined already");
    if (p.attempt == joined)
      return refuse_attempt(federation::messages::refused(RefusalReason::forgotten_after_restart,
                                                          "this attempt's keys are gone; a new attempt is needed"));
  }
  const TrainedUpdate* current = trained_update();
  if (current == nullptr) {
    if (auto release = check_round_unreleased(p.round)) return refuse_attempt(std::move(*release));
    if (auto release = check_task_unreleased(p.model_hash)) return refuse_attempt(std::move(*release));
    return refuse_attempt(federation::messages::refused(RefusalReason::not_ready,
                                                        "no trained update for round " + std::to_string(p.round)));
  }
  if (auto broken = check_parameters(p, *current)) return refuse_attempt(std::move(*broken));
  if (!seed) return refuse(RefusalReason::seed_reused, "the driver gave no fresh seed with the parameters");
  if (memory.seed_tags.contains(seed_tag(*seed)))
    return refuse_attempt(
        federation::messages::refused(RefusalReason::seed_reused, "the seed was used in an earlier attempt"));
  join(std::move(p), std::move(*seed));
}

void SiteMachine::Core::join(federation::secagg::RoundParameters parameters, crypto::SecretKey seed) {
  federation::secagg::AttemptContext context = federation::secagg::AttemptContext::begin(std::move(parameters));
  const federation::messages::AttemptRef ref = context.ref();
  const federation::secagg::RoundParameters& p = context.parameters;
  mark(JoinedMark{.ref = ref,
                  .seed_tag = seed_tag(seed),
                  .vector = federation::secagg::vector_digest(p, trained_update()->digest),
                  .repeats = p.repeats ? std::optional(p.repeats->released) : std::nullopt});
  effects.joined = context.parameters;

  Attempt joined{std::move(context), federation::secagg::AttemptSecrets::derive(seed, self)};
  federation::messages::KeysMessage keys{
      .ref = ref, .keys = {.channel = joined.secrets.channel_key(), .mask = joined.secrets.mask_key()}};
  keys.keys.signature = config.identity.sign(federation::secagg::keys_statement(ref.parameters, self, keys.keys));
  SiteOutbound message = seal(MessageKind::keys, keys.encode(), ref);
  send(message);
  std::optional<TrainedUpdate> kept = take_trained_update();
  phase = KeysSent{std::move(*kept), std::move(joined), std::move(message)};
}

// ---- R1 answered, R2

std::optional<Refusal> SiteMachine::Core::check_key_list(const KeysSent& from,
                                                         const federation::messages::KeyList& list) const {
  const federation::secagg::AttemptContext& context = from.attempt.context;
  const federation::secagg::RoundParameters& p = context.parameters;
  if (auto broken = check_ref(list.ref, context)) return broken;
  std::vector<RosterIndex> sites;
  for (const federation::messages::ListedKeys& entry : list.keys) sites.push_back(entry.site);
  if (!std::includes(p.candidates.begin(), p.candidates.end(), sites.begin(),
                     sites.end()))  // the codec keeps both ascending
    return federation::messages::refused(RefusalReason::survivors_not_subset, "U1 has a site outside U0");
  if (auto demand = check_demands(p, sites, config.roster, Speech::announced)) return demand;
  if (auto few = check_neighbourhood(context, sites, "U1")) return few;
  bool own_found = false;
  for (const federation::messages::ListedKeys& entry : list.keys) {
    if (entry.site == self) {
      own_found = true;
      if (entry.keys.channel != from.attempt.secrets.channel_key() ||
          entry.keys.mask != from.attempt.secrets.mask_key())
        return federation::messages::refused(RefusalReason::own_entry_altered, "other keys are listed for this site");
    }
    if (!has_signed(entry.site, federation::secagg::keys_statement(context.parameters_hash, entry.site, entry.keys),
                    entry.keys.signature))
      return federation::messages::refused(RefusalReason::bad_signature,
                                           "keys of " + config.roster.sites[entry.site].id.text());
  }
  if (!own_found)
    return federation::messages::refused(RefusalReason::own_entry_missing, "this site's keys are not in the list");
  const std::vector<crypto::AgreementPublicKey> keys = public_keys(list.keys);
  if (std::set<crypto::AgreementPublicKey>(keys.begin(), keys.end()).size() != keys.size())
    return federation::messages::refused(RefusalReason::duplicate_key, "one key is listed twice");
  for (const auto& earlier : keys_seen)
    for (const crypto::AgreementPublicKey& key : keys)
      if (std::binary_search(earlier.begin(), earlier.end(), key))
        return federation::messages::refused(RefusalReason::reused_key, "a key of an earlier attempt");
  return std::nullopt;
}

void SiteMachine::Core::deal_shares(KeysSent& from, federation::messages::KeyList list) {
  federation::secagg::AttemptContext& context = from.attempt.context;
  context.key_list = federation::secagg::key_list_hash(context.parameters_hash, list.keys);
  context.keys = std::move(list.keys);
  std::vector<RosterIndex> sites;
  for (const federation::messages::ListedKeys& entry : context.keys) sites.push_back(entry.site);
  // Both kinds of keys are tried before anything is sent: a low-order one would make a mask or a channel public.
  const auto masks = from.attempt.secrets.masks(context, sites);
  auto dealt = masks ? from.attempt.secrets.deal(context)
                     : Result<federation::secagg::AttemptSecrets::Dealt>(masks.error());
  if (!dealt) {
    const federation::messages::AttemptRef ref = context.ref();
    context.keys.clear();
    report_failure(ref, RefusalReason::low_order_key);
    return refuse(RefusalReason::low_order_key, dealt.error().message);
  }
  keys_seen.push_back(public_keys(context.keys));
  std::sort(keys_seen.back().begin(), keys_seen.back().end());
  if (keys_seen.size() > kAttemptsRemembered) keys_seen.pop_front();

  federation::messages::SharesMessage shares{
      .ref = context.ref(),
      .key_list = context.key_list,
      .self_seed_commitment = from.attempt.secrets.self_seed_commitment(context.parameters_hash),
      .shares = std::move(dealt->sealed)};
  SiteOutbound message = seal(MessageKind::shares, shares.encode(), shares.ref);
  send(message);
  phase = SharesSent{std::move(from.trained), std::move(from.attempt), std::move(dealt->own), std::move(message)};
}

void SiteMachine::Core::on_key_list(const federation::messages::SignedMessage& message) {
  auto decoded = federation::messages::KeyList::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  const auto again = [&](const federation::secagg::AttemptContext& context, const SiteOutbound* sent) {
    if (auto broken = check_ref(decoded->ref, context)) return refuse(std::move(*broken));
    if (federation::secagg::key_list_hash(context.parameters_hash, decoded->keys) != context.key_list)
      return refuse(RefusalReason::second_statement, "a second, different key list");
    if (sent != nullptr) send(*sent);
  };
  std::visit(Overloaded{
                 [&](BetweenAttempts auto&) { refuse_forgotten(message, decoded->ref); },
                 [&](KeysSent& p) {
                   if (auto broken = check_key_list(p, *decoded)) {
                     if (decoded->ref == p.attempt.context.ref()) report_failure(decoded->ref, broken->reason);
                     return refuse(std::move(*broken));
                   }
                   deal_shares(p, std::move(*decoded));
                 },
                 [&](SharesSent& p) { again(p.attempt.context, &p.sent); },
                 [&](MaskedSending& p) { again(p.masked.attempt.context, nullptr); },
                 [&](MaskedSent& p) { again(p.masked.attempt.context, nullptr); },
                 [&](ConsistencySigned&) { refuse_unexpected(message); },
                 [&](Unmasked&) { refuse_unexpected(message); },
             },
             phase);
}

// ---- R2 answered, R3

std::optional<Refusal> SiteMachine::Core::check_routed(const SharesSent& from,
                                                       const federation::messages::RoutedShares& routed) const {
  const federation::secagg::AttemptContext& context = from.attempt.context;
  if (auto broken = check_ref(routed.ref, context)) return broken;
  for (const RosterIndex site : routed.survivors)
    if (context.find(site) == nullptr)
      return federation::messages::refused(RefusalReason::survivors_not_subset, "U2 has a site outside U1");
  if (auto few = check_survivors(context, routed.survivors, "U2")) return few;
  if (!contains(routed.survivors, self))
    return federation::messages::refused(RefusalReason::own_entry_missing, "this site is not in U2");
  std::vector<RosterIndex> dealers = context.holders(self, routed.survivors);  // sharing is mutual
  std::erase(dealers, self);
  const bool complete = std::equal(dealers.begin(), dealers.end(), routed.shares.begin(), routed.shares.end(),
                                   [](RosterIndex site, const auto& shares) { return site == shares.peer; });
  if (!complete)
    return federation::messages::refused(RefusalReason::survivors_not_subset,
                                         "the shares are not those of this site's neighbours in U2");
  return std::nullopt;
}

void SiteMachine::Core::start_masking(SharesSent& from, federation::messages::RoutedShares routed) {
  const federation::secagg::AttemptContext& context = from.attempt.context;
  std::vector<federation::secagg::HeldShares> held;
  held.reserve(routed.survivors.size());
  for (const federation::messages::SealedShares& sealed : routed.shares) {
    auto opened = from.attempt.secrets.open(context, sealed);
    if (!opened) {
      const RefusalReason reason = opened.error().code == ErrorCode::corruption
                                       ? RefusalReason::share_unreadable
                                       : RefusalReason::share_commitment_differs;
      report_failure(context.ref(), reason, sealed.peer);
      return refuse(reason, "share of " + config.roster.sites[sealed.peer].id.text() + ": " + opened.error().message);
    }
    held.push_back(std::move(*opened));
  }
  auto masks = from.attempt.secrets.masks(context, routed.survivors);
  if (!masks) return refuse(RefusalReason::low_order_key, masks.error().message);
  if (from.own) held.push_back(std::move(*from.own));
  const Digest parameters_hash = context.parameters_hash;
  const std::size_t dimension = context.parameters.dimension;
  federation::secagg::VectorHash hash(parameters_hash, dimension);
  phase = MaskedSending{.masked = {.trained = std::move(from.trained),
                                   .attempt = std::move(from.attempt),
                                   .held = std::move(held),
                                   .survivors = std::move(routed.survivors),
                                   .masks = std::move(*masks)},
                        .hash = std::move(hash),
                        .tag = crypto::LinearHash(parameters_hash, dimension),
                        .chunk_next = 0};
  send_chunks(std::get<MaskedSending>(phase));
}

void SiteMachine::Core::on_routed_shares(const federation::messages::SignedMessage& message) {
  auto decoded = federation::messages::RoutedShares::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  const auto again = [&](const MaskedAttempt& masked) {
    if (auto broken = check_ref(decoded->ref, masked.attempt.context)) return refuse(std::move(*broken));
    if (decoded->survivors != masked.survivors) refuse(RefusalReason::second_statement, "a second, different U2");
  };
  std::visit(Overloaded{
                 [&](BetweenAttempts auto&) { refuse_forgotten(message, decoded->ref); },
                 [&](KeysSent&) { refuse_unexpected(message); },
                 [&](SharesSent& p) {
                   if (auto broken = check_routed(p, *decoded)) {
                     if (decoded->ref == p.attempt.context.ref()) report_failure(decoded->ref, broken->reason);
                     return refuse(std::move(*broken));
                   }
                   start_masking(p, std::move(*decoded));
                 },
                 [&](MaskedSending& p) { again(p.masked); },
                 [&](MaskedSent& p) { again(p.masked); },
                 [&](ConsistencySigned&) { refuse_unexpected(message); },
                 [&](Unmasked&) { refuse_unexpected(message); },
             },
             phase);
}

// `words` is scratch that a batch of chunks shares.
federation::messages::SealedPayload SiteMachine::Core::make_chunk(const MaskedAttempt& masked, std::size_t index,
                                                                  std::vector<std::uint32_t>& words) const {
  const federation::secagg::RoundParameters& p = masked.attempt.context.parameters;
  const std::size_t first = index * federation::messages::kChunkWords;
  words.resize(federation::messages::chunk_size(p.dimension, index));
  const auto encoder = federation::secagg::UpdateEncoder::create(p, masked.trained.update);
  FOVEA_CHECK(encoder.has_value());  // checked in R0
  encoder->fill(first, words);
  crypto::apply_masks(words, first, masked.masks);
  return federation::messages::seal_chunk({MessageKind::masked_chunk, config.run, config.self, config.roster.epoch},
                                          masked.attempt.context.ref(), static_cast<std::uint32_t>(index), words,
                                          config.identity);
}

void SiteMachine::Core::send_chunks(MaskedSending& from) {
  const federation::secagg::AttemptContext& context = from.masked.attempt.context;
  const std::size_t chunks = federation::messages::chunk_count(context.parameters.dimension);
  const std::size_t end = std::min(chunks, from.chunk_next + config.chunks_per_step);
  const federation::messages::AttemptRef ref = context.ref();
  std::vector<std::uint32_t> words;
  for (; from.chunk_next < end; ++from.chunk_next) {
    federation::messages::SealedPayload chunk = make_chunk(from.masked, from.chunk_next, words);
    from.hash.add_chunk(chunk.digest);
    from.tag.add(words);
    send({MessageKind::masked_chunk, ref.round, ref.attempt, std::move(chunk.wire)});
  }
  if (from.chunk_next < chunks) {
    effects.more = true;
    return;
  }
  const Digest& hash = context.parameters_hash;
  federation::messages::MaskedStatement statement{
      .ref = context.ref(),
      .vector_hash = from.hash.finish(),
      .survivors_hash = federation::secagg::survivors_hash(hash, from.masked.survivors),
      .self_seed_commitment = from.masked.attempt.secrets.self_seed_commitment(hash),
      .tag = from.tag.finish()};
  const Digest tag_hash = federation::secagg::tag_hash(hash, self, statement.tag);
  statement.signature = config.identity.sign(federation::secagg::masked_statement(
      hash, {self, statement.vector_hash, statement.survivors_hash, statement.self_seed_commitment, tag_hash}));
  const federation::messages::CommittedVector own{self, statement.vector_hash, statement.self_seed_commitment, tag_hash,
                                                  statement.signature};
  SiteOutbound message = seal(MessageKind::masked_statement, statement.encode(), statement.ref);
  send(message);
  phase = MaskedSent{std::move(from.masked), own, std::move(message)};
}

void SiteMachine::Core::on_chunk_request(const federation::messages::SignedMessage& message) {
  auto decoded = federation::messages::ChunkRequest::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  std::visit(Overloaded{
                 [&](BetweenAttempts auto&) { refuse_forgotten(message, decoded->ref); },
                 [&](KeysSent&) { refuse_unexpected(message); },
                 [&](SharesSent&) { refuse_unexpected(message); },
                 [&](MaskedSending&) {},  // they are still on their way
                 [&](MaskedSent& p) {
                   const federation::secagg::AttemptContext& context = p.masked.attempt.context;
                   if (auto broken = check_ref(decoded->ref, context)) return refuse(std::move(*broken));
                   const std::size_t chunks = federation::messages::chunk_count(context.parameters.dimension);
                   if (decoded->chunks.size() > config.chunks_asked_max ||
                       (!decoded->chunks.empty() && decoded->chunks.back() >= chunks))
                     return refuse(RefusalReason::chunk_out_of_bounds,
                                   "chunks outside the vector, or too many at once");
                   // The same words, masks and keys: the same bytes as before.
                   const federation::messages::AttemptRef& ref = decoded->ref;
                   std::vector<std::uint32_t> words;
                   for (const std::uint32_t index : decoded->chunks)
                     send({MessageKind::masked_chunk, ref.round, ref.attempt, make_chunk(p.masked, index, words).wire});
                   if (decoded->statement) send(p.sent);
                 },
                 [&](ConsistencySigned&) { refuse_unexpected(message); },
                 [&](Unmasked&) { refuse_unexpected(message); },
             },
             phase);
}

}  // namespace fovea::node::round
