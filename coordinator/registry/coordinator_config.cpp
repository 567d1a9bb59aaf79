#include <filesystem>

#include "common/config_fields.h"
#include "common/result.h"
#include "coordinator/registry/coordinator_folder.h"

namespace fovea::coordinator::registry {

Result<CoordinatorConfig> CoordinatorConfig::read(const std::filesystem::path& path) {
  FOVEA_TRY_ASSIGN(ConfigFields fields, ConfigFields::read(path));
  CoordinatorConfig out;
  FOVEA_TRY_ASSIGN(const auto host, fields.text("listen.host", 1, 255));
  if (host) out.listen_host = *host;
  FOVEA_TRY(fields.integer_into("listen.port", 1, 65535, out.listen_port));
  FOVEA_TRY(fields.integer_into("rounds.straggler_s", 1, 86'400, out.straggler_s));
  FOVEA_TRY(fields.integer_into("rounds.joining_s", 0, 86'400, out.joining_s));
  FOVEA_TRY(fields.integer_into("rounds.attempts_max", 1, 100, out.attempts_max));
  FOVEA_TRY(fields.integer_into("rounds.last_sum_s", 0, 31'536'000, out.last_sum_s));
  FOVEA_TRY(fields.log_level_into("log.level", out.log_level));
  FOVEA_TRY(fields.finish());
  // Every other value has a default that suits any coordinator; where it listens was chosen when it was founded.
  FOVEA_TRY(fields.require("listen.host", "host = \"0.0.0.0\""));
  FOVEA_TRY(fields.require("listen.port", "port = 7443, or whichever port the founding document names,"));
  return out;
}

}  // namespace fovea::coordinator::registry
