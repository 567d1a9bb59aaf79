#include "tests/adversary/scripted_site.h"

#include <set>
#include <utility>

#include "common/check.h"
#include "common/durable_file.h"
#include "federation/membership/acquaintance.h"
#include "federation/secagg/fixed_point.h"

namespace fovea::test {

RunId random_run() {
  RunId run;
  crypto::SystemRandom random;
  random.fill(run.bytes);
  return run;
}

federation::membership::Plan read_plan(const std::filesystem::path& file) {
  const auto bytes = read_file(file, federation::membership::kPlanBytesMax);
  FOVEA_CHECK(bytes.has_value());
  return federation::membership::Plan::parse(*bytes).value();
}

SiteIdentity SiteIdentity::of(const std::filesystem::path& folder) {
  const node::io::SiteFolder site(folder);
  return {site.site().value(), site.keys().value()};
}

SiteIdentity SiteIdentity::invented(const std::string& name) {
  crypto::SystemRandom random;
  node::io::SiteKeys keys{.identity = crypto::SigningKey::create(random),
                          .log = crypto::SigningKey::create(random),
                          .transport = crypto::AgreementKey::generate(random)};
  federation::membership::RosterSite entry{.id = SiteId::create(name).value(),
                                           .identity_key = keys.identity.verify_key(),
                                           .transport_key = keys.transport.public_key(),
                                           .log_key = keys.log.verify_key(),
                                           .approver_key = crypto::SigningKey::create(random).verify_key()};
  return {std::move(entry), std::move(keys)};
}

ScriptedSite::ScriptedSite(const SiteIdentity& identity, const RunFacts& facts, const node::round::ModelAdopted& model)
    : id_(identity.entry.id),
      keys_{identity.keys.identity.copy(), identity.keys.log.copy(), identity.keys.transport.copy()},
      facts_(facts),
      index_(facts.roster.index_of(id_).value()) {
  const federation::membership::PlanSecureAggregation& rules = facts.plan.secure_aggregation;
  std::set<Digest> everybody;
  for (const federation::membership::RosterSite& site : facts.roster.sites)
    everybody.insert(federation::membership::entry_digest(site));
  node::round::SiteConfig config{.self = id_,
                                 .run = facts.run,
                                 .roster = facts.roster,
                                 .identity = keys_.identity.copy(),
                                 .policy = {.colluders_max = rules.colluders_max,
                                            .honest_min = rules.honest_min,
                                            .cohort_min = rules.colluders_max + rules.honest_min,
                                            .plans_approved = {facts.plan.hash},
                                            .acquainted = std::move(everybody)},
                                 .software = "scripted",
                                 .rosters_past = {}};
  machine_.emplace(node::round::SiteMachine::create(std::move(config), {}, {}).value());
  adopt(model);
  step(node::round::Connected{});
}

void ScriptedSite::adopt(const node::round::ModelAdopted& model) {
  model_ = model;
  step(node::round::ModelAdopted(model));
}

void ScriptedSite::receive(Bytes wire) {
  auto opened = federation::messages::SignedMessage::open(
      std::move(wire), {.sender = std::nullopt, .key = facts_.roster.coordinator_signing_key});
  if (!opened) return;
  if (opened->kind() == federation::messages::MessageKind::site_blame) {
    blames_.push_back(federation::membership::Blame::decode(opened->payload()).value());
    return;
  }
  // By its clock every roster is valid, however long the coordinator uses it.
  node::round::MessageReceived event{std::move(*opened), std::nullopt, facts_.roster.valid_from};
  if (event.message.kind() == federation::messages::MessageKind::parameters) event.seed = random_.secret_key();
  step(std::move(event));
}

void ScriptedSite::step(node::round::SiteEvent first) {
  std::deque<node::round::SiteEvent> events;
  events.push_back(std::move(first));
  while (!events.empty()) {
    node::round::SiteEffects effects = machine_->step(std::move(events.front()));
    events.pop_front();
    for (node::round::SiteOutbound& message : effects.outbound) outbox_.push_back(std::move(message.wire));
    if (effects.start_training) {
      federation::model::LocalUpdate update;
      // Not zero: the next round would be on the same model, which no site takes part in twice.
      update.delta.assign(model_.next.dimension - federation::secagg::kTailWords,
                          static_cast<float>(model_.next.delta_max / 2));
      update.weight = 1;
      events.emplace_back(node::round::TrainingFinished{effects.start_training->round, std::move(update)});
    }
    if (effects.refused_by_coordinator) refused_.push_back(*effects.refused_by_coordinator);
    if (effects.verified_sum) sum_ = std::move(effects.verified_sum);
    if (effects.more) events.emplace_back(node::round::Resume{});
  }
}

std::optional<Bytes> ScriptedSite::next_wire() {
  if (outbox_.empty()) return std::nullopt;
  Bytes wire = std::move(outbox_.front());
  outbox_.pop_front();
  return wire;
}

Bytes ScriptedSite::seal(federation::messages::MessageKind kind, ByteView payload) const {
  return federation::messages::seal_message(
      {.kind = kind, .run = facts_.run, .sender = id_, .epoch = facts_.roster.epoch}, payload, keys_.identity);
}

}  // namespace fovea::test
