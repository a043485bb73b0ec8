#include "model/convert.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "model/json_testing.h"
#include "model/request_testing.h"
#include "vectron/vectron.pb.h"

namespace vectron {
namespace {

using ::testing::HasSubstr;
using testing_json::SameJson;
using namespace testing_request;

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
    EXPECT_FALSE(fast->odd_length.has_value() || slow->odd_length.has_value());
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

TEST(ConvertJson, FieldsOfTheProtobufFormAreAnUnknownKey) {
  const auto call = Upsert(
      R"({"points":[{"id":"a","vector":[1],"fields":{"x":1,"z":[]},"payload":{"x":"1","y":2}}]})");
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->points.payloads[0], R"({"x":"1","y":2})");
}

TEST(ConvertJson, TheFirstPointOfAnotherLengthIsRemembered) {
  const std::string json =
      R"({"points":[{"id":"a","vector":[1,2]},{"id":"b","vector":[1]},{"id":"c","vector":[3]}]})";
  const auto fast = Upsert(json);
  auto message = ByJsonUtil<v1::UpsertRequest>(json);
  const auto slow = UpsertFromProto(message);
  for (const auto* call : {&fast, &slow}) {
    ASSERT_TRUE(call->ok()) << call->status();
    EXPECT_EQ((*call)->points.ids, (std::vector<std::string>{"a"}));
    EXPECT_EQ((*call)->points.vectors, (std::vector<float>{1, 2}));
    ASSERT_TRUE((*call)->odd_length.has_value());
    EXPECT_EQ((*call)->odd_length->index, 1u);
    EXPECT_EQ((*call)->odd_length->id, "b");
    EXPECT_EQ((*call)->odd_length->components, 1u);
  }
  // What is wrong behind it has its own place.
  EXPECT_THAT(ErrorOf(Upsert(R"({"points":[{"id":"a","vector":[1,2]},{"id":"b","vector":[1]},)"
                             R"({"id":"c","vector":[]}]})")),
              HasSubstr("points[2] (id 'c'): vector is empty"));
}

TEST(ConvertJson, LiteralsThatJsonDoesNotHaveNamePointAndField) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"points":[{"id":"a","vector":[1,NaN]}]})",
       "points[0] (id 'a'): vector[1] is NaN (which JSON does not have), wanted a finite number "
       "(at byte 33)"},
      {R"({"points":[{"vector":[NaN, 2],"id":"late"}]})",
       "points[0] (id 'late'): vector[0] is NaN"},
      {R"({"points":[{"id":"a","vector":[Infinity]}]})",
       "points[0] (id 'a'): vector[0] is infinite (and JSON has no Infinity)"},
      {R"({"points":[{"id":"a","vector":[ -Infinity ]}]})",
       "points[0] (id 'a'): vector[0] is infinite (and JSON has no Infinity)"},
      {R"({"points":[{"id":"a","vector":NaN}]})",
       "points[0] (id 'a'): vector is NaN, which JSON does not have (at byte 30)"},
      {R"({"points":[{"id":NaN,"vector":[1]}]})",
       "points[0]: id is NaN, which JSON does not have (at byte 17)"},
      {R"({"points":[NaN]})", "points[0] is NaN, which JSON does not have (at byte 11)"},
      {R"({"points":[{"id":"a","vector":[1],"payload":-Infinity}]})",
       "points[0] (id 'a'): payload is -Infinity, which JSON does not have (at byte 44)"},
      {R"({"points":[{"id":"a","vector":[1],"payload":{"x":NaN}}]})",
       "points[0] (id 'a'): payload: malformed JSON at byte 49: JSON has no NaN"},
      {R"({"points":[{"id":"a","vector":[1],"payload":{"x":[-Infinity]}}]})",
       "points[0] (id 'a'): payload: malformed JSON at byte 50: JSON has no -Infinity"},
      {R"({"unknown":Infinity})", "malformed JSON at byte 11: JSON has no Infinity"},
      {R"({"points":[{"id":"a","vector":[Nan]}]})", "malformed JSON at byte 31"},
  };
  for (const auto& [json, message] : cases) {
    EXPECT_THAT(ErrorOf(Upsert(json)), HasSubstr(message)) << json;
  }
}

TEST(ConvertJson, LiteralsThatJsonDoesNotHaveNameTheFieldOfASearch) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"vector":[1,NaN]})", "vector[1] is NaN (which JSON does not have)"},
      {R"({"vector":NaN})", "vector is NaN, which JSON does not have (at byte 10)"},
      {R"({"scoreThreshold":NaN})",
       "score_threshold is NaN, which JSON does not have (at byte 18)"},
      {R"({"scoreThreshold":-Infinity})", "score_threshold is -Infinity, which"},
      {R"({"params":{"ef":NaN}})", "params.ef is NaN, which JSON does not have (at byte 16)"},
      {R"({"params":{"exact":Infinity}})", "params.exact is Infinity, which"},
      {R"({"params":{"targetRecall": Infinity }})", "params.target_recall is Infinity, which"},
      {R"({"params":NaN})", "params is NaN, which"},
      {R"({"topK":-Infinity})", "top_k is -Infinity, which JSON does not have (at byte 8)"},
      {R"({"consistency":NaN})", "consistency is NaN, which"},
      {R"({"query":NaN})", "query is NaN, which"},
      {R"({"rerank":{"budgetMs":NaN}})", "rerank.budget_ms is NaN, which"},
      {R"({"rerank":Infinity})", "rerank is Infinity, which"},
      {R"({"payload_fields":["a",NaN]})", "payload_fields[1] is NaN, which"},
      {R"({"filter":NaN})", "filter is NaN, which"},
      {R"({"filter":{"must":[{"field":"a","range":{"gt":-Infinity}}]}})",
       "filter: malformed JSON at byte 46: JSON has no -Infinity"},
      {R"({"params":{"ef":nul}})", "params.ef: malformed JSON at byte 16: neither"},
  };
  for (const auto& [json, message] : cases) {
    EXPECT_THAT(ErrorOf(Search(json)), HasSubstr(message)) << json;
  }
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
      {R"({"points":[]}x)", "malformed JSON at byte 13: text after the end"},
      {R"({"points":[]} x)", "malformed JSON at byte 14: text after the end"},
      {R"({"points":[{"id":"a","vector":[1,2,"payload":{}}]})",
       "points[0] (id 'a'): vector[2] is no number, wanted a finite number (at byte 35)"},
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
      {R"({"vector":[1,2,"topK":5})",
       "malformed JSON at byte 21: a comma or the end of the array should be here"},
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
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
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
  many.pop_back();
  many += ",{\"id\":\"b\",\"vector\":[1]}]}";
  EXPECT_THAT(ErrorOf(Upsert(many)),
              HasSubstr("points has 100002 entries, at most 100000 are allowed"));
  v1::UpsertRequest request;
  for (size_t i = 0; i < kMaxUpsertPoints + 2; ++i) request.add_points();
  EXPECT_THAT(ErrorOf(UpsertFromProto(request)),
              HasSubstr("points has 100002 entries, at most 100000 are allowed"));

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

}  // namespace
}  // namespace vectron
