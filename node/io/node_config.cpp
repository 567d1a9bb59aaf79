#include "node/io/node_config.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config_fields.h"
#include "federation/membership/endpoint.h"
#include "federation/messages/attempt_ref.h"
#include "federation/secagg/parameters.h"
#include "node/round/site_machine.h"

namespace fovea::node::io {
namespace {

constexpr std::uint64_t kMegabyte = 1'000'000;
constexpr std::uint32_t kColludersMax = 127;
constexpr auto kCohortMax = static_cast<std::uint32_t>(federation::messages::kCohortMax);

// The bounds of SitePolicy: what the round machine would refuse when a run opens, long after the file was written, is
// refused when the file is read.
Result<void> read_cohort_rules(ConfigFields& fields, PolicyConfig& out) {
  FOVEA_TRY(fields.integer_into("policy.colluders_max", 0, kColludersMax, out.colluders_max));
  FOVEA_TRY(
      fields.integer_into("policy.honest_min", round::kHonestMin, kCohortMax - out.colluders_max, out.honest_min));
  const std::uint32_t least = out.honest_min + out.colluders_max;
  if (fields.integer_into("policy.cohort_min", least, kCohortMax, out.cohort_min) && out.cohort_min >= least) return {};
  return fields.wrong("policy.cohort_min",
                      "an integer " + std::to_string(least) + "-" + std::to_string(kCohortMax) +
                          " (at least honest_min + colluders_max)",
                      "cohort_min = " + std::to_string(least));
}

Result<PolicyConfig> read_policy(ConfigFields& fields) {
  PolicyConfig out;
  FOVEA_TRY(read_cohort_rules(fields, out));
  FOVEA_TRY(fields.integer_into("policy.rounds_max", 1, federation::membership::kPlanRoundsMax, out.rounds_max));
  FOVEA_TRY_ASSIGN(const auto modalities, fields.texts("policy.modalities", 3));
  if (modalities) out.modalities = *modalities;
  for (const std::string& modality : out.modalities)
    if (modality != "MR" && modality != "CT" && modality != "PET")
      return fields.wrong("policy.modalities", "some of \"MR\", \"CT\" and \"PET\"",
                          "modalities = [\"MR\", \"CT\", \"PET\"]");
  FOVEA_TRY_ASSIGN(const auto weights, fields.texts("policy.weights", 2));
  if (weights) out.weights = *weights;
  const auto is_known = [](const std::string& word) { return word == "equal" || word == "studies"; };
  if (out.weights.empty() || !std::all_of(out.weights.begin(), out.weights.end(), is_known))
    return fields.wrong("policy.weights", "\"equal\", \"studies\" or both", "weights = [\"equal\"]");
  FOVEA_TRY_ASSIGN(const auto megabytes, fields.integer("policy.run_megabytes_max", 1, 100'000'000));
  out.run_bytes_max = static_cast<std::uint64_t>(megabytes.value_or(20'000)) * kMegabyte;
  return out;
}

// What a hospital demands has no defaults: in a file that lost its end, each of these would be a weaker rule than the
// one that a person wrote.
Result<void> require_policy(const ConfigFields& fields) {
  struct Rule {
    std::string_view key, example;
  };
  constexpr std::array kRules{Rule{"policy.colluders_max", "colluders_max = 1"},
                              Rule{"policy.honest_min", "honest_min = 2"},
                              Rule{"policy.cohort_min", "cohort_min = 3"},
                              Rule{"policy.modalities", "modalities = [\"MR\", \"CT\", \"PET\"]"},
                              Rule{"policy.weights", "weights = [\"equal\", \"studies\"]"},
                              Rule{"policy.rounds_max", "rounds_max = 1000"},
                              Rule{"policy.run_megabytes_max", "run_megabytes_max = 20000"}};
  for (const Rule& rule : kRules) FOVEA_TRY(fields.require(rule.key, rule.example));
  return {};
}

Result<IntakeConfig> read_intake(ConfigFields& fields) {
  IntakeConfig out;
  FOVEA_TRY_ASSIGN(const auto megabytes, fields.integer("intake.memory_megabytes", 1'000, 10'000'000));
  if (megabytes) out.memory_bytes = static_cast<std::uint64_t>(*megabytes) * kMegabyte;
  return out;
}

Result<void> read_bytes(ConfigFields& fields, std::string_view key, std::uint64_t& out) {
  FOVEA_TRY_ASSIGN(const auto megabytes, fields.integer(key, 1, 100'000'000));
  if (megabytes) out = static_cast<std::uint64_t>(*megabytes) * kMegabyte;
  return {};
}

Result<DicomConfig> read_dicom(ConfigFields& fields) {
  DicomConfig out;
  FOVEA_TRY_ASSIGN(const auto title, fields.text("dicom.ae_title", 1, 64));
  if (title) out.ae_title = *title;
  if (!is_ae_title(out.ae_title))
    return fields.wrong("dicom.ae_title", "1-16 letters, digits, spaces, '_', '-' or '.'", "ae_title = \"FOVEA\"");
  FOVEA_TRY_ASSIGN(const auto bind, fields.text("dicom.bind", 1, 64));
  if (bind) out.bind = *bind;
  if (!parse_dicom_peer("X@" + out.bind))
    return fields.wrong("dicom.bind", "a numeric address of this machine", "bind = \"127.0.0.1\"");
  FOVEA_TRY(fields.integer_into("dicom.port", 1, 65535, out.port));
  FOVEA_TRY_ASSIGN(const auto peers, fields.texts("dicom.allow", 256));
  for (const std::string& text : peers.value_or(std::vector<std::string>{})) {
    Result<DicomPeer> peer = parse_dicom_peer(text);
    if (!peer)
      return fields.wrong("dicom.allow", "peers as AE@address: " + peer.error().message,
                          "allow = [\"PACS1@10.0.0.5\"]");
    out.peers.push_back(std::move(peer).value());
  }
  FOVEA_TRY(fields.integer_into("dicom.associations_max", 1, 64, out.associations_max));
  FOVEA_TRY(fields.integer_into("dicom.pdu_bytes_max", 4'096, 131'072, out.pdu_bytes_max));
  FOVEA_TRY(fields.integer_into("dicom.idle_s", 1, 3'600, out.idle_s));
  FOVEA_TRY(fields.integer_into("dicom.settle_s", 0, 3'600, out.settle_s));
  FOVEA_TRY(fields.integer_into("dicom.keep_hours", 0, 24 * 366, out.keep_hours));
  FOVEA_TRY(read_bytes(fields, "dicom.file_megabytes_max", out.file_bytes_max));
  FOVEA_TRY(read_bytes(fields, "dicom.incoming_megabytes_max", out.incoming_bytes_max));
  return out;
}

Result<NodeConfig> read_fields(ConfigFields fields) {
  FOVEA_TRY_ASSIGN(const std::string id, fields.required_text("site.id", 1, 40));
  auto site = SiteId::create(id);
  if (!site)
    return fields.wrong("site.id", "1-40 characters a-z, 0-9 and '-', starting with a letter", "id = \"st-anna\"");
  NodeConfig out{.site = std::move(site).value(),
                 .coordinator_host = {},
                 .coordinator_port = {},
                 .policy = {},
                 .training = {},
                 .intake = {},
                 .dicom = {}};
  FOVEA_TRY_ASSIGN(const auto host, fields.text("coordinator.host", 1, 255));
  if (host) {
    auto read = federation::membership::read_host(*host);
    if (!read)
      return fields.wrong("coordinator.host", "a name or an address, without scheme and port", "host = \"127.0.0.1\"");
    out.coordinator_host = std::move(read).value();
  }
  FOVEA_TRY_ASSIGN(const auto port, fields.integer("coordinator.port", 1, 65535));
  if (port) out.coordinator_port = static_cast<std::uint16_t>(*port);
  FOVEA_TRY_ASSIGN(out.policy, read_policy(fields));
  FOVEA_TRY(fields.integer_into("training.threads", 1, 256, out.training.threads));
  FOVEA_TRY(fields.integer_into("training.probe_delay_ms", 0, 600'000, out.training.probe_delay_ms));
  FOVEA_TRY(fields.integer_into("training.probe_seed", 0, std::int64_t{1} << 53U, out.training.probe_seed));
  FOVEA_TRY_ASSIGN(out.intake, read_intake(fields));
  FOVEA_TRY_ASSIGN(out.dicom, read_dicom(fields));
  FOVEA_TRY(fields.log_level_into("log.level", out.log_level));
  FOVEA_TRY(fields.finish());
  FOVEA_TRY(require_policy(fields));
  return out;
}

struct BrokenRule {
  std::string rule;
  std::string own;   // as node.toml has it
  std::string plan;  // what the plan has
  std::string why;
};

std::string list_text(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "\"" : ", \"") + word + "\"";
  return "[" + out + "]";
}

std::optional<BrokenRule> find_broken_rule(const PolicyConfig& policy, const federation::membership::Plan& plan) {
  if (std::find(policy.modalities.begin(), policy.modalities.end(), plan.finding.modality) == policy.modalities.end())
    return BrokenRule{"modalities", list_text(policy.modalities), "\"" + plan.finding.modality + "\"",
                      plan.finding.modality + " is not among the modalities this site allows"};
  struct Least {
    const char* rule;
    std::uint32_t plan;
    std::uint32_t own;
  };
  for (const auto& [rule, asked, own] :
       {Least{"cohort_min", plan.cohort.smallest, policy.cohort_min},
        Least{"colluders_max", plan.secure_aggregation.colluders_max, policy.colluders_max},
        Least{"honest_min", plan.secure_aggregation.honest_min, policy.honest_min}})
    if (asked < own)
      return BrokenRule{
          rule, std::to_string(own), std::to_string(asked),
          "the plan has " + std::to_string(asked) + ", this site demands at least " + std::to_string(own)};
  const std::string weights(federation::membership::to_string(plan.strategy.weights));
  if (std::find(policy.weights.begin(), policy.weights.end(), weights) == policy.weights.end())
    return BrokenRule{"weights", list_text(policy.weights), "\"" + weights + "\"",
                      "the plan has \"" + weights + "\", which this site does not allow (" +
                          std::string(federation::membership::meaning(plan.strategy.weights)) + ")"};
  if (const auto rounds = plan.rounds_total(); rounds > policy.rounds_max)
    return BrokenRule{
        "rounds_max", std::to_string(policy.rounds_max), std::to_string(rounds),
        "the plan has " + std::to_string(rounds) + " rounds, this site allows " + std::to_string(policy.rounds_max)};
  return std::nullopt;
}

}  // namespace

Result<NodeConfig> NodeConfig::read(const std::filesystem::path& path) {
  FOVEA_TRY_ASSIGN(ConfigFields fields, ConfigFields::read(path));
  return read_fields(std::move(fields));
}

Result<NodeConfig> NodeConfig::parse(std::string_view text, const std::string& source) {
  FOVEA_TRY_ASSIGN(ConfigFields fields, ConfigFields::parse(text, source));
  return read_fields(std::move(fields));
}

std::optional<std::string> broken_rule(const PolicyConfig& policy, const federation::membership::Plan& plan) {
  const auto broken = find_broken_rule(policy, plan);
  if (!broken) return std::nullopt;
  return broken->rule + " = " + broken->own + " (the plan has " + broken->plan + ")";
}

Result<void> check_policy(const PolicyConfig& policy, const federation::membership::Plan& plan) {
  const auto broken = find_broken_rule(policy, plan);
  if (!broken) return {};
  return permission_denied("plan refused by policy rule " + broken->rule + ": " + broken->why);
}

Result<void> check_acquaintances(const PolicyConfig& policy, const federation::membership::Plan& plan,
                                 const Acquaintances& acquaintances) {
  const federation::membership::PlanSecureAggregation& asked = plan.secure_aggregation;
  const std::uint32_t m = std::max(asked.colluders_max, policy.colluders_max);
  const std::uint32_t h = std::max(asked.honest_min, policy.honest_min);
  const auto known = static_cast<std::uint32_t>(acquaintances.known);
  const std::uint32_t smallest = std::max(plan.cohort.smallest, policy.cohort_min);
  if (acquaintances.roster_sites < smallest || acquaintances.roster_sites > federation::messages::kCompleteGraphMax)
    return {};
  const std::uint32_t largest =
      std::max(smallest, std::min(plan.cohort.largest, static_cast<std::uint32_t>(acquaintances.roster_sites)));
  for (std::uint32_t sites = smallest; sites <= largest; ++sites) {
    const std::uint32_t strangers = sites > known ? sites - known : 0;
    const std::uint32_t threshold =
        std::max(asked.threshold, federation::secagg::threshold_min(sites, asked.colluders_max));
    if (!federation::secagg::check_thresholds(sites, threshold, m + strangers, h)) return {};
  }
  const std::size_t strangers = acquaintances.roster_sites - acquaintances.known;
  return permission_denied(
      std::to_string(strangers) + " of the roster's " + std::to_string(acquaintances.roster_sites) +
      (strangers == 1 ? " sites is not accepted here and counts as a colluder: no round of plan \""
                      : " sites are not accepted here and count as colluders: no round of plan \"") +
      plan.name + "\", with at least " + std::to_string(smallest) +
      " sites, would meet this site's policy until more of them are");
}

}  // namespace fovea::node::io
