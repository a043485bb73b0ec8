#pragma once

// One table from a status to what each protocol shows of it, and the hint when to try again.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "model/ids.h"

namespace grpc {
class Status;
}  // namespace grpc

namespace vectron::rpc {

// 200 for OK; InvalidArgument, FailedPrecondition, OutOfRange 400, Unauthenticated 401,
// PermissionDenied 403, NotFound 404, AlreadyExists, Aborted 409, ResourceExhausted 429, Cancelled
// 499, Unimplemented 501, Unavailable 503, DeadlineExceeded 504, else 500.
int HttpStatusOf(absl::StatusCode code);
// "Not Found" for 404; "Unknown" for a status the servers never send.
std::string_view HttpReason(int http_status);
// "NotFound" and so on: the label of metrics.
std::string_view CodeName(absl::StatusCode code);

// {"code":5,"message":"...","details":[]}. Bytes of the message that are no UTF-8 become U+FFFD.
std::string ErrorBody(const absl::Status& status);

// The status with the hint to try again after this time; shown as `Retry-After` (whole seconds,
// rounded up) over HTTP and as google.rpc.RetryInfo in the details over gRPC. `status` is not OK.
absl::Status WithRetryAfter(absl::Status status, int64_t millis);
std::optional<int64_t> RetryAfterMillis(const absl::Status& status);

// The status of a worker that does not lead a shard, with the worker that does. Crosses gRPC; not
// shown over HTTP. `status` is not OK.
absl::Status WithLeaderHint(absl::Status status, WorkerId leader);
std::optional<WorkerId> LeaderHint(const absl::Status& status);

// The status of a request that was refused before anything was done for it: whoever sends it again
// need not think of a first one that may have been carried out. Crosses gRPC, as
// google.rpc.ErrorInfo; not shown over HTTP. `status` is not OK.
absl::Status WithNothingDone(absl::Status status);
bool NothingWasDone(const absl::Status& status);
// The same without that: of a request that was tried before, or that has other parts.
absl::Status WithoutNothingDone(absl::Status status);

// Both ways between the two status types, codes being equal by number and the hints kept.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);
// Whether an error that may also be one of the connection (Unavailable, DeadlineExceeded) was made
// by ToGrpc at the other end. It has details then, if only its own code and message.
bool SaidByServer(const grpc::Status& status);

}  // namespace vectron::rpc
