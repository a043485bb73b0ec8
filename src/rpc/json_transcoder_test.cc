#include "rpc/json_transcoder.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/status.h"
#include "model/json_check.h"
#include "rpc/json_text.h"
#include "vectron/auth.pb.h"
#include "vectron/placement.pb.h"
#include "vectron/vectron.pb.h"
#include "vectron/worker.pb.h"

namespace vectron::rpc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

absl::Status Read(std::string_view json, google::protobuf::Message& message) {
  HttpBody body;
  body.Append(json);
  return MessageFromJson(body.padded(), message);
}

std::string Write(const google::protobuf::Message& message) {
  std::string out;
  MessageToJson(message, out);
  return out;
}

TEST(CheckJson, AcceptsWhatIsJson) {
  for (const char* json : {"{}", "[]", " \t\r\n{ } ", "1", "-0", "-0.5e+3", "1E9", "\"\"",
                           "\"\\u00e9\\n\\\"\"", "true", "false", "null", "[1,[2,{\"a\":[]}]]",
                           "{\"a\":1,\"a\":2}", "\"\xc3\xa9\xf0\x9f\x98\x80\""}) {
    EXPECT_TRUE(CheckJson(json, 8).ok()) << json;
  }
}

TEST(CheckJson, NamesTheByteWhereItIsNot) {
  struct Case {
    std::string_view json;
    int byte;
  };
  const Case cases[] = {{"", 0},           {"{", 1},
                        {"{\"a\"}", 4},    {"{\"a\":}", 5},
                        {"{\"a\":1,}", 7}, {"[1,]", 3},
                        {"[1 2]", 3},      {"{a:1}", 1},
                        {"'a'", 0},        {"01", 1},
                        {"1.", 2},         {"-", 1},
                        {"1e", 2},         {"tru", 0},
                        {"\"a", 2},        {"\"\\x\"", 2},
                        {"\"\\u12\"", 5},  {"{} {}", 3},
                        {"\"\n\"", 1},     {"NaN", 0},
                        {"[1,NaN]", 3},    {"{\"a\":-Infinity}", 5},
                        {"\"\xff\"", 1},   {"\"\xed\xa0\x80\"", 1},
                        {"[[[[]]]]", 3},   {"{\"a\":{\"b\":{\"c\":{}}}}", 15}};
  for (const Case& c : cases) {
    const absl::Status status = CheckJson(c.json, 3);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.json;
    EXPECT_THAT(std::string(MessageOf(status)), HasSubstr("byte " + std::to_string(c.byte) + ":"))
        << c.json;
  }
}

TEST(CheckJson, SaysThatJsonHasNoNaNAndNamesTheField) {
  const auto message = [](std::string_view json) {
    return std::string(MessageOf(CheckJson(json, 3)));
  };
  for (const std::string literal : {"NaN", "Infinity", "-Infinity"}) {
    EXPECT_EQ(message(R"({"a":[1,)" + literal + "]}"),
              "malformed JSON at byte 8: JSON has no " + literal + R"( (in field "a"))");
    EXPECT_EQ(message(R"({"a":[{"b":1},)" + literal + "]}"),
              "malformed JSON at byte 14: JSON has no " + literal + R"( (in field "a"))");
    EXPECT_EQ(message(R"({"a":{"b":)" + literal + "}}"),
              "malformed JSON at byte 10: JSON has no " + literal + R"( (in field "b"))");
    EXPECT_EQ(message("[{\"a\":1}," + literal + "]"),
              "malformed JSON at byte 9: JSON has no " + literal);
  }
}

// Requests about points are read by the model, all others by CheckJson and reflection.
TEST(CheckJson, NamesTheFieldOfANaNAsTheModelDoes) {
  for (const std::string field : {"top_k", "score_threshold", "consistency", "query"}) {
    for (const std::string literal : {"NaN", "Infinity", "-Infinity"}) {
      const std::string json = fmt::format(R"({{"{}":{}}})", field, literal);
      HttpBody body;
      body.Append(json);
      v1::SearchRequest request;
      const absl::Status statuses[] = {SearchFromJson(body.padded(), "docs").status(),
                                       MessageFromJson(body.padded(), request)};
      for (const absl::Status& status : statuses) {
        EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << json;
        EXPECT_THAT(std::string(MessageOf(status)),
                    AllOf(HasSubstr(field), HasSubstr(literal),
                          HasSubstr(fmt::format("byte {}", field.size() + 4))));
      }
    }
  }
}

