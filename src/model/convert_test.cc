#include "model/convert.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "model/filter_testing.h"
#include "model/json_testing.h"
#include "model/json_writer.h"
#include "model/text.h"
#include "vectron/vectron.pb.h"

namespace vectron {
namespace {

using ::testing::HasSubstr;
using testing_json::OddString;
using testing_json::OddText;
using testing_json::RandomObject;
using testing_json::RandomText;
using testing_json::SameJson;
using testing_json::Space;

// The text with no byte of room behind it: a read past the padding would show in the address
// sanitizer.
template <typename Read>
auto ReadJson(const std::string& json, Read read) {
  const auto exact = std::make_unique<char[]>(json.size());
  std::memcpy(exact.get(), json.data(), json.size());
  return read(PaddedJson{.data = exact.get(), .size = json.size(), .capacity = json.size()},
              "docs");
}
absl::StatusOr<UpsertCall> Upsert(const std::string& json) {
  return ReadJson(json, UpsertFromJson);
}
absl::StatusOr<SearchCall> Search(const std::string& json) {
  return ReadJson(json, SearchFromJson);
}
absl::StatusOr<ScrollCall> Scroll(const std::string& json) {
  return ReadJson(json, ScrollFromJson);
}

template <typename T>
std::string ErrorOf(const absl::StatusOr<T>& result) {
  if (result.ok()) return "accepted";
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ValidUtf8Length(MessageOf(result.status())), MessageOf(result.status()).size());
  return std::string(MessageOf(result.status()));
}

// --- Random requests as text, in spellings of proto3's JSON mapping ---

class OddObject {
 public:
  explicit OddObject(Random& random) : random_(random) {}

  void Add(std::string_view snake, std::string_view camel, const std::string& json) {
    members_.push_back(Space(random_) + OddString(random_, random_.OneIn(2) ? snake : camel) +
                       Space(random_) + ":" + Space(random_) + json + Space(random_));
  }
  // Like Add, but takes nothing from the random numbers.
  void AddPlain(std::string_view key, const std::string& json) {
    members_.push_back(fmt::format("\"{}\":{}", key, json));
  }
  // Sometimes leaves the member out, or gives null.
  void Maybe(std::string_view snake, std::string_view camel, const std::string& json) {
    if (random_.OneIn(3)) return;
    Add(snake, camel, random_.OneIn(8) ? "null" : json);
  }
  std::string Text() {
    for (size_t i = members_.size(); i > 1; --i)
      std::swap(members_[i - 1], members_[random_.Below(i)]);
    std::string text = "{";
    for (size_t i = 0; i < members_.size(); ++i) text += (i > 0 ? "," : "") + members_[i];
    return text + Space(random_) + "}";
  }

