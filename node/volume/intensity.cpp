#include "node/volume/intensity.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/check.h"

namespace fovea::node::volume {
namespace {

// By Normalisation.
constexpr std::array<std::string_view, 5> kNormalisationNames{"mr-foreground", "ct-soft-tissue", "ct-lung", "ct-brain",
                                                              "pet-suv"};
static_assert(static_cast<std::size_t>(Normalisation::pet_suv) + 1 == kNormalisationNames.size());

// Lower nearest rank: the smallest value with at least `share` of the others at or below it.
std::uint64_t rank_of(double share, std::uint64_t count) {
  const auto rank = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count)));
  return std::clamp<std::uint64_t>(rank, 1, count) - 1;
}

Error constant_scan() {
  return invalid_argument("voxels: every one has the same value; the scan is empty (export it again)");
}

// Counts of the 16-bit values that occur: all statistics follow from them without reading the voxels again. One pass
// over the scan, in chunks that stay in the first-level cache; a run of one value, such as air, is counted at once.
class Histogram {
 public:
  explicit Histogram(std::span<const std::int16_t> voxels)
      : tables_(voxels.size() < kSmallScan ? 1 : kTables), low_(voxels.front()), total_(voxels.size()) {
    lowest_ = highest_ = low_;
    counts_.resize(tables_);
    for (std::size_t at = 0; at < voxels.size(); at += kChunk)
      count(voxels.subspan(at, std::min(kChunk, voxels.size() - at)));
    merge_tables();
  }

  bool is_finite() const noexcept { return true; }
  std::uint64_t total() const noexcept { return total_; }

  std::uint64_t above(double threshold) const {
    std::uint64_t out = 0;
    for (std::size_t bin = counts_.size(); bin-- > 0 && value(bin) > threshold;) out += counts_[bin];
    return out;
  }

