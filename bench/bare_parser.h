// The scan parsers without their sandbox: the same protocol and the same work, but no fork, no limits, no seccomp
// filter. They exist to measure what the sandbox costs (bench/intake.py) and are never installed. They say of
// themselves that their walls hold, or the node would not talk to them.
#pragma once

#include "node/intake/parser/child/parser_server.h"

namespace fovea::node {

// `by_name`: its libraries open the files by names, which costs what the trap of the sandbox would.
int serve_without_walls(const ParserProgram& program, bool by_name);

}  // namespace fovea::node
