// What the running node says of itself every second, for `fovea-node status` and `doctor`: status.json in the site's
// folder. Not evidence, and not durable: a start writes it anew.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/result.h"

namespace fovea::node::io {

struct SiteStatus {
  // Of the plan of the open run.
  struct Run {
    std::string run;
    std::string plan;  // its name
    std::string phase;
    std::uint64_t round = 0;
    std::uint64_t sums_applied = 0;
    std::uint64_t rounds_total = 0;

    bool complete() const noexcept { return sums_applied == rounds_total; }
  };

  UnixMs at{};
  std::uint64_t pid = 0;
  bool connected = false;
  std::uint64_t epoch = 0;                             // of the roster here; 0: none yet
  std::optional<std::string> not_admitted{};           // why this site is not on the roster any more, and what to do
  std::optional<std::int64_t> clock_ahead_ms{};        // of the coordinator's
  std::optional<std::uint64_t> sites_unaccepted{};     // where there are such
  std::optional<std::uint64_t> upload_kbit_s{};        // of the link, once an update was sent over it
  std::optional<std::uint64_t> slowest_link_kbit_s{};  // that the open run's plan allows
  std::optional<std::string> roster_invalid{};         // by this machine's clock: why, and what to do
  std::optional<std::string> waiting_for_approval{};   // a plan's hash
  std::optional<std::string> waiting_for_acceptances{};
  std::optional<std::string> plan_refused{};  // "plan \"lesions\": approved, but refused by cohort_min = 4 (…)"
  std::optional<std::string> cut_off{};       // why the open run goes on without this site
  std::optional<std::string> sits_out{};      // why its rounds do
  std::optional<std::string> shut_out{};      // why the coordinator asks nothing of this site
  std::optional<Run> run{};

  std::string text() const;  // one line of JSON
  // invalid_argument names the field.
  static Result<SiteStatus> parse(ByteView bytes);
};

inline std::filesystem::path status_file(const std::filesystem::path& site_folder) {
  return site_folder / "status.json";
}

// Why the running node takes no part in what the coordinator does, each with what to do; empty: nothing keeps it out.
std::vector<std::string> kept_out(const SiteStatus& status);

// Nothing when no node ever ran here. corruption names the file and what to do.
Result<std::optional<SiteStatus>> read_status(const std::filesystem::path& site_folder);

// Whether a node runs on the folder; a status of one that does not may be long out of date.
bool node_runs(const std::filesystem::path& site_folder);

// What the status says of the roster that the node could not take, or of a clock that is off; empty when nothing. With
// the time at which it was seen, where no node runs that would see it healed.
std::string roster_trouble(const std::filesystem::path& site_folder);
std::string clock_trouble(const std::filesystem::path& site_folder);

// "3 sites are not accepted here and count as colluders", with their names where there are some.
std::string sites_not_accepted(std::size_t count, const std::string& names = {});

}  // namespace fovea::node::io
