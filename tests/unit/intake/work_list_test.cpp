#include "node/intake/work_list.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <utility>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

std::vector<intake::StudySource> sources_of(const std::filesystem::path& folder,
                                            const std::vector<std::pair<std::string, std::size_t>>& files) {
  std::vector<intake::StudySource> out;
  for (const auto& [name, bytes] : files) {
    EXPECT_TRUE(replace_file(folder / name, Bytes(bytes, 1)));
    intake::StudySource source;
    source.images = {folder / name};
    out.push_back(source);
  }
  return out;
}

std::vector<std::size_t> all_of(intake::WorkList& list, unsigned worker) {
  std::vector<std::size_t> out;
  while (const auto next = list.next(worker)) out.push_back(*next);
  return out;
}

TEST(WorkList, TheLargestComeFirstAndOneWorkerBeginsWithItksFormats) {
  ScratchFolder folder;
  const auto sources = sources_of(
      folder.path(), {{"a.nii", 10}, {"b.nii.gz", 30}, {"c.mha", 5}, {"d.nii", 20}, {"e.dcm", 50}, {"f.nii", 20}});
  intake::WorkList first(sources), second(sources);
  EXPECT_EQ(all_of(first, 0), (std::vector<std::size_t>{4, 2, 1, 3, 5, 0}));
  EXPECT_EQ(all_of(second, 1), (std::vector<std::size_t>{1, 3, 5, 0, 4, 2}));
  EXPECT_EQ(first.total_bytes(), 135u);
  EXPECT_EQ(first.bytes(4), 50u);
  EXPECT_FALSE(first.next(1));
}

TEST(WorkList, EachIsGivenOutOnceEvenWhenItsFileIsMissing) {
  ScratchFolder folder;
  auto sources = sources_of(folder.path(), {{"a.nii", 10}, {"b.dcm", 30}, {"c.nii", 5}});
  sources.push_back(sources.back());
  sources.back().images = {folder.path() / "gone.nii"};
  intake::WorkList list(sources);
  std::set<std::size_t> seen;
  for (unsigned worker = 0; const auto next = list.next(worker); worker = 1 - worker)
    EXPECT_TRUE(seen.insert(*next).second);
  EXPECT_EQ(seen.size(), 4u);
}

}  // namespace
}  // namespace fovea::node
