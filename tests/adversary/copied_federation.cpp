#include "tests/adversary/copied_federation.h"

#include <filesystem>
#include <memory>

namespace fovea::test {

void CopiedFederationTest::SetUp() {
  const auto recursive = std::filesystem::copy_options::recursive;
  if (founded_) {
    std::filesystem::copy(founded_->folder.path(), root(), recursive);
    port_ = founded_->port;
    return;
  }
  FederationTest::SetUp();
  ASSERT_FALSE(HasFailure());
  auto made = std::make_unique<Founded>();
  std::filesystem::copy(root(), made->folder.path(), recursive);
  made->port = port_;
  founded_ = std::move(made);
}

}  // namespace fovea::test
