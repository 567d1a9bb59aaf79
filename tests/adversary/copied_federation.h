// The folders of a federation that was founded once in this process: keys under passphrases take long to make, and a
// hundred attacks need the same hospitals. Each case has a copy of its own.
#pragma once

#include <memory>

#include "tests/integration/federation_fixture.h"

namespace fovea::test {

class CopiedFederationTest : public FederationTest {
 protected:
  void SetUp() override;

 private:
  struct Founded {
    TemporaryFolder folder;
    int port = 0;  // which the invite names
  };
  static inline std::unique_ptr<Founded> founded_;
};

}  // namespace fovea::test
