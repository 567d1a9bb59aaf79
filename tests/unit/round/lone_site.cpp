#include "tests/unit/round/lone_site.h"

namespace fovea::test {
namespace {

constexpr std::uint32_t kFloats = 1;

Digest beacon() { return Digest{0xbe}; }

federation::secagg::GraphAssumptions assumptions(const LoneSiteOptions& options) {
  return {.sites = static_cast<std::uint32_t>(options.sites),
          .corrupt_max = options.corrupt_max,
          .dropped_max = options.lost_max,
          .security_bits = federation::secagg::kGraphSecurityBits,
          .correctness_bits = federation::secagg::kGraphCorrectnessBits};
}

}  // namespace

federation::secagg::NeighbourCounts LoneSite::counts(const LoneSiteOptions& options) {
  return federation::secagg::choose_neighbours(assumptions(options)).value();
}

LoneSite::LoneSite(const LoneSiteOptions& options) : options_(options), federation_(options.sites) {
  const federation::secagg::NeighbourCounts graph = counts(options);
  const auto least = static_cast<std::uint16_t>(options.sites - options.lost_max);
  federation::secagg::RoundParameters p{
      .run = federation_.run(),
      .round = 1,
      .attempt = 1,
      .plan_hash = federation_.plan(),
      .model_hash = federation_.plan(),
      .roster_hash = federation_.roster().hash,
      .candidates = {},
      .thresholds = {options.corrupt_max, static_cast<std::uint16_t>(graph.threshold), options.honest_min},
      .dimension = static_cast<std::uint32_t>(federation::secagg::vector_words(kFloats)),
      .encoding = federation::secagg::make_encoding(options.sites, 1, 1).value(),
      .phase_ms = 2000};
  p.graph = federation::secagg::GraphParameters{static_cast<std::uint16_t>(options.sites),
                                                static_cast<std::uint16_t>(graph.neighbours), least, beacon()};
  for (RosterIndex site = 0; site < options.sites; ++site) p.candidates.push_back(site);
  context_ = federation::secagg::AttemptContext::begin(std::move(p));
  for (RosterIndex site = 0; site < options.sites; ++site)
    peers_.push_back(federation::secagg::AttemptSecrets::derive(seed_of("peer", site), site));

  const std::uint32_t cohort_min =
      std::uint32_t{options.corrupt_max} + options.honest_min;  // so low that the rules of the graph decide
  const node::round::SitePolicy policy{
      options.corrupt_max, options.honest_min, cohort_min, {federation_.plan()}, federation_.everybody()};
  const std::vector<Bytes> site_register = {
      node::round::encode_mark(federation_.run(), node::round::BeaconMark{federation_.roster().hash, beacon()})};
  machine_.emplace(
      node::round::SiteMachine::create(federation_.site_config(options.self, policy), {}, site_register).value());
  machine_->step(
      node::round::ModelAdopted{.model_hash = federation_.plan(),
                                .next = {.dimension = parameters().dimension, .delta_max = 1, .weight_max = 1}});
  const federation::messages::TrainTask task{
      .round = 1, .plan_hash = federation_.plan(), .model_hash = federation_.plan()};
  tell(MessageKind::train_task, task.encode());
  machine_->step(
      node::round::TrainingFinished{1, {.delta = std::vector<float>(kFloats, 0.5F), .weight = 1, .metric_sums = {}}});
}

node::round::SiteEffects LoneSite::tell(MessageKind kind, ByteView payload) {
  node::round::MessageReceived event{federation_.from_coordinator(kind, payload), std::nullopt};
  if (kind == MessageKind::parameters) event.seed = seed_of("lone", ++seeds_);
  return machine_->step(std::move(event));
}

void LoneSite::join() {
  const auto effects = tell(MessageKind::parameters, parameters().encode());
  expect_sends(effects, MessageKind::keys);
  const auto opened = federation_.open_at_coordinator(options_.self, effects.outbound.back().wire);
  const auto own = federation::messages::KeysMessage::decode(opened->payload()).value();
  for (const RosterIndex site : everybody()) {
    federation::messages::AdvertisedKeys keys{.channel = peers_[site].channel_key(), .mask = peers_[site].mask_key()};
    keys.signature =
        federation_.identity(site).sign(federation::secagg::keys_statement(context_.parameters_hash, site, keys));
    context_.keys.push_back({site, site == options_.self ? own.keys : keys});
  }
  context_.key_list = federation::secagg::key_list_hash(context_.parameters_hash, context_.keys);
}

federation::messages::RoutedShares LoneSite::routed_shares() const {
  federation::messages::RoutedShares out{.ref = context_.ref(), .survivors = everybody(), .shares = {}};
  for (const RosterIndex dealer : context_.holders(options_.self, out.survivors)) {
    auto secrets = federation::secagg::AttemptSecrets::derive(seed_of("peer", dealer), dealer);  // dealing is done once
    const auto dealt = secrets.deal(context_).value();
    for (const federation::messages::SealedShares& sealed : dealt.sealed)
      if (sealed.peer == options_.self) out.shares.push_back(sealed);
    out.shares.back().peer = dealer;
  }
  return out;
}

void LoneSite::mask() {
  const auto effects = tell(MessageKind::routed_shares, routed_shares().encode());
  expect_sends(effects, MessageKind::masked_statement);
  const auto opened = federation_.open_at_coordinator(options_.self, effects.outbound.back().wire);
  const auto statement = federation::messages::MaskedStatement::decode(opened->payload()).value();
  own_ = federation::messages::CommittedVector{
      options_.self, statement.vector_hash, statement.self_seed_commitment,
      federation::secagg::tag_hash(context_.parameters_hash, options_.self, statement.tag), statement.signature};
}

void LoneSite::advance_to(MessageKind kind) {
  if (kind == MessageKind::parameters) return;
  join();
  if (kind == MessageKind::key_list) return;
  expect_sends(tell(MessageKind::key_list, key_list().encode()), MessageKind::shares);
  if (kind == MessageKind::routed_shares) return;
  mask();
}

federation::messages::ConsistencyRequest LoneSite::consistency_request(std::span<const RosterIndex> committed) const {
  const Digest& hash = context_.parameters_hash;
  federation::messages::ConsistencyRequest out{.ref = context_.ref(), .survivors = everybody(), .committed = {}};
  const Digest survivors = federation::secagg::survivors_hash(hash, out.survivors);
  for (const RosterIndex site : committed) {
    federation::messages::CommittedVector entry{
        .site = site, .vector_hash = Digest{1}, .self_seed_commitment = peers_[site].self_seed_commitment(hash)};
    entry.signature = federation_.identity(site).sign(federation::secagg::masked_statement(
        hash, {site, entry.vector_hash, survivors, entry.self_seed_commitment, entry.tag_hash}));
    out.committed.push_back(site == options_.self ? *own_ : entry);
  }
  return out;
}

federation::messages::UnmaskRequest LoneSite::unmask_request(const federation::messages::ConsistencyRequest& request,
                                                             std::span<const RosterIndex> signers) const {
  const Digest statement = federation::secagg::consistency_statement(
      context_.parameters_hash, {context_.key_list, request.survivors, request.committed});
  federation::messages::UnmaskRequest out{.ref = request.ref, .signatures = {}};
  for (const RosterIndex site : signers) out.signatures.push_back({site, federation_.identity(site).sign(statement)});
  return out;
}

}  // namespace fovea::test
