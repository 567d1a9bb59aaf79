// A hospital's daemon: runs the round machine (node/round) over the transport, the egress gate, the journal and the
// training thread. One event loop; effects are performed in the machine's order: journal → gate → send → train → apply.
//
// An error that run() returns ends the process with nothing half done: what was promised is in the journal and the
// ledger, and the next start goes on from there (a full disk, a damaged file).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/ids.h"
#include "common/result.h"
#include "federation/io/event_log.h"
#include "node/egress/egress_gate.h"
#include "node/io/node_config.h"
#include "node/io/site_folder.h"
#include "node/io/site_run.h"
#include "node/io/training_worker.h"
#include "node/io/zmq_transport.h"
#include "node/round/site_machine.h"

namespace fovea::node::io {

// Makes the trainer for an approved plan; an error is reported to the coordinator as a failure of this site.
using TrainerFactory = std::function<Result<std::unique_ptr<training::Trainer>>(const federation::membership::Plan&)>;

// For tests and demonstrations: stop handling messages at a chosen point of a round, for a kill exactly there. The
// point is reached when the coordinator's answer to what was sent has arrived: then the coordinator surely has it.
struct HoldPoint {
  federation::messages::MessageKind answer = federation::messages::MessageKind::routed_shares;
  RoundNumber round = 0;
  std::string text{};  // as given, "shares:5"
  // "keys:R", "shares:R", "masked:R" or "consistency:R".
  static Result<HoldPoint> parse(std::string_view text);
};

struct SiteDriverOptions {
  SiteFolder folder;
  NodeConfig config;
  TrainerFactory make_trainer;
  std::optional<HoldPoint> hold;
  bool until_complete = false;  // end when the plan's last sum is applied
};

class SiteDriver {
 public:
  // failed_precondition: another fovea-node runs on this folder.
  static Result<std::unique_ptr<SiteDriver>> open(SiteDriverOptions options, const Clock& clock);
  ~SiteDriver();
  // Until SIGINT or SIGTERM (block_stop_signals() first).
  Result<void> run();

 private:
  struct Parts;
  explicit SiteDriver(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Blocks SIGINT, SIGTERM, SIGCONT and SIGHUP (which reads the policy of node.toml again) for the process, so that the
// loop reads them from a descriptor.
void block_stop_signals();

}  // namespace fovea::node::io
