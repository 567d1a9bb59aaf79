// Failure class: whoever writes a plan can foresee what a hospital will draw in training.
#include "node/commands/trainer_choice.h"

#include <gtest/gtest.h>

#include "tests/support/hex.h"

namespace fovea::node {
namespace {

std::uint64_t seed_of(std::uint64_t key) {
  return commands::site_seed(crypto::SigningKey::from_seed(test::numbered_key(key)));
}

// A site's name is on the roster; with it alone, an author could look for a plan whose first steps take one study.
TEST(SiteSeed, FollowsFromTheSitesKeyAndNotFromItsName) {
  EXPECT_EQ(seed_of(1), seed_of(1));  // at each start: a repeated sum needs the same vector
  EXPECT_NE(seed_of(1), seed_of(2));
}

}  // namespace
}  // namespace fovea::node
