#include "node/commands/command.h"

#include "federation/io/program_log.h"

namespace fovea::node::commands {

Result<io::NodeConfig> CommandContext::config() {
  auto config = io::NodeConfig::read(folder().config());
  if (!config && config.error().code == ErrorCode::not_found) {
    FOVEA_TRY(folder().site());  // says to run init
    return config.error();
  }
  if (!config) console.configuration_failed = true;
  return config;
}

void CommandContext::set_up_log(const io::NodeConfig& config) {
  federation::io::set_up_log("fovea-node", console.quiet ? "error" : config.log_level, console);
}

}  // namespace fovea::node::commands
