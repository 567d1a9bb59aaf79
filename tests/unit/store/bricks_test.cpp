// Bricks, the read counter, crops, levels: fast code against naive references.
#include "node/store/brick_volume.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <string>
#include <string_view>

#include "common/durable_file.h"
#include "node/store/pyramid.h"
#include "tests/support/scans.h"
#include "tests/support/temporary_folder.h"

namespace fovea::node {
namespace {

constexpr float kOutside = -77;

const store::VolumeKey& site_key() {
  static const store::VolumeKey key = store::fresh_volume_key();
  return key;
}

std::vector<std::int16_t> whole_numbers(const volume::Volume& scan) { return {scan.voxels.begin(), scan.voxels.end()}; }

store::BrickVolume stored(const std::filesystem::path& path, const volume::Volume& scan, bool as_float) {
  const std::vector<std::int16_t> whole = whole_numbers(scan);
  const volume::VoxelSpan span = as_float ? volume::VoxelSpan(std::span<const float>(scan.voxels))
                                          : volume::VoxelSpan(std::span<const std::int16_t>(whole));
  const Result<volume::IntensityStatistics> statistics = volume::intensity_statistics(span);
  EXPECT_TRUE(statistics);
  EXPECT_TRUE(store::write_brick_volume(path, site_key(), {scan.geometry, *statistics, span}));
  Result<store::BrickVolume> volume = store::BrickVolume::open(path, site_key());
  if (!volume) ADD_FAILURE() << volume.error().message;
  return std::move(volume).value();
}

float naive(const volume::Volume& scan, std::int64_t i, std::int64_t j, std::int64_t k) {
  const auto& size = scan.geometry.size;
  if (i < 0 || j < 0 || k < 0 || i >= size[0] || j >= size[1] || k >= size[2]) return kOutside;
  return scan.voxels[scan.geometry.offset(i, j, k)];
}

TEST(BrickVolume, APipeInItsPlaceHoldsNobodyUp) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "volume";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const auto refused = store::BrickVolume::open(path, site_key());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::corruption);
}

TEST(ReadCounter, CountsDistinctVoxelsLikeASet) {
  const std::uint64_t seed = 11;
  Numbers numbers(seed);
  const volume::Index3 size{131, 7, 5};
  store::ReadCounter counter(size);
  std::set<std::int64_t> seen;
  std::uint64_t total = 0;
  for (int step = 0; step < 400; ++step) {
    const std::int64_t i = numbers.below(131), j = numbers.below(7), k = numbers.below(5);
    const std::int64_t count = 1 + numbers.below(131 - i);
    counter.mark(i, j, k, count);
    total += static_cast<std::uint64_t>(count);
    for (std::int64_t v = 0; v < count; ++v) seen.insert((k * 7 + j) * 131 + i + v);
    ASSERT_EQ(counter.distinct(), seen.size()) << "seed " << seed << " step " << step;
    ASSERT_EQ(counter.total(), total);
  }
  EXPECT_DOUBLE_EQ(counter.fraction_read(), static_cast<double>(seen.size()) / (131 * 7 * 5));
  counter.reset();
  EXPECT_EQ(counter.distinct(), 0u);
}