 private:
  Random& random_;
  std::vector<std::string> members_;
};

std::string OddUint(Random& random, uint64_t number) {
  const std::string digits = std::to_string(number);
  switch (random.Below(4)) {
    case 0:
      return "\"" + digits + "\"";
    case 1:
      return digits + ".0";
    default:
      return digits;
  }
}

std::string OddFloat(Random& random) {
  switch (random.Below(6)) {
    case 0:
      return std::to_string(random.Below(100));
    case 1:
      return fmt::format("\"{}\"", random.Uniform());
    case 2:
      return fmt::format("{:e}", random.Uniform() - 0.5);
    case 3:
      return random.OneIn(2) ? "0" : "-0.0";
    case 4:
      return fmt::format(
          "{}", std::ldexp(random.Uniform() - 0.5, static_cast<int>(random.Below(250)) - 140));
    default:
      return fmt::format("{:.17g}", random.Uniform() * 2 - 1);
  }
}

std::string OddVector(Random& random, size_t components) {
  std::string text = "[";
  for (size_t i = 0; i < components; ++i) {
    text += (i > 0 ? "," : "") + Space(random) + OddFloat(random) + Space(random);
  }
  return text + "]";
}

std::string OddBool(Random& random) { return random.OneIn(2) ? "true" : "false"; }

std::string Unknown(Random& random) { return OddText(random, RandomObject(random, 3)); }

// `payload_key` is what the typed payload is called.
std::string OddPoint(Random& random, size_t number, size_t components,
                     std::string_view payload_key) {
  OddObject point(random);
  point.Add("id", "id", OddString(random, "p" + std::to_string(number)));
  point.Add("vector", "vector", OddVector(random, components));
  switch (random.Below(4)) {
    case 0:
      break;
    case 1: {  // an old client: strings only
      Object strings;
      for (uint64_t n = random.Below(4); n > 0; --n) {
        strings.emplace_back("k" + std::to_string(n), Value(RandomText(random)));
      }
      point.Add("payload", "payload", OddText(random, Value(std::move(strings))));
      break;
    }
    default:
      point.AddPlain(payload_key, OddText(random, RandomObject(random, 4)));
  }
  if (random.OneIn(4)) point.Add("extra", "extra", Unknown(random));
  return point.Text();
}

std::string OddUpsert(uint64_t seed, std::string_view payload_key) {
  Random random(seed);
  OddObject body(random);
  const size_t components = 1 + random.Below(5);
  std::string points = "[";
  for (size_t i = 0, n = random.Below(5); i < n; ++i) {
    points += (i > 0 ? "," : "") + OddPoint(random, i, components, payload_key);
  }
  body.Maybe("points", "points", points + "]");
  body.Add("collection", "collection", "\"docs\"");
  body.Maybe("request_id", "requestId", OddString(random, RandomText(random)));
  body.Maybe("return_versions", "returnVersions", OddBool(random));
  body.Maybe("insert_only", "insertOnly", OddBool(random));
  if (random.OneIn(4)) body.Add("unknown", "unknown", Unknown(random));
  return body.Text();
}

std::string FilterText(Random& random) {
  v1::Filter filter;
  testing_filter::FillFilter(random, 2, filter);
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = random.OneIn(2);
  std::string json;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(filter, &json, options).ok());
  return json;
}

std::string OddSearch(uint64_t seed) {
  Random random(seed);
  OddObject params(random);
  params.Maybe("ef", "ef", OddUint(random, random.Below(1000)));
  params.Maybe("exact", "exact", OddBool(random));
  params.Maybe("target_recall", "targetRecall", OddFloat(random));
  OddObject rerank(random);
  rerank.Maybe("strategy", "strategy", "\"rule\"");
  rerank.Maybe("budget_ms", "budgetMs", OddUint(random, random.Below(100)));
  rerank.Maybe("candidates", "candidates", OddUint(random, random.Below(100)));
  rerank.Maybe("explore", "explore", OddBool(random));
  static const char* const kConsistency[] = {
      "\"STRONG\"", "\"BOUNDED\"", "\"EVENTUAL\"", "\"CONSISTENCY_UNSPECIFIED\"", "0", "1", "2",
      "3"};
  OddObject body(random);
  body.Add("collection", "collection", "\"docs\"");
  body.Maybe("vector", "vector", OddVector(random, random.Below(20)));
  body.Maybe("top_k", "topK", OddUint(random, random.Below(100)));
  body.Maybe("query", "query", OddString(random, RandomText(random)));
  body.Maybe("timeout_ms", "timeoutMs", OddUint(random, random.Next() >> 32));
  body.Maybe("include_vectors", "includeVectors", OddBool(random));
  body.Maybe("include_metadata", "includeMetadata", OddBool(random));
  body.Maybe("filter", "filter", FilterText(random));
  body.Maybe("params", "params", params.Text());
  body.Maybe("offset", "offset", OddUint(random, random.Below(100)));
  body.Maybe("score_threshold", "scoreThreshold", OddFloat(random));
  body.Maybe("consistency", "consistency", kConsistency[random.Below(8)]);
  body.Maybe("max_staleness_ms", "maxStalenessMs", OddUint(random, random.Below(1000)));
  body.Maybe("explain", "explain", OddBool(random));
  body.Maybe("rerank", "rerank", rerank.Text());
  body.Maybe("payload_fields", "payloadFields", R"(["a", "\u0062"])");
  if (random.OneIn(4)) body.Add("unknown", "unknown", Unknown(random));
  return body.Text();
}

