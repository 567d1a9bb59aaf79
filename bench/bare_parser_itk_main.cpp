#include "bench/bare_parser.h"
#include "node/intake/parser/child/parse_job.h"

int main() {
  return fovea::node::serve_without_sandbox(
      {.answer = fovea::node::answer_any_job, .warm_up = fovea::node::warm_up_libraries}, true);
}
