#include "rpc/error_table.h"

#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

#include "base/status.h"
#include "rpc/http_message.h"

namespace vectron::rpc {
namespace {

TEST(ErrorTable, GivesTheContractsHttpStatusForEveryCode) {
  const int wanted[] = {200, 499, 500, 400, 504, 404, 409, 403, 429,
                        400, 409, 400, 501, 500, 503, 500, 401};
  for (int code = 0; code < 17; ++code) {
    EXPECT_EQ(HttpStatusOf(static_cast<absl::StatusCode>(code)), wanted[code]) << code;
    EXPECT_NE(HttpReason(wanted[code]), "Unknown") << code;
  }
}

TEST(ErrorTable, WritesTheErrorBody) {
  EXPECT_EQ(ErrorBody(NotFound("no \"x\"\n")),
            "{\"code\":5,\"message\":\"no \\\"x\\\"\\n\",\"details\":[]}");
  EXPECT_EQ(ErrorBody(InvalidArgument("a\xff"
                                      "b")),
            "{\"code\":3,\"message\":\"a\xef\xbf\xbd"
            "b\",\"details\":[]}");
}

TEST(ErrorTable, CarriesCodeMessageAndRetryHintThroughGrpc) {
  for (int code = 1; code < 17; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
    EXPECT_FALSE(RetryAfterMillis(FromGrpc(ToGrpc(status))).has_value());
    const auto back = FromGrpc(ToGrpc(WithRetryAfter(status, 1'250)));
    EXPECT_EQ(back.code(), status.code());
    EXPECT_EQ(MessageOf(back), "why");
    EXPECT_EQ(RetryAfterMillis(back), 1'250);
  }
  EXPECT_TRUE(FromGrpc(ToGrpc(absl::OkStatus())).ok());
}

TEST(ErrorTable, CarriesTheLeaderThroughGrpc) {
  const absl::Status status = WithLeaderHint(Unavailable("not the leader"), WorkerId{7});
  const absl::Status back = FromGrpc(ToGrpc(WithRetryAfter(status, 20)));
  EXPECT_EQ(LeaderHint(back), WorkerId{7});
  EXPECT_EQ(RetryAfterMillis(back), 20);
  EXPECT_FALSE(LeaderHint(FromGrpc(ToGrpc(Unavailable("x")))).has_value());
  EXPECT_FALSE(LeaderHint(absl::OkStatus()).has_value());
}

TEST(ErrorTable, CarriesThatNothingWasDoneThroughGrpc) {
  const absl::Status status = WithNothingDone(WithRetryAfter(FailedPrecondition("x"), 20));
  const absl::Status back = FromGrpc(ToGrpc(status));
  EXPECT_TRUE(NothingWasDone(back));
  EXPECT_EQ(RetryAfterMillis(back), 20);
  EXPECT_EQ(MessageOf(back), "x");
  EXPECT_FALSE(NothingWasDone(FromGrpc(ToGrpc(Unavailable("x")))));
  EXPECT_FALSE(NothingWasDone(absl::OkStatus()));
  EXPECT_FALSE(NothingWasDone(WithoutNothingDone(status)));
  EXPECT_EQ(RetryAfterMillis(WithoutNothingDone(status)), 20);
}

TEST(ErrorTable, TellsWhatAServerSaidFromWhatGrpcSays) {
  EXPECT_TRUE(SaidByServer(ToGrpc(Unavailable("no leader"))));
  EXPECT_TRUE(SaidByServer(ToGrpc(DeadlineExceeded("too late"))));
  EXPECT_FALSE(SaidByServer(grpc::Status(grpc::StatusCode::UNAVAILABLE, "10.0.0.7:1: refused")));
}

TEST(ErrorTable, IgnoresDetailsItCannotRead) {
  for (const char* details :
       {"\x1a", "\x1a\x05xx", "garbage", "\x1a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"}) {
    const grpc::Status status(grpc::StatusCode::UNAVAILABLE, "m", details);
    EXPECT_FALSE(RetryAfterMillis(FromGrpc(status)).has_value());
  }
}

TEST(ErrorTable, RoundsTheRetryHeaderUp) {
  const HttpResponse response =
      ErrorResponse(WithRetryAfter(ResourceExhausted("slow down"), 1'001));
  EXPECT_EQ(response.status, 429);
  ASSERT_EQ(response.headers.size(), 1u);
  EXPECT_EQ(response.headers[0].first, "Retry-After");
  EXPECT_EQ(response.headers[0].second, "2");
}

}  // namespace
}  // namespace vectron::rpc
