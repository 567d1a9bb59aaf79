#include "bench/tag_cases.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "common/check.h"
#include "crypto/linear_hash.h"
#include "crypto/random_source.h"

namespace fovea::bench {

namespace {

using crypto::LinearHash;
using crypto::LinearPath;

constexpr std::size_t kWords = 10'000'000;

}  // namespace

void run_tag_cases(const Options& options, Report& report) {
  crypto::SystemRandom random;
  Digest key{};
  random.fill(key);
  std::vector<std::uint32_t> words(kWords);
  random.fill({reinterpret_cast<std::uint8_t*>(words.data()), 4 * words.size()});
  const std::vector<std::uint16_t> carries(kWords, 3);
  std::vector<crypto::LinearTag> tags;
  const auto measure = [&](LinearPath path, std::span<const std::uint16_t> high) {
    const Stopwatch watch;
    LinearHash hash(key, kWords, path);
    if (high.empty()) {
      hash.add(words);
    } else {
      hash.add(words, high);
    }
    tags.push_back(hash.finish());
    return watch.core_seconds();
  };

  // Interleaved, so that other load on the machine slows all of them down alike.
  std::map<LinearPath, std::vector<double>> seconds;
  std::vector<double> with_carries;
  const int turns = options.quick ? 5 : 15;
  for (int turn = 0; turn < turns; ++turn) {
    tags.clear();
    for (const LinearPath path : crypto::linear_paths_available()) seconds[path].push_back(measure(path, {}));
    for (const crypto::LinearTag& tag : tags) FOVEA_CHECK(tag == tags.front());
    with_carries.push_back(measure(crypto::linear_path(), carries));
  }

  report.section("The linear hash of 10 M words, its factors expanded anew, core-seconds, medians of " +
                 std::to_string(turns) + " interleaved turns");
  report.add("tag_10M_s", median(seconds[crypto::linear_path()]), "s",
             "path " + std::string(linear_path_name(crypto::linear_path())));
  report.add("tag_10M_with_carries_s", median(with_carries), "s", "a sum and its carries");
  for (const auto& [path, values] : seconds)
    report.add("tag_10M_" + std::string(linear_path_name(path)) + "_s", median(values), "s");
}

}  // namespace fovea::bench
