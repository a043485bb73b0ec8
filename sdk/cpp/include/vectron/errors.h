#pragma once

// Exceptions of the client, one class per thing a caller can do about it. What is thrown has
// already been retried where that was safe (RetryPolicy).

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

namespace vectron {

// The status codes of gRPC, by number.
enum class Code : int {
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// Base of all exceptions of this library.
class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message,
        std::optional<std::chrono::milliseconds> retry_after = std::nullopt)
      : std::runtime_error(message), code_(code), retry_after_(retry_after) {}

  Code code() const { return code_; }
  // What the server asked to wait before the next attempt.
  std::optional<std::chrono::milliseconds> retry_after() const { return retry_after_; }

 private:
  Code code_;
  std::optional<std::chrono::milliseconds> retry_after_;
};

// The request is wrong: fix it. Nothing was written.
class InvalidArgumentError : public Error {
 public:
  using Error::Error;
  explicit InvalidArgumentError(const std::string& message)
      : Error(Code::kInvalidArgument, message) {}
};
// No credential, or one that is wrong or expired.
class AuthenticationError : public Error {
 public:
  using Error::Error;
};
// The credential is good but does not allow this.
class PermissionDeniedError : public Error {
 public:
  using Error::Error;
};
// The collection or the point does not exist (or belongs to someone else).
class NotFoundError : public Error {
 public:
  using Error::Error;
};
// The name is taken, or an insert-only point exists.
class AlreadyExistsError : public Error {
 public:
  using Error::Error;
};
// The system is not in the state the request needs.
class FailedPreconditionError : public Error {
 public:
  using Error::Error;
};
// Something changed meanwhile: read again, then try again.
class AbortedError : public Error {
 public:
  using Error::Error;
};
// Too much at once: slow down, honouring retry_after().
class ResourceExhaustedError : public Error {
 public:
  using Error::Error;
};
// The server cannot be reached or is starting.
class UnavailableError : public Error {
 public:
  using Error::Error;
};
// No answer in time. A write may have happened.
class DeadlineExceededError : public Error {
 public:
  using Error::Error;
};
// This server does not offer that.
class UnimplementedError : public Error {
 public:
  using Error::Error;
};
// Stored data is damaged: tell an operator.
class DataLossError : public Error {
 public:
  using Error::Error;
};
class CancelledError : public Error {
 public:
  using Error::Error;
};
// A fault of the server; its log says more.
class InternalServerError : public Error {
 public:
  using Error::Error;
};

}  // namespace vectron
