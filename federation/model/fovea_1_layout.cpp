#include "federation/model/fovea_1_layout.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"

namespace fovea::federation::model {
namespace {

class Tensors {
 public:
  void convolution(const std::string& name, std::uint32_t out, std::uint32_t in, std::uint32_t kernel) {
    weight(name + ".weight", {out, in, kernel, kernel, kernel});
  }
  void norm(const std::string& name, std::uint32_t channels) {
    constant(name + ".weight", channels, 1);
    constant(name + ".bias", channels, 0);
  }
  void convolution_norm(const std::string& name, std::uint32_t out, std::uint32_t in, std::uint32_t kernel) {
    convolution(name, out, in, kernel);
    norm(name + ".norm", out);
  }
  void linear(const std::string& name, std::uint32_t out, std::uint32_t in, float bias = 0) {
    weight(name + ".weight", {out, in});
    constant(name + ".bias", out, bias);
  }
  void constant_linear(const std::string& name, std::uint32_t out, std::uint32_t in, float value) {
    tensors_.push_back(
        {.name = name + ".weight", .shape = {out, in}, .initial = InitialValue::constant, .constant = value});
    constant(name + ".bias", out, 0);
  }
  void constant(const std::string& name, std::uint32_t size, float value) {
    tensors_.push_back({.name = name, .shape = {size}, .initial = InitialValue::constant, .constant = value});
  }
  std::vector<TensorSpec> take() && { return std::move(tensors_); }

 private:
  void weight(const std::string& name, std::vector<std::uint32_t> shape) {
    tensors_.push_back({.name = name, .shape = std::move(shape), .initial = InitialValue::kaiming_uniform});
  }
  std::vector<TensorSpec> tensors_;
};

void add_proposer(Tensors& tensors) {
  // One layer at full coarse resolution: without it findings under 6 mm get lost in the stride.
  tensors.convolution("proposer.first", 8, 1, 3);
  tensors.constant("proposer.first.bias", 8, 0);
  tensors.convolution_norm("proposer.stem", 16, 8 * 8, 1);  // over the 2³ coarse voxels of a cell
  tensors.convolution_norm("proposer.fine", 16, 16, 3);
  tensors.convolution_norm("proposer.down1", 32, 16, 2);
  tensors.convolution_norm("proposer.middle", 32, 32, 3);
  tensors.convolution_norm("proposer.down2", 64, 32, 2);
  tensors.convolution_norm("proposer.coarse", 64, 64, 3);
  tensors.convolution("proposer.lateral1", 32, 64, 1);
  tensors.convolution_norm("proposer.up1", 32, 32, 3);
  tensors.convolution("proposer.lateral2", 16, 32, 1);
  tensors.convolution_norm("proposer.up2", 16, 16, 3);
  // A finding is rare: a start at sigmoid(-4) keeps the first steps from being all about the background.
  tensors.convolution("proposer.heat", 1, 16, 1);
  tensors.constant("proposer.heat.bias", 1, -4);
  tensors.convolution("proposer.radius", 1, 16, 1);
  tensors.constant("proposer.radius.bias", 1, 1.4F);  // log of some 4 mm
}

void add_residual_block(Tensors& tensors, const std::string& name, std::uint32_t out, std::uint32_t in) {
  tensors.convolution_norm(name + ".first", out, in, 3);
  tensors.convolution_norm(name + ".second", out, out, 3);
  if (in != out) tensors.convolution_norm(name + ".skip", out, in, 1);
}

void add_encoder(Tensors& tensors) {
  tensors.convolution_norm("encoder.stem", 16, 1, 4);
  add_residual_block(tensors, "encoder.block1", 16, 16);
  add_residual_block(tensors, "encoder.block2", 32, 16);
  add_residual_block(tensors, "encoder.block3", 64, 32);
  add_residual_block(tensors, "encoder.block4", 128, 64);
  tensors.linear("encoder.out", kEmbeddingSize, 256);
}

void add_heads(Tensors& tensors) {
  tensors.linear("region.hidden", 64, kEmbeddingSize + kRegionTraits);
  tensors.linear("region.out", kRegionOutputs, 64);
  // The region head corrects the proposer's log odds instead of learning them anew; trait 0 is a quarter of them.
  tensors.constant("region.odds.weight", 1, 4);
  tensors.linear("study.mean.hidden", 32, kStudyInput);
  tensors.linear("study.mean.out", 1, 32);
  tensors.linear("study.attention.value", 64, kStudyInput);
  tensors.linear("study.attention.tanh", 32, 64);
  tensors.linear("study.attention.gate", 32, 64);
  tensors.linear("study.attention.weight", 1, 32);
  tensors.linear("study.attention.out", 1, 64);
  tensors.constant_linear("study.peak", 1, kPeakInput, 1);  // from the start, what looks like a finding speaks for one
}

void add_intensity(Tensors& tensors) {
  tensors.constant(std::string(kIntensityMean), 1, 0);
  tensors.constant(std::string(kIntensitySquare), 1, 1 / kIntensitySquareUnit);
}

}  // namespace

Result<ModelLayout> make_fovea_1_layout() {
  Tensors tensors;
  add_proposer(tensors);
  add_encoder(tensors);
  add_heads(tensors);
  add_intensity(tensors);
  return ModelLayout::create("fovea-1", std::move(tensors).take());
}

}  // namespace fovea::federation::model
