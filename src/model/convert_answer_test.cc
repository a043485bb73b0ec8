#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/random.h"
#include "model/convert.h"
#include "model/json_testing.h"
#include "model/json_writer.h"
#include "model/request_testing.h"
#include "vectron/vectron.pb.h"

namespace vectron {
namespace {

using ::testing::HasSubstr;
using testing_json::RandomObject;
using testing_json::RandomText;
using testing_json::SameJson;
using testing_request::Search;

SearchReply RandomReply(Random& random) {
  SearchReply reply;
  for (uint64_t n = random.Below(4); n > 0; --n) {
    SearchHit hit;
    hit.id = "p" + RandomText(random);
    hit.score = static_cast<float>(random.Below(4096)) / 64;
    hit.version = random.Next();
    hit.payload = WritePayload(RandomObject(random, 3));
    for (uint64_t m = random.Below(4); m > 0; --m) {
      hit.vector.push_back(static_cast<float>(random.Below(4096)) / 64 - 32);
    }
    reply.hits.push_back(std::move(hit));
  }
  reply.query_id = RandomText(random);
  reply.reranked = random.OneIn(2);
  reply.partial = random.OneIn(2);
  for (uint64_t n = random.Below(3); n > 0; --n)
    reply.missing_shards.push_back(static_cast<uint32_t>(n));
  reply.last = random.OneIn(2);
  if (random.OneIn(2)) {
    reply.rerank = {.strategy = "rule",
                    .reason = RandomText(random),
                    .from_cache = random.OneIn(2),
                    .explored = random.OneIn(2),
                    .time_us = random.Next()};
  }
  reply.explain = random.OneIn(2);
  if (!reply.explain) return reply;
  ShardTrace trace;
  uint64_t next = random.Next() >> 8;
  trace.shard_id = static_cast<uint32_t>(random.Below(9));
  trace.plan = "graph";
  trace.reason = RandomText(random);
  for (uint64_t* count : {&trace.points, &trace.matches_estimated, &trace.matches, &trace.hops,
                          &trace.distances, &trace.tail_scanned, &trace.tombstones, &trace.reranked,
                          &trace.rerank_changes, &trace.time_us}) {
    *count = next++;
  }
  reply.traces.push_back(trace);
  reply.rerank_explain.push_back({.id = RandomText(random),
                                  .vector_rank = static_cast<uint32_t>(random.Below(100)),
                                  .distance = static_cast<float>(random.Below(4096)) / 64,
                                  .explanation = RandomText(random)});
  return reply;
}

// JSON of a message by protobuf's own writer, as a tree; the typed payload in place of the textual
// one.
Value TreeOf(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string json;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(message, &json, options).ok());
  auto tree = ParsePayload(json);
  EXPECT_TRUE(tree.ok()) << json;
  return *std::move(tree);
}

// Protobuf's writer leaves unset messages out and has `fields`; ours writes null and has `payload`.
void Adapt(Value& tree) {
  Object& object = std::get<Object>(tree.variant());
  const Value* typed = tree.Find("fields");
  Value payload = typed != nullptr ? *typed : Value(Object());
  Object adapted;
  for (auto& [key, value] : object) {
    if (key == "fields") continue;
    adapted.emplace_back(key, key == "payload" ? payload : value);
  }
  object = std::move(adapted);
}

TEST(ConvertAnswer, JsonIsWhatProtobufWouldWrite) {
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    const SearchReply reply = RandomReply(random);
    std::string json;
    ReplyToJson(reply, json);
    auto ours = ParsePayload(json);
    ASSERT_TRUE(ours.ok()) << ours.status() << json;
    v1::SearchResponse proto;
    ReplyToProto(reply, proto);
    Value theirs = TreeOf(proto);
    for (Value& result : std::get<Array>(const_cast<Value*>(theirs.Find("results"))->variant())) {
      Adapt(result);
    }
    if (!reply.explain) std::get<Object>(theirs.variant()).emplace_back("explain", Value());
    if (!reply.rerank) std::get<Object>(theirs.variant()).emplace_back("rerank", Value());
    EXPECT_TRUE(SameJson(*ours, theirs)) << json << "\n" << WritePayload(theirs);
  }
}

