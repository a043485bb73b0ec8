#include "errors.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <grpcpp/support/status.h>

#include <algorithm>
#include <initializer_list>

namespace vectron::internal {
namespace {

constexpr char kRetryInfoUrl[] = "type.googleapis.com/google.rpc.RetryInfo";
constexpr char kLargeMessage[] = "essage larger than";     // gRPC's words, of either side
constexpr char kLargeAnswer[] = "the most of one answer";  // the gateway's, of the hits of a search

// Calls on_bytes(number, bytes) for each length-delimited field, skipping others; stops at the
// first malformed one.
template <typename F>
void ForEachBytesField(const std::string& message, F on_bytes) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(message.data()),
                                            static_cast<int>(message.size()));
  while (const uint32_t tag = in.ReadTag()) {
    uint64_t value = 0;
    if (!in.ReadVarint64(&value)) return;
    if ((tag & 7) == 0) continue;
    std::string bytes;
    if ((tag & 7) != 2 || value > message.size()) return;
    if (!in.ReadString(&bytes, static_cast<int>(value))) return;
    on_bytes(tag >> 3, bytes);
  }
}

bool SaysAnyOf(const std::string& message, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(), [&message](const char* word) {
    return message.find(word) != std::string::npos;
  });
}

std::string Unreachable(const std::string& at, const std::string& message) {
  if (SaysAnyOf(message, {"ertificate", "andshake", "ssl", "SSL", "ostname", "Peer name"})) {
    return " [TLS with " + at +
           " failed: does tls_root_certificates hold the authority that signed its certificate, is "
           "the host one of the certificate's names (else tls_server_name), does the server want a "
           "client's certificate (tls_client_certificate and tls_client_key), and does this port "
           "speak TLS at all?]";
  }
  if (SaysAnyOf(message, {"ocket closed", "reset", "roken pipe", "empty address list"})) {
    return " [" + at +
           " closed the connection: it was restarted, or wants TLS (use_tls), or with TLS a "
           "client's certificate (tls_client_certificate and tls_client_key)]";
  }
  return " [cannot reach " + at +
         ", or it is busy: is the server running, and is this its gRPC address (default port "
         "8081)?]";
}

// What to do about it, where the code alone tells.
std::string Advice(Code code, std::string_view host, const std::string& message) {
  const std::string at(host);
  switch (code) {
    case Code::kUnavailable:
      return Unreachable(at, message);
    case Code::kUnauthenticated:
      return " [set ClientOptions::credential, or Login; expired tokens need a new login]";
    case Code::kPermissionDenied:
      return " [use a credential with more rights]";
    case Code::kDeadlineExceeded:
      return " [no answer from " + at +
             " in time and the outcome is unknown: use a longer timeout, and repeat a write with "
             "the same request id]";
    case Code::kResourceExhausted:
      if (SaysAnyOf(message, {kLargeAnswer})) return "";  // it says what to ask for instead
      if (SaysAnyOf(message, {kLargeMessage})) {
        return " [send smaller batches or ask for less at once, or use a larger "
               "ClientOptions::max_message_bytes]";
      }
      return " [slow down: fewer calls at once, or smaller batches]";
    case Code::kUnimplemented:
      return " [this server does not offer it]";
    default:
      return "";
  }
}

}  // namespace

std::optional<std::chrono::milliseconds> RetryAfterOf(const std::string& details) {
  std::optional<std::chrono::milliseconds> found;
  ForEachBytesField(details, [&found](uint32_t number, const std::string& bytes) {
    google::protobuf::Any any;
    if (number != 3 || !any.ParseFromString(bytes) || any.type_url() != kRetryInfoUrl) return;
    ForEachBytesField(any.value(), [&found](uint32_t inner, const std::string& text) {
      google::protobuf::Duration delay;
      if (inner != 1 || !delay.ParseFromString(text)) return;
      // A day bounds what arithmetic has to bear.
      const int64_t seconds = std::clamp<int64_t>(delay.seconds(), 0, 86'400);
      found = std::chrono::milliseconds(seconds * 1'000 + delay.nanos() / 1'000'000);
    });
  });
  return found;
}

bool TooLarge(const Failure& failure) {
  return failure.code == Code::kResourceExhausted &&
         SaysAnyOf(failure.message, {kLargeMessage, kLargeAnswer});
}

Failure FailureOf(const grpc::Status& status) {
  return {static_cast<Code>(status.error_code()), status.error_message(),
          RetryAfterOf(status.error_details())};
}

std::exception_ptr ToException(const Failure& failure, std::string_view host) {
  const Code code = failure.code;
  const std::string message =
      (failure.message.empty() ? "status " + std::to_string(static_cast<int>(code))
                               : failure.message) +
      Advice(code, host, failure.message);
  const auto make = [&]<typename E>(std::type_identity<E>) {
    return std::make_exception_ptr(E(code, message, failure.retry_after));
  };
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
      return make(std::type_identity<InvalidArgumentError>());
    case Code::kUnauthenticated:
      return make(std::type_identity<AuthenticationError>());
    case Code::kPermissionDenied:
      return make(std::type_identity<PermissionDeniedError>());
    case Code::kNotFound:
      return make(std::type_identity<NotFoundError>());
    case Code::kAlreadyExists:
      return make(std::type_identity<AlreadyExistsError>());
    case Code::kFailedPrecondition:
      return make(std::type_identity<FailedPreconditionError>());
    case Code::kAborted:
      return make(std::type_identity<AbortedError>());
    case Code::kResourceExhausted:
      return make(std::type_identity<ResourceExhaustedError>());
    case Code::kUnavailable:
      return make(std::type_identity<UnavailableError>());
    case Code::kDeadlineExceeded:
      return make(std::type_identity<DeadlineExceededError>());
    case Code::kUnimplemented:
      return make(std::type_identity<UnimplementedError>());
    case Code::kDataLoss:
      return make(std::type_identity<DataLossError>());
    case Code::kCancelled:
      return make(std::type_identity<CancelledError>());
    default:
      return make(std::type_identity<InternalServerError>());
  }
}

void Throw(const Failure& failure, std::string_view host) {
  std::rethrow_exception(ToException(failure, host));
}

}  // namespace vectron::internal