template <typename Message>
Message ByJsonUtil(const std::string& json) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &message, options);
  EXPECT_TRUE(status.ok()) << status.ToString() << "\n" << json;
  return message;
}

std::string WireOf(const std::shared_ptr<const Filter>& filter) {
  if (filter == nullptr) return "";
  v1::Filter proto;
  FilterToProto(*filter, proto);
  return "filter " + proto.DebugString();
}

TEST(ConvertJson, UpsertAgreesWithJsonUtilAndProto) {
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const std::string json = OddUpsert(seed, "payload");
    auto message = ByJsonUtil<v1::UpsertRequest>(OddUpsert(seed, "fields"));
    const auto slow = UpsertFromProto(message);
    const auto fast = Upsert(json);
    ASSERT_TRUE(slow.ok()) << slow.status() << "\n" << json;
    ASSERT_TRUE(fast.ok()) << fast.status() << "\n" << json;
    EXPECT_EQ(fast->collection, slow->collection);
    EXPECT_EQ(fast->request_id, slow->request_id);
    EXPECT_EQ(fast->return_versions, slow->return_versions);
    EXPECT_EQ(fast->insert_only, slow->insert_only);
    EXPECT_EQ(fast->points.dimension, slow->points.dimension);
    EXPECT_EQ(fast->points.ids, slow->points.ids);
    EXPECT_EQ(fast->points.vectors, slow->points.vectors) << json;
    ASSERT_EQ(fast->points.payloads.size(), slow->points.payloads.size());
    for (size_t i = 0; i < fast->points.size(); ++i) {
      const auto one = ParsePayload(fast->points.payloads[i]);
      const auto other = ParsePayload(slow->points.payloads[i]);
      ASSERT_TRUE(one.ok() && other.ok());
      EXPECT_TRUE(SameJson(*one, *other)) << fast->points.payloads[i] << "\n"
                                          << slow->points.payloads[i];
    }
  }
}

TEST(ConvertJson, SearchAgreesWithJsonUtilAndProto) {
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const std::string json = OddSearch(seed);
    const auto slow = SearchFromProto(ByJsonUtil<v1::SearchRequest>(json));
    const auto fast = Search(json);
    ASSERT_EQ(fast.ok(), slow.ok()) << fast.status() << slow.status() << "\n" << json;
    if (!fast.ok()) continue;
    EXPECT_EQ(fast->collection, slow->collection);
    EXPECT_EQ(fast->query.vector, slow->query.vector) << json;
    EXPECT_EQ(fast->query.k, slow->query.k);
    EXPECT_EQ(fast->top_k, slow->top_k);
    EXPECT_EQ(fast->offset, slow->offset);
    EXPECT_EQ(fast->timeout_ms, slow->timeout_ms);
    EXPECT_EQ(fast->text, slow->text);
    EXPECT_EQ(fast->target_recall, slow->target_recall);
    EXPECT_EQ(fast->query.ef, slow->query.ef);
    EXPECT_EQ(fast->query.exact, slow->query.exact);
    EXPECT_EQ(fast->query.score_threshold, slow->query.score_threshold);
    EXPECT_EQ(fast->query.include_vectors, slow->query.include_vectors);
    EXPECT_EQ(fast->query.include_payload, slow->query.include_payload);
    EXPECT_EQ(fast->query.payload_fields, slow->query.payload_fields);
    EXPECT_EQ(fast->query.consistency, slow->query.consistency);
    EXPECT_EQ(fast->query.max_staleness_ms, slow->query.max_staleness_ms);
    EXPECT_EQ(fast->query.explain, slow->query.explain);
    EXPECT_EQ(WireOf(fast->query.filter), WireOf(slow->query.filter)) << json;
    ASSERT_EQ(fast->rerank.has_value(), slow->rerank.has_value()) << json;
    if (!fast->rerank) continue;
    EXPECT_EQ(fast->rerank->strategy, slow->rerank->strategy);
    EXPECT_EQ(fast->rerank->budget_ms, slow->rerank->budget_ms);
    EXPECT_EQ(fast->rerank->candidates, slow->rerank->candidates);
    EXPECT_EQ(fast->rerank->explore, slow->rerank->explore);
  }
}

