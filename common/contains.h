// Whether a list has an element. std::ranges::contains is C++23.
#pragma once

#include <algorithm>
#include <iterator>

namespace fovea {

template <class List, class Value>
bool contains(const List& list, const Value& value) {
  return std::find(std::begin(list), std::end(list), value) != std::end(list);
}

}  // namespace fovea
