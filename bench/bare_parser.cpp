#include "bench/bare_parser.h"

#include <stdlib.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"

#include "node/intake/parser/scan_protocol.h"

namespace fovea::node {
namespace {

// Links to descriptors in a folder of their own, named as the trap of the sandbox names them.
class NamedDescriptors {
 public:
  NamedDescriptors() {
    std::string folder = (std::filesystem::temp_directory_path() / "fovea-bare-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) _exit(3);
    folder_ = folder + "/";
  }
  NamedDescriptors(const NamedDescriptors&) = delete;
  NamedDescriptors& operator=(const NamedDescriptors&) = delete;
  ~NamedDescriptors() { std::filesystem::remove_all(folder_); }

  // The folder, with links to these inputs only.
  const std::string& name(const std::vector<int>& inputs, bool dicom) {
    clear();
    for (std::size_t n = 0; n < inputs.size(); ++n)
      for (const char* ending : {".dcm", ".nii", ".nrrd", ".mha"}) {
        if (dicom && std::string_view(ending) != ".dcm") continue;
        const std::string target = "/proc/self/fd/" + std::to_string(inputs[n]);
        links_.push_back(folder_ + std::to_string(n) + ending);
        if (symlink(target.c_str(), links_.back().c_str()) != 0) _exit(4);
      }
    return folder_;
  }

 private:
  void clear() {
    for (const std::string& link : links_) unlink(link.c_str());
    links_.clear();
  }
  std::string folder_;
  std::vector<std::string> links_;
};

// The answer of a sandboxed child to a job that tries to open a file.
void pretend_sandbox(int result) {
  const Bytes answer =
      intake::encode_answer(Result<intake::VolumeAnswer>(permission_denied("no sandbox: a benchmark")));
  const std::uint64_t length = answer.size();
  const bool written = pwrite(result, &length, sizeof length, 0) == sizeof length &&
                       pwrite(result, answer.data(), answer.size(), 8) == static_cast<ssize_t>(answer.size());
  if (!written) _exit(5);
}

}  // namespace

int serve_without_sandbox(const intake::ParserProgram& program, bool by_name) {
  NamedDescriptors names;
  program.warm_up();
  for (;;) {
    intake::ParserJob job;
    std::vector<int> descriptors;
    do {
      Result<intake::ReceivedMessage> message = intake::receive_message(intake::kControlDescriptor);
      if (!message) return 0;
      descriptors.insert(descriptors.end(), message->descriptors.begin(), message->descriptors.end());
      const Result<intake::ParserJob> decoded = intake::decode_job(message->bytes);
      if (!decoded) return 0;
      job = *decoded;
    } while (descriptors.size() < job.files + 2U);
    if (job.kind == intake::JobKind::open_file) {
      pretend_sandbox(descriptors[0]);
    } else {
      std::vector<int> inputs(descriptors.begin() + 2, descriptors.end());
      inputs.push_back(descriptors[1]);
      const intake::JobDescriptors handed{
          .result = descriptors[0],
          .scratch = descriptors[1],
          .inputs = inputs,
          .folder = by_name ? names.name(inputs, job.kind != intake::JobKind::volume) : std::string()};
      intake::leave_answer(descriptors[0], intake::answer_job(program, job, handed));
    }
    for (const int descriptor : descriptors) ::close(descriptor);
    if (!intake::send_message(intake::kControlDescriptor, intake::encode(intake::JobFate{intake::Fate::finished, 0}),
                              {}))
      return 0;
  }
}

}  // namespace fovea::node
