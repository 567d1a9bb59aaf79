#include <algorithm>

#include "tests/simulation/world.h"

namespace fovea::test {

using federation::messages::MessageKind;

coordinator::round::RoundSetup World::setup() const {
  std::vector<RosterIndex> invited;
  for (RosterIndex i = 0; i < sites_.size(); ++i)
    if (!excluded_.contains(i)) invited.push_back(i);
  const federation::secagg::Thresholds demanded = thresholds();
  if (repeat_) invited = repeat_->sites;
  return {.run = federation_.run(),
          .roster = federation_.roster(),
          .key = federation_.coordinator_key().copy(),
          .task = {.round = next_round_,
                   .stage_index = 0,
                   .stage_round = static_cast<std::uint32_t>(results_.size() + 1),
                   .seed = options_.seed,
                   .plan_hash = federation_.plan(),
                   .model_hash = model_.model_hash,
                   .previous_transcript = model_.transcript},
          .invited = std::move(invited),
          .quiet = {},
          .thresholds = demanded,
          .cohort_smallest = std::max<std::uint32_t>(options_.cohort_smallest, demanded.threshold),
          .cohort_largest = static_cast<std::uint32_t>(options_.sites),
          .delta_size = static_cast<std::uint32_t>(update(0).delta.size()),
          .delta_max = 1,
          .weight_max = 1,
          .beacon = beacon_,
          .repeat = repeat_,
          .limits = {.training_progress_ms = 5000,
                     .straggler_ms = 2000,
                     .phase_ms = 2000,
                     .resend_ms = 400,
                     .round_ms = 120'000,
                     .unmask_ms = 60'000,
                     .attempts_max = 20,
                     .staging_bytes = options_.staging_bytes}};
}

void World::start_coordinator() {
  coordinator_up_ = true;
  if (model_.round == 0) model_ = initial_model();
  begin_round();
  tick_coordinator(coordinator_life_);
}

void World::begin_round() {
  // Rounds go on while there are faults to meet, but a lucky seed is not worth more than a few of them.
  const std::size_t extra = now_ < options_.faults.heal_ms ? 4 : 0;
  if (results_.size() >= options_.rounds + extra) return;
  auto machine = coordinator::round::RoundMachine::create(setup(), journal_);
  if (!machine) return violation("a round cannot start: " + machine.error().message);
  machine_.emplace(std::move(*machine));
  perform(machine_->step(coordinator::round::Begin{{now_}}));
}

void World::tick_coordinator(std::uint64_t life) {
  if (!machine_ || life != coordinator_life_) return;
  perform(machine_->step(coordinator::round::Tick{{now_}}));
  at(100, [this, life] { tick_coordinator(life); });
}

void World::crash_coordinator(std::int64_t back_after_ms) {
  if (!coordinator_up_) return;
  ++crashes_;
  coordinator_up_ = false;
  machine_.reset();
  ++coordinator_life_;
  at(back_after_ms, [this] { start_coordinator(); });
}

void World::perform(coordinator::round::RoundEffects effects) {
  const auto crashed = [&] {
    if (!crashes_now()) return false;
    crash_coordinator(50 + static_cast<std::int64_t>(draw(3000)));
    return true;
  };
  if (effects.refusal) refusals_.push_back(effects.refusal->reason);
  for (auto& site : effects.blamed) {
    if (const auto index = federation_.roster().index_of(site.site)) excluded_.insert(*index);
    blamed_.push_back(std::move(site));
  }
  if (crashed()) return;
  for (Bytes& record : effects.journal) journal_.push_back(std::move(record));
  if (effects.beacon) beacon_ = std::move(effects.beacon);
  if (crashed()) return;
  bool over = false;
  if (effects.finished) {
    check_result(*effects.finished);
    model_ = next_model(model_, effects.finished->round, effects.finished->transcript);
    next_round_ = effects.finished->round + 1;
    publications_.emplace_back(effects.finished->round, effects.finished->publication);
    results_.push_back(std::move(*effects.finished));
    repeat_.reset();
    over = true;
  }
  if (effects.aborted) {
    next_round_ = effects.aborted->next_round;
    aborted_.push_back(*effects.aborted);
    repeat_ = effects.aborted->repeat;
    over = true;
  }
  if (effects.opened) record_opening(*effects.opened);
  for (const coordinator::round::RoundOutbound& message : effects.outbound) {
    if (crashed()) return;
    if (message.kind == MessageKind::parameters) check_opened(message.wire);
    for (const SiteId& to : message.to) post({Direction::to_site, *federation_.roster().index_of(to), message.wire});
  }
  if (effects.finished) {
    for (RosterIndex i = 0; i < sites_.size(); ++i)
      for (const Bytes& wire : publications_.back().second) post({Direction::to_site, i, wire});
  }
  if (crashed()) return;
  if (effects.unmask)
    return perform(machine_->step(
        coordinator::round::UnmaskFinished{coordinator::aggregation::unmask(std::move(*effects.unmask))}));
  if (!over) return;
  if (!effects.aborted) return begin_round();
  const std::uint64_t life = coordinator_life_;
  at(1000, [this, life] {
    if (coordinator_up_ && life == coordinator_life_) begin_round();
  });
}

// The ledger's rule: attempts only go forward, over crashes too.
void World::record_opening(const federation::secagg::RoundParameters& opened) {
  const std::pair key{opened.round, opened.attempt};
  if (!opened_.empty() && opened_.rbegin()->first >= key) violation("an attempt was opened twice, or late");
  opened_.insert_or_assign(key, opened.hash());
}

void World::check_opened(const Bytes& wire) {
  const auto parameters =
      federation::secagg::RoundParameters::decode(federation_.open_at_site(wire)->payload()).value();
  const auto found = opened_.find({parameters.round, parameters.attempt});
  if (found == opened_.end() || found->second != parameters.hash())
    violation("parameters went out that no attempt was opened with");
}

void World::on_hello(RosterIndex site, const federation::messages::SignedMessage& message) {
  const auto hello = federation::messages::Hello::decode(message.payload());
  if (!hello) return;
  for (const auto& [round, wires] : publications_) {
    if (round <= hello->last_round) continue;
    for (const Bytes& wire : wires) post({Direction::to_site, site, wire});
  }
}

void World::check_result(const coordinator::round::RoundResult& result) {
  std::vector<bool> contributed(sites_.size());
  for (const SiteId& id : result.contributors) contributed[*federation_.roster().index_of(id)] = true;
  const auto one = result.sum.scale;
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    const double value = static_cast<double>(result.sum.sums()[i]);
    const double expected = contributed[i] ? one : 0;
    if (std::abs(value - expected) > 0.5) violation("the sum is not the indicator of its contributors");
  }
  if (result.sum.weight_sum != result.contributors.size() ||
      result.sum.metric_sums[1] != static_cast<double>(result.contributors.size()))
    violation("weights or counts inside the mask do not add up");
  if (result.contributors.size() < thresholds().threshold) violation("a sum of fewer than t sites");
  if (const auto refused = federation::secagg::check_evidence(result.evidence, federation_.roster()))
    violation("the evidence does not hold: " + refused->detail);
  for (const auto& earlier : results_)
    if (earlier.round == result.round) violation("two sums of one round");
}

}  // namespace fovea::test
