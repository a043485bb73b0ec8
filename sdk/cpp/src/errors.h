#pragma once

// Failed calls as exceptions.

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "vectron/errors.h"

namespace grpc {
class Status;
}  // namespace grpc

namespace vectron::internal {

// What the client decides on before it throws.
struct Failure {
  Code code = Code::kUnknown;
  std::string message;
  std::optional<std::chrono::milliseconds> retry_after;
};

// Whether it is about the size of one message or answer, so that a repeat fails the same way.
bool TooLarge(const Failure& failure);

// status is not OK.
Failure FailureOf(const grpc::Status& status);
// The hint within a serialised google.rpc.Status; nullopt when there is none, whatever the bytes.
std::optional<std::chrono::milliseconds> RetryAfterOf(const std::string& details);

// An exception of the failure's class, with what to do about it.
std::exception_ptr ToException(const Failure& failure, std::string_view host);
[[noreturn]] void Throw(const Failure& failure, std::string_view host);

}  // namespace vectron::internal