  // The values of those ranks, which ascend.
  template <std::size_t N>
  std::array<double, N> at_ranks(const std::array<std::uint64_t, N>& ranks) const {
    std::array<double, N> out{};
    std::uint64_t seen = 0;
    std::size_t bin = 0;
    for (std::size_t r = 0; r < N; ++r) {
      while (seen + counts_[bin] <= ranks[r]) seen += counts_[bin++];
      out[r] = value(bin);
    }
    return out;
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
  static constexpr std::size_t kChunk = 4096, kRun = 64, kTables = 4;
  static constexpr std::size_t kSmallScan = 1U << 18;  // below, filling four tables would take longer than counting

  std::size_t values() const noexcept { return counts_.size() / tables_; }

  void count(std::span<const std::int16_t> chunk) {
    std::int16_t low = chunk.front(), high = low;
    for (const std::int16_t voxel : chunk) low = std::min(low, voxel), high = std::max(high, voxel);
    make_room(low, high);
    std::size_t at = 0;
    for (; at + kRun <= chunk.size(); at += kRun) {
      const std::int16_t* const run = chunk.data() + at;
      if (std::memcmp(run, run + 1, (kRun - 1) * sizeof *run) == 0)
        counts_[static_cast<std::size_t>(*run - low_)] += kRun;
      else spread(run);
    }
    for (; at < chunk.size(); ++at) ++counts_[static_cast<std::size_t>(chunk[at] - low_)];
  }

  // Tables in turn: equal voxels in one table would wait for the same counter.
  void spread(const std::int16_t* run) noexcept {
    std::array<std::uint32_t*, kTables> table;
    for (std::size_t t = 0; t < kTables; ++t) table[t] = counts_.data() + t % tables_ * values();
    for (std::size_t v = 0; v < kRun; v += kTables)
      for (std::size_t t = 0; t < kTables; ++t) ++table[t][run[v + t] - low_];
  }

  // Grows by at least half, so that a scan of rising values does not grow it with every chunk.
  void make_room(int low, int high) {
    lowest_ = std::min(lowest_, low), highest_ = std::max(highest_, high);
    const int last = low_ + static_cast<int>(values()) - 1;
    if (low >= low_ && high <= last) return;
    constexpr int kFirst = std::numeric_limits<std::int16_t>::min(), kLast = std::numeric_limits<std::int16_t>::max();
    const int slack = (std::max(high, last) - std::min(low, low_) + 1) / 2;
    const int from = low < low_ ? std::max(kFirst, low - slack) : low_,
              to = high > last ? std::min(kLast, high + slack) : last;
    std::vector<std::uint32_t> grown(tables_ * static_cast<std::size_t>(to - from + 1));
    for (std::size_t t = 0; t < tables_; ++t)
      std::copy_n(counts_.data() + t * values(), values(), grown.data() + t * (grown.size() / tables_) + (low_ - from));
    counts_ = std::move(grown);
    low_ = from;
  }

  // One table, from the lowest value to the highest.
  void merge_tables() {
    std::vector<std::uint32_t> sum(static_cast<std::size_t>(highest_ - lowest_ + 1));
    for (std::size_t t = 0; t < tables_; ++t) {
      const std::uint32_t* const table = counts_.data() + t * values() + (lowest_ - low_);
      for (std::size_t bin = 0; bin < sum.size(); ++bin) sum[bin] += table[bin];
    }
    counts_ = std::move(sum);
    tables_ = 1;
    low_ = lowest_;
  }

  double value(std::size_t bin) const noexcept { return static_cast<double>(bin) + low_; }
  std::vector<std::uint32_t> counts_;  // of each table in turn; a volume has at most 2²⁹ voxels
  std::size_t tables_;
  int low_, lowest_ = 0, highest_ = 0;  // what the first counter stands for; the bounds of what was seen
  std::uint64_t total_;
};

// IEEE 754: positive numbers sort like their bits, negative ones in reverse. −0 counts as 0.
std::uint32_t sorted_key(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value + 0.0f);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}
float of_sorted_key(std::uint32_t key) noexcept {
  return std::bit_cast<float>((key & 0x80000000U) != 0 ? key & 0x7fffffffU : ~key);
}