// --- Particular requests ---

TEST(ConvertJson, UpsertReadsColumns) {
  const auto call = Upsert(R"({"points":[
      {"payload":{"b": 1, "a":[true, 2.5]},"vector":[1,-2.5e0],"id":"p0"},
      {"id":"p1","vector":[0,1e-3]}],"returnVersions":true,"collection":"other"})");
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->collection, "docs");
  EXPECT_EQ(call->points.dimension, 2u);
  EXPECT_EQ(call->points.ids, (std::vector<std::string>{"p0", "p1"}));
  EXPECT_EQ(call->points.vectors, (std::vector<float>{1, -2.5f, 0, 1e-3f}));
  EXPECT_EQ(call->points.payloads, (std::vector<std::string>{R"({"b":1,"a":[true,2.5]})", ""}));
  EXPECT_TRUE(call->return_versions);
}

TEST(ConvertJson, BodyNamesTheCollectionWhenThePathDoesNot) {
  const std::string json = R"({"collection":"other"})";
  const auto call =
      UpsertFromJson({.data = json.data(), .size = json.size(), .capacity = json.size()}, "");
  EXPECT_EQ(call->collection, "other");
}

TEST(ConvertJson, FieldsWinOverPayload) {
  const auto call = Upsert(
      R"({"points":[{"id":"a","vector":[1],"fields":{"x":1,"z":[]},"payload":{"x":"1","y":2}}]})");
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->points.payloads[0], R"({"x":1,"y":2,"z":[]})");
}

TEST(ConvertJson, LastOfDoubledKeysCounts) {
  const auto call = Upsert(
      R"({"points":[{"id":"x","vector":[9]}],"points":[{"id":"a","vector":[1,2],"id":"b","vector":[3]}]})");
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->points.ids, (std::vector<std::string>{"b"}));
  EXPECT_EQ(call->points.vectors, (std::vector<float>{3}));
  EXPECT_EQ(Search(R"({"vector":[1],"top_k":5,"topK":null})")->top_k, kDefaultTopK);
}

TEST(ConvertJson, LargeIntegersOfAPayloadKeepTheirDigits) {
  const auto call =
      Upsert(R"({"points":[{"id":"a","vector":[1],"payload":{"n":9007199254740993}}]})");
  EXPECT_EQ(call->points.payloads[0], R"({"n":9007199254740993})");
}

