// The serving process of one run: listens, greets sites, runs round machines (coordinator/round) to the plan's end.
// One event loop; effects are performed in the machine's order: journal → store the sum → ledger → send → unmask.
//
// After a kill at any moment the next start resumes: the store says which rounds ended, the journal how far the last
// one came.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "coordinator/io/zmq_server.h"
#include "coordinator/registry/coordinator_folder.h"
#include "coordinator/store/run_store.h"

namespace fovea::coordinator::io {

struct RunDriverOptions {
  registry::CoordinatorFolder folder;
  registry::CoordinatorConfig config;
  // Makes or resumes the run. Called once the port is this process's: a start that fails leaves no run behind.
  std::function<Result<std::unique_ptr<store::RunStore>>()> choose_run;
  std::function<void(const std::string&)> show;  // a line for a person, about once a second
  // When the run has ended, how long its last sum is held ready for sites that took part and lack it; none: until they
  // have it.
  std::optional<std::int64_t> hand_out_ms = 0;
  bool stay = false;           // also when they all have it
  bool hand_out_only = false;  // the run has ended before
};

enum class RunEnd { complete, stopped };

class RunDriver {
 public:
  // Listens. unavailable: the port is in use; deadline_exceeded: the roster has run out.
  static Result<std::unique_ptr<RunDriver>> open(RunDriverOptions options, const Clock& clock);
  ~RunDriver();

  const std::string& endpoint() const noexcept;
  // Until the plan's last sum is published, or SIGINT or SIGTERM (block_stop_signals() first).
  Result<RunEnd> run();
  const store::RunStore& store() const noexcept;
  // The sites that took part in a run that has ended, and have not said that they have its last sum.
  std::vector<SiteId> lacking() const;

 private:
  struct Parts;
  explicit RunDriver(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Blocks SIGINT and SIGTERM for the process, so that the loop reads them from a descriptor.
void block_stop_signals();

}  // namespace fovea::coordinator::io
