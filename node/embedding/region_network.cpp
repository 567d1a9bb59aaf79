#include "node/embedding/region_network.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <tuple>

#include "node/saliency/regions.h"
#include "node/scan_view/scan_source.h"

namespace fovea::node::embedding {
namespace {

constexpr double kOffsetScaleMm = 8;  // offsets are learnt in this unit
constexpr std::string_view kNetwork = "region network";

at::Tensor residual_block(const network::NetworkParameters& parameters, const std::string& name,
                          const at::Tensor& input, bool halve) {
  const at::Tensor first = network::convolution_norm(parameters, name + ".first", input, {.stride = halve ? 2 : 1});
  const at::Tensor second = network::convolution_norm(parameters, name + ".second", first, {.activate = false});
  if (!halve) return at::relu(second + input);
  const at::Tensor pooled = at::avg_pool3d(input, 2);
  return at::relu(second +
                  network::convolution_norm(parameters, name + ".skip", pooled, {.padding = 0, .activate = false}));
}

at::Tensor encode(const network::NetworkParameters& parameters, std::span<const float> crops) {
  const auto count = static_cast<std::int64_t>(crops.size() / scan_view::kRegionVoxels);
  const at::Tensor input = network::standardised(
      parameters,
      network::view_of(crops, {count, 1, scan_view::kRegionEdge, scan_view::kRegionEdge, scan_view::kRegionEdge}));
  at::Tensor features = network::convolution_norm(parameters, "encoder.stem", input, {.stride = 2});
  features = residual_block(parameters, "encoder.block1", features, false);
  features = residual_block(parameters, "encoder.block2", features, true);
  features = residual_block(parameters, "encoder.block3", features, true);
  features = residual_block(parameters, "encoder.block4", features, true).flatten(2);
  const at::Tensor pooled = at::cat({features.mean(2), std::get<0>(features.max(2))}, 1);
  return at::tanh(network::linear_layer(parameters, "encoder.out", pooled));
}

// A row of the tensor for each array.
template <std::size_t kColumns>
at::Tensor rows_tensor(const std::vector<std::array<float, kColumns>>& rows) {
  at::Tensor out = at::empty({static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(kColumns)}, at::kFloat);
  float* to = out.data_ptr<float>();
  for (const std::array<float, kColumns>& row : rows) to = std::copy(row.begin(), row.end(), to);
  return out;
}

// Columns: objectness logit (the proposer's log odds and a correction), offset (3) in kOffsetScaleMm, ln radius.
at::Tensor region_outputs(const network::NetworkParameters& parameters, const at::Tensor& inputs) {
  const at::Tensor hidden = at::relu(network::linear_layer(parameters, "region.hidden", inputs));
  const at::Tensor out = network::linear_layer(parameters, "region.out", hidden);
  const at::Tensor odds = inputs.narrow(1, std::int64_t{kEmbeddingSize}, 1) * parameters["region.odds.weight"];
  return at::cat({out.narrow(1, 0, 1) + odds, out.narrow(1, 1, out.size(1) - 1)}, 1);
}

// One logit from each study head.
at::Tensor study_outputs(const network::NetworkParameters& parameters, const at::Tensor& region_inputs,
                         const at::Tensor& objectness) {
  const at::Tensor inputs = at::cat({region_inputs, objectness.unsqueeze(1) * 0.25}, 1);
  const at::Tensor mean =
      network::linear_layer(parameters, "study.mean.out",
                            at::relu(network::linear_layer(parameters, "study.mean.hidden", inputs)).mean(0, true));

  const at::Tensor value = at::relu(network::linear_layer(parameters, "study.attention.value", inputs));
  const at::Tensor gated = at::tanh(network::linear_layer(parameters, "study.attention.tanh", value)) *
                           at::sigmoid(network::linear_layer(parameters, "study.attention.gate", value));
  const at::Tensor attention = at::softmax(network::linear_layer(parameters, "study.attention.weight", gated), 0);
  const at::Tensor attended =
      network::linear_layer(parameters, "study.attention.out", (attention * value).sum(0, true));

  const at::Tensor sorted = std::get<0>(objectness.sort(0, true));
  const std::int64_t second = std::min<std::int64_t>(1, sorted.size(0) - 1);
  const at::Tensor proposer_peak = region_inputs.select(1, std::int64_t{kEmbeddingSize}).max();
  const at::Tensor peaks =
      at::stack({sorted[0] * 0.25, sorted[second] * 0.25, sorted.mean() * 0.25, proposer_peak}).unsqueeze(0);
  const at::Tensor peak = network::linear_layer(parameters, "study.peak", peaks);
  return at::cat({mean, attended, peak}, 1).squeeze(0);
}

at::Tensor label_loss(const at::Tensor& logits, int label) {
  return at::binary_cross_entropy_with_logits(logits, at::full_like(logits, static_cast<double>(label)));
}

at::Tensor bag_loss(const network::NetworkParameters& parameters, const RegionBag& bag) {
  const at::Tensor inputs = at::cat({encode(parameters, bag.crops), rows_tensor(bag.traits)}, 1);
  const at::Tensor outputs = region_outputs(parameters, inputs);
  const at::Tensor objectness = outputs.select(1, 0);
  const at::Tensor weight = network::view_of(bag.weight, {bag.count});
  at::Tensor loss = at::binary_cross_entropy_with_logits(objectness, network::view_of(bag.objectness, {bag.count}),
                                                         weight, {}, at::Reduction::Sum) /
                    weight.sum().clamp_min(1);

  at::Tensor geometry = at::empty({bag.count, 4}, at::kFloat);
  float* to = geometry.data_ptr<float>();
  for (std::size_t r = 0; r < bag.offset_mm.size(); ++r) {
    for (const double offset : bag.offset_mm[r]) *to++ = static_cast<float>(offset / kOffsetScaleMm);
    *to++ = bag.log_radius[r];
  }
  const at::Tensor geometry_weight = network::view_of(bag.geometry_weight, {bag.count});
  const at::Tensor error = at::smooth_l1_loss(outputs.narrow(1, 1, 4), geometry, at::Reduction::None).sum(1);
  loss = loss + (error * geometry_weight).sum() / geometry_weight.sum().clamp_min(1);
  // The study heads learn from the region head's logits, which their loss must not change: hence the detach.
  if (bag.label) loss = loss + 0.5 * label_loss(study_outputs(parameters, inputs, objectness.detach()), *bag.label);
  return loss;
}

at::Tensor region_inputs(const StudyVectors& study) {
  return at::cat({rows_tensor(study.embeddings), rows_tensor(study.traits)}, 1);
}

}  // namespace

Result<double> accumulate_bag_gradient(network::NetworkParameters& parameters, const RegionBag& bag) {
  return network::guarded(kNetwork, [&]() -> Result<double> {
    const at::Tensor loss = bag_loss(parameters, bag);
    loss.backward();
    return loss.item<double>();
  });
}

Result<double> accumulate_study_gradient(network::NetworkParameters& parameters, const StudyVectors& study, int label) {
  return network::guarded(kNetwork, [&]() -> Result<double> {
    const at::Tensor inputs = region_inputs(study);
    const at::Tensor objectness = region_outputs(parameters, inputs).select(1, 0).detach();
    const at::Tensor loss = label_loss(study_outputs(parameters, inputs, objectness), label);
    loss.backward();
    return loss.item<double>();
  });
}

Result<std::vector<Embedding>> embed_regions(const network::NetworkParameters& parameters,
                                             std::span<const float> crops) {
  return network::guarded(kNetwork, [&]() -> Result<std::vector<Embedding>> {
    const c10::NoGradGuard no_gradient;
    constexpr std::size_t kAtOnce = 8 * scan_view::kRegionVoxels;  // the activations of more do not fit a cache
    std::vector<Embedding> out;
    for (std::size_t begin = 0; begin < crops.size(); begin += kAtOnce) {
      const at::Tensor vectors =
          encode(parameters, crops.subspan(begin, std::min(kAtOnce, crops.size() - begin))).contiguous();
      const float* from = vectors.data_ptr<float>();
      for (std::int64_t r = 0; r < vectors.size(0); ++r, from += kEmbeddingSize)
        std::copy_n(from, kEmbeddingSize, out.emplace_back().begin());
    }
    return out;
  });
}

Result<std::vector<RegionAssessment>> assess_regions(const network::NetworkParameters& parameters,
                                                     const StudyVectors& study) {
  return network::guarded(kNetwork, [&]() -> Result<std::vector<RegionAssessment>> {
    const c10::NoGradGuard no_gradient;
    const at::Tensor outputs = region_outputs(parameters, region_inputs(study)).contiguous();
    const float* from = outputs.data_ptr<float>();
    std::vector<RegionAssessment> assessments(study.embeddings.size());
    for (RegionAssessment& region : assessments) {
      region.logit = static_cast<double>(from[0]);
      for (unsigned axis = 0; axis < 3; ++axis)
        region.offset_mm[axis] = static_cast<double>(from[1 + axis]) * kOffsetScaleMm;
      region.radius_mm = saliency::radius_of_log(from[4]);
      from += federation::model::kRegionOutputs;
    }
    return assessments;
  });
}

Result<double> study_logit(const network::NetworkParameters& parameters, const StudyVectors& study) {
  return network::guarded(kNetwork, [&]() -> Result<double> {
    const c10::NoGradGuard no_gradient;
    const at::Tensor inputs = region_inputs(study);
    return study_outputs(parameters, inputs, region_outputs(parameters, inputs).select(1, 0)).mean().item<double>();
  });
}

}  // namespace fovea::node::embedding
