#include "node/training/adamw.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <utility>

namespace fovea::node::training {

AdamW::AdamW(const federation::model::ModelLayout& layout, std::vector<federation::model::FlatRange> trained,
             AdamWSettings settings)
    : trained_(std::move(trained)), settings_(settings) {
  std::vector<float> decays(layout.size());
  for (std::size_t t = 0; t < layout.tensors().size(); ++t)
    if (layout.tensors()[t].shape.size() > 1)
      std::fill_n(decays.begin() + static_cast<std::ptrdiff_t>(layout.offset(t)), layout.tensors()[t].size(), 1.0F);
  for (const federation::model::FlatRange& range : trained_) {
    const auto begin = decays.begin() + static_cast<std::ptrdiff_t>(range.offset);
    decays_.insert(decays_.end(), begin, begin + static_cast<std::ptrdiff_t>(range.size));
  }
  first_.resize(decays_.size());
  second_.resize(decays_.size());
}

void AdamW::step(std::span<float> values, std::span<const float> gradients, double learning_rate) {
  ++steps_;
  double squares = 0;
  for (const federation::model::FlatRange& range : trained_)
    for (const float gradient : gradients.subspan(range.offset, range.size))
      squares += static_cast<double>(gradient) * static_cast<double>(gradient);
  const double norm = std::sqrt(squares);
  const auto clip = static_cast<float>(norm > settings_.gradient_norm_max ? settings_.gradient_norm_max / norm : 1);

  const auto steps = static_cast<double>(steps_);
  const auto beta1 = static_cast<float>(settings_.beta1), beta2 = static_cast<float>(settings_.beta2);
  const auto rate = static_cast<float>(learning_rate / (1 - std::pow(settings_.beta1, steps)));
  const auto correction = static_cast<float>(1 / (1 - std::pow(settings_.beta2, steps)));
  const auto decay = static_cast<float>(learning_rate * settings_.weight_decay);
  const auto epsilon = static_cast<float>(settings_.epsilon);
  std::size_t at = 0;
  for (const federation::model::FlatRange& range : trained_)
    for (std::size_t i = 0; i < range.size; ++i, ++at) {
      const float gradient = gradients[range.offset + i] * clip;
      first_[at] = beta1 * first_[at] + (1 - beta1) * gradient;
      second_[at] = beta2 * second_[at] + (1 - beta2) * gradient * gradient;
      float& value = values[range.offset + i];
      value -= decay * decays_[at] * value + rate * first_[at] / (std::sqrt(second_[at] * correction) + epsilon);
    }
}

double scheduled_learning_rate(double peak, std::uint64_t step, std::uint64_t steps_total, std::uint64_t warm_up) {
  const auto at = static_cast<double>(step);
  if (step < warm_up) return peak * (at + 1) / static_cast<double>(warm_up);
  const double done = std::min(1.0, at / static_cast<double>(std::max<std::uint64_t>(steps_total, 1)));
  constexpr double kFloor = 0.02;
  return peak * (kFloor + (1 - kFloor) * 0.5 * (1 + std::cos(std::numbers::pi * done)));
}

}  // namespace fovea::node::training
