// AdamW (Loshchilov and Hutter 2019) over the trained parts of a flat model, with the gradient clipped by its norm.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "federation/model/layout.h"

namespace fovea::node::training {

struct AdamWSettings {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 1e-2;  // on tensors of two dimensions and more
  double gradient_norm_max = 5;
};

class AdamW {
 public:
  AdamW(const federation::model::ModelLayout& layout, std::vector<federation::model::FlatRange> trained,
        AdamWSettings settings);

  // One step on the trained ranges of `values`; both spans are the whole flat model.
  void step(std::span<float> values, std::span<const float> gradients, double learning_rate);

 private:
  std::vector<federation::model::FlatRange> trained_;
  AdamWSettings settings_;
  std::vector<float> decays_;  // per trained value: 1 or 0
  std::vector<float> first_, second_;
  std::uint64_t steps_ = 0;
};

// Linear warm-up, then a half cosine down to 2 % of the peak at `steps_total`. `step` counts from 0.
double scheduled_learning_rate(double peak, std::uint64_t step, std::uint64_t steps_total, std::uint64_t warm_up);

}  // namespace fovea::node::training
