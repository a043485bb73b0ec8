// The pure parts: retry, errors, values, filters, splitting.

#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "convert.h"
#include "errors.h"
#include "retry.h"
#include "split.h"

namespace vectron {
namespace {

using internal::Failure;
using internal::Kind;
using std::chrono::milliseconds;

constexpr milliseconds kHour{3'600'000};
const RetryPolicy kPolicy{4, milliseconds(100), milliseconds(1'000)};

std::optional<milliseconds> Pause(Code code, Kind kind, int attempts = 1,
                                  std::optional<milliseconds> retry_after = std::nullopt,
                                  milliseconds remaining = kHour) {
  return internal::PauseBefore(kPolicy, Failure{code, "", retry_after}, kind, attempts, remaining,
                               0.5);
}

TEST(Retry, RepeatsReadsAndNamedWritesOnly) {
  for (const Code code : {Code::kUnavailable, Code::kDeadlineExceeded, Code::kResourceExhausted}) {
    EXPECT_TRUE(Pause(code, Kind::kRead));
    EXPECT_TRUE(Pause(code, Kind::kNamedWrite));
    EXPECT_EQ(Pause(code, Kind::kOtherWrite).has_value(), code == Code::kResourceExhausted);
  }
  for (const Code code :
       {Code::kInvalidArgument, Code::kNotFound, Code::kInternal, Code::kAborted}) {
    EXPECT_FALSE(Pause(code, Kind::kRead));
  }
}

TEST(Retry, RepeatsNothingThatIsTooLarge) {
  for (const char* message :
       {"Sent message larger than max (5 vs. 4)",
        "SERVER: Received message larger than max (5 vs. 4)",
        "Decompressed message larger than max",
        "collection 'c': the hits hold more than 9 bytes of payloads and vectors, the most of one "
        "answer; ask for fewer"}) {
    SCOPED_TRACE(message);
    const Failure failure{Code::kResourceExhausted, message, milliseconds(1'000)};
    for (const Kind kind : {Kind::kRead, Kind::kNamedWrite, Kind::kOtherWrite}) {
      EXPECT_FALSE(internal::PauseBefore(kPolicy, failure, kind, 1, kHour, 0.5));
    }
    try {
      internal::Throw(failure, "h");
    } catch (const ResourceExhaustedError& error) {
      EXPECT_EQ(std::string(error.what()).find("slow down"), std::string::npos) << error.what();
    }
  }
}

TEST(Retry, DoublesPausesUpToABoundAndEnds) {
  EXPECT_EQ(Pause(Code::kUnavailable, Kind::kRead, 1), milliseconds(75));
  EXPECT_EQ(Pause(Code::kUnavailable, Kind::kRead, 2), milliseconds(150));
  EXPECT_EQ(Pause(Code::kUnavailable, Kind::kRead, 3), milliseconds(300));
  EXPECT_FALSE(Pause(Code::kUnavailable, Kind::kRead, 4));
  RetryPolicy patient = kPolicy;
  patient.max_attempts = 10'000;
  EXPECT_LE(*internal::PauseBefore(patient, {Code::kUnavailable, "", {}}, Kind::kRead, 9'000, kHour,
                                   0.99),
            patient.max_backoff);
}

TEST(Retry, HeedsTheServersPaceWithinTheCallsTime) {
  EXPECT_GE(*Pause(Code::kResourceExhausted, Kind::kRead, 1, milliseconds(7'000)),
            milliseconds(7'000));
  EXPECT_FALSE(
      Pause(Code::kResourceExhausted, Kind::kRead, 1, milliseconds(7'000), milliseconds(5'000)));
  EXPECT_TRUE(Pause(Code::kResourceExhausted, Kind::kNamedWrite, 50, milliseconds(1'000)));
  EXPECT_FALSE(Pause(Code::kResourceExhausted, Kind::kNamedWrite, 50));
  EXPECT_FALSE(internal::PauseBefore({1, milliseconds(1), milliseconds(1)},
                                     {Code::kResourceExhausted, "", milliseconds(1)}, Kind::kRead,
                                     1, kHour, 0));
}

template <typename E>
void ExpectThrows(Code code) {
  EXPECT_THROW(internal::Throw({code, "why", {}}, "host:1"), E);
  try {
    internal::Throw({code, "why", milliseconds(5)}, "host:1");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    EXPECT_EQ(error.retry_after(), milliseconds(5));
    EXPECT_NE(std::string(error.what()).find("why"), std::string::npos);
  }
}

TEST(Errors, HaveAClassForEachCode) {
  ExpectThrows<InvalidArgumentError>(Code::kInvalidArgument);
  ExpectThrows<InvalidArgumentError>(Code::kOutOfRange);
  ExpectThrows<AuthenticationError>(Code::kUnauthenticated);
  ExpectThrows<PermissionDeniedError>(Code::kPermissionDenied);
  ExpectThrows<NotFoundError>(Code::kNotFound);
  ExpectThrows<AlreadyExistsError>(Code::kAlreadyExists);
  ExpectThrows<FailedPreconditionError>(Code::kFailedPrecondition);
  ExpectThrows<AbortedError>(Code::kAborted);
  ExpectThrows<ResourceExhaustedError>(Code::kResourceExhausted);
  ExpectThrows<UnavailableError>(Code::kUnavailable);
  ExpectThrows<DeadlineExceededError>(Code::kDeadlineExceeded);
  ExpectThrows<UnimplementedError>(Code::kUnimplemented);
  ExpectThrows<DataLossError>(Code::kDataLoss);
  ExpectThrows<CancelledError>(Code::kCancelled);
  ExpectThrows<InternalServerError>(Code::kInternal);
  ExpectThrows<InternalServerError>(Code::kUnknown);
}

std::string BytesField(int number, const std::string& bytes) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + bytes;
}

TEST(Errors, ReadTheServersHintFromAnyBytes) {
  google::protobuf::Duration delay;
  delay.set_seconds(2);
  delay.set_nanos(500'000'000);
  google::protobuf::Any any;
  any.set_type_url("type.googleapis.com/google.rpc.RetryInfo");
  any.set_value(BytesField(1, delay.SerializeAsString()));
  const std::string details =
      "\x08\x08" + BytesField(2, "busy") + BytesField(3, any.SerializeAsString());
  EXPECT_EQ(
      internal::FailureOf({grpc::StatusCode::RESOURCE_EXHAUSTED, "busy", details}).retry_after,
      milliseconds(2'500));
  EXPECT_FALSE(internal::RetryAfterOf(BytesField(2, "busy")));
  for (size_t cut = 0; cut < details.size(); ++cut) {
    internal::RetryAfterOf(details.substr(0, cut));
    internal::RetryAfterOf(details.substr(0, cut) + std::string(12, '\xff'));
  }
}

const Payload kPayload = {{"s", "é"},
                          {"n", 7},
                          {"f", 0.5},
                          {"b", true},
                          {"none", nullptr},
                          {"list", Value::Array{1, "two", Value::Object{{"three", 3}}}},
                          {"deep", Value::Object{{"a", Value::Object{{"b", Value::Array{}}}}}}};

TEST(Payloads, ComeBackAsTheyWent) {
  v1::Point message;
  internal::ToProto("p", std::vector{1.0F, 2.0F}, &kPayload, &message);
  const Point point = internal::FromProto(message);
  EXPECT_EQ(point.payload, kPayload);
  EXPECT_EQ(point.vector, (std::vector{1.0F, 2.0F}));
  EXPECT_TRUE(point.payload.at("b").as_bool());
  EXPECT_FALSE(point.payload.at("n").as_bool());
}

std::string Refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const InvalidArgumentError& error) {
    return error.what();
  }
  return "not refused";
}

TEST(Payloads, RefuseWhatIsNoJsonByItsPath) {
  google::protobuf::Struct out;
  const Payload bad = {{"a", Value::Object{{"b", std::nan("")}}}};
  EXPECT_NE(Refusal([&] { internal::ToProto(bad, "p", &out); }).find("p.a.b: nan"),
            std::string::npos);
  Value deep = 1;
  for (int i = 0; i < 40; ++i) deep = Value::Object{{"a", deep}};
  EXPECT_NE(
      Refusal([&] { internal::ToProto(*deep.as_object(), "p", &out); }).find("deeper than 32"),
      std::string::npos);
}

TEST(Vectors, AreRefusedByName) {
  const std::vector<float> bad = {1.0F, std::numeric_limits<float>::infinity()};
  EXPECT_NE(
      Refusal([&] { internal::CheckVector(bad, "point 'p'"); }).find("point 'p': component 1"),
      std::string::npos);
  EXPECT_NE(Refusal([] { internal::CheckVector({}, "point 'p'"); }).find("empty"),
            std::string::npos);
}

std::string Json(const Filter& filter) {
  std::string text;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(internal::ToProto(filter), &text).ok());
  return text;
}

TEST(Filters, BecomeTheWiresForm) {
  const Filter a = Field("a") == 1;
  const Filter b = Field("b") == true;
  const Filter c = Field("c") == "x";
  EXPECT_EQ(Json(a), R"({"must":[{"field":"a","match":1}]})");
  EXPECT_EQ(Json(Field("a").OneOf({"x", 1, true})),
            R"({"must":[{"field":"a","match":["x",1,true]}]})");
  EXPECT_EQ(Json(Field("a") < 3), R"({"must":[{"field":"a","range":{"lt":3}}]})");
  EXPECT_EQ(Json(Field("a").Between(1, 2.5)),
            R"({"must":[{"field":"a","range":{"gte":1,"lte":2.5}}]})");
  EXPECT_EQ(Json(Field("a").Exists()), R"({"must":[{"field":"a","exists":true}]})");
  EXPECT_EQ(Json(Field("a").IsEmpty()), R"({"must":[{"field":"a","isEmpty":true}]})");
  EXPECT_EQ(Json(HasId({"p"})), R"({"must":[{"hasId":["p"]}]})");
  EXPECT_EQ(Json(Field("a") != 1), R"({"mustNot":[{"field":"a","match":1}]})");
  EXPECT_EQ(
      Json(a && b && !c),
      R"({"must":[{"field":"a","match":1},{"field":"b","match":true}],"mustNot":[{"field":"c","match":"x"}]})");
  EXPECT_EQ(
      Json(a || b || c),
      R"({"should":[{"field":"a","match":1},{"field":"b","match":true},{"field":"c","match":"x"}]})");
  EXPECT_EQ(
      Json((a || b) && c),
      R"({"must":[{"filter":{"should":[{"field":"a","match":1},{"field":"b","match":true}]}},{"field":"c","match":"x"}]})");
  EXPECT_EQ(
      Json(AtLeast(1, {a}) || c),
      R"({"should":[{"filter":{"should":[{"field":"a","match":1}],"minShould":1}},{"field":"c","match":"x"}]})");
}

TEST(Filters, AreRefusedWhenTheyAreNone) {
  EXPECT_THROW(Field(""), InvalidArgumentError);
  EXPECT_THROW(Field("a") == std::nan(""), InvalidArgumentError);
  EXPECT_THROW(AtLeast(2, {Field("a") == 1}), InvalidArgumentError);
}

struct Pieces {
  std::vector<int> sizes;
  std::vector<size_t> starts;
  std::vector<std::string> request_ids;
};

Pieces SplitPoints(size_t count, const internal::SplitLimits& limits) {
  Pieces pieces;
  internal::Split(
      count, limits,
      [](size_t i, v1::Point* out) {
        out->set_id(std::to_string(i % 10));
        out->add_vector(1);
      },
      [&](internal::Part part) {
        pieces.sizes.push_back(part.request.points_size());
        pieces.starts.push_back(part.start);
        pieces.request_ids.push_back(part.request.request_id());
      });
  return pieces;
}

TEST(Split, KeepsOrderAndLimits) {
  Pieces pieces = SplitPoints(10, {4, 1'000'000, ""});
  EXPECT_EQ(pieces.sizes, (std::vector{4, 4, 2}));
  EXPECT_EQ(pieces.starts, (std::vector<size_t>{0, 4, 8}));
  EXPECT_EQ(std::set(pieces.request_ids.begin(), pieces.request_ids.end()).size(), 3U);
  EXPECT_EQ(SplitPoints(2, {1, 1'000'000, "r"}).request_ids,
            (std::vector<std::string>{"r", "r/1"}));
  EXPECT_EQ(SplitPoints(internal::kMaxUpsertPoints + 1, {1 << 30, 1 << 30, ""}).sizes,
            (std::vector{100'000, 1}));
  const size_t one = 3 + 6 + 8;  // id, vector, framing
  EXPECT_EQ(SplitPoints(7, {100, 3 * one, ""}).sizes, (std::vector{3, 3, 1}));
  EXPECT_EQ(SplitPoints(2, {100, 1, ""}).sizes, (std::vector{1, 1}));
  EXPECT_TRUE(SplitPoints(0, {}).sizes.empty());
}

TEST(Split, MakesRequestIdsThatAreUuids) {
  std::set<std::string> seen;
  for (int i = 0; i < 1'000; ++i) {
    const std::string id = internal::NewRequestId();
    EXPECT_EQ(id.size(), 36U);
    EXPECT_EQ(id[14], '4');
    seen.insert(id);
  }
  EXPECT_EQ(seen.size(), 1'000U);
}

}  // namespace
}  // namespace vectron
