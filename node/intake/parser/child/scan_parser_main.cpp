// fovea-scan-parser: started by fovea-node, never by hand. Parses NIfTI by itself and links nothing that it has no need
// of, since what a process has loaded is what each of its forks costs.
#include "node/intake/parser/child/nifti_job.h"
#include "node/intake/parser/child/parser_server.h"

int main() {
  return fovea::node::serve_jobs({.answer = fovea::node::answer_nifti_job, .warm_up = fovea::node::warm_up_nifti});
}