TEST(ConvertJson, UpsertErrorsNameThePointAndTheField) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"points":[{"id":"a","vector":[1,2]},{"id":"b","vector":[1]}]})",
       "points[1] (id 'b'): vector has 1 components, that of points[0] (id 'a') has 2"},
      {R"({"points":[{"id":"a","vector":[1,"NaN"]}]})",
       "points[0] (id 'a'): vector[1] is NaN, wanted a finite number (at byte 33)"},
      {R"({"points":[{"vector":["Infinity"],"id":"late"}]})",
       "points[0] (id 'late'): vector[0] is infinite"},
      {R"({"points":[{"vector":["-Infinity"]}]})", "points[0]: vector[0] is infinite"},
      {R"({"points":[{"id":"a","vector":[1e39]}]})", "points[0] (id 'a'): vector[0] is infinite"},
      {R"({"points":[{"id":"a","vector":[null]}]})", "vector[0] is no number"},
      {R"({"points":[{"id":"a","vector":[[1]]}]})", "vector[0] is no number"},
      {R"({"points":[{"id":"a","vector":["x"]}]})", "vector[0] is no number"},
      {R"({"points":[{"id":"a","vector":["inf"]}]})", "vector[0] is no number"},
      {R"({"points":[{"id":"a","vector":[""]}]})", "vector[0] is no number"},
      {R"({"points":[{"id":"a","vector":[1e400]}]})", "malformed JSON at byte 31: a bad number"},
      {R"({"points":[{"id":"a","vector":[1,]}]})", "malformed JSON at byte 33"},
      {R"({"points":[{"id":"a","vector":{}}]})", "points[0] (id 'a'): vector: wanted a list"},
      {R"({"points":[{"id":"a","vector":[]}]})", "points[0] (id 'a'): vector is empty"},
      {R"({"points":[{"id":"a"}]})", "points[0] (id 'a'): vector is empty"},
      {R"({"points":[{"id":7,"vector":[1]}]})", "points[0]: id: wanted a string"},
      {R"({"points":[7]})", "points[0]: wanted an object"},
      {R"({"points":{}})", "points: wanted a list"},
      {R"({"points":[{"id":"a","vector":[1],"payload":[1]}]})",
       "points[0] (id 'a'): payload: wanted an object"},
      {R"({"points":[{"id":"a","vector":[1],"payload":{"x":tru}}]})",
       "points[0] (id 'a'): payload: malformed JSON at byte 49"},
      {R"({"return_versions":"true"})", "return_versions: wanted true or false (at byte 19)"},
      {R"({"requestId":1})", "request_id: wanted a string"},
      {R"({"points":[]}x)", "malformed JSON"},
      {R"({"points":[]} {})", "malformed JSON at byte 14"},
      {"[]", "malformed JSON at byte 0: an object is wanted"},
      {"", "malformed JSON at byte 0: there is no value"},
      {"{\"x\":\"\xff\"}", "malformed JSON at byte 6: not valid UTF-8"},
  };
  for (const auto& [json, message] : cases) {
    EXPECT_THAT(ErrorOf(Upsert(json)), HasSubstr(message)) << json;
  }
}

TEST(ConvertJson, SearchErrorsNameTheField) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"vector":[1,"NaN"]})", "vector[1] is NaN"},
      {R"({"top_k":-1})", "top_k: wanted a whole number"},
      {R"({"top_k":1.5})", "top_k: wanted a whole number"},
      {R"({"topK":"x"})", "top_k: wanted a whole number"},
      {R"({"top_k":" 5"})", "top_k: wanted a whole number"},
      {R"({"top_k":4294967296})", "top_k: wanted a whole number"},
      {R"({"top_k":16385})", "top_k is 16385, at most 16384"},
      {R"({"top_k":10,"offset":16380})", "offset 16380 + top_k 10 is more than 16384"},
      {R"({"offset":4294967295})", "offset 4294967295 + top_k 10"},
      {R"({"consistency":"strong"})", "consistency: wanted STRONG, BOUNDED or EVENTUAL"},
      {R"({"consistency":7})", "consistency is 7"},
      {R"({"score_threshold":"NaN"})", "score_threshold is NaN"},
      {R"({"score_threshold":1e39})", "score_threshold is infinite"},
      {R"({"params":5})", "params: wanted an object"},
      {R"({"params":{"ef":true}})", "params.ef: wanted a whole number"},
      {R"({"payload_fields":["a",null]})", "payload_fields[1]: wanted a string"},
      {R"({"filter":{"must":[{"field":"a","range":{"gte":true}}]}})", "filter.must[0].range.gte:"},
      {R"({"filter":{"must":[{"field":"a","matches":1}]}})", "filter.must[0]: unknown key"},
      {R"({"filter":[]})", "filter: wanted an object"},
      {R"({"filter":{"must":[],"must":[]}})", "filter: the key 'must' is given twice"},
      {R"({"filter":{"must":[nul]}})", "filter: malformed JSON at byte 19"},
  };
  for (const auto& [json, message] : cases) {
    EXPECT_THAT(ErrorOf(Search(json)), HasSubstr(message)) << json;
  }
}