TEST(ConvertAnswer, EmptyReplyHasEveryKey) {
  std::string json;
  ReplyToJson(SearchReply(), json);
  EXPECT_EQ(json,
            R"({"results":[],"queryId":"","reranked":false,"partial":false,"missingShards":[],)"
            R"("last":false,"explain":null,"rerank":null})");
}

TEST(ConvertAnswer, HitHasEveryKey) {
  SearchReply reply;
  reply.hits.push_back(
      {.id = "p\"1", .score = 0.1f, .version = 18446744073709551615u, .payload = {}, .vector = {}});
  reply.hits.push_back(
      {.id = "q", .score = 0, .version = 0, .payload = R"({"a":1})", .vector = {1, 0.5f}});
  std::string json;
  ReplyToJson(reply, json);
  EXPECT_THAT(json, HasSubstr(R"({"results":[{"id":"p\"1","score":0.1,"payload":{},"vector":[],)"
                              R"("version":"18446744073709551615"},{"id":"q","score":0,)"
                              R"("payload":{"a":1},"vector":[1,0.5],"version":"0"}],)"));
}

TEST(ConvertAnswer, PointsAndPagesAreWritten) {
  const PointRecord point{.id = "p", .vector = {1}, .payload = R"({"a":[]})", .version = 5};
  std::string json;
  PointToJson(point, json);
  EXPECT_EQ(json, R"({"id":"p","vector":[1],"payload":{"a":[]},"version":"5"})");
  std::string page;
  ScrollToJson(std::vector<PointRecord>{point, point}, "p", page);
  EXPECT_EQ(page, "{\"points\":[" + json + "," + json + "],\"nextAfterId\":\"p\"}");
  v1::Point proto;
  PointToProto(point, proto);
  EXPECT_EQ(proto.id(), "p");
  EXPECT_EQ(proto.vector_size(), 1);
  EXPECT_EQ(proto.version(), 5u);
  EXPECT_EQ(proto.payload().at("a"), "[]");
}

TEST(ConvertAnswer, FloatsHaveTheShortestDigitsThatReadBack) {
  const std::pair<float, const char*> cases[] = {
      {0.0f, "0"},
      {-0.0f, "-0"},
      {1.0f, "1"},
      {0.1f, "0.1"},
      {100000.0f, "100000"},
      {1e20f, "1e+20"},
      {3.4028235e38f, "3.4028235e+38"},
      {1e-45f, "1e-45"},
      {-2.5f, "-2.5"},
      {16777216.0f, "16777216"},
      {std::numeric_limits<float>::infinity(), "\"Infinity\""},
      {-std::numeric_limits<float>::infinity(), "\"-Infinity\""},
      {std::numeric_limits<float>::quiet_NaN(), "\"NaN\""}};
  for (const auto& [value, text] : cases) {
    std::string out;
    AppendJsonFloat(out, value);
    EXPECT_EQ(out, text);
  }
  const uint64_t seed = 11;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Random random(seed);
  for (int i = 0; i < 20000; ++i) {
    const auto bits = static_cast<uint32_t>(random.Next());
    float value;
    std::memcpy(&value, &bits, sizeof value);
    if (!std::isfinite(value)) continue;
    std::string out;
    AppendJsonFloat(out, value);
    // Both as a float and, as a reader in JSON does, by way of a double.
    ASSERT_EQ(std::strtof(out.c_str(), nullptr), value) << out;
    const auto call = Search("{\"vector\":[" + out + "]}");
    ASSERT_TRUE(call.ok()) << call.status();
    ASSERT_EQ(call->query.vector[0], value) << out;
  }
}

}  // namespace
}  // namespace vectron
