#include "rpc/error_table.h"

#include <fmt/format.h>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <grpcpp/support/status.h>

#include <array>
#include <charconv>

#include "absl/strings/cord.h"
#include "base/check.h"
#include "base/status.h"
#include "rpc/json_text.h"
#include "vectron/worker.pb.h"

namespace vectron::rpc {
namespace {

constexpr char kRetryPayload[] = "vectron/retry-after-ms";
constexpr char kLeaderPayload[] = "vectron/leader-worker";
constexpr char kNothingDonePayload[] = "vectron/nothing-done";
constexpr char kLeaderUrl[] = "type.googleapis.com/vectron.worker.v1.ShardError";
constexpr char kRetryInfoUrl[] = "type.googleapis.com/google.rpc.RetryInfo";
constexpr char kErrorInfoUrl[] = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr char kNothingDoneReason[] = "NOTHING_DONE";

struct Row {
  absl::StatusCode code;
  int http_status;
  std::string_view name;
};
constexpr std::array<Row, 17> kRows = {{
    {absl::StatusCode::kOk, 200, "OK"},
    {absl::StatusCode::kCancelled, 499, "Cancelled"},
    {absl::StatusCode::kUnknown, 500, "Unknown"},
    {absl::StatusCode::kInvalidArgument, 400, "InvalidArgument"},
    {absl::StatusCode::kDeadlineExceeded, 504, "DeadlineExceeded"},
    {absl::StatusCode::kNotFound, 404, "NotFound"},
    {absl::StatusCode::kAlreadyExists, 409, "AlreadyExists"},
    {absl::StatusCode::kPermissionDenied, 403, "PermissionDenied"},
    {absl::StatusCode::kResourceExhausted, 429, "ResourceExhausted"},
    {absl::StatusCode::kFailedPrecondition, 400, "FailedPrecondition"},
    {absl::StatusCode::kAborted, 409, "Aborted"},
    {absl::StatusCode::kOutOfRange, 400, "OutOfRange"},
    {absl::StatusCode::kUnimplemented, 501, "Unimplemented"},
    {absl::StatusCode::kInternal, 500, "Internal"},
    {absl::StatusCode::kUnavailable, 503, "Unavailable"},
    {absl::StatusCode::kDataLoss, 500, "DataLoss"},
    {absl::StatusCode::kUnauthenticated, 401, "Unauthenticated"},
}};

const Row& RowOf(absl::StatusCode code) {
  const auto number = static_cast<size_t>(code);
  return number < kRows.size() ? kRows[number]
                               : kRows[static_cast<size_t>(absl::StatusCode::kUnknown)];
}

// google.rpc.Status {code = 1, message = 2, details = 3: [Any]} and google.rpc.RetryInfo
// {retry_delay = 1: Duration} and google.rpc.ErrorInfo {reason = 1, domain = 2}, written by hand
// because their generated classes are in no package this project builds on.
void PutBytesField(std::string& out, uint32_t number, std::string_view bytes) {
  google::protobuf::io::StringOutputStream stream(&out);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.WriteTag(number << 3 | 2);
  coded.WriteVarint32(static_cast<uint32_t>(bytes.size()));
  coded.WriteRaw(bytes.data(), static_cast<int>(bytes.size()));
}

std::string AnyOf(std::string_view type_url, std::string value) {
  google::protobuf::Any any;
  any.set_type_url(std::string(type_url));
  any.set_value(std::move(value));
  return any.SerializeAsString();
}

std::string RetryInfo(int64_t millis) {
  google::protobuf::Duration delay;
  delay.set_seconds(millis / 1000);
  delay.set_nanos(static_cast<int32_t>(millis % 1000) * 1'000'000);
  std::string info;
  PutBytesField(info, 1, delay.SerializeAsString());
  return AnyOf(kRetryInfoUrl, std::move(info));
}

std::string LeaderInfo(WorkerId leader) {
  worker::v1::ShardError error;
  error.set_leader_worker(leader.value);
  return AnyOf(kLeaderUrl, error.SerializeAsString());
}

std::string NothingDoneInfo() {
  std::string info;
  PutBytesField(info, 1, kNothingDoneReason);
  PutBytesField(info, 2, "vectron");
  return AnyOf(kErrorInfoUrl, std::move(info));
}

// "" when there is no hint, but where SaidByServer needs them.
std::string DetailsOf(const absl::Status& status) {
  const auto retry_ms = RetryAfterMillis(status);
  const auto leader = LeaderHint(status);
  const bool nothing_done = NothingWasDone(status);
  if (!retry_ms && !leader && !nothing_done && !absl::IsUnavailable(status) &&
      !absl::IsDeadlineExceeded(status)) {
    return {};
  }
  std::string out;
  out.push_back(1 << 3);
  out.push_back(static_cast<char>(status.code()));
  PutBytesField(out, 2, MessageOf(status));
  if (retry_ms) PutBytesField(out, 3, RetryInfo(*retry_ms));
  if (leader) PutBytesField(out, 3, LeaderInfo(*leader));
  if (nothing_done) PutBytesField(out, 3, NothingDoneInfo());
  return out;
}

// Calls on_bytes(number, bytes) for each length-delimited field, skipping others; stops at the
// first malformed one.
template <typename F>
void ForEachBytesField(std::string_view message, F on_bytes) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(message.data()),
                                            static_cast<int>(message.size()));
  while (const uint32_t tag = in.ReadTag()) {
    uint64_t value = 0;
    if ((tag & 7) == 0) {
      if (!in.ReadVarint64(&value)) return;
    } else if ((tag & 7) == 2) {
      std::string bytes;
      if (!in.ReadVarint64(&value) || value > message.size() ||
          !in.ReadString(&bytes, static_cast<int>(value)))
        return;
      on_bytes(tag >> 3, bytes);
    } else {
      return;
    }
  }
}

