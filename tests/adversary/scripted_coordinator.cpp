#include "tests/adversary/scripted_coordinator.h"

#include <algorithm>
#include <string>

#include "common/check.h"
#include "common/durable_file.h"
#include "coordinator/aggregation/unmask.h"
#include "crypto/hash.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/site_messages.h"
#include "federation/secagg/fixed_point.h"

namespace fovea::test {

using coordinator::round::RoundMachine;
using federation::messages::MessageKind;
using federation::messages::SignedMessage;

namespace {

constexpr std::chrono::milliseconds kPatience{40'000};

// What a site says again by itself, to a task that is repeated or a new connection, answers no attack.
bool is_answer(MessageKind kind) {
  return kind != MessageKind::hello && kind != MessageKind::training_progress && kind != MessageKind::training_ready &&
         kind != MessageKind::attempt_failure;
}

}  // namespace

ScriptedCoordinator::ScriptedCoordinator(ScriptedFederation federation)
    : federation_(std::move(federation)),
      folder_(federation_.home),
      keys_(folder_.keys().value()),
      facts_{random_run(), read_plan(federation_.plan), folder_.newest_roster().value()},
      victim_(node::io::SiteFolder(federation_.victim).site().value().id),
      victim_index_(facts_.roster.index_of(victim_).value()) {
  run_.emplace(node::io::SiteRun::open(federation_.work, facts_.run, facts_.plan, keys_.signing).value());
  model_ = run_->adopted().value();
  play_sybils();
  listen();
}

void ScriptedCoordinator::play_sybils() {
  sybils_.clear();
  for (const SiteIdentity& site : federation_.sybils) {
    const federation::membership::RosterSite* entry = facts_.roster.find(site.entry.id);
    if (entry != nullptr && entry_digest(*entry) == entry_digest(site.entry))
      sybils_.push_back(std::make_unique<ScriptedSite>(site, facts_, model_));
  }
}

void ScriptedCoordinator::follow_roster() {
  give_up_round();
  facts_.roster = folder_.newest_roster().value();
  victim_index_ = facts_.roster.index_of(victim_).value();
  victim_joined_ = false;
  beacon_.reset();
  last_.clear();  // by positions of the roster before
  key_lists_.clear();
  play_sybils();
}

void ScriptedCoordinator::offer_roster(UnixMs sent) {
  const federation::messages::RosterOffer offer{folder_.roster_document().value().serialize(),
                                                static_cast<std::uint64_t>(sent.value)};
  send_to_victim(seal(MessageKind::roster_offer, offer.encode()));
}

void ScriptedCoordinator::offer_plan() {
  const auto plan = read_file(federation_.plan, federation::membership::kPlanBytesMax).value();
  send_to_victim(seal(MessageKind::plan_offer, federation::messages::PlanOffer{plan}.encode()));
}

std::size_t ScriptedCoordinator::heard(MessageKind kind) const {
  const auto found = heard_.find(kind);
  return found == heard_.end() ? 0 : found->second;
}

void ScriptedCoordinator::listen() {
  auto server = coordinator::io::ZmqServer::start(
      {.endpoint = "tcp://127.0.0.1:" + std::to_string(federation_.port)}, keys_.transport,
      [this](const federation::io::CurvePublicKey& key) {
        const federation::membership::RosterSite* site = facts_.roster.find_transport_key(key);
        return site == nullptr ? std::nullopt : std::optional<SiteId>(site->id);
      });
  FOVEA_CHECK(server.has_value());
  server_ = std::move(server).value();
}

const ScriptedSite& ScriptedCoordinator::sybil(RosterIndex site) const {
  const auto found = std::find_if(sybils_.begin(), sybils_.end(), [&](const auto& s) { return s->index() == site; });
  FOVEA_CHECK(found != sybils_.end());
  return **found;
}

bool ScriptedCoordinator::serve_until(const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    pump(std::chrono::milliseconds(2));
  }
  return true;
}

void ScriptedCoordinator::pump(std::chrono::milliseconds timeout) {
  FOVEA_CHECK(server_->wait(timeout, {}).has_value());
  while (auto message = server_->receive()) take(std::move(*message));
  if (machine_) feed(coordinator::round::Tick{clock_.monotonic()});
  serve_sybils();
}

// The other sites answer at once, until none of them has anything to say.
void ScriptedCoordinator::serve_sybils() {
  bool busy = true;
  while (busy) {
    busy = false;
    for (const auto& site : sybils_) {
      while (auto wire = site->next_wire()) {
        busy = true;
        auto opened = SignedMessage::open(std::move(*wire), {site->id(), site->identity().verify_key()});
        if (machine_ && opened) feed(coordinator::round::MessageReceived{std::move(*opened)});
      }
    }
    apply_sums();
  }
}

void ScriptedCoordinator::apply_sums() {
  for (const auto& site : sybils_) {
    const auto sum = site->take_sum();
    if (!sum) continue;
    if (run_->last_round() < sum->round) {
      FOVEA_CHECK(run_->apply(*sum).has_value());
      model_ = run_->adopted().value();
    }
    site->adopt(model_);
  }
}

void ScriptedCoordinator::take(coordinator::io::InboundMessage message) {
  auto opened =
      SignedMessage::open(std::move(message.payload), {message.site, facts_.roster.find(message.site)->identity_key});
  FOVEA_CHECK(opened.has_value());
  ++heard_[opened->kind()];
  if (opened->kind() == MessageKind::hello) {
    const auto hello = federation::messages::Hello::decode(opened->payload()).value();
    coordinator::io::BootId boot{};
    const Digest digest = crypto::sha256(as_bytes(hello.software));
    std::copy_n(digest.begin(), boot.size(), boot.begin());
    server_->open_session(message, boot);
    if (opened->header().run != facts_.run || opened->header().epoch != facts_.roster.epoch) {
      offer_roster();
      return offer_plan();
    }
    victim_joined_ = true;
  }
  if (is_answer(opened->kind())) ++answers_;
  if (opened->kind() == MessageKind::attempt_failure && ignores_complaints_) return;
  if (machine_ && opened->header().run == facts_.run) feed(coordinator::round::MessageReceived{std::move(*opened)});
}

void ScriptedCoordinator::begin_round() { begin_round(make_setup()); }

void ScriptedCoordinator::begin_round_without_victim() {
  coordinator::round::RoundSetup setup = make_setup();
  std::erase(setup.invited, victim_index_);
  setup.cohort_smallest = setup.cohort_largest = static_cast<std::uint32_t>(setup.invited.size());
  begin_round(std::move(setup));
}

void ScriptedCoordinator::begin_round(coordinator::round::RoundSetup setup) {
  setup.task.round = ++round_;
  aborted_.reset();
  machine_.emplace(RoundMachine::create(std::move(setup), {}).value());
  feed(coordinator::round::Begin{clock_.monotonic()});
}

void ScriptedCoordinator::give_up_round() {
  machine_.reset();
  trap_.reset();
  waiting_.clear();
}

coordinator::round::RoundSetup ScriptedCoordinator::make_setup() const {
  const federation::membership::Plan& plan = facts_.plan;
  const federation::membership::PlanPosition position = plan.position(run_->sums_applied() + 1).value();
  coordinator::round::RoundSetup setup{
      .run = facts_.run,
      .roster = facts_.roster,
      .key = keys_.signing.copy(),
      .task = {.round = round_,
               .stage_index = static_cast<std::uint32_t>(position.stage_index),
               .stage_round = position.stage_round,
               .seed = federation::membership::training_seed(plan.hash, run_->sums_applied() + 1),
               .plan_hash = plan.hash,
               .model_hash = run_->model_digest(),
               .previous_transcript = run_->transcript()},
      .invited = {},
      .quiet = {},
      .thresholds = {.colluders_max = static_cast<std::uint16_t>(plan.secure_aggregation.colluders_max),
                     .threshold = static_cast<std::uint16_t>(plan.secure_aggregation.threshold),
                     .honest_min = static_cast<std::uint16_t>(plan.secure_aggregation.honest_min)},
      .cohort_smallest = static_cast<std::uint32_t>(facts_.roster.sites.size()),  // never without the victim
      .cohort_largest = static_cast<std::uint32_t>(facts_.roster.sites.size()),
      .delta_size = static_cast<std::uint32_t>(run_->dimension().value() - federation::secagg::kTailWords),
      .delta_max = plan.strategy.delta_max,
      .weight_max = plan.strategy.weight_max,
      .beacon = beacon_,
      .limits = {}};
  for (RosterIndex site = 0; site < facts_.roster.sites.size(); ++site) setup.invited.push_back(site);
  return setup;
}

void ScriptedCoordinator::feed(coordinator::round::RoundEvent event) { perform(machine_->step(std::move(event))); }

void ScriptedCoordinator::perform(coordinator::round::RoundEffects effects) {
  if (effects.beacon) beacon_ = std::move(effects.beacon);
  for (const coordinator::round::RoundOutbound& message : effects.outbound)
    for (const SiteId& to : message.to) deliver(to, message.wire);
  if (effects.unmask)
    return feed(coordinator::round::UnmaskFinished{coordinator::aggregation::unmask(std::move(*effects.unmask))});
  if (effects.finished) {
    machine_.reset();
    for (const Bytes& wire : effects.finished->publication)
      for (const federation::membership::RosterSite& site : facts_.roster.sites) deliver(site.id, wire);
  }
  if (effects.aborted) {
    aborted_ = std::move(effects.aborted);
    machine_.reset();
  }
}

void ScriptedCoordinator::deliver(const SiteId& to, const Bytes& wire) {
  auto opened = SignedMessage::open(wire, {std::nullopt, keys_.signing.verify_key()}).value();
  const RosterIndex site = facts_.roster.index_of(to).value();
  last_[{site, opened.kind()}] = wire;
  if (opened.kind() == MessageKind::key_list) {
    key_lists_.emplace(round_, Bytes(opened.payload().begin(), opened.payload().end()));
    if (key_lists_.size() > 2) key_lists_.erase(key_lists_.begin());
  }
  if (to != victim_) {
    for (const auto& sybil : sybils_)
      if (sybil->id() == to) sybil->receive(wire);
    return;
  }
  if (!waiting_.empty() || trap_ == opened.kind()) return waiting_.push_back(std::move(opened));
  send_to_victim(wire);
}

void ScriptedCoordinator::trap(MessageKind kind) { trap_ = kind; }

// It goes on waiting, so that what follows does; a site answers it the second time with the same bytes.
void ScriptedCoordinator::release_first() { send_to_victim(waiting_.front().wire()); }

// What waits behind it may be what the next trap is set for.
void ScriptedCoordinator::go_on() {
  send_to_victim(waiting_.front().wire());
  waiting_.pop_front();
  while (!waiting_.empty() && waiting_.front().kind() != trap_) {
    send_to_victim(waiting_.front().wire());
    waiting_.pop_front();
  }
}

void ScriptedCoordinator::release_all() {
  trap_.reset();
  for (const SignedMessage& message : waiting_) send_to_victim(message.wire());
  waiting_.clear();
}

void ScriptedCoordinator::send_to_victim(Bytes wire) {
  server_->send(victim_, std::make_shared<const Bytes>(std::move(wire)));
}

Bytes ScriptedCoordinator::seal(MessageKind kind, ByteView payload) const {
  return federation::messages::seal_message(
      {.kind = kind, .run = facts_.run, .sender = std::nullopt, .epoch = facts_.roster.epoch}, payload, keys_.signing);
}

crypto::AgreementPublicKey ScriptedCoordinator::key_of_last_round(RosterIndex site) const {
  const auto list = federation::messages::KeyList::decode(key_lists_.at(round_ - 1)).value();
  const auto entry = std::find_if(list.keys.begin(), list.keys.end(), [&](const auto& e) { return e.site == site; });
  FOVEA_CHECK(entry != list.keys.end());
  return entry->keys.mask;
}

std::optional<SignedMessage> ScriptedCoordinator::last_to(RosterIndex site, MessageKind kind) const {
  const auto found = last_.find({site, kind});
  if (found == last_.end()) return std::nullopt;
  return SignedMessage::open(found->second, {std::nullopt, keys_.signing.verify_key()}).value();
}

}  // namespace fovea::test
