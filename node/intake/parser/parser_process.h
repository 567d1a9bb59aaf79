// One running parser program and the socket to it. Started when it is first needed, and again after it was stopped.
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include "common/descriptor.h"
#include "common/result.h"
#include "node/intake/parser/scan_protocol.h"

namespace fovea::node::intake {

class ParserProcess {
 public:
  explicit ParserProcess(std::filesystem::path program);
  ParserProcess(ParserProcess&&) noexcept;
  ParserProcess& operator=(ParserProcess&&) noexcept;
  ~ParserProcess();

  bool is_running() const noexcept { return child_ != nullptr; }
  // How the job's child ended. unavailable: the program cannot be started or reached; deadline_exceeded: it does not
  // answer. After an error it is stopped, and the memories among `descriptors` must never be used again.
  Result<JobFate> run(const ParserJob& job, std::span<const int> descriptors);
  void stop();

 private:
  struct Child {
    int pid = -1;
    Descriptor socket;
  };
  Result<void> ensure_running();
  Result<JobFate> exchange(const ParserJob& job, std::span<const int> descriptors);

  std::filesystem::path program_;
  std::unique_ptr<Child> child_;
};

}  // namespace fovea::node::intake
