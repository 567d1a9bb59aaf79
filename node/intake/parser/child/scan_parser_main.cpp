// fovea-scan-parser: started by fovea-node, never by hand. Parses NIfTI and links nothing else, since each fork costs
// as much as its process has loaded.
#include "node/intake/parser/child/nifti_job.h"
#include "node/intake/parser/child/parser_server.h"

int main() {
  return fovea::node::intake::serve_jobs(
      {.answer = fovea::node::intake::answer_nifti_job, .warm_up = fovea::node::intake::warm_up_nifti});
}
