// The subcommands of fovea-audit.
#pragma once

#include "common/console.h"

namespace CLI {
class App;
}

namespace fovea::audit {

// The console outlives the app.
void add_commands(CLI::App& app, Console& console);

}  // namespace fovea::audit
