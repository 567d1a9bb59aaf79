#include "node/commands/command.h"

#include "federation/io/program_log.h"

namespace fovea::node {

Result<NodeConfig> CommandContext::config() {
  auto config = NodeConfig::read(folder().config());
  if (!config && config.error().code == ErrorCode::not_found) {
    FOVEA_TRY(folder().site());  // says to run init
    return config.error();
  }
  if (!config) console.configuration_failed = true;
  return config;
}

void CommandContext::set_up_log(const NodeConfig& config) const {
  federation::set_up_log("fovea-node", console.quiet ? "error" : config.log_level);
}

}  // namespace fovea::node
