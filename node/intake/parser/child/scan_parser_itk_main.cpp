// fovea-scan-parser-itk: started by fovea-node, never by hand, at the first file that is not NIfTI. Links ITK and GDCM.
#include <cassert>

#include "node/intake/parser/child/last_words.h"
#include "node/intake/parser/child/parse_job.h"
#include "node/intake/parser/child/parser_server.h"

// Debian's GDCM asserts that files keep to the standard. Taking the place of the C library's function (Linux Standard
// Base, libc) makes that a refusal; our own checks do not go this way.
extern "C" void __assert_fail(const char*, const char*, unsigned int, const char*) noexcept {
  fovea::node::intake::end_with(fovea::node::intake::Ending::contradiction);
}

int main() {
  return fovea::node::intake::serve_jobs(
      {.answer = fovea::node::intake::answer_any_job, .warm_up = fovea::node::intake::warm_up_libraries});
}
