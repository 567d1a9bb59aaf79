// A model: a layout and its float32 values. An object that exists has the right size and finite values only.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"
#include "federation/model/layout.h"

namespace fovea::federation::model {

class ModelState {
 public:
  // invalid_argument: wrong count, or a value that is not finite (its tensor is named).
  static Result<ModelState> create(ModelLayout layout, std::vector<float> values);

  const ModelLayout& layout() const noexcept { return layout_; }
  std::span<const float> values() const noexcept { return values_; }

  // SHA-256 over the canonical bytes: domain text, architecture, then name, shape and little-endian
  // IEEE-754 values of each tensor in layout order. Equal digests mean equal models on every machine.
  Digest digest() const;
  // The same over the tensors whose names start with `prefix` only (an encoder's identity for its embeddings).
  Result<Digest> digest_of(const std::string& prefix) const;

 private:
  ModelState(ModelLayout layout, std::vector<float> values) : layout_(std::move(layout)), values_(std::move(values)) {}
  ModelLayout layout_;
  std::vector<float> values_;
};

}  // namespace fovea::federation::model
