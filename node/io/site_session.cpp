// Who the site is to the coordinator, the roster, and plans until a person has decided about them.
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "common/codec.h"
#include "common/durable_file.h"
#include "common/stop_signals.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/site_messages.h"
#include "node/io/site_driver_parts.h"

namespace fovea::node::io {

using federation::messages::MessageKind;

namespace {

Result<void> ignore(const char* what, const Error& why) {
  spdlog::warn("ignored a {}: {}", what, why.message);
  return {};
}

}  // namespace

Result<void> SiteDriver::Parts::on_connected() {
  if (machine) return feed(round::Connected{});
  federation::messages::Hello hello;
  hello.software = software;
  return send_own(MessageKind::hello, RunId{}, hello.encode());
}

Result<void> SiteDriver::Parts::handle_frame(Bytes frame) {
  auto opened = federation::messages::SignedMessage::open(
      std::move(frame), {.sender = std::nullopt, .key = invite.coordinator_signing_key});
  if (!opened) {
    spdlog::warn("ignored a message: {}", opened.error().message);
    events.write("message_ignored", {{"why", opened.error().message}});
    return {};
  }
  if (opened->kind() == MessageKind::roster_offer) return take_roster(*opened);
  if (opened->kind() == MessageKind::plan_offer) return take_plan(*opened);
  FOVEA_TRY(hold_if_asked(*opened));
  if (stop) return {};
  return take_round_message(std::move(*opened));
}

Result<void> SiteDriver::Parts::take_roster(const federation::messages::SignedMessage& message) {
  auto offered = federation::messages::RosterOffer::decode(message.payload());
  if (!offered) return ignore("roster", offered.error());
  auto document = federation::membership::SignedDocument::parse(offered->signed_document);
  if (!document) return ignore("roster", document.error());
  const EpochNumber epoch_min = roster ? roster->epoch : 1;
  auto verified = federation::membership::verify_roster(*document, invite.trust(epoch_min), clock->wall());
  if (!verified) {
    spdlog::warn("ignored a roster: {}", verified.error().message);
    events.write("roster_ignored", {{"why", verified.error().message}});
    return {};
  }
  if (roster && roster->hash == verified->hash) return {};
  const federation::membership::RosterSite* entry = verified->find(self.id);
  if (entry == nullptr || entry->identity_key != self.identity_key) {
    spdlog::warn("this site is not on the roster of epoch {}; ask the administrator", verified->epoch);
    events.write("not_on_roster", {{"epoch", verified->epoch}});
    return {};
  }
  FOVEA_TRY(options.folder.keep_roster(*document, verified->epoch));
  roster = std::move(verified).value();
  FOVEA_TRY(gate.pin_roster(*roster));
  events.write("roster_adopted", {{"epoch", roster->epoch}, {"sites", roster->sites.size()}});
  if (!machine) return {};
  FOVEA_TRY(feed(round::RosterAdopted{*roster}));
  return feed(round::Connected{});  // the coordinator counts us in when we greet it under the new epoch
}

Result<void> SiteDriver::Parts::take_plan(const federation::messages::SignedMessage& message) {
  const RunId offered_run = message.header().run;
  auto offered = federation::messages::PlanOffer::decode(message.payload());
  if (!offered) return ignore("plan", offered.error());
  auto plan = federation::membership::Plan::parse(offered->plan);
  if (!plan) return refuse_plan(offered_run, federation::messages::RefusalReason::malformed, plan.error());
  if (run && run->run() == offered_run) return {};
  if (offer && offer->run == offered_run) return {};
  FOVEA_TRY(create_directories_durably(options.folder.plan(plan->hash).parent_path()));
  FOVEA_TRY(write_file_durably(options.folder.plan(plan->hash), offered->plan));
  events.write("plan_offered", {{"run", offered_run.text()}, {"plan", to_hex(plan->hash)}, {"name", plan->name}});
  if (const auto allowed = check_policy(options.config.policy, *plan); !allowed)
    return refuse_plan(offered_run, federation::messages::RefusalReason::local_policy, allowed.error());
  offer = Offer{offered_run, std::move(plan).value()};
  FOVEA_TRY(look_for_decision());
  if (offer) {
    spdlog::warn("plan \"{}\" waits for a person's approval: fovea-node --site {} plan approve {} --by \"your name\"",
                 offer->plan.name, options.folder.root().string(), to_hex(offer->plan.hash).substr(0, 12));
    events.write("plan_waiting", {{"plan", to_hex(offer->plan.hash)}});
  }
  return {};
}

Result<void> SiteDriver::Parts::refuse_plan(const RunId& refused_run, federation::messages::RefusalReason reason,
                                            const Error& why) {
  spdlog::warn("{}", why.message);
  events.write("plan_refused", {{"run", refused_run.text()}, {"why", why.message}});
  const federation::messages::AttemptFailure failure{
      .round = 0, .attempt = 0, .reason = reason, .accused = std::nullopt};
  return send_own(MessageKind::attempt_failure, refused_run, failure.encode());
}

Result<void> SiteDriver::Parts::look_for_decision() {
  if (!offer) return {};
  auto decision = options.folder.decision(offer->plan.hash);
  if (!decision) {
    spdlog::warn("ignored an approval: {}", decision.error().message);
    return {};
  }
  if (*decision) {
    const auto decided = gate.decide_plan(**decision);
    if (!decided && decided.error().code != ErrorCode::permission_denied &&
        decided.error().code != ErrorCode::corruption)
      return decided;
    if (!decided) {
      spdlog::warn("ignored an approval: {}", decided.error().message);
      events.write("approval_ignored", {{"why", decided.error().message}});
    }
  }
  if (!gate.plan_approved(offer->plan.hash)) {
    if (!*decision) return {};
    const Offer refused = std::move(*offer);
    offer.reset();
    return refuse_plan(refused.run, federation::messages::RefusalReason::plan_not_approved,
                       permission_denied("plan \"" + refused.plan.name + "\" was rejected at this site"));
  }
  const Offer accepted = std::move(*offer);
  offer.reset();
  return open_run(accepted);
}

round::SitePolicy SiteDriver::Parts::site_policy() const {
  const PolicyConfig& policy = options.config.policy;
  round::SitePolicy out{policy.colluders_max, policy.honest_min, policy.cohort_min, {}};
  if (run && gate.plan_approved(run->plan().hash)) out.plans_approved.push_back(run->plan().hash);
  return out;
}

Result<void> SiteDriver::Parts::open_run(const Offer& accepted) {
  if (!roster) return failed_precondition("a plan came before a roster; the coordinator must send its roster first");
  auto trainer = options.make_trainer(accepted.plan);
  if (!trainer) return refuse_plan(accepted.run, federation::messages::RefusalReason::training_failed, trainer.error());
  machine.reset();
  worker.reset();
  run.reset();
  FOVEA_TRY_ASSIGN(run, SiteRun::open(options.folder.run(accepted.run), accepted.run, accepted.plan));
  FOVEA_TRY_ASSIGN(worker, TrainingWorker::start(std::move(trainer).value()));
  FOVEA_TRY(gate.open_run(accepted.run, accepted.plan, run->model_digest()));
  round::SiteConfig config{.self = self.id,
                           .run = accepted.run,
                           .roster = *roster,
                           .identity = keys.identity.copy(),
                           .policy = site_policy(),
                           .software = software,
                           .rosters_past = options.folder.past_rosters(),
                           .threads = std::max(1U, std::thread::hardware_concurrency())};
  FOVEA_TRY_ASSIGN(machine,
                   round::SiteMachine::create(std::move(config), run->journal_at_start(), site_register.records()));
  events.write("run_opened", {{"run", accepted.run.text()},
                              {"plan", to_hex(accepted.plan.hash)},
                              {"sums_applied", run->sums_applied()},
                              {"rounds_total", accepted.plan.rounds_total()}});
  spdlog::info("taking part in \"{}\": {} of {} rounds are in the model here", accepted.plan.name, run->sums_applied(),
               accepted.plan.rounds_total());
  FOVEA_TRY(feed(round::Tick{clock->monotonic()}));  // else the machine, which has no clock, would count from zero
  FOVEA_TRY_ASSIGN(round::ModelAdopted adopted, run->adopted());
  FOVEA_TRY(feed(std::move(adopted)));
  return feed(round::Connected{});
}

Result<void> SiteDriver::Parts::hold_if_asked(const federation::messages::SignedMessage& message) {
  if (!options.hold || message.kind() != options.hold->answer) return {};
  ByteReader reader(message.payload());
  const auto round = reader.u32("round");
  if (!round || *round != options.hold->round) return {};
  spdlog::warn("holding after {} as asked; SIGCONT goes on", options.hold->text);
  events.write("held", {{"at", options.hold->text}, {"round", *round}});
  options.hold.reset();
  while (!stop) {
    pollfd waiting{signals.number(), POLLIN, 0};
    ::poll(&waiting, 1, -1);
    const int number = next_signal(signals);
    if (number == SIGCONT) break;
    if (number != 0) stop = true;
  }
  return {};
}

}  // namespace fovea::node::io
