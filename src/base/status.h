#pragma once

// Early return for absl::Status, and messages with context added on the way up.
//
// The code tells the caller what to do: Unavailable = retry here, Aborted = re-read and retry,
// FailedPrecondition = do not retry, ResourceExhausted = slow down, DataLoss = page someone,
// InvalidArgument = client bug, DeadlineExceeded = outcome unknown.

//
// Debian builds absl with a string_view of its own, so absl::StrCat does not take std::string_view;
// messages are made with fmt: `return InvalidArgument("point {}: got {} components, wanted {}", id,
// got, wanted);`

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vectron {

// The message of a status; valid as long as the status.
inline std::string_view MessageOf(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

#define VECTRON_DEFINE_ERROR(Name)                                              \
  template <typename... Args>                                                   \
  absl::Status Name(fmt::format_string<Args...> format, Args&&... args) {       \
    return absl::Name##Error(fmt::format(format, std::forward<Args>(args)...)); \
  }
VECTRON_DEFINE_ERROR(Aborted)
VECTRON_DEFINE_ERROR(AlreadyExists)
VECTRON_DEFINE_ERROR(Cancelled)
VECTRON_DEFINE_ERROR(DataLoss)
VECTRON_DEFINE_ERROR(DeadlineExceeded)
VECTRON_DEFINE_ERROR(FailedPrecondition)
VECTRON_DEFINE_ERROR(Internal)
VECTRON_DEFINE_ERROR(InvalidArgument)
VECTRON_DEFINE_ERROR(NotFound)
VECTRON_DEFINE_ERROR(OutOfRange)
VECTRON_DEFINE_ERROR(PermissionDenied)
VECTRON_DEFINE_ERROR(ResourceExhausted)
VECTRON_DEFINE_ERROR(Unauthenticated)
VECTRON_DEFINE_ERROR(Unavailable)
VECTRON_DEFINE_ERROR(Unimplemented)
#undef VECTRON_DEFINE_ERROR

// The same code with "context: " before the message; OK stays OK.
inline absl::Status Annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), fmt::format("{}: {}", context, MessageOf(status)));
}

namespace status_internal {
inline absl::Status ToStatus(absl::Status status) { return status; }
template <typename T>
absl::Status ToStatus(const absl::StatusOr<T>& result) {
  return result.status();
}
}  // namespace status_internal

#define RETURN_IF_ERROR(expression)                                                 \
  do {                                                                              \
    auto status_macro_result_ = (expression);                                       \
    if (__builtin_expect(!status_macro_result_.ok(), 0)) {                          \
      return ::vectron::status_internal::ToStatus(std::move(status_macro_result_)); \
    }                                                                               \
  } while (false)

#define VECTRON_CONCAT_INNER(a, b) a##b
#define VECTRON_CONCAT(a, b) VECTRON_CONCAT_INNER(a, b)

// ASSIGN_OR_RETURN(auto value, Function());
#define ASSIGN_OR_RETURN(target, expression) \
  VECTRON_ASSIGN_OR_RETURN(VECTRON_CONCAT(status_or_, __LINE__), target, expression)
#define VECTRON_ASSIGN_OR_RETURN(holder, target, expression)     \
  auto holder = (expression);                                    \
  if (__builtin_expect(!holder.ok(), 0)) return holder.status(); \
  target = std::move(holder).value()

}  // namespace vectron