TEST(ConvertJson, ScrollReadsItsFields) {
  const auto call =
      Scroll(R"({"afterId":"p9","limit":"500","filter":{"must":[{"field":"a","exists":true}]},)"
             R"("include_vectors":true,"includeMetadata":false,"consistency":"EVENTUAL"})");
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->collection, "docs");
  EXPECT_EQ(call->after_id, "p9");
  EXPECT_EQ(call->limit, 500u);
  EXPECT_EQ(call->filter->must.size(), 1u);
  EXPECT_TRUE(call->include_vectors);
  EXPECT_FALSE(call->include_payload);
  EXPECT_EQ(call->consistency, Consistency::kEventual);
  EXPECT_EQ(Scroll("{}")->limit, kDefaultScrollLimit);
  EXPECT_THAT(ErrorOf(Scroll(R"({"limit":10001})")), HasSubstr("limit is 10001"));
  v1::ScrollRequest proto;
  proto.set_limit(10001);
  EXPECT_THAT(ErrorOf(ScrollFromProto(proto)), HasSubstr("limit is 10001"));
}

TEST(ConvertJson, EveryTruncationIsRefusedWithAPosition) {
  const std::string upsert =
      R"({"points":[{"id":"p\u00e9","vector":[1,-2.5e-3,"4"],"payload":{"a":[null,{"b":"c"}],"d":true}},)"
      R"({"vector":[0,0,1],"id":"q"}],"requestId":"r","extra":[{"x":1}],"insert_only":false})";
  ASSERT_TRUE(Upsert(upsert).ok()) << Upsert(upsert).status();
  for (size_t size = 0; size < upsert.size(); ++size) {
    EXPECT_THAT(ErrorOf(Upsert(upsert.substr(0, size))), HasSubstr("at byte ")) << size;
  }
  const std::string search =
      R"({"vector":[1,2],"topK":3,"filter":{"must":[{"field":"a","match":["x"]}]},"params":{"ef":64},)"
      R"("payload_fields":["a"],"scoreThreshold":0.5,"explain":true})";
  ASSERT_TRUE(Search(search).ok()) << Search(search).status();
  for (size_t size = 0; size < search.size(); ++size) {
    EXPECT_THAT(ErrorOf(Search(search.substr(0, size))), HasSubstr("at byte ")) << size;
  }
}

TEST(ConvertJson, RandomDamageNeverCrashes) {
  static constexpr std::string_view kBytes = "{}[]:,\"\\0123eE+-. tfn\x80\xff\xc3\x01";
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    for (std::string json : {OddUpsert(seed, "payload"), OddSearch(seed)}) {
      for (uint64_t n = 1 + random.Below(4); n > 0; --n) {
        json[random.Below(json.size())] = kBytes[random.Below(kBytes.size())];
      }
      ErrorOf(Upsert(json));
      ErrorOf(Search(json));
      ErrorOf(Scroll(json));
    }
  }
}

