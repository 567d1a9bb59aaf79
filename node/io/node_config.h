// A site's settings and policy: node.toml in the site's folder (commented example: configs/node.toml).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "federation/membership/plan.h"
#include "node/io/dicom_listener.h"

namespace fovea::node::io {

// What the hospital demands. A plan that asks for less is refused with the rule's name.
struct PolicyConfig {
  std::uint32_t colluders_max = 1;  // m: sites that may work together with the coordinator
  std::uint32_t honest_min = 2;     // h: honest sites in every sum
  std::uint32_t cohort_min = 3;     // sites in a round, at least honest_min + colluders_max
  std::vector<std::string> modalities = {"MR", "CT", "PET"};
  std::vector<std::string> weights = {"equal", "studies"};  // what a site may count for: plans' strategy.weights
  std::uint32_t rounds_max = 1000;
  std::uint64_t run_bytes_max = 0;  // bytes that may leave in one run
};

struct TrainingConfig {
  std::uint32_t threads = 1;
  std::uint64_t probe_seed = 0;      // "probe-N" plans only: 0 derives one from the site's key
  std::uint32_t probe_delay_ms = 0;  // "probe-N" plans only: how long a round's "training" lasts
};

struct IntakeConfig {
  std::uint64_t memory_bytes = 8'000'000'000;  // that an ingest may use, parsers included
};

struct NodeConfig {
  SiteId site;
  std::optional<std::string> coordinator_host;  // instead of the invite's, for example a tunnel's near end
  std::optional<std::uint16_t> coordinator_port;
  PolicyConfig policy;
  TrainingConfig training;
  IntakeConfig intake;
  DicomConfig dicom;
  std::string log_level = "info";

  // not_found: no such file; invalid_argument names file, line, field, bounds and fix. A value that is accepted here is
  // one that the round machine, the gate and the listener accept.
  static Result<NodeConfig> read(const std::filesystem::path& path);
  static Result<NodeConfig> parse(std::string_view text, const std::string& source);
};

// The first rule of this site's policy that the plan breaks, with both values: "cohort_min = 4 (the plan has 3)".
std::optional<std::string> broken_rule(const PolicyConfig& policy, const federation::membership::Plan& plan);
// permission_denied "plan refused by policy rule <rule>: …" when the plan asks for less than the policy.
Result<void> check_policy(const PolicyConfig& policy, const federation::membership::Plan& plan);

struct Acquaintances {
  std::size_t roster_sites = 0;  // this one included
  std::size_t known = 0;         // of those: this one, and whom a person here has accepted
};
// permission_denied when this site would refuse every round of the plan, because too few of the roster's sites are
// accepted here; says how many. Above federation::messages::kCompleteGraphMax sites the round itself decides.
Result<void> check_acquaintances(const PolicyConfig& policy, const federation::membership::Plan& plan,
                                 const Acquaintances& acquaintances);

}  // namespace fovea::node::io