TEST(BrickVolume, BoxesInsideAcrossAndOutsideEqualTheNaiveReading) {
  ScratchFolder folder;
  volume::Volume scan = make_scan({150, 70, 129}, 21);
  scan.geometry.origin_mm = {1, 2, 3};
  const std::uint64_t seed = 5;
  for (const bool as_float : {false, true}) {
    store::BrickVolume volume = stored(folder.path() / "a.bricks", scan, as_float);
    ASSERT_EQ(volume.geometry(), scan.geometry);
    Numbers numbers(seed);
    for (int step = 0; step < 60; ++step) {
      volume::Index3 low{}, size{};
      for (std::size_t a = 0; a < 3; ++a) {
        size[a] = numbers.below(80);
        low[a] = numbers.below(scan.geometry.size[a] + 60) - 30;
      }
      std::vector<float> out(static_cast<std::size_t>(size[0] * size[1] * size[2]));
      ASSERT_TRUE(volume.read_box(low, size, out, kOutside));
      std::size_t at = 0;
      for (std::int64_t k = 0; k < size[2]; ++k)
        for (std::int64_t j = 0; j < size[1]; ++j)
          for (std::int64_t i = 0; i < size[0]; ++i)
            ASSERT_EQ(out[at++], naive(scan, low[0] + i, low[1] + j, low[2] + k))
                << "seed " << seed << " step " << step;
    }
    const Result<volume::Volume> all = volume.read_all();
    ASSERT_TRUE(all);
    EXPECT_EQ(all->voxels, scan.voxels);
    EXPECT_EQ(volume.counter().fraction_read(), 1);
  }
}

TEST(BrickVolume, ACropAtTheGridsSpacingReadsNoOtherVoxel) {
  ScratchFolder folder;
  volume::Volume scan = make_scan({100, 90, 80}, 22);
  scan.geometry.spacing_mm = {1, 1.005, 0.995};
  store::BrickVolume volume = stored(folder.path() / "a.bricks", scan, false);
  std::vector<float> crop(32 * 32 * 32);
  ASSERT_TRUE(volume.read_crop({50.2, 40.7, 39.9}, 32, 1, crop, kOutside));
  EXPECT_EQ(volume.counter().distinct(), 32u * 32 * 32);
  const volume::Point3 origin = volume.crop_origin({50.2, 40.7, 39.9}, 32, 1);
  std::size_t at = 0;
  for (std::int64_t k = 0; k < 32; ++k)
    for (std::int64_t j = 0; j < 32; ++j)
      for (std::int64_t i = 0; i < 32; ++i)
        ASSERT_EQ(crop[at++],
                  naive(scan, std::lround(origin[0]) + i, std::lround(origin[1]) + j, std::lround(origin[2]) + k));
  // Again, and half over the edge: only what is new and inside counts.
  ASSERT_TRUE(volume.read_crop({50.2, 40.7, 39.9}, 32, 1, crop, kOutside));
  EXPECT_EQ(volume.counter().distinct(), 32u * 32 * 32);
  EXPECT_EQ(volume.counter().total(), 2u * 32 * 32 * 32);
  volume.begin_session();
  ASSERT_TRUE(volume.read_crop({-0.5, 40.7, 39.9}, 32, 1, crop, kOutside));
  EXPECT_EQ(volume.counter().distinct(), 16u * 32 * 32);
  EXPECT_EQ(crop[0], kOutside);
}

TEST(BrickVolume, ACropAtAnotherSpacingIsLinearAndCountsItsHalo) {
  ScratchFolder folder;
  volume::Volume scan = make_scan({60, 50, 40}, 23);
  for (std::int64_t k = 0; k < 40; ++k)
    for (std::int64_t j = 0; j < 50; ++j)
      for (std::int64_t i = 0; i < 60; ++i)
        scan.voxels[scan.geometry.offset(i, j, k)] = static_cast<float>(3 * i + 5 * j - 7 * k);
  scan.geometry.spacing_mm = {1, 2, 3.5};
  store::BrickVolume volume = stored(folder.path() / "a.bricks", scan, false);
  constexpr std::int64_t kEdge = 16;
  std::vector<float> crop(kEdge * kEdge * kEdge);
  const volume::Point3 centre{30.3, 25.1, 20.4};
  ASSERT_TRUE(volume.read_crop(centre, kEdge, 1, crop, kOutside));
  const volume::Point3 first = volume.crop_origin(centre, kEdge, 1);
  EXPECT_EQ(first[0], std::round(first[0]));
  std::size_t at = 0;
  for (std::int64_t k = 0; k < kEdge; ++k)
    for (std::int64_t j = 0; j < kEdge; ++j)
      for (std::int64_t i = 0; i < kEdge; ++i) {
        const double expected = 3 * (first[0] + static_cast<double>(i)) + 5 * (first[1] + static_cast<double>(j) / 2) -
                                7 * (first[2] + static_cast<double>(k) / 3.5);
        ASSERT_NEAR(static_cast<double>(crop[at++]), expected, 1e-3);
      }
  const auto voxels_along = [](double start, double length) {
    return std::floor(start + length) + 1 - std::floor(start) + 1;
  };
  EXPECT_DOUBLE_EQ(static_cast<double>(volume.counter().distinct()),
                   16 * voxels_along(first[1], 15.0 / 2) * voxels_along(first[2], 15.0 / 3.5));
}

