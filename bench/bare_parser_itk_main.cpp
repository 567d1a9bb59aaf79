#include "bench/bare_parser.h"
#include "node/intake/parser/child/parse_job.h"

int main() {
  return fovea::node::serve_without_sandbox(
      {.answer = fovea::node::intake::answer_any_job, .warm_up = fovea::node::intake::warm_up_libraries}, true);
}
