// One callable out of several lambdas, for std::visit.
#pragma once

namespace fovea {

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace fovea
