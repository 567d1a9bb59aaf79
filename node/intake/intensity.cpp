#include "node/intake/intensity.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace fovea::node {
namespace {

// Lower nearest rank: the smallest value with at least `share` of the others at or below it.
std::uint64_t rank_of(double share, std::uint64_t count) {
  const auto rank = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count)));
  return std::clamp<std::uint64_t>(rank, 1, count) - 1;
}

Error constant_scan() {
  return invalid_argument("voxels: every one has the same value; the scan is empty (export it again)");
}

// Counts of the 16-bit values that occur: all statistics follow from them without touching the voxels again.
class Histogram {
 public:
  explicit Histogram(std::span<const std::int16_t> voxels) : total_(voxels.size()) {
    std::int16_t low = voxels.front(), high = low;
    for (const std::int16_t voxel : voxels) low = std::min(low, voxel), high = std::max(high, voxel);
    low_ = low;
    counts_.resize(static_cast<std::size_t>(high - low) + 1);
    // Two tables in turn: a run of equal voxels, such as air, would wait for one counter.
    std::vector<std::uint32_t> others(counts_.size());
    std::size_t v = 0;
    for (; v + 1 < voxels.size(); v += 2) {
      ++counts_[static_cast<std::size_t>(voxels[v] - low_)];
      ++others[static_cast<std::size_t>(voxels[v + 1] - low_)];
    }
    if (v < voxels.size()) ++counts_[static_cast<std::size_t>(voxels[v] - low_)];
    for (std::size_t bin = 0; bin < counts_.size(); ++bin) counts_[bin] += others[bin];
  }
  std::uint64_t total() const { return total_; }
  std::uint64_t above(double threshold) const {
    std::uint64_t out = 0;
    for (std::size_t bin = 0; bin < counts_.size(); ++bin)
      if (value(bin) > threshold) out += counts_[bin];
    return out;
  }
  // The value of that rank among the voxels above the threshold.
  double at_rank(std::uint64_t rank, double threshold) const {
    std::uint64_t seen = 0;
    for (std::size_t bin = 0; bin < counts_.size(); ++bin) {
      if (!(value(bin) > threshold)) continue;
      seen += counts_[bin];
      if (seen > rank) return value(bin);
    }
    return 0;
  }
  void moments(IntensityStatistics& out) const {
    double sum = 0, squares = 0;
    for (std::size_t bin = 0; bin < counts_.size(); ++bin) {
      const double n = static_cast<double>(counts_[bin]);
      sum += n * value(bin);
      squares += n * value(bin) * value(bin);
    }
    out.minimum = static_cast<float>(value(0));
    out.maximum = static_cast<float>(value(counts_.size() - 1));
    const double count = static_cast<double>(total_), mean = sum / count;
    out.mean = static_cast<float>(mean);
    out.deviation = static_cast<float>(std::sqrt(std::max(0.0, squares / count - mean * mean)));
  }

 private:
  double value(std::size_t bin) const { return static_cast<double>(bin) + low_; }
  std::vector<std::uint32_t> counts_;  // a volume has at most 2²⁹ voxels
  int low_ = 0;
  std::uint64_t total_;
};

// The same questions for floats, without a copy of them: the top bits of a float, made to sort like the number, put it into a
// bin; a rank is looked for among the voxels of its bin only.
class Selection {
 public:
  explicit Selection(std::span<const float> voxels) : voxels_(voxels), counts_(kBins) {
    for (const float v : voxels_) ++counts_[bin_of(v)];
  }
  std::uint64_t total() const { return voxels_.size(); }
  std::uint64_t above(double threshold) const {
    std::uint64_t out = 0;
    for (const float v : voxels_) out += static_cast<double>(v) > threshold ? 1U : 0U;
    return out;
  }
  // What lies above a threshold is the end of the sorted voxels, so its ranks are ranks among all of them.
  double at_rank(std::uint64_t rank, double threshold) const {
    std::uint64_t left = std::isfinite(threshold) ? total() - above(threshold) + rank : rank;
    std::size_t bin = 0;
    while (left >= counts_[bin]) left -= counts_[bin++];
    std::vector<float> members;
    members.reserve(counts_[bin]);
    for (const float v : voxels_)
      if (bin_of(v) == bin) members.push_back(v);
    const auto at = members.begin() + static_cast<std::ptrdiff_t>(left);
    std::nth_element(members.begin(), at, members.end());
    return static_cast<double>(*at);
  }
  void moments(IntensityStatistics& out) const {
    double sum = 0, squares = 0;
    float low = voxels_.front(), high = low;
    for (const float v : voxels_) sum += static_cast<double>(v), low = std::min(low, v), high = std::max(high, v);
    const double mean = sum / static_cast<double>(voxels_.size());
    for (const float v : voxels_) squares += (static_cast<double>(v) - mean) * (static_cast<double>(v) - mean);
    out.minimum = low;
    out.maximum = high;
    out.mean = static_cast<float>(mean);
    out.deviation = static_cast<float>(std::sqrt(squares / static_cast<double>(voxels_.size())));
  }

