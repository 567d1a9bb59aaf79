#include "node/intake/formats/bias_field.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <itkBSplineControlPointImageFilter.h>
#include <itkImage.h>
#include <itkImageRegionIterator.h>
#include <itkMultiThreaderBase.h>
#include <itkN4BiasFieldCorrectionImageFilter.h>

namespace fovea::node::intake {
namespace {

constexpr double kCoarseMm = 4;
constexpr unsigned kLevels = 4;
constexpr unsigned kStepsPerLevel = 50;

using Scalar = itk::Image<float, 3>;
using Mask = itk::Image<unsigned char, 3>;
using Correction = itk::N4BiasFieldCorrectionImageFilter<Scalar, Mask, Scalar>;

// Blocks of whole voxels, about kCoarseMm wide; the last of a row may be narrower.
struct Blocks {
  volume::Index3 step{1, 1, 1}, size{};
};

Blocks blocks_of(const volume::VolumeGeometry& geometry) {
  Blocks out;
  for (unsigned axis = 0; axis < 3; ++axis) {
    out.step[axis] = std::max<std::int64_t>(1, std::llround(kCoarseMm / geometry.spacing_mm[axis]));
    out.size[axis] = (geometry.size[axis] + out.step[axis] - 1) / out.step[axis];
  }
  return out;
}

template <class Image>
typename Image::Pointer make_image(const volume::VolumeGeometry& geometry, const Blocks& blocks) {
  auto out = Image::New();
  typename Image::RegionType region;
  typename Image::SpacingType spacing;
  for (unsigned axis = 0; axis < 3; ++axis) {
    region.SetSize(axis, static_cast<itk::SizeValueType>(blocks.size[axis]));
    spacing[axis] = geometry.spacing_mm[axis] * static_cast<double>(blocks.step[axis]);
  }
  out->SetRegions(region);
  out->SetSpacing(spacing);
  out->Allocate(true);
  return out;
}

// Means of the blocks, x fastest.
std::vector<float> averages(const volume::VolumeGeometry& geometry, const Blocks& blocks,
                            std::span<const float> voxels) {
  const auto count = static_cast<std::size_t>(blocks.size[0] * blocks.size[1] * blocks.size[2]);
  std::vector<double> sums(count);
  std::vector<std::uint32_t> counts(count);
  for (std::int64_t k = 0; k < geometry.size[2]; ++k)
    for (std::int64_t j = 0; j < geometry.size[1]; ++j)
      for (std::int64_t i = 0; i < geometry.size[0]; ++i) {
        const std::int64_t block =
            (k / blocks.step[2] * blocks.size[1] + j / blocks.step[1]) * blocks.size[0] + i / blocks.step[0];
        sums[static_cast<std::size_t>(block)] += static_cast<double>(voxels[geometry.offset(i, j, k)]);
        ++counts[static_cast<std::size_t>(block)];
      }
  std::vector<float> out(count);
  for (std::size_t b = 0; b < count; ++b) out[b] = static_cast<float>(sums[b] / counts[b]);
  return out;
}

// The logarithm of the field at the middle of every block.
Result<std::vector<float>> log_field(const volume::VolumeGeometry& geometry, const Blocks& blocks,
                                     const std::vector<float>& coarse) {
  std::vector<float> sorted = coarse;
  const auto p99 = sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) * 99 / 100);
  std::nth_element(sorted.begin(), p99, sorted.end());
  const float threshold = 0.25f * *p99;
  const auto image = make_image<Scalar>(geometry, blocks);
  const auto mask = make_image<Mask>(geometry, blocks);
  std::copy(coarse.begin(), coarse.end(), image->GetBufferPointer());
  std::transform(coarse.begin(), coarse.end(), mask->GetBufferPointer(),
                 [threshold](float v) { return static_cast<unsigned char>(v > threshold && v > 0 ? 1 : 0); });
  const auto inside = std::count(mask->GetBufferPointer(), mask->GetBufferPointer() + coarse.size(), 1);
  if (inside < 64) return invalid_argument("bias field: hardly anything of the scan lies above the background");

