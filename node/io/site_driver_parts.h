// What the site's daemon is made of; private to node/io/site_*.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/descriptor.h"
#include "common/file_lock.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/io/event_log.h"
#include "federation/membership/plan.h"
#include "federation/membership/roster.h"
#include "node/io/site_driver.h"
#include "node/io/site_run.h"
#include "node/io/zmq_transport.h"

namespace fovea::node::io {

struct SiteDriver::Parts {
  FileLock lock;  // of the folder; first, so that it is held until everything else is closed
  SiteDriverOptions options;
  const Clock* clock = nullptr;
  federation::membership::RosterSite self;
  SiteKeys keys;
  federation::membership::Invite invite;
  federation::io::EventLog events;
  egress::EgressGate gate;
  federation::files::RecordFile site_register;
  std::unique_ptr<ZmqTransport> transport;
  std::string software;  // name, version and a random word of this start: tells a reconnect from a second process
  Descriptor signals;    // signalfd

  std::optional<federation::membership::Roster> roster{};
  struct Offer {
    RunId run;
    federation::membership::Plan plan;
  };
  std::optional<Offer> offer{};  // waits for a person's decision
  std::optional<SiteRun> run{};
  std::optional<round::SiteMachine> machine{};
  std::unique_ptr<TrainingWorker> worker{};

  bool stop = false;
  bool resume_pending = false;
  bool greeting_due = false;
  bool publish_due = false;  // of the ledger
  std::uint64_t greeted_connection = 0;
  ConnectionState shown_state = ConnectionState::connecting;
  bool state_shown = false;
  MonotonicMs last_tick{};
  MonotonicMs last_save{};
  MonotonicMs last_publish{};
  MonotonicMs last_status{};

  // site_driver.cpp
  Result<void> loop_once();
  void handle_signals();
  Result<void> tick();
  void show_connection();
  void write_status();

  // site_session.cpp: hello, roster, plans and their approval
  Result<void> on_connected();
  Result<void> handle_frame(Bytes frame);
  Result<void> take_roster(const federation::messages::SignedMessage& message);
  Result<void> take_plan(const federation::messages::SignedMessage& message);
  Result<void> look_for_decision();
  Result<void> refuse_plan(const RunId& run, federation::messages::RefusalReason reason, const Error& why);
  Result<void> open_run(const Offer& accepted);
  round::SitePolicy site_policy() const;
  Result<void> hold_if_asked(const federation::messages::SignedMessage& message);

  // site_effects.cpp
  Result<void> feed(round::SiteEvent event);
  void log(const round::SiteEffects& effects);
  Result<void> take_round_message(federation::messages::SignedMessage message);
  Result<void> open_round_at_gate(const federation::secagg::RoundParameters& joined);
  void close_round_at_gate(RoundNumber round, const char* outcome, std::uint32_t cohort);
  Result<void> send(std::vector<round::SiteOutbound> batch);
  Result<void> send_own(federation::messages::MessageKind kind, const RunId& run, const Bytes& payload);
  Result<void> begin_training(const federation::messages::TrainTask& task);
  Result<void> take_training_reports();
  Result<std::optional<round::SiteEvent>> apply(const round::VerifiedSum& sum);
};

}  // namespace fovea::node::io
