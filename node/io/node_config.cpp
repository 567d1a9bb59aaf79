#include "node/io/node_config.h"

#include <algorithm>

#include "common/config_fields.h"

namespace fovea::node {
namespace {

constexpr std::uint64_t kMegabyte = 1'000'000;

Result<void> read_u32(ConfigFields& fields, std::string_view key, std::uint32_t max, std::uint32_t& out,
                      std::uint32_t min = 0) {
  FOVEA_TRY_ASSIGN(const std::optional<std::int64_t> value, fields.integer(key, min, max));
  if (value) out = static_cast<std::uint32_t>(*value);
  return {};
}

Result<PolicyConfig> read_policy(ConfigFields& fields) {
  PolicyConfig out;
  FOVEA_TRY(read_u32(fields, "policy.colluders_max", 127, out.colluders_max));
  FOVEA_TRY(read_u32(fields, "policy.honest_min", 1024, out.honest_min, 1));
  FOVEA_TRY(read_u32(fields, "policy.cohort_min", 1024, out.cohort_min, 2));
  FOVEA_TRY(read_u32(fields, "policy.rounds_max", federation::kPlanRoundsMax, out.rounds_max, 1));
  FOVEA_TRY_ASSIGN(const auto modalities, fields.texts("policy.modalities", 3));
  if (modalities) out.modalities = *modalities;
  for (const std::string& modality : out.modalities)
    if (modality != "MR" && modality != "CT" && modality != "PET")
      return fields.wrong("policy.modalities", "some of \"MR\", \"CT\" and \"PET\"",
                          "modalities = [\"MR\", \"CT\", \"PET\"]");
  FOVEA_TRY_ASSIGN(const auto megabytes, fields.integer("policy.run_megabytes_max", 1, 100'000'000));
  out.run_bytes_max = static_cast<std::uint64_t>(megabytes.value_or(20'000)) * kMegabyte;
  return out;
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
  FOVEA_TRY_ASSIGN(const auto port, fields.integer("dicom.port", 1, 65535));
  if (port) out.port = static_cast<std::uint16_t>(*port);
  FOVEA_TRY_ASSIGN(const auto peers, fields.texts("dicom.allow", 256));
  for (const std::string& text : peers.value_or(std::vector<std::string>{})) {
    Result<DicomPeer> peer = parse_dicom_peer(text);
    if (!peer)
      return fields.wrong("dicom.allow", "peers as AE@address: " + peer.error().message,
                          "allow = [\"PACS1@10.0.0.5\"]");
    out.peers.push_back(std::move(peer).value());
  }
  FOVEA_TRY(read_u32(fields, "dicom.associations_max", 64, out.associations_max, 1));
  FOVEA_TRY(read_u32(fields, "dicom.pdu_bytes_max", 131'072, out.pdu_bytes_max, 4'096));
  FOVEA_TRY(read_u32(fields, "dicom.idle_s", 3'600, out.idle_s, 1));
  FOVEA_TRY(read_u32(fields, "dicom.settle_s", 3'600, out.settle_s));
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
  FOVEA_TRY_ASSIGN(out.coordinator_host, fields.text("coordinator.host", 1, 255));
  FOVEA_TRY_ASSIGN(const auto port, fields.integer("coordinator.port", 1, 65535));
  if (port) out.coordinator_port = static_cast<std::uint16_t>(*port);
  FOVEA_TRY_ASSIGN(out.policy, read_policy(fields));
  FOVEA_TRY(read_u32(fields, "training.threads", 256, out.training.threads, 1));
  FOVEA_TRY(read_u32(fields, "training.probe_delay_ms", 600'000, out.training.probe_delay_ms));
  FOVEA_TRY_ASSIGN(const auto seed, fields.integer("training.probe_seed", 0, std::int64_t{1} << 53U));
  if (seed) out.training.probe_seed = static_cast<std::uint64_t>(*seed);
  FOVEA_TRY_ASSIGN(out.intake, read_intake(fields));
  FOVEA_TRY_ASSIGN(out.dicom, read_dicom(fields));
  FOVEA_TRY_ASSIGN(const auto level, fields.text("log.level", 1, 10));
  if (level) out.log_level = *level;
  const std::vector<std::string> levels = {"debug", "info", "warn", "error"};
  if (std::find(levels.begin(), levels.end(), out.log_level) == levels.end())
    return fields.wrong("log.level", "\"debug\", \"info\", \"warn\" or \"error\"", "level = \"info\"");
  FOVEA_TRY(fields.finish());
  return out;
}

Error refused(const std::string& rule, const std::string& why) {
  return permission_denied("plan refused by policy rule " + rule + ": " + why);
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

Result<void> check_policy(const PolicyConfig& policy, const federation::Plan& plan) {
  const auto asks = [](std::uint32_t plan_value, std::uint32_t own) {
    return "the plan has " + std::to_string(plan_value) + ", this site demands at least " + std::to_string(own);
  };
  if (std::find(policy.modalities.begin(), policy.modalities.end(), plan.finding.modality) == policy.modalities.end())
    return refused("modalities", plan.finding.modality + " is not among the modalities this site allows");
  if (plan.cohort.smallest < policy.cohort_min)
    return refused("cohort_min", asks(plan.cohort.smallest, policy.cohort_min));
  if (plan.secure_aggregation.colluders_max < policy.colluders_max)
    return refused("colluders_max", asks(plan.secure_aggregation.colluders_max, policy.colluders_max));
  if (plan.secure_aggregation.honest_min < policy.honest_min)
    return refused("honest_min", asks(plan.secure_aggregation.honest_min, policy.honest_min));
  if (plan.rounds_total() > policy.rounds_max)
    return refused("rounds_max", "the plan has " + std::to_string(plan.rounds_total()) + " rounds, this site allows " +
                                     std::to_string(policy.rounds_max));
  return {};
}

}  // namespace fovea::node