TEST(BrickVolume, ACentreThatIsNotFiniteOrFarAwayIsRefused) {
  ScratchFolder folder;
  store::BrickVolume volume = stored(folder.path() / "a.bricks", make_scan({20, 20, 20}, 1), false);
  std::vector<float> crop(8);
  EXPECT_EQ(volume.read_crop({std::nan(""), 1, 1}, 2, 1, crop, 0).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(volume.read_crop({1, 1, 1e9}, 2, 1, crop, 0).error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(volume.read_crop({-500, 1, 1}, 2, 1, crop, kOutside));
  EXPECT_EQ(crop[0], kOutside);
}

TEST(BrickVolume, EveryFlippedByteAndEveryCutIsDetectedBeforeUse) {
  ScratchFolder folder;
  const auto path = folder.path() / "a.bricks";
  const volume::Volume scan = make_scan({70, 5, 4}, 25);
  { stored(path, scan, false); }
  const Result<Bytes> bytes = read_file(path, 1 << 20);
  ASSERT_TRUE(bytes);
  const std::string sound(as_text(*bytes));
  const auto readable = [&](const std::string& contents) {
    std::ofstream(path, std::ios::binary) << contents;
    Result<store::BrickVolume> volume = store::BrickVolume::open(path, site_key());
    return volume && volume->read_all();
  };
  ASSERT_TRUE(readable(sound));
  for (std::size_t at = 0; at < sound.size(); at += at < 400 ? 1 : 13) {
    std::string harmed = sound;
    harmed[at] = static_cast<char>(harmed[at] ^ 4);
    EXPECT_FALSE(readable(harmed)) << at;
  }
  for (std::size_t size = 0; size < sound.size(); size += 97) EXPECT_FALSE(readable(sound.substr(0, size))) << size;
  EXPECT_EQ(store::BrickVolume::open(folder.path() / "none", site_key()).error().code, ErrorCode::not_found);
}

TEST(BrickVolume, OpensOnlyUnderItsKeyAndName) {
  ScratchFolder folder;
  const auto path = folder.path() / "a.bricks";
  volume::Volume scan = make_scan({70, 66, 8}, 26);
  for (std::size_t v = 1000; v < 1200; ++v) scan.voxels[v] = 0x5a5a;  // a run that plaintext would show
  { stored(path, scan, false); }
  const Result<Bytes> bytes = read_file(path, 1 << 20);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(as_text(*bytes).find("ZZZZZZZZ"), std::string_view::npos);
  EXPECT_EQ(store::BrickVolume::open(path, store::fresh_volume_key()).error().code, ErrorCode::corruption);
  const auto elsewhere = folder.path() / "b.bricks";
  std::filesystem::copy_file(path, elsewhere);
  EXPECT_EQ(store::BrickVolume::open(elsewhere, site_key()).error().code, ErrorCode::corruption);
  // The same voxels twice are different bytes: every file has a key of its own.
  { stored(path, scan, false); }
  EXPECT_NE(*read_file(path, 1 << 20), *bytes);
  // A brick moved to another place, or taken from another writing of the same study, does not open.
  Bytes mixed = *read_file(path, 1 << 20);
  const std::ptrdiff_t lengths = 4 * 4 + 16;  // of four bricks, at the end
  std::copy(bytes->end() - 1000 - lengths, bytes->end() - lengths, mixed.end() - 1000 - lengths);
  std::ofstream(path, std::ios::binary) << as_text(mixed);
  Result<store::BrickVolume> volume = store::BrickVolume::open(path, site_key());
  ASSERT_TRUE(volume);
  EXPECT_EQ(volume->read_all().error().code, ErrorCode::corruption);
}

TEST(BrickVolume, ConstantRowsAreStoredAsOneVoxelAndRestored) {
  ScratchFolder folder;
  for (const bool as_float : {false, true}) {
    volume::Volume scan = make_scan({131, 70, 66}, 27);
    const auto path = folder.path() / "a.bricks";
    { stored(path, scan, as_float); }
    const auto full = std::filesystem::file_size(path);
    // Air above, and a row that is even but for its last voxel.
    std::fill(scan.voxels.begin(), scan.voxels.begin() + 131 * 70 * 40, as_float ? -0.0f : 0.0f);
    scan.voxels[131 * 5 + 63] = 9;
    store::BrickVolume volume = stored(path, scan, as_float);
    EXPECT_LT(std::filesystem::file_size(path), full / 2);
    const Result<volume::Volume> read = volume.read_all();
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->voxels, scan.voxels);
    EXPECT_EQ(std::signbit(read->voxels[0]), as_float);
  }
}

double mean_of(const std::vector<float>& voxels) {
  double sum = 0;
  for (const float v : voxels) sum += static_cast<double>(v);
  return sum / static_cast<double>(voxels.size());
}

TEST(CoarseLevel, AveragesAreasWithOddSizesAndKeepsPlaces) {
  volume::Volume scan = make_scan({21, 20, 19}, 31);
  scan.geometry.direction = turned(20, 10);
  scan.geometry.origin_mm = {5, -6, 70};
  const volume::Volume coarse = store::coarse_level(scan.geometry, std::span<const float>(scan.voxels), 2);
  EXPECT_EQ(coarse.geometry.size, (volume::Index3{11, 10, 10}));
  for (const volume::Index3 at : {volume::Index3{0, 0, 0}, volume::Index3{5, 5, 5}, volume::Index3{9, 9, 8}}) {
    double sum = 0;
    for (std::int64_t v = 0; v < 8; ++v)
      sum += static_cast<double>(
          scan.voxels[scan.geometry.offset(2 * at[0] + (v & 1), 2 * at[1] + (v >> 1 & 1), 2 * at[2] + (v >> 2))]);
    EXPECT_NEAR(static_cast<double>(coarse.voxels[coarse.geometry.offset(at[0], at[1], at[2])]), sum / 8, 1e-3);
  }
  // Coarse voxel (0,0,0) covers fine voxels 0 and 1 along each axis: its centre lies between them.
  const volume::Point3 expected = scan.geometry.to_point({0.5, 0.5, 0.5});
  for (unsigned a = 0; a < 3; ++a) EXPECT_NEAR(coarse.geometry.origin_mm[a], expected[a], 1e-9);
  // The last coarse voxel along i covers one fine voxel only, and is its value alone.
  double last = 0;
  for (std::int64_t v = 0; v < 4; ++v)
    last += static_cast<double>(scan.voxels[scan.geometry.offset(20, 2 + (v & 1), 2 + (v >> 1))]);
  EXPECT_NEAR(static_cast<double>(coarse.voxels[coarse.geometry.offset(10, 1, 1)]), last / 4, 1e-3);
}

TEST(CoarseLevel, FractionalRatiosKeepTheMeanAndCoarseAxesAreLinear) {
  volume::Volume scan = make_scan({40, 40, 12}, 32);
  scan.geometry.spacing_mm = {0.9, 1.6, 5};
  const volume::Volume coarse = store::coarse_level(scan.geometry, std::span<const float>(scan.voxels), 2);
  EXPECT_EQ(coarse.geometry.size, (volume::Index3{18, 32, 30}));
  EXPECT_NEAR(mean_of(coarse.voxels), mean_of(scan.voxels), 0.02 * mean_of(scan.voxels));
  volume::Volume ramp = scan;
  for (std::int64_t k = 0; k < 12; ++k)
    for (std::int64_t p = 0; p < 1600; ++p)
      ramp.voxels[static_cast<std::size_t>(k * 1600 + p)] = static_cast<float>(10 * k);
  const volume::Volume up = store::coarse_level(ramp.geometry, std::span<const float>(ramp.voxels), 2);
  for (std::int64_t k = 3; k < 27; ++k) {
    const double source_k = ((static_cast<double>(k) + 0.5) * 2) / 5 - 0.5;
    EXPECT_NEAR(static_cast<double>(up.voxels[up.geometry.offset(4, 4, k)]), 10 * source_k, 1e-3);
  }
}

TEST(CoarseLevel, TheStoredPartGivesTheSameLevelAndKeepsCoarseAxes) {
  volume::Volume scan = make_scan({40, 30, 12}, 33);
  scan.geometry.spacing_mm = {0.9, 2, 5};
  scan.geometry.direction = turned(20, 10);
  const std::span<const float> voxels(scan.voxels);
  const volume::Volume whole = store::coarse_level(scan.geometry, voxels, 2);
  const auto [low, high] = std::minmax_element(scan.voxels.begin(), scan.voxels.end());
  const store::StoredLevel kept = store::stored_level(scan.geometry, voxels, 2, {*low, *high});
  EXPECT_EQ(kept.geometry.size, (volume::Index3{18, 30, 12}));
  std::vector<float> values(kept.steps.begin(), kept.steps.end());
  for (float& v : values) v = v * kept.slope + kept.intercept;
  const volume::Volume again = store::coarse_level(kept.geometry, std::span<const float>(values), 2);
  ASSERT_EQ(again.geometry.size, whole.geometry.size);
  for (unsigned a = 0; a < 3; ++a) EXPECT_NEAR(again.geometry.origin_mm[a], whole.geometry.origin_mm[a], 1e-9);
  for (std::size_t v = 0; v < whole.voxels.size(); ++v) ASSERT_NEAR(again.voxels[v], whole.voxels[v], 0.01f);
  EXPECT_TRUE(store::has_axis_finer_than(scan.geometry, 2));
  EXPECT_FALSE(store::has_axis_finer_than(scan.geometry, 0.9));
}

TEST(CoarseLevel, ScansOfAnyRangeAreStoredWithinAStep) {
  for (const float high : {3e38f, 1.0f, 1e-41f}) {
    volume::Volume scan = make_scan({12, 10, 8}, 34);
    for (std::size_t v = 0; v < scan.voxels.size(); ++v) scan.voxels[v] = v % 3 == 0 ? high : -high;
    const std::span<const float> voxels(scan.voxels);
    const store::StoredLevel kept = store::stored_level(scan.geometry, voxels, 2, {-high, high});
    const volume::Volume exact = store::coarse_level(scan.geometry, voxels, 2);
    ASSERT_EQ(kept.steps.size(), exact.voxels.size());
    for (std::size_t v = 0; v < kept.steps.size(); ++v)
      EXPECT_NEAR(
          static_cast<double>(kept.steps[v]) * static_cast<double>(kept.slope) + static_cast<double>(kept.intercept),
          static_cast<double>(exact.voxels[v]), 0.51 * static_cast<double>(kept.slope))
          << high;
  }
}

TEST(IntensityStatistics, AgreeWithSortingForBothStorages) {
  volume::Volume scan = make_scan({30, 31, 32}, 41);
  const std::vector<std::int16_t> whole = whole_numbers(scan);
  const Result<volume::IntensityStatistics> a = volume::intensity_statistics(std::span<const std::int16_t>(whole));
  const Result<volume::IntensityStatistics> b = volume::intensity_statistics(std::span<const float>(scan.voxels));
  ASSERT_TRUE(a && b);
  std::vector<float> sorted = scan.voxels;
  std::sort(sorted.begin(), sorted.end());
  const auto rank = [](double share, std::size_t n) {
    return static_cast<std::size_t>(std::ceil(share * static_cast<double>(n))) - 1;
  };
  const float p99 = sorted[rank(0.99, sorted.size())];
  std::vector<float> foreground;
  for (const float v : sorted)
    if (v > 0.25f * p99) foreground.push_back(v);
  for (const volume::IntensityStatistics& s : {*a, *b}) {
    EXPECT_EQ(s.minimum, sorted.front());
    EXPECT_EQ(s.maximum, sorted.back());
    EXPECT_EQ(s.p99, p99);
    EXPECT_EQ(s.median, foreground[rank(0.5, foreground.size())]);
    EXPECT_EQ(s.p16, foreground[rank(0.16, foreground.size())]);
    EXPECT_EQ(s.p84, foreground[rank(0.84, foreground.size())]);
    EXPECT_NEAR(static_cast<double>(s.mean), mean_of(sorted), 1e-3);
  }
  EXPECT_NEAR(a->deviation, b->deviation, 1e-3);
}

template <class T>
void expect_as_sorted(std::vector<T> voxels, const char* what) {
  const Result<volume::IntensityStatistics> s = volume::intensity_statistics(std::span<const T>(voxels));
  ASSERT_TRUE(s) << what << ": " << s.error().message;
  std::sort(voxels.begin(), voxels.end());
  const auto at = [](const std::vector<T>& sorted, double share) {
    return static_cast<float>(
        sorted[static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size()))) - 1]);
  };
  const float p99 = at(voxels, 0.99);
  const double threshold = p99 > 0 ? 0.25 * static_cast<double>(p99) : 0;
  std::vector<T> foreground;
  for (const T v : voxels)
    if (static_cast<double>(v) > threshold) foreground.push_back(v);
  if (foreground.empty()) foreground = voxels;
  EXPECT_EQ(s->p99, p99) << what;
  EXPECT_EQ(s->p16, at(foreground, 0.16)) << what;
  EXPECT_EQ(s->median, at(foreground, 0.5)) << what;
  EXPECT_EQ(s->p84, at(foreground, 0.84)) << what;
  EXPECT_EQ(s->minimum, static_cast<float>(voxels.front())) << what;
  EXPECT_EQ(s->maximum, static_cast<float>(voxels.back())) << what;
  EXPECT_FLOAT_EQ(s->foreground_fraction,
                  static_cast<float>(static_cast<double>(foreground.size()) / static_cast<double>(voxels.size())))
      << what;
  double mean = 0, squares = 0;
  for (const T v : voxels) mean += static_cast<double>(v) / static_cast<double>(voxels.size());
  for (const T v : voxels) squares += (static_cast<double>(v) - mean) * (static_cast<double>(v) - mean);
  EXPECT_NEAR(s->mean, mean, 1e-6 * std::abs(mean) + 1e-6) << what;
  EXPECT_NEAR(s->deviation, std::sqrt(squares / static_cast<double>(voxels.size())), 1e-5 * s->deviation + 1e-6)
      << what;
}

