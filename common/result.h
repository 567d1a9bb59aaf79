// Result<T>: a value or an Error, for every failure that input, peers, disks or people can cause.
// Member names mirror std::expected (C++23), which gcc 12 lacks.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "common/check.h"

namespace fovea {

enum class ErrorCode {
  invalid_argument,     // the input itself is wrong
  failed_precondition,  // right input, wrong moment or state
  not_found,
  unavailable,  // try again later: peer away, port in use, disk full
  deadline_exceeded,
  corruption,         // stored or received bytes fail a check
  permission_denied,  // refused by policy, key or approval
  internal,
};

std::string_view to_string(ErrorCode code) noexcept;

// A failure a person can act on. The message names the field or file, its bounds and what to do;
// it never holds patient data, voxels or secrets.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;

  // The same error with "<context>: " in front.
  Error with_context(std::string_view context) const&;
  bool operator==(const Error&) const = default;
};

Error invalid_argument(std::string message);
Error failed_precondition(std::string message);
Error not_found(std::string message);
Error unavailable(std::string message);
Error deadline_exceeded(std::string message);
Error corruption(std::string message);
Error permission_denied(std::string message);
Error internal_error(std::string message);

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T& value() & {
    FOVEA_CHECK(has_value());
    return std::get<0>(state_);
  }
  const T& value() const& {
    FOVEA_CHECK(has_value());
    return std::get<0>(state_);
  }
  T&& value() && {
    FOVEA_CHECK(has_value());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  Error& error() & {
    FOVEA_CHECK(!has_value());
    return std::get<1>(state_);
  }
  const Error& error() const& {
    FOVEA_CHECK(!has_value());
    return std::get<1>(state_);
  }
  Error&& error() && {
    FOVEA_CHECK(!has_value());
    return std::get<1>(std::move(state_));
  }

  template <class U>
  T value_or(U&& fallback) const& {
    return has_value() ? std::get<0>(state_) : static_cast<T>(std::forward<U>(fallback));
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}

  bool has_value() const noexcept { return !failed_; }
  explicit operator bool() const noexcept { return !failed_; }
  void value() const { FOVEA_CHECK(!failed_); }
  Error& error() & {
    FOVEA_CHECK(failed_);
    return error_;
  }
  const Error& error() const& {
    FOVEA_CHECK(failed_);
    return error_;
  }
  Error&& error() && {
    FOVEA_CHECK(failed_);
    return std::move(error_);
  }

 private:
  Error error_;
  bool failed_ = false;
};

}  // namespace fovea

#define FOVEA_CONCAT_INNER(a, b) a##b
#define FOVEA_CONCAT(a, b) FOVEA_CONCAT_INNER(a, b)

// FOVEA_TRY(expression): leave the function with the error if there is one.
#define FOVEA_TRY(...)                                                        \
  do {                                                                        \
    if (auto fovea_try_result = (__VA_ARGS__); !fovea_try_result.has_value()) \
      return std::move(fovea_try_result).error();                             \
  } while (false)

// FOVEA_TRY_ASSIGN(auto x, expression): bind the value, or leave the function with the error.
#define FOVEA_TRY_ASSIGN(declaration, ...) \
  FOVEA_TRY_ASSIGN_INNER(FOVEA_CONCAT(fovea_result_, __LINE__), declaration, __VA_ARGS__)
#define FOVEA_TRY_ASSIGN_INNER(name, declaration, ...)   \
  auto name = (__VA_ARGS__);                             \
  if (!name.has_value()) return std::move(name).error(); \
  declaration = std::move(name).value()
