// The scan parsers without their sandbox: the same protocol and the same work, but no fork, no limits, no seccomp
// filter. They measure what the sandbox costs (bench/intake.py) and are never installed. They claim to be sandboxed,
// since a node refuses a parser that is not.
#pragma once

#include "node/intake/parser/child/parser_server.h"

namespace fovea::node {

// `by_name`: the program's libraries open files by name, so that each gets a link as the sandbox's trap would give it.
int serve_without_sandbox(const intake::ParserProgram& program, bool by_name);

}  // namespace fovea::node