TEST(CheckJson, RefusesEveryTruncation) {
  const std::string json = R"({"a":[1,-2.5e3,"x\u0041"],"b":{"c":null,"d":true}})";
  ASSERT_TRUE(CheckJson(json, 8).ok());
  for (size_t size = 0; size < json.size(); ++size)
    EXPECT_FALSE(CheckJson(json.substr(0, size), 8).ok()) << size;
}

TEST(AppendJsonString, EscapesWhatJsonNeedsAndReplacesWhatIsNoUtf8) {
  const auto quoted = [](std::string_view text) {
    std::string out;
    AppendJsonString(text, out);
    return out;
  };
  EXPECT_EQ(quoted("a\"b\\c\n\t\r\x01"), R"("a\"b\\c\n\t\r\u0001")");
  EXPECT_EQ(quoted("\xc3\xa9\xf0\x9f\x98\x80"), "\"\xc3\xa9\xf0\x9f\x98\x80\"");
  EXPECT_EQ(quoted("\xc3"), "\"\xef\xbf\xbd\"");
  EXPECT_EQ(quoted("\xed\xa0\x80x"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx\"");
  // Whatever the bytes, the result is JSON.
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string text(random() % 12, ' ');
    for (char& c : text) c = static_cast<char>(random());
    EXPECT_TRUE(CheckJson(quoted(text), 1).ok());
  }
}

TEST(MessageFromJson, TakesBothSpellingsAndIgnoresUnknownNames) {
  for (
      const char* json :
      {R"({"name":"a","dimension":3,"shardCount":4,"hnsw":{"efConstruct":50},"x":{"y":[1]}})",
       R"({"name":"a","dimension":"3","shard_count":4.0,"hnsw":{"ef_construct":5e1},"zz":null})"}) {
    v1::CreateCollectionRequest request;
    const absl::Status status = Read(json, request);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(request.name(), "a");
    EXPECT_EQ(request.dimension(), 3);
    EXPECT_EQ(request.shard_count(), 4u);
    EXPECT_EQ(request.hnsw().ef_construct(), 50u);
  }
}

TEST(MessageFromJson, ReadsEnumsMapsListsAndNull) {
  v1::CreateCollectionRequest request;
  ASSERT_TRUE(
      Read(
          R"({"storage":"VECTOR_STORAGE_F16","defaultConsistency":2,"vectorsInMemory":true,"hnsw":null,
      "payloadIndexes":[{"field":"a","type":"KEYWORD"},{"field":"b","type":"DATETIME"}]})",
          request)
          .ok());
  EXPECT_EQ(request.storage(), v1::VECTOR_STORAGE_F16);
  EXPECT_EQ(request.default_consistency(), v1::BOUNDED);
  EXPECT_TRUE(request.vectors_in_memory());
  EXPECT_FALSE(request.has_hnsw());
  ASSERT_EQ(request.payload_indexes_size(), 2);
  EXPECT_EQ(request.payload_indexes(1).type(), v1::DATETIME);
  v1::SubmitFeedbackRequest feedback;
  ASSERT_TRUE(Read(R"({"context":{"a":"1","b":"2"},"resultIds":["x","y"]})", feedback).ok());
  EXPECT_EQ(feedback.context().at("b"), "2");
  EXPECT_EQ(feedback.result_ids(1), "y");
}

TEST(MessageFromJson, ReadsFiltersWithValues) {
  v1::SearchRequest request;
  ASSERT_TRUE(
      Read(
          R"({"filter":{"must":[{"field":"s","match":["a",1,true,null]},{"field":"k","range":{"gte":10}}]},
      "scoreThreshold":0.5,"includeMetadata":false})",
          request)
          .ok());
  ASSERT_EQ(request.filter().must_size(), 2);
  ASSERT_EQ(request.filter().must(0).match().list_value().values_size(), 4);
  EXPECT_EQ(request.filter().must(0).match().list_value().values(1).number_value(), 1);
  EXPECT_EQ(request.filter().must(1).range().gte().number_value(), 10);
  EXPECT_TRUE(request.has_include_metadata());
  EXPECT_FLOAT_EQ(request.score_threshold(), 0.5f);
}

