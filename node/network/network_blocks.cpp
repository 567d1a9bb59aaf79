#include "node/network/network_blocks.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <map>
#include <utility>

#include "common/check.h"
#include "federation/model/fovea_1_layout.h"

namespace fovea::node::network {

void prepare_torch(int threads) {
  FOVEA_CHECK(threads >= 1);
  at::set_num_threads(threads);
  constexpr int kKeepBytes = 256 * 1024 * 1024;
  mallopt(M_MMAP_THRESHOLD, kKeepBytes);
  mallopt(M_TRIM_THRESHOLD, kKeepBytes);
}

namespace {

bool bfloat16_wanted = true;

bool processor_multiplies_bfloat16() noexcept {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

}  // namespace

bool convolutions_in_bfloat16() noexcept {
  static const bool possible = processor_multiplies_bfloat16();
  return possible && bfloat16_wanted;
}

void use_bfloat16(bool wanted) noexcept { bfloat16_wanted = wanted; }

struct NetworkParameters::Tensors {
  std::map<std::string, at::Tensor, std::less<>> by_name;
};

NetworkParameters::NetworkParameters(federation::model::ModelLayout layout)
    : layout_(std::move(layout)),
      values_(layout_.size()),
      gradients_(layout_.size()),
      tensors_(std::make_unique<Tensors>()) {
  for (std::size_t t = 0; t < layout_.tensors().size(); ++t) {
    const federation::model::TensorSpec& spec = layout_.tensors()[t];
    const std::vector<std::int64_t> shape(spec.shape.begin(), spec.shape.end());
    at::Tensor tensor = at::from_blob(values_.data() + layout_.offset(t), shape, at::kFloat);
    tensor.set_requires_grad(true);
    tensor.mutable_grad() = at::from_blob(gradients_.data() + layout_.offset(t), shape, at::kFloat);
    tensors_->by_name.emplace(spec.name, std::move(tensor));
  }
}

NetworkParameters::NetworkParameters(NetworkParameters&&) noexcept = default;
NetworkParameters& NetworkParameters::operator=(NetworkParameters&&) noexcept = default;
NetworkParameters::~NetworkParameters() = default;

Result<void> NetworkParameters::load(std::span<const float> model) {
  if (model.size() != values_.size())
    return invalid_argument("model: expected " + std::to_string(values_.size()) + " values of " +
                            layout_.architecture() + ", found " + std::to_string(model.size()));
  std::copy(model.begin(), model.end(), values_.begin());
  return {};
}

void NetworkParameters::zero_gradients() noexcept { std::fill(gradients_.begin(), gradients_.end(), 0.0F); }

const at::Tensor& NetworkParameters::operator[](std::string_view name) const {
  const auto found = tensors_->by_name.find(name);
  FOVEA_CHECK(found != tensors_->by_name.end());
  return found->second;
}

at::Tensor standardised(const NetworkParameters& parameters, const at::Tensor& images) {
  constexpr float kVarianceMin = 1e-4F;  // for a federation whose voxels are all equal
  const float mean =
      federation::model::kIntensityMeanUnit * *parameters[federation::model::kIntensityMean].data_ptr<float>();
  const float square =
      federation::model::kIntensitySquareUnit * *parameters[federation::model::kIntensitySquare].data_ptr<float>();
  const float deviation = std::sqrt(std::max(square - mean * mean, kVarianceMin));
  if (mean == 0 && deviation == 1) return images;
  return (images - mean) / deviation;
}

namespace {

// Along an axis. oneDNN 3, which libtorch 2 computes with, then gives wrong weight gradients in bfloat16.
bool smaller_than_kernel(const at::Tensor& input, const at::Tensor& weight) {
  for (std::int64_t axis = 2; axis < 5; ++axis)
    if (input.size(axis) < weight.size(axis)) return true;
  return false;
}

}  // namespace

at::Tensor convolution(const NetworkParameters& parameters, const std::string& name, const at::Tensor& input,
                       std::int64_t stride, std::int64_t padding) {
  const at::Tensor& weight = parameters[name + ".weight"];
  if (!convolutions_in_bfloat16() || smaller_than_kernel(input, weight))
    return at::conv3d(input, weight, {}, stride, padding);
  return at::conv3d(input.to(at::kBFloat16), weight.to(at::kBFloat16), {}, stride, padding).to(at::kFloat);
}

at::Tensor convolution_norm(const NetworkParameters& parameters, const std::string& name, const at::Tensor& input,
                            const ConvolutionShape& shape) {
  constexpr std::int64_t kGroups = 4;
  constexpr double kEpsilon = 1e-5;
  const at::Tensor convolved = convolution(parameters, name, input, shape.stride, shape.padding);
  at::Tensor out =
      at::group_norm(convolved, kGroups, parameters[name + ".norm.weight"], parameters[name + ".norm.bias"], kEpsilon);
  return shape.activate ? at::relu_(out) : out;
}

at::Tensor convolution_relu_in_cells(const NetworkParameters& parameters, const std::string& name,
                                     const at::Tensor& input) {
  const at::ScalarType type = convolutions_in_bfloat16() ? at::kBFloat16 : at::kFloat;
  const at::Tensor& weight = parameters[name + ".weight"];
  std::vector<at::Tensor> shifted;  // the kernel at each voxel of a cell, inside the 4³ window around the cell
  for (std::int64_t corner = 0; corner < 8; ++corner) {
    const std::int64_t x = corner % 2, y = corner / 2 % 2, z = corner / 4;
    shifted.push_back(at::constant_pad_nd(weight, {x, 1 - x, y, 1 - y, z, 1 - z}));
  }
  const at::Tensor bias = parameters[name + ".bias"].repeat({8});
  at::Tensor out = at::conv3d(input.to(type), at::cat(shifted, 0).to(type), bias.to(type), 2, 1);
  return at::relu_(out);
}

at::Tensor linear_layer(const NetworkParameters& parameters, const std::string& name, const at::Tensor& input) {
  return at::linear(input, parameters[name + ".weight"], parameters[name + ".bias"]);
}

at::Tensor view_of(std::span<const float> values, const std::vector<std::int64_t>& shape) {
  return at::from_blob(const_cast<float*>(values.data()), shape, at::kFloat);
}

}  // namespace fovea::node::network
