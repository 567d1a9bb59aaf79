// Failure class: two processes that make one site's catalogue at once.
#include <gtest/gtest.h>

#include <barrier>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/bytes.h"
#include "node/store/study_catalogue.h"
#include "tests/support/temporary_folder.h"

namespace fovea::node::store {
namespace {

// What is sealed under a key that another one replaced can never be read again.
TEST(NewCatalogue, WhoeverMakesItAtOnceHasTheSameKey) {
  for (int round = 0; round < 10; ++round) {
    const test::TemporaryFolder site;
    constexpr int kMakers = 6;
    std::barrier start(kMakers);
    std::vector<std::string> codes(kMakers);
    {
      std::vector<std::jthread> makers;
      for (std::string& code : codes)
        makers.emplace_back([&] {
          start.arrive_and_wait();
          auto catalogue = StudyCatalogue::open(site.path(), true);
          ASSERT_TRUE(catalogue) << catalogue.error().message;
          code = catalogue->study_code(as_bytes("scan"));
          CatalogueEntry row;
          row.record.code = row.identity.patient = code;
          row.record.reason = "refused";
          EXPECT_TRUE(catalogue->add({&row, 1}));
        });
    }
    EXPECT_EQ(std::set<std::string>(codes.begin(), codes.end()).size(), 1U);
    const auto later = StudyCatalogue::open(site.path(), false);
    ASSERT_TRUE(later) << later.error().message;
    EXPECT_EQ(later->study_code(as_bytes("scan")), codes.front());
    EXPECT_EQ(later->identity(codes.front())->patient, codes.front());
  }
}

}  // namespace
}  // namespace fovea::node::store