TEST(IntensityStatistics, AgreeWithSortingWhateverTheSpread) {
  Numbers numbers(43);
  const auto whole = [&](std::size_t count, std::int64_t low, std::int64_t high) {
    std::vector<std::int16_t> out(count);
    for (std::int16_t& v : out) v = static_cast<std::int16_t>(low + numbers.below(high - low + 1));
    return out;
  };
  expect_as_sorted(whole(101, -32768, 32767), "few voxels, all values");
  expect_as_sorted(whole(60'003, 0, 9), "many voxels, few values");
  expect_as_sorted(whole(5'000, -900, -100), "all below zero");
  const auto real = [&](std::size_t count, auto value) {
    std::vector<float> out(count);
    for (float& v : out) v = value();
    return out;
  };
  expect_as_sorted(real(7'001, [&] { return static_cast<float>(std::exp(40 * numbers.unit() - 20)); }),
                   "seventeen decades");
  expect_as_sorted(real(7'002, [&] { return static_cast<float>(numbers.unit() - 0.5); }), "either side of zero");
  expect_as_sorted(real(7'003, [&] { return static_cast<float>(100'000 + 0.01 * numbers.unit()); }), "far from zero");
  expect_as_sorted(
      real(7'005, [&] { return numbers.below(2) == 0 ? -0.0f : static_cast<float>(numbers.below(3)) * 1e-44f; }),
      "both zeros and denormal numbers");
  expect_as_sorted(real(2'007, [&] { return -static_cast<float>(numbers.unit()) - 1; }), "all below zero, real");
}

TEST(IntensityStatistics, EmptyConstantAndNotANumberAreRefused) {
  EXPECT_FALSE(volume::intensity_statistics(std::span<const float>()));
  const std::vector<float> same(100, 3.0f);
  EXPECT_FALSE(volume::intensity_statistics(std::span<const float>(same)));
  std::vector<float> bad{1, 2, 3, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_FALSE(volume::intensity_statistics(std::span<const float>(bad)));
  const std::vector<float> negative{-3, -2, -1};
  const Result<volume::IntensityStatistics> all = volume::intensity_statistics(std::span<const float>(negative));
  ASSERT_TRUE(all);
  EXPECT_EQ(all->foreground_fraction, 1);
}

TEST(Normalise, EachKindMapsItsReferenceValues) {
  const volume::IntensityStatistics s{.minimum = 0,
                                      .maximum = 1000,
                                      .mean = 0,
                                      .deviation = 0,
                                      .p99 = 900,
                                      .foreground_threshold = 225,
                                      .median = 500,
                                      .p16 = 400,
                                      .p84 = 600};
  std::vector<float> mr{500, 600, 400, 5000, -5000};
  volume::normalise(mr, s, volume::Normalisation::mr_foreground);
  EXPECT_EQ(mr, (std::vector<float>{0, 1, -1, 4, -4}));
  std::vector<float> ct{-1000, 40, 240};
  volume::normalise(ct, s, volume::Normalisation::ct_soft_tissue);
  EXPECT_EQ(ct, (std::vector<float>{-2, 0, 2}));
  std::vector<float> lung{-1024, -300, 50, 3000};
  volume::normalise(lung, s, volume::Normalisation::ct_lung);
  EXPECT_EQ(lung, (std::vector<float>{-2, 0, 1, 2}));
  std::vector<float> brain{-1000, 40, 60, 80};
  volume::normalise(brain, s, volume::Normalisation::ct_brain);
  EXPECT_EQ(brain, (std::vector<float>{-2, 0, 1, 2}));
  std::vector<float> pet{-1, 0, 1, 500};
  volume::normalise(pet, s, volume::Normalisation::pet_suv);
  EXPECT_EQ(pet[0], 0);
  EXPECT_FLOAT_EQ(pet[2], std::log(2.0f));
  EXPECT_FLOAT_EQ(pet[3], std::log(51.0f));
  EXPECT_FALSE(volume::parse_normalisation("mr"));
  for (const char* name : {"mr-foreground", "ct-soft-tissue", "ct-lung", "ct-brain", "pet-suv"})
    EXPECT_EQ(volume::to_string(*volume::parse_normalisation(name)), name);
}

}  // namespace
}  // namespace fovea::node
