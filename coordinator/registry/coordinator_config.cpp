#include <algorithm>

#include "common/config_fields.h"
#include "coordinator/registry/coordinator_folder.h"

namespace fovea::coordinator {
namespace {

template <class T>
Result<void> read_number(ConfigFields& fields, std::string_view key, std::int64_t min, std::int64_t max, T& out) {
  FOVEA_TRY_ASSIGN(const std::optional<std::int64_t> value, fields.integer(key, min, max));
  if (value) out = static_cast<T>(*value);
  return {};
}

Result<CoordinatorConfig> read_fields(ConfigFields fields) {
  CoordinatorConfig out;
  FOVEA_TRY_ASSIGN(const auto host, fields.text("listen.host", 1, 255));
  if (host) out.listen_host = *host;
  FOVEA_TRY(read_number(fields, "listen.port", 1, 65535, out.listen_port));
  FOVEA_TRY(read_number(fields, "rounds.straggler_s", 1, 86'400, out.straggler_s));
  FOVEA_TRY(read_number(fields, "rounds.joining_s", 0, 86'400, out.joining_s));
  FOVEA_TRY(read_number(fields, "rounds.attempts_max", 1, 100, out.attempts_max));
  FOVEA_TRY_ASSIGN(const auto level, fields.text("log.level", 1, 10));
  if (level) out.log_level = *level;
  const std::vector<std::string> levels = {"debug", "info", "warn", "error"};
  if (std::find(levels.begin(), levels.end(), out.log_level) == levels.end())
    return fields.wrong("log.level", "\"debug\", \"info\", \"warn\" or \"error\"", "level = \"info\"");
  FOVEA_TRY(fields.finish());
  return out;
}

}  // namespace

Result<CoordinatorConfig> CoordinatorConfig::read(const std::filesystem::path& path) {
  FOVEA_TRY_ASSIGN(ConfigFields fields, ConfigFields::read(path));
  return read_fields(std::move(fields));
}

Result<CoordinatorConfig> CoordinatorConfig::parse(std::string_view text, const std::string& source) {
  FOVEA_TRY_ASSIGN(ConfigFields fields, ConfigFields::parse(text, source));
  return read_fields(std::move(fields));
}

}  // namespace fovea::coordinator