TEST(MessageFromJson, NamesTheFieldOfAWrongValue) {
  struct Case {
    const char* json;
    const char* message;
  };
  const Case cases[] = {
      {R"([])", "the body: got an array, wanted an object"},
      {R"({"dimension":"x"})", "dimension: got \"x\", wanted a whole number of 32 bits"},
      {R"({"dimension":1.5})", "dimension: got 1.5, wanted a whole number"},
      {R"({"dimension":3000000000})", "dimension: got 3000000000"},
      {R"({"shardCount":-1})",
       "shard_count: got -1, wanted a whole number of 32 bits, not negative"},
      {R"({"dimension":true})", "dimension: got a boolean"},
      {R"({"name":7})", "name: got a number, wanted a string"},
      {R"({"name":["a"]})", "name: got an array"},
      {R"({"vectorsInMemory":"true"})", "vectors_in_memory: got a string, wanted true or false"},
      {R"({"storage":"F64"})",
       "storage: got \"F64\", wanted one of VECTOR_STORAGE_F32, VECTOR_STORAGE_F16"},
      {R"({"payloadIndexes":{}})", "payload_indexes: got an object, wanted an array"},
      {R"({"payloadIndexes":[{"field":"a"},{"field":2}]})",
       "payload_indexes[1].field: got a number"},
      {R"({"payloadIndexes":[null]})", "payload_indexes[0]: got null"},
      {R"({"hnsw":{"m":1e400}})", "JSON"},
      {R"({"hnsw":3})", "hnsw: got a number, wanted an object"},
  };
  for (const Case& c : cases) {
    v1::CreateCollectionRequest request;
    const absl::Status status = Read(c.json, request);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.json;
    EXPECT_THAT(std::string(MessageOf(status)), HasSubstr(c.message)) << c.json;
  }
}

