#include "node/intake/intensity.h"

#include <algorithm>
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

// Counts of every 16-bit value: all statistics follow from them without touching the voxels again.
class Histogram {
 public:
  explicit Histogram(std::span<const std::int16_t> voxels) : counts_(65536), total_(voxels.size()) {
    for (const std::int16_t voxel : voxels) ++counts_[static_cast<std::size_t>(voxel + 32768)];
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
    bool first = true;
    for (std::size_t bin = 0; bin < counts_.size(); ++bin) {
      if (counts_[bin] == 0) continue;
      const double n = static_cast<double>(counts_[bin]);
      sum += n * value(bin);
      squares += n * value(bin) * value(bin);
      if (first) out.minimum = static_cast<float>(value(bin));
      out.maximum = static_cast<float>(value(bin));
      first = false;
    }
    const double count = static_cast<double>(total_), mean = sum / count;
    out.mean = static_cast<float>(mean);
    out.deviation = static_cast<float>(std::sqrt(std::max(0.0, squares / count - mean * mean)));
  }

 private:
  static double value(std::size_t bin) { return static_cast<double>(bin) - 32768; }
  std::vector<std::uint64_t> counts_;
  std::uint64_t total_;
};

// The same questions for floats, answered by selection on a copy.
class Selection {
 public:
  explicit Selection(std::span<const float> voxels) : voxels_(voxels.begin(), voxels.end()), above_(voxels_.end()) {}
  std::uint64_t total() const { return voxels_.size(); }
  std::uint64_t above(double threshold) {
    auto middle = std::partition(voxels_.begin(), voxels_.end(), [&](float v) { return !(static_cast<double>(v) > threshold); });
    above_ = middle;
    return static_cast<std::uint64_t>(voxels_.end() - middle);
  }
  // Of the voxels the last above() kept when the threshold is finite, else of all.
  double at_rank(std::uint64_t rank, double threshold) {
    const auto begin = std::isfinite(threshold) ? above_ : voxels_.begin();
    const auto at = begin + static_cast<std::ptrdiff_t>(rank);
    std::nth_element(begin, at, voxels_.end());
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
  std::vector<float> voxels_;
  std::vector<float>::iterator above_;
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
