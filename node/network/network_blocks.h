// What the networks share: parameters that view one flat buffer, and the layers built on them. Torch types are
// declared, never included: only the .cpp files that define networks see torch, 1.13.1 or any 2.x.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "federation/model/layout.h"

namespace at {
class Tensor;
}

namespace fovea::node::network {

// Gives torch `threads` threads, at least 1: one per process is fastest beside other processes. Torch's own default is
// never relied on: it is one in some builds and every core in others. Also keeps freed activations in the process
// instead of returning them to the system at each step. The count holds for the calling thread, in some builds for the
// whole process: call it on each thread that computes, before it does.
void prepare_torch(int threads);

// Whether convolutions run in bfloat16 with float32 weights, sums and norms around them: where the processor
// multiplies bfloat16 itself (faster in training and more so in inference), unless switched off, and where the input
// is at least as large as the kernel. use_bfloat16 is for the whole process; not while another thread computes.
bool convolutions_in_bfloat16() noexcept;
void use_bfloat16(bool wanted) noexcept;

// A model's tensors, each a view of one flat vector of values and one of gradients, in layout order. The
// networks (proposer.h, embedding/region_network.h) are functions of it. Move-only; one thread.
class NetworkParameters {
 public:
  explicit NetworkParameters(federation::model::ModelLayout layout);
  NetworkParameters(NetworkParameters&&) noexcept;
  NetworkParameters& operator=(NetworkParameters&&) noexcept;
  ~NetworkParameters();

  const federation::model::ModelLayout& layout() const noexcept { return layout_; }
  Result<void> load(std::span<const float> model);  // invalid_argument: another size than the layout's
  std::span<float> values() noexcept { return values_; }
  std::span<float> gradients() noexcept { return gradients_; }
  void zero_gradients() noexcept;
  const at::Tensor& operator[](std::string_view name) const;  // the layout has a tensor of this name

 private:
  struct Tensors;
  federation::model::ModelLayout layout_;
  std::vector<float> values_, gradients_;
  std::unique_ptr<Tensors> tensors_;
};

// Normalised voxels on the federation's scale: (image − mean) / deviation, both the model's
// (federation/model/fovea_1_layout.h).
at::Tensor standardised(const NetworkParameters& parameters, const at::Tensor& images);

// convolution → GroupNorm with 4 groups (Wu and He 2018); `activate` adds a ReLU.
struct ConvolutionShape {
  std::int64_t stride = 1;
  std::int64_t padding = 1;
  bool activate = true;
};
at::Tensor convolution_norm(const NetworkParameters& parameters, const std::string& name, const at::Tensor& input,
                            const ConvolutionShape& shape);
at::Tensor convolution(const NetworkParameters& parameters, const std::string& name, const at::Tensor& input,
                       std::int64_t stride, std::int64_t padding);
// A 3³ convolution with bias → ReLU at every voxel, given as 8 groups of channels on the grid of 2³ cells (one group
// for each voxel of a cell): one strided convolution is several times faster than one at every voxel. The result stays
// in the precision it was computed in.
at::Tensor convolution_relu_in_cells(const NetworkParameters& parameters, const std::string& name,
                                     const at::Tensor& input);
at::Tensor linear_layer(const NetworkParameters& parameters, const std::string& name, const at::Tensor& input);

// A tensor that views these floats; they must outlive it.
at::Tensor view_of(std::span<const float> values, const std::vector<std::int64_t>& shape);

// What `work` returns, a Result; whatever torch throws in it becomes internal: "<network>: <what torch said>".
template <class Work>
auto guarded(std::string_view network, Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& error) {
    return internal_error(error.what()).with_context(network);
  }
}

}  // namespace fovea::node::network