TEST(MessageFromJson, KeepsTheEndsOf64BitIntegers) {
  worker::v1::SearchRequest request;
  ASSERT_TRUE(Read(R"({"shardId":"18446744073709551615","leaseExpiryUnixMs":-9223372036854775808})",
                   request)
                  .ok());
  EXPECT_EQ(request.shard_id(), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(request.lease_expiry_unix_ms(), std::numeric_limits<int64_t>::min());
  EXPECT_FALSE(Read(R"({"shardId":"18446744073709551616"})", request).ok());
  EXPECT_FALSE(Read(R"({"leaseExpiryUnixMs":9223372036854775808})", request).ok());
  EXPECT_FALSE(Read(R"({"leaseExpiryUnixMs":1e19})", request).ok());
}

TEST(MessageFromJson, BoundsTheDepth) {
  v1::SearchRequest request;
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(Read("{\"x\":" + nested(31) + "}", request).ok());
  EXPECT_FALSE(Read("{\"x\":" + nested(32) + "}", request).ok());
  EXPECT_FALSE(Read("{\"x\":" + std::string(1'000'000, '[') + "}", request).ok());
}

TEST(ApplyPathParams, OverridesTheBodyAndChecksTheText) {
  v1::GetRequest request;
  request.set_collection("body");
  ASSERT_TRUE(ApplyPathParams({{"collection", "path"}, {"id", "a/b"}}, request).ok());
  EXPECT_EQ(request.collection(), "path");
  EXPECT_EQ(request.id(), "a/b");
  EXPECT_EQ(ApplyPathParams({{"id", "\xff"}}, request).code(), absl::StatusCode::kInvalidArgument);
}

TEST(ApplyQuery, SetsScalarsRepeatedAndNestedFields) {
  v1::GetRequest get;
  ASSERT_TRUE(
      ApplyQuery("consistency=STRONG&maxStalenessMs=5&nothing=1&max_staleness_ms=7", get).ok());
  EXPECT_EQ(get.consistency(), v1::STRONG);
  EXPECT_EQ(get.max_staleness_ms(), 7u);
  v1::SearchRequest search;
  ASSERT_TRUE(
      ApplyQuery("payloadFields=a+b&payloadFields=c%26d&params.ef=9&includeMetadata=false&&x",
                 search)
          .ok());
  ASSERT_EQ(search.payload_fields_size(), 2);
  EXPECT_EQ(search.payload_fields(0), "a b");
  EXPECT_EQ(search.payload_fields(1), "c&d");
  EXPECT_EQ(search.params().ef(), 9u);
  EXPECT_FALSE(search.include_metadata());
  EXPECT_FALSE(ApplyQuery("topK=x", search).ok());
  EXPECT_FALSE(ApplyQuery("topK=%", search).ok());
  EXPECT_FALSE(ApplyQuery("filter=x", search).ok());
}

TEST(MessageToJson, EmitsZerosNullsAndNames) {
  EXPECT_EQ(Write(auth::v1::LoginResponse()), R"({"jwtToken":"","user":null})");
  v1::GetCollectionStatusResponse status;
  status.add_shards()->add_replicas(7);
  status.set_dimension(3);
  EXPECT_EQ(
      Write(status),
      R"({"name":"","dimension":3,"distance":"","shards":[{"shardId":0,"replicas":["7"],"leaderId":"0","ready":false}],)"
      R"("pointCount":"0","indexedCount":"0","sizeBytes":"0","options":null})");
  auth::v1::UserProfile user;
  user.set_plan(auth::v1::FREE);
  EXPECT_THAT(
      Write(user),
      HasSubstr(
          R"("createdAt":"0","plan":"FREE","subscriptionStatus":"SUBSCRIPTION_STATUS_UNSPECIFIED")"));
}

TEST(MessageToJson, LeavesUnsetOptionalFieldsOut) {
  v1::RerankOptions rerank;
  EXPECT_EQ(Write(rerank), R"({"strategy":"","budgetMs":0,"candidates":0})");
  rerank.set_explore(false);
  EXPECT_EQ(Write(rerank), R"({"strategy":"","budgetMs":0,"candidates":0,"explore":false})");
}

TEST(MessageToJson, WritesNumbersShortAndSpecialOnesAsText) {
  v1::SearchResult result;
  for (const float x :
       {0.1f, 1.0f, 16777216.0f, -0.0f, std::numeric_limits<float>::infinity(), std::nanf("")}) {
    result.add_vector(x);
  }
  EXPECT_THAT(Write(result), HasSubstr(R"("vector":[0.1,1,16777216,-0,"Infinity","NaN"])"));
}

TEST(MessageToJson, WritesBytesMapsAndStructs) {
  worker::v1::Vector vector;
  vector.set_metadata("\x00\xff?", 3);
  EXPECT_THAT(Write(vector), HasSubstr(R"("metadata":"AP8/")"));
  v1::Point point;
  (*point.mutable_payload())["b"] = "2";
  (*point.mutable_payload())["a"] = "1";
  (*point.mutable_fields()->mutable_fields())["x"]
      .mutable_list_value()
      ->add_values()
      ->set_bool_value(true);
  EXPECT_THAT(Write(point), HasSubstr(R"("payload":{"a":"1","b":"2"},"fields":{"x":[true]})"));
}

// Random content: what is written reads back equal, and protobuf's own reader agrees.
class RandomMessage {
 public:
  explicit RandomMessage(uint32_t seed) : random_(seed) {}

  void Fill(google::protobuf::Message& message, int depth) {
    const auto& descriptor = *message.GetDescriptor();
    if (descriptor.full_name().starts_with("google.protobuf.")) return FillValue(message, depth);
    for (int i = 0; i < descriptor.field_count(); ++i) {
      const auto& field = *descriptor.field(i);
      const auto count = field.is_repeated() ? random_() % 3 : random_() % 2;
      for (size_t n = 0; n < count; ++n) FillField(message, field, depth);
    }
  }

 private:
  using Field = google::protobuf::FieldDescriptor;

  void FillValue(google::protobuf::Message& message, int depth) {
    const std::string json = depth > 2 ? "1.5" : R"({"a":[1,"x",null,{"b":true}],"c":-2.5e-7})";
    if (message.GetDescriptor()->name() != "Value" || random_() % 2 == 0) {
      ASSERT_TRUE(
          Read(message.GetDescriptor()->name() == "ListValue" ? "[1]" : R"({"k":["v",1e30]})",
               message)
              .ok());
    } else {
      ASSERT_TRUE(Read(json, message).ok());
    }
  }

  void FillField(google::protobuf::Message& message, const Field& field, int depth) {
    const auto& r = *message.GetReflection();
    const bool many = field.is_repeated();
    const auto number = static_cast<uint64_t>(random_()) << (random_() % 33);
    switch (field.cpp_type()) {
#define VECTRON_PUT(Type, value) \
  many ? r.Add##Type(&message, &field, value) : r.Set##Type(&message, &field, value)
      case Field::CPPTYPE_INT32:
        VECTRON_PUT(Int32, static_cast<int32_t>(number));
        break;
      case Field::CPPTYPE_INT64:
        VECTRON_PUT(Int64, static_cast<int64_t>(number));
        break;
      case Field::CPPTYPE_UINT32:
        VECTRON_PUT(UInt32, static_cast<uint32_t>(number));
        break;
      case Field::CPPTYPE_UINT64:
        VECTRON_PUT(UInt64, number);
        break;
      case Field::CPPTYPE_FLOAT:
        VECTRON_PUT(Float, static_cast<float>(number) / 7.0f);
        break;
      case Field::CPPTYPE_DOUBLE:
        VECTRON_PUT(Double, static_cast<double>(number) / 7.0);
        break;
      case Field::CPPTYPE_BOOL:
        VECTRON_PUT(Bool, number % 2 == 0);
        break;
      case Field::CPPTYPE_ENUM: {
        const auto& type = *field.enum_type();
        VECTRON_PUT(
            EnumValue,
            type.value(static_cast<int>(random_() % static_cast<uint32_t>(type.value_count())))
                ->number());
        break;
      }
      case Field::CPPTYPE_STRING:
        VECTRON_PUT(String, std::string("s\"\\\n\xc3\xa9") + std::to_string(number));
        break;
#undef VECTRON_PUT
      case Field::CPPTYPE_MESSAGE:
        if (depth > 4) return;
        if (!field.is_map()) {
          Fill(many ? *r.AddMessage(&message, &field) : *r.MutableMessage(&message, &field),
               depth + 1);
          break;
        }
        auto& entry = *r.AddMessage(&message, &field);
        entry.GetReflection()->SetString(&entry, field.message_type()->map_key(),
                                         "k" + std::to_string(random_()));
        entry.GetReflection()->SetString(&entry, field.message_type()->map_value(),
                                         "v\xe2\x82\xac");
    }
  }

  std::mt19937 random_;
};

TEST(Transcoder, ReadsBackWhatItWroteAsProtobufDoes) {
  const google::protobuf::Message* prototypes[] = {
      &v1::CreateCollectionRequest::default_instance(),
      &v1::UpsertRequest::default_instance(),
      &v1::SearchRequest::default_instance(),
      &v1::SearchResponse::default_instance(),
      &v1::GetCollectionStatusResponse::default_instance(),
      &auth::v1::LoginResponse::default_instance(),
      &placementdriver::v1::HeartbeatRequest::default_instance(),
      &worker::v1::BatchSearchRequest::default_instance()};
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const auto* prototype = prototypes[seed % std::size(prototypes)];
    std::unique_ptr<google::protobuf::Message> message(prototype->New());
    RandomMessage(seed).Fill(*message, 0);
    const std::string json = Write(*message);
    std::unique_ptr<google::protobuf::Message> back(prototype->New());
    const absl::Status read = Read(json, *back);
    ASSERT_TRUE(read.ok()) << read << "\n" << json;
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*message, *back)) << json;
    std::unique_ptr<google::protobuf::Message> theirs(prototype->New());
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(json, theirs.get()).ok()) << json;
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*message, *theirs)) << json;
    std::string their_json;
    ASSERT_TRUE(google::protobuf::util::MessageToJsonString(*message, &their_json).ok());
    std::unique_ptr<google::protobuf::Message> from_theirs(prototype->New());
    ASSERT_TRUE(Read(their_json, *from_theirs).ok()) << their_json;
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*message, *from_theirs))
        << their_json;
  }
}

}  // namespace
}  // namespace vectron::rpc