  const auto correction = Correction::New();
  correction->SetInput(image);
  correction->SetMaskImage(mask);
  correction->SetNumberOfWorkUnits(1);
  Correction::ArrayType levels;
  levels.Fill(kLevels);
  correction->SetNumberOfFittingLevels(levels);
  Correction::VariableSizeArrayType steps(kLevels);
  steps.Fill(kStepsPerLevel);
  correction->SetMaximumNumberOfIterations(steps);
  correction->SetConvergenceThreshold(1e-3f);
  correction->Update();

  using Spline =
      itk::BSplineControlPointImageFilter<Correction::BiasFieldControlPointLatticeType, Correction::ScalarImageType>;
  const auto spline = Spline::New();
  spline->SetInput(correction->GetLogBiasFieldControlPointLattice());
  spline->SetSplineOrder(correction->GetSplineOrder());
  spline->SetSize(image->GetLargestPossibleRegion().GetSize());
  spline->SetOrigin(image->GetOrigin());
  spline->SetDirection(image->GetDirection());
  spline->SetSpacing(image->GetSpacing());
  spline->SetNumberOfWorkUnits(1);
  spline->Update();
  std::vector<float> out;
  out.reserve(coarse.size());
  for (itk::ImageRegionConstIterator<Correction::ScalarImageType> at(spline->GetOutput(),
                                                                     spline->GetOutput()->GetLargestPossibleRegion());
       !at.IsAtEnd(); ++at)
    out.push_back(at.Get()[0]);
  double mean = 0;
  for (std::size_t b = 0; b < out.size(); ++b)
    mean += mask->GetBufferPointer()[b] != 0 ? static_cast<double>(out[b]) / static_cast<double>(inside) : 0;
  if (out.size() != coarse.size() || !std::isfinite(mean)) return invalid_argument("bias field: the fit failed");
  for (float& v : out) v -= static_cast<float>(mean);
  return out;
}

// Where voxel `index` lies between the middles of the blocks, clamped to the outermost ones.
struct Between {
  std::int64_t low = 0, high = 0;
  float share = 0;
};
std::vector<Between> between(std::int64_t size, std::int64_t step, std::int64_t blocks) {
  std::vector<Between> out;
  for (std::int64_t i = 0; i < size; ++i) {
    const double at =
        std::clamp((static_cast<double>(i) - 0.5 * static_cast<double>(step - 1)) / static_cast<double>(step), 0.0,
                   static_cast<double>(blocks - 1));
    const auto low = static_cast<std::int64_t>(at);
    out.push_back({low, std::min(low + 1, blocks - 1), static_cast<float>(at - static_cast<double>(low))});
  }
  return out;
}

}  // namespace

Result<void> correct_bias(const volume::VolumeGeometry& geometry, std::span<float> voxels) {
  itk::MultiThreaderBase::SetGlobalDefaultThreader(itk::MultiThreaderBaseEnums::Threader::Platform);
  itk::MultiThreaderBase::SetGlobalMaximumNumberOfThreads(1);
  const Blocks blocks = blocks_of(geometry);
  FOVEA_TRY_ASSIGN(const std::vector<float> field, log_field(geometry, blocks, averages(geometry, blocks, voxels)));
  const std::vector<Between> x = between(geometry.size[0], blocks.step[0], blocks.size[0]),
                             y = between(geometry.size[1], blocks.step[1], blocks.size[1]),
                             z = between(geometry.size[2], blocks.step[2], blocks.size[2]);
  const auto at = [&](std::int64_t i, std::int64_t j, std::int64_t k) {
    return field[static_cast<std::size_t>((k * blocks.size[1] + j) * blocks.size[0] + i)];
  };
  std::size_t voxel = 0;
  for (const Between& k : z)
    for (const Between& j : y)
      for (const Between& i : x) {
        const auto row = [&](std::int64_t b, std::int64_t c) {
          return at(i.low, b, c) * (1 - i.share) + at(i.high, b, c) * i.share;
        };
        const auto plane = [&](std::int64_t c) { return row(j.low, c) * (1 - j.share) + row(j.high, c) * j.share; };
        voxels[voxel++] /= std::exp(plane(k.low) * (1 - k.share) + plane(k.high) * k.share);
      }
  return {};
}

}  // namespace fovea::node::intake
