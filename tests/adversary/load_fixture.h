// A real coordinator, hospitals that the test plays, and what the coordinator's process has cost so far.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/adversary/copied_federation.h"
#include "tests/adversary/scripted_hospitals.h"

namespace fovea::test {

class LoadTest : public CopiedFederationTest {
 protected:
  // The coordinator serves a plan of so many rounds, and the hospitals have dialled it.
  void serve_hospitals(int rounds, std::function<void(Json&)> edit = {});
  // The hospitals play until the coordinator has ended its run.
  void expect_complete_run();
  int coordinator_process();

  // The most descriptors that the coordinator may have, as the shell that starts it may set it.
  std::optional<unsigned> limit_descriptors_;
  std::unique_ptr<ScriptedHospitals> hospitals_;
};

// The most memory that a process has had (VmHWM), in bytes.
std::size_t peak_memory(int process);
std::size_t folder_bytes(const std::filesystem::path& folder);

}  // namespace fovea::test