absl::Status WithHintsOf(const std::string& details, absl::Status status) {
  ForEachBytesField(details, [&status](uint32_t number, const std::string& bytes) {
    google::protobuf::Any any;
    if (number != 3 || !any.ParseFromString(bytes)) return;
    worker::v1::ShardError error;
    if (any.type_url() == kLeaderUrl && error.ParseFromString(any.value()) &&
        error.leader_worker() != 0) {
      status = WithLeaderHint(std::move(status), WorkerId{error.leader_worker()});
    }
    if (any.type_url() == kErrorInfoUrl) {
      ForEachBytesField(any.value(), [&status](uint32_t inner, const std::string& text) {
        if (inner == 1 && text == kNothingDoneReason) status = WithNothingDone(std::move(status));
      });
    }
    if (any.type_url() != kRetryInfoUrl) return;
    ForEachBytesField(any.value(), [&status](uint32_t inner, const std::string& text) {
      google::protobuf::Duration delay;
      if (inner != 1 || !delay.ParseFromString(text)) return;
      const int64_t millis = delay.seconds() * 1000 + delay.nanos() / 1'000'000;
      if (millis >= 0) status = WithRetryAfter(std::move(status), millis);
    });
  });
  return status;
}

// A whole number kept as a payload.
template <typename Int>
std::optional<Int> NumberIn(const absl::Status& status, const char* payload_url) {
  if (status.ok()) return std::nullopt;
  const auto payload = status.GetPayload(payload_url);
  if (!payload) return std::nullopt;
  const std::string text(*payload);
  Int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

int HttpStatusOf(absl::StatusCode code) { return RowOf(code).http_status; }
std::string_view CodeName(absl::StatusCode code) { return RowOf(code).name; }

std::string_view HttpReason(int http_status) {
  switch (http_status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

std::string ErrorBody(const absl::Status& status) {
  std::string body = fmt::format("{{\"code\":{},\"message\":", static_cast<int>(status.code()));
  AppendJsonString(MessageOf(status), body);
  body += ",\"details\":[]}";
  return body;
}

absl::Status WithRetryAfter(absl::Status status, int64_t millis) {
  CHECK(!status.ok());
  CHECK_GE(millis, 0);
  status.SetPayload(kRetryPayload, absl::Cord(std::to_string(millis)));
  return status;
}

std::optional<int64_t> RetryAfterMillis(const absl::Status& status) {
  return NumberIn<int64_t>(status, kRetryPayload);
}

absl::Status WithLeaderHint(absl::Status status, WorkerId leader) {
  CHECK(!status.ok());
  status.SetPayload(kLeaderPayload, absl::Cord(std::to_string(leader.value)));
  return status;
}

std::optional<WorkerId> LeaderHint(const absl::Status& status) {
  const auto leader = NumberIn<uint64_t>(status, kLeaderPayload);
  if (!leader) return std::nullopt;
  return WorkerId{*leader};
}

absl::Status WithNothingDone(absl::Status status) {
  CHECK(!status.ok());
  status.SetPayload(kNothingDonePayload, absl::Cord());
  return status;
}

absl::Status WithoutNothingDone(absl::Status status) {
  status.ErasePayload(kNothingDonePayload);
  return status;
}

bool NothingWasDone(const absl::Status& status) {
  return !status.ok() && status.GetPayload(kNothingDonePayload).has_value();
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(static_cast<int>(status.code())),
                      std::string(MessageOf(status)), DetailsOf(status));
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = status.error_message();
  return WithHintsOf(
      status.error_details(),
      absl::Status(RowOf(static_cast<absl::StatusCode>(status.error_code())).code, message));
}

bool SaidByServer(const grpc::Status& status) { return !status.error_details().empty(); }

}  // namespace vectron::rpc
