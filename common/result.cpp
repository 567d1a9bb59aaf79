#include "common/result.h"

namespace fovea {

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid argument";
    case ErrorCode::failed_precondition: return "failed precondition";
    case ErrorCode::not_found: return "not found";
    case ErrorCode::unavailable: return "unavailable";
    case ErrorCode::deadline_exceeded: return "deadline exceeded";
    case ErrorCode::corruption: return "corruption";
    case ErrorCode::permission_denied: return "permission denied";
    case ErrorCode::internal: return "internal error";
  }
  return "unknown error";
}

Error Error::with_context(std::string_view context) const& {
  return Error{code, std::string(context) + ": " + message};
}

Error invalid_argument(std::string message) { return {ErrorCode::invalid_argument, std::move(message)}; }
Error failed_precondition(std::string message) { return {ErrorCode::failed_precondition, std::move(message)}; }
Error not_found(std::string message) { return {ErrorCode::not_found, std::move(message)}; }
Error unavailable(std::string message) { return {ErrorCode::unavailable, std::move(message)}; }
Error deadline_exceeded(std::string message) { return {ErrorCode::deadline_exceeded, std::move(message)}; }
Error corruption(std::string message) { return {ErrorCode::corruption, std::move(message)}; }
Error permission_denied(std::string message) { return {ErrorCode::permission_denied, std::move(message)}; }
Error internal_error(std::string message) { return {ErrorCode::internal, std::move(message)}; }

}  // namespace fovea