// The same for floats, without a copy of them: the top bits of a float, mapped so that they sort like the number, are
// its bin, and a rank is searched among the voxels of its bin only.
class Selection {
 public:
  explicit Selection(std::span<const float> voxels)
      : voxels_(voxels), counts_(kBins), shift_(static_cast<double>(voxels.front())) {
    std::vector<std::uint32_t> others(kBins);  // in turn, as in Histogram
    std::size_t v = 0;
    for (; v + kLanes <= voxels.size(); v += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) look_at(voxels[v + lane], lane);
      for (std::size_t lane = 0; lane < kLanes; ++lane) ++(lane % 2 == 0 ? counts_ : others)[bin_of(voxels[v + lane])];
    }
    for (; v < voxels.size(); ++v) look_at(voxels[v], 0), ++counts_[bin_of(voxels[v])];
    for (std::size_t bin = 0; bin < kBins; ++bin) counts_[bin] += others[bin];
  }

  bool is_finite() const noexcept {
    // A voxel that is not finite makes its sum of squares infinite or NaN; nothing else can, since the square of a
    // float is far below the largest double.
    return std::isfinite(squares_[0] + squares_[1] + squares_[2] + squares_[3]);
  }
  std::uint64_t total() const noexcept { return voxels_.size(); }

  std::uint64_t above(double threshold) const {
    if (!std::isfinite(threshold)) return total();
    const std::size_t edge = bin_of(static_cast<float>(threshold));
    std::uint64_t out = 0;
    for (std::size_t bin = edge + 1; bin < kBins; ++bin) out += counts_[bin];
    const auto at_the_edge = members(std::array{edge});
    for (const float v : at_the_edge[0]) out += static_cast<double>(v) > threshold ? 1U : 0U;
    return out;
  }

  // The values of those ranks, which ascend.
  template <std::size_t N>
  std::array<double, N> at_ranks(const std::array<std::uint64_t, N>& ranks) const {
    std::array<std::size_t, N> bins{};
    std::array<std::uint64_t, N> within{};
    std::uint64_t seen = 0;
    std::size_t bin = bin_of(lowest());  // the bins before are empty: for most scans, all of the negative half
    for (std::size_t r = 0; r < N; ++r) {
      while (seen + counts_[bin] <= ranks[r]) seen += counts_[bin++];
      bins[r] = bin;
      within[r] = ranks[r] - seen;
    }
    std::array<std::vector<float>, N> found = members(bins);
    std::array<double, N> out{};
    for (std::size_t r = 0; r < N; ++r) {
      const auto at = found[r].begin() + static_cast<std::ptrdiff_t>(within[r]);
      std::nth_element(found[r].begin(), at, found[r].end());
      out[r] = static_cast<double>(*at);
    }
    return out;
  }

  void moments(IntensityStatistics& out) const {
    const double count = static_cast<double>(total());
    const double sum = (sums_[0] + sums_[1]) + (sums_[2] + sums_[3]),
                 squares = (squares_[0] + squares_[1]) + (squares_[2] + squares_[3]);
    out.minimum = lowest();
    out.maximum = *std::max_element(highs_.begin(), highs_.end());
    out.mean = static_cast<float>(shift_ + sum / count);
    out.deviation = static_cast<float>(std::sqrt(std::max(0.0, squares / count - sum / count * (sum / count))));
  }

 private:
  static constexpr unsigned kBinBits = 16;
  static constexpr std::size_t kBins = std::size_t{1} << kBinBits;
  static constexpr std::size_t kLanes = 4;
  float lowest() const noexcept { return *std::min_element(lows_.begin(), lows_.end()); }
  static std::size_t bin_of(float value) noexcept { return sorted_key(value) >> (32 - kBinBits); }

  // Sums of differences from one of the voxels: cancellation is then no larger than the scan's own spread.
  void look_at(float voxel, std::size_t lane) noexcept {
    const double difference = static_cast<double>(voxel) - shift_;
    sums_[lane] += difference;
    squares_[lane] += difference * difference;
    lows_[lane] = std::min(lows_[lane], voxel);
    highs_[lane] = std::max(highs_[lane], voxel);
  }

  // The voxels of each of those bins. Blocks without a voxel between a bin's bounds are skipped.
  template <std::size_t N>
  std::array<std::vector<float>, N> members(const std::array<std::size_t, N>& bins) const {
    constexpr std::size_t kBlock = 64;
    std::array<std::vector<float>, N> out;
    for (std::size_t b = 0; b < N; ++b) {
      const auto first = static_cast<std::uint32_t>(bins[b] << (32 - kBinBits));
      const float low = of_sorted_key(first), high = of_sorted_key(first | ((1U << (32 - kBinBits)) - 1));
      std::vector<float>& found = out[b];
      found.resize(counts_[bins[b]] + 1);  // one more: a voxel is stored before it is known whether it counts
      std::size_t kept = 0;
      for (std::size_t at = 0; at < voxels_.size(); at += kBlock) {
        const std::span<const float> block = voxels_.subspan(at, std::min(kBlock, voxels_.size() - at));
        std::uint32_t hits = 0;
        const auto is_in = [&](float v) {
          return static_cast<std::uint32_t>(v >= low) & static_cast<std::uint32_t>(v <= high);
        };
        for (const float v : block) hits += is_in(v);
        if (hits == 0) continue;
        for (const float v : block) {
          found[kept] = v;
          kept += is_in(v);
        }
      }
      found.pop_back();
      FOVEA_CHECK(kept == found.size());
    }
    return out;
  }

  std::span<const float> voxels_;
  std::vector<std::uint32_t> counts_;
  double shift_;
  std::array<double, kLanes> sums_{}, squares_{};
  std::array<float, kLanes> lows_{voxels_[0], voxels_[0], voxels_[0], voxels_[0]}, highs_ = lows_;
};

