// fovea-scan-parser-itk: started by fovea-node, never by hand, when the first file comes that is no NIfTI. ITK and GDCM are in it.
#include "node/intake/parse_job.h"
#include "node/intake/parser_server.h"

int main() {
  return fovea::node::serve_jobs({.answer = fovea::node::answer_any_job, .warm_up = fovea::node::warm_up_libraries});
}
