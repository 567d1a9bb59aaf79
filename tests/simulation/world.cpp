#include "tests/simulation/world.h"

#include "crypto/hash.h"

namespace fovea::test {

World::World(WorldOptions options)
    : options_(options), federation_(options.sites), random_(seed_of("world", options.seed)), sites_(options.sites) {
  for (RosterIndex i = 0; i < sites_.size(); ++i) start_site(i);
  start_coordinator();
}

World::~World() = default;

void World::at(std::int64_t delay_ms, std::function<void()> run) {
  timers_.push({now_ + delay_ms, order_++, std::move(run)});
}

std::uint64_t World::draw(std::uint64_t bound) {
  std::array<std::uint8_t, 8> bytes{};
  random_.fill(bytes);
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value % bound;  // a bias of 2^-50 does not matter to a fault schedule
}

double World::chance() { return static_cast<double>(draw(1U << 20)) / (1U << 20); }

bool World::crashes_now() { return faulty() && options_.faults.crash > 0 && chance() < options_.faults.crash; }

void World::violation(std::string what) {
  violations_.push_back("at " + std::to_string(now_) + " ms: " + std::move(what));
}

crypto::SecretKey World::fresh_seed() { return seed_of("attempt", options_.seed * 1'000'000 + seeds_drawn_++); }

void World::post(Delivery delivery) {
  if (intercept && !intercept(delivery)) return;
  if (faulty() && chance() < options_.faults.drop) return;
  const int copies = faulty() && chance() < options_.faults.duplicate ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    const auto delay =
        static_cast<std::int64_t>(draw(static_cast<std::uint64_t>(faulty() ? options_.faults.delay_ms + 1 : 2)));
    at(delay, [this, delivery] { deliver(delivery); });
  }
}

void World::deliver(const Delivery& delivery) {
  trace_hash_ = crypto::TaggedHash("FOVEA/test/trace")
                    .add(trace_hash_)
                    .add_u64(static_cast<std::uint64_t>(now_))
                    .add_u64(static_cast<std::uint64_t>(delivery.direction))
                    .add_u64(delivery.site)
                    .add(delivery.wire)
                    .finish();
  if (options_.extra_floats == 0) trace_.push_back(delivery);
  if (delivery.direction == Direction::to_site) {
    Site& site = sites_[delivery.site];
    if (!site.machine) return;
    auto opened = federation_.open_at_site(delivery.wire);
    if (!opened) return;
    node::round::MessageReceived event{std::move(*opened), std::nullopt};
    if (event.message.kind() == federation::messages::MessageKind::parameters) event.seed = fresh_seed();
    return perform(delivery.site, site.machine->step(std::move(event)));
  }
  if (!coordinator_up_) return;
  auto opened = federation_.open_at_coordinator(delivery.site, delivery.wire);
  if (!opened) return;
  if (opened->kind() == federation::messages::MessageKind::hello) on_hello(delivery.site, *opened);
  if (machine_) perform(machine_->step(coordinator::round::MessageReceived{std::move(*opened)}));
}

bool World::run(const std::function<bool()>& stop) {
  const auto reached = [&] {
    if (results_.size() < options_.rounds || now_ < options_.faults.heal_ms) return false;
    for (const Site& site : sites_)
      if (site.model.round != model_.round) return false;
    return true;
  };
  while (!timers_.empty() && !reached() && !stop()) {
    Timer next = timers_.top();
    timers_.pop();
    if (next.at > options_.end_ms) return false;
    now_ = next.at;
    next.run();
  }
  return reached();
}

Digest World::trace_hash() const { return trace_hash_; }

std::string World::where() const {
  std::string text = "\n  coordinator: round " + std::to_string(next_round_) + " " +
                     std::string(machine_ ? coordinator::round::to_string(machine_->phase()) : "down");
  for (const Site& site : sites_) {
    text += "\n  site: model of round " + std::to_string(site.model.round) + ", ";
    text += site.machine ? std::string(node::round::to_string(site.machine->phase())) : "down";
    if (!site.refusals.empty())
      text += ", last refusal " + std::string(federation::messages::to_string(site.refusals.back()));
  }
  return text;
}

void World::kill_site(RosterIndex site, std::int64_t back_after_ms) { crash_site(site, back_after_ms); }
void World::kill_coordinator(std::int64_t back_after_ms) { crash_coordinator(back_after_ms); }

node::round::SitePolicy World::policy() const {
  const federation::secagg::Thresholds t = thresholds();
  return {.colluders_max = t.colluders_max,
          .honest_min = t.honest_min,
          .cohort_min = t.threshold,
          .plans_approved = {federation_.plan()},
          .acquainted = federation_.everybody()};
}

federation::model::LocalUpdate World::update(RosterIndex site) const {
  federation::model::LocalUpdate out;
  out.delta.resize(options_.sites + options_.extra_floats);
  out.delta[site] = 1;
  for (std::size_t i = options_.sites; i < out.delta.size(); ++i)
    out.delta[i] = static_cast<float>(static_cast<int>(i % 17) - 8) / 8.0F;
  out.weight = 1;
  out.metric_sums = {0.5 * (site + 1), 1, 2, 3};
  return out;
}

node::round::ModelAdopted World::initial_model() const {
  const auto dimension = static_cast<std::uint32_t>(federation::secagg::vector_words(update(0).delta.size()));
  return {.model_hash = federation_.plan(),
          .next = {.dimension = dimension, .delta_max = 1, .weight_max = 1, .stage_round = 1, .seed = options_.seed}};
}

node::round::ModelAdopted next_model(const node::round::ModelAdopted& model, RoundNumber round,
                                     const Digest& transcript) {
  node::round::ModelAdopted out = model;
  out.round = round;
  out.model_hash = crypto::TaggedHash("FOVEA/test/model").add(model.model_hash).add(transcript).finish();
  out.transcript = transcript;
  out.next.stage_round += 1;
  return out;
}

}  // namespace fovea::test