TEST(ConvertJson, BombsOfDepthAreRefused) {
  const std::string deep(200'000, '[');
  for (const char* key : {"unknown", "points", "filter", "vector", "params", "payload_fields"}) {
    const std::string open = fmt::format("{{\"{}\":{}", key, deep);
    EXPECT_NE(ErrorOf(Upsert(open)), "accepted");
    EXPECT_NE(ErrorOf(Search(open)), "accepted");
    const std::string closed = open + std::string(deep.size(), ']') + "}";
    const bool searched = std::string_view(key) != "points";
    if (searched) {
      EXPECT_NE(ErrorOf(Search(closed)), "accepted") << key;
    }
    if (std::string_view(key) == "unknown" || !searched) {
      EXPECT_NE(ErrorOf(Upsert(closed)), "accepted") << key;
    }
  }
}

TEST(ConvertJson, SizesAreBounded) {
  std::string many = "{\"points\":[";
  for (size_t i = 0; i <= kMaxUpsertPoints; ++i) many += "{\"id\":\"a\",\"vector\":[1]},";
  many.back() = ']';
  EXPECT_THAT(ErrorOf(Upsert(many + "}")), HasSubstr("points has more than 100000 entries"));

  const std::string payload = "{\"a\":\"" + std::string(kMaxPayloadBytes - 8, 'x') + "\"}";
  const auto point = [](const std::string& with) {
    return "{\"id\":\"a\",\"vector\":[1],\"payload\":" + with + "}";
  };
  EXPECT_TRUE(Upsert("{\"points\":[" + point(payload) + "]}").ok());
  const std::string over = "{\"a\":\"" + std::string(kMaxPayloadBytes - 7, 'x') + "\"}";
  EXPECT_THAT(ErrorOf(Upsert("{\"points\":[" + point(over) + "]}")),
              HasSubstr("points[0] (id 'a'): payload has 1048577 bytes"));
  std::string large = "{\"points\":[";
  for (int i = 0; i < 64; ++i) large += point(payload) + ",";
  large.back() = ']';
  EXPECT_THAT(ErrorOf(Upsert(large + "}")), HasSubstr("points have more than 67108864 bytes"));

  std::string wide = "{\"points\":[{\"id\":\"a\",\"vector\":[0";
  for (size_t i = 0; i < kMaxDimension; ++i) wide += ",0";
  EXPECT_THAT(ErrorOf(Upsert(wide + "]}]}")), HasSubstr("vector has 65536 components"));

  EXPECT_THAT(ErrorOf(Upsert("{\"request_id\":\"" + std::string(129, 'r') + "\"}")),
              HasSubstr("request_id has 129 bytes, at most 128"));
}

TEST(ConvertProto, UpsertErrorsNameThePointAndTheField) {
  v1::UpsertRequest request;
  v1::Point& point = *request.add_points();
  point.set_id("a");
  EXPECT_THAT(ErrorOf(UpsertFromProto(request)), HasSubstr("points[0] (id 'a'): vector is empty"));
  point.set_id("a");
  point.add_vector(1);
  point.add_vector(std::nanf(""));
  EXPECT_THAT(ErrorOf(UpsertFromProto(request)), HasSubstr("points[0] (id 'a'): vector[1] is NaN"));
  point.set_vector(1, HUGE_VALF);
  EXPECT_THAT(ErrorOf(UpsertFromProto(request)), HasSubstr("vector[1] is infinite"));
  point.set_id("a");
  point.set_vector(1, 2);
  (*point.mutable_fields()->mutable_fields())["x"].set_number_value(std::nan(""));
  EXPECT_THAT(ErrorOf(UpsertFromProto(request)),
              HasSubstr("points[0] (id 'a'): fields 'x': a number"));
  v1::SearchRequest search;
  search.set_consistency(static_cast<v1::Consistency>(9));
  EXPECT_THAT(ErrorOf(SearchFromProto(search)), HasSubstr("consistency is 9"));
  search.set_consistency(v1::STRONG);
  search.set_score_threshold(HUGE_VALF);
  EXPECT_THAT(ErrorOf(SearchFromProto(search)), HasSubstr("score_threshold is not finite"));
}

// --- Answers ---

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
    EXPECT_TRUE(SameJson(*ours, theirs)) << json << "\n" << WritePayload(theirs);
  }
}

TEST(ConvertAnswer, EmptyReplyHasEveryKey) {
  std::string json;
  ReplyToJson(SearchReply(), json);
  EXPECT_EQ(json,
            R"({"results":[],"queryId":"","reranked":false,"partial":false,"missingShards":[],)"
            R"("last":false,"explain":null})");
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