 private:
  static constexpr unsigned kBinBits = 14;
  static constexpr std::size_t kBins = std::size_t{1} << kBinBits;
  // IEEE 754: positive numbers sort like their bits, negative ones the other way round. −0 is 0.
  static std::size_t bin_of(float value) noexcept {
    const auto bits = std::bit_cast<std::uint32_t>(value + 0.0f);
    const std::uint32_t key = (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
    return key >> (32 - kBinBits);
  }
  std::span<const float> voxels_;
  std::vector<std::uint32_t> counts_;
};

template <class Counts>
Result<IntensityStatistics> statistics_of(Counts&& counts) {
  constexpr double kEverything = -std::numeric_limits<double>::infinity();
  IntensityStatistics out;
  counts.moments(out);
  if (out.minimum == out.maximum) return constant_scan();
  const double p99 = counts.at_rank(rank_of(0.99, counts.total()), kEverything);
  double threshold = p99 > 0 ? 0.25 * p99 : 0.0;
  std::uint64_t foreground = counts.above(threshold);
  if (foreground == 0) {
    threshold = kEverything;
    foreground = counts.total();
  }
  out.p99 = static_cast<float>(p99);
  out.foreground_threshold = std::isfinite(threshold) ? static_cast<float>(threshold) : out.minimum;
  out.median = static_cast<float>(counts.at_rank(rank_of(0.50, foreground), threshold));
  out.p16 = static_cast<float>(counts.at_rank(rank_of(0.16, foreground), threshold));
  out.p84 = static_cast<float>(counts.at_rank(rank_of(0.84, foreground), threshold));
  out.foreground_fraction = static_cast<float>(static_cast<double>(foreground) / static_cast<double>(counts.total()));
  return out;
}

}  // namespace

std::size_t voxel_count(const VoxelSpan& voxels) noexcept {
  return std::visit([](const auto& span) { return span.size(); }, voxels);
}

Result<IntensityStatistics> intensity_statistics(const VoxelSpan& voxels) {
  if (voxel_count(voxels) == 0) return invalid_argument("voxels: none");
  if (const auto* whole = std::get_if<std::span<const std::int16_t>>(&voxels)) return statistics_of(Histogram(*whole));
  const auto& real = std::get<std::span<const float>>(voxels);
  if (!std::all_of(real.begin(), real.end(), [](float v) { return std::isfinite(v); }))
    return invalid_argument("voxels: some are not numbers (NaN or infinite); replace them, e.g. by 0, and export again");
  return statistics_of(Selection(real));
}

Result<Normalisation> parse_normalisation(std::string_view text) {
  for (const Normalisation kind : {Normalisation::mr_foreground, Normalisation::ct_soft_tissue, Normalisation::ct_lung, Normalisation::ct_brain, Normalisation::pet_suv})
    if (text == to_string(kind)) return kind;
  return invalid_argument("intake.normalisation: expected mr-foreground, ct-soft-tissue, ct-lung, ct-brain or pet-suv, found \"" + std::string(text.substr(0, 40)) + "\"");
}

std::string_view to_string(Normalisation kind) noexcept {
  switch (kind) {
    case Normalisation::mr_foreground: return "mr-foreground";
    case Normalisation::ct_soft_tissue: return "ct-soft-tissue";
    case Normalisation::ct_lung: return "ct-lung";
    case Normalisation::ct_brain: return "ct-brain";
    case Normalisation::pet_suv: return "pet-suv";
  }
  return "";
}

void normalise(std::span<float> voxels, const IntensityStatistics& statistics, Normalisation kind) noexcept {
  switch (kind) {
    case Normalisation::mr_foreground: {
      // A foreground of one value (a mask given as a scan) has no width: the whole scan's deviation stands in.
      const float width = 0.5f * (statistics.p84 - statistics.p16);
      const float scale = 1.0f / (width > 0 ? width : statistics.deviation);
      for (float& v : voxels) v = std::clamp((v - statistics.median) * scale, -4.0f, 4.0f);
      return;
    }
    case Normalisation::ct_soft_tissue:
      for (float& v : voxels) v = (std::clamp(v, -160.0f, 240.0f) - 40.0f) * 0.01f;
      return;
    case Normalisation::ct_lung:
      for (float& v : voxels) v = (std::clamp(v, -1000.0f, 400.0f) + 300.0f) / 350.0f;
      return;
    case Normalisation::ct_brain:
      for (float& v : voxels) v = (std::clamp(v, 0.0f, 80.0f) - 40.0f) * 0.05f;
      return;
    case Normalisation::pet_suv:
      for (float& v : voxels) v = std::log1p(std::clamp(v, 0.0f, 50.0f));
      return;
  }
}

float outside_value(const IntensityStatistics& statistics) noexcept { return statistics.minimum; }

}  // namespace fovea::node