template <class Counts>
Result<IntensityStatistics> statistics_of(const Counts& counts) {
  if (!counts.is_finite())
    return invalid_argument(
        "voxels: some are not numbers (NaN or infinite); replace them, e.g. by 0, and export again");
  IntensityStatistics out;
  counts.moments(out);
  if (out.minimum == out.maximum) return constant_scan();
  const double p99 = counts.at_ranks(std::array{rank_of(0.99, counts.total())})[0];
  double threshold = p99 > 0 ? 0.25 * p99 : 0.0;
  std::uint64_t foreground = counts.above(threshold);
  if (foreground == 0) {
    threshold = static_cast<double>(out.minimum);
    foreground = counts.total();
  }
  out.p99 = static_cast<float>(p99);
  out.foreground_threshold = static_cast<float>(threshold);
  // The foreground is the end of the sorted voxels, so a rank in it is a rank among all voxels, `below` higher.
  const std::uint64_t below = counts.total() - foreground;
  const auto [p16, median, p84] = counts.at_ranks(std::array{
      below + rank_of(0.16, foreground), below + rank_of(0.50, foreground), below + rank_of(0.84, foreground)});
  out.p16 = static_cast<float>(p16);
  out.median = static_cast<float>(median);
  out.p84 = static_cast<float>(p84);
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
  return statistics_of(Selection(std::get<std::span<const float>>(voxels)));
}

Result<Normalisation> parse_normalisation(std::string_view text) {
  for (std::size_t kind = 0; kind < kNormalisationNames.size(); ++kind)
    if (text == kNormalisationNames[kind]) return static_cast<Normalisation>(kind);
  return invalid_argument(
      "intake.normalisation: expected mr-foreground, ct-soft-tissue, ct-lung, ct-brain or pet-suv, found \"" +
      std::string(text.substr(0, 40)) + "\"");
}

std::string_view to_string(Normalisation kind) noexcept { return kNormalisationNames[static_cast<std::size_t>(kind)]; }

std::optional<HuWindow> ct_window(Normalisation kind) noexcept {
  switch (kind) {
    case Normalisation::ct_soft_tissue: return HuWindow{-160, 240};
    case Normalisation::ct_lung: return HuWindow{-1000, 400};
    case Normalisation::ct_brain: return HuWindow{0, 80};
    case Normalisation::mr_foreground:
    case Normalisation::pet_suv: break;
  }
  return std::nullopt;
}

void normalise(std::span<float> voxels, const IntensityStatistics& statistics, Normalisation kind) noexcept {
  if (const auto window = ct_window(kind))
    for (float& v : voxels) v = std::clamp(v, window->low, window->high);
  switch (kind) {
    case Normalisation::mr_foreground: {
      // A foreground of one value (a mask given as a scan) has no width: the whole scan's deviation stands in.
      const float width = 0.5f * (statistics.p84 - statistics.p16);
      const float scale = 1.0f / (width > 0 ? width : statistics.deviation);
      for (float& v : voxels) v = std::clamp((v - statistics.median) * scale, -4.0f, 4.0f);
      return;
    }
    case Normalisation::ct_soft_tissue:
      for (float& v : voxels) v = (v - 40.0f) * 0.01f;
      return;
    case Normalisation::ct_lung:
      for (float& v : voxels) v = (v + 300.0f) / 350.0f;
      return;
    case Normalisation::ct_brain:
      for (float& v : voxels) v = (v - 40.0f) * 0.05f;
      return;
    case Normalisation::pet_suv:
      for (float& v : voxels) v = std::log1p(std::clamp(v, 0.0f, 50.0f));
      return;
  }
}

float outside_value(const IntensityStatistics& statistics) noexcept { return statistics.minimum; }

}  // namespace fovea::node::volume
