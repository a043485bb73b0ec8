#include "model/filter.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "model/filter_testing.h"
#include "vectron/vectron.pb.h"

namespace vectron {
namespace {

using ::testing::HasSubstr;

std::string WireOf(const Filter& filter) {
  v1::Filter proto;
  FilterToProto(filter, proto);
  std::string json;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(proto, &json).ok());
  return json;
}

std::string ErrorOf(const std::string& json) {
  const auto filter = FilterFromJson(json);
  if (filter.ok()) return "accepted";
  EXPECT_EQ(filter.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(MessageOf(filter.status()));
}

TEST(Path, SplitsIntoSteps) {
  const auto path = ParsePath("a.b[].c d");
  ASSERT_TRUE(path.ok());
  EXPECT_EQ(path->text, "a.b[].c d");
  EXPECT_EQ(path->steps, (std::vector<PathStep>{{"a", false}, {"b", true}, {"c d", false}}));
}

TEST(Path, RefusesEmptyStepsAndStrayBrackets) {
  for (const char* text :
       {"", ".", "a.", ".a", "a..b", "[]", "a.[]", "a[0]", "a[]b", "a[][]", "a]", "[a"}) {
    EXPECT_EQ(ParsePath(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_TRUE(ParsePath(std::string(kMaxFilterPathBytes, 'a')).ok());
  EXPECT_FALSE(ParsePath(std::string(kMaxFilterPathBytes + 1, 'a')).ok());
}

TEST(FilterParse, ReadsTheExampleOfTheContract) {
  const auto filter = FilterFromJson(R"({"must":[{"field":"section","match":["sound","video"]},)"
                                     R"({"field":"size_kb","range":{"gte":10,"lt":500}}],)"
                                     R"("must_not":[{"field":"tags[]","match":"role::debug"}]})");
  ASSERT_TRUE(filter.ok()) << filter.status();
  ASSERT_EQ(filter->must.size(), 2u);
  EXPECT_EQ(std::get<MatchTest>(filter->must[0].test).any_of,
            (std::vector<MatchValue>{"sound", "video"}));
  const auto& range = std::get<NumberRange>(filter->must[1].test);
  EXPECT_EQ(range.gte, 10.0);
  EXPECT_EQ(range.lt, 500.0);
  EXPECT_FALSE(range.gt.has_value());
  EXPECT_TRUE(filter->must_not[0].path.steps[0].each);
  EXPECT_EQ(filter->min_should, 0u);
}

TEST(FilterParse, EmptyFilterMatchesAll) {
  for (const char* json : {"{}", R"({"must":[],"should":null,"min_should":0})"}) {
    const auto filter = FilterFromJson(json);
    ASSERT_TRUE(filter.ok()) << filter.status();
    EXPECT_TRUE(filter->empty());
    EXPECT_TRUE(Matches(*filter, "x", Value(Object())));
  }
}

TEST(FilterParse, MinShouldIsOneWhenThereIsShould) {
  const auto filter = FilterFromJson(R"({"should":[{"field":"a","exists":true}]})");
  EXPECT_EQ(filter->min_should, 1u);
  EXPECT_EQ(
      FilterFromJson(R"({"minShould":"1","should":[{"field":"a","exists":true}]})")->min_should,
      1u);
}

TEST(FilterParse, ErrorsNameThePlace) {
  const std::pair<const char*, const char*> cases[] = {
      {"[]", "filter: malformed JSON at byte 0: an object is wanted"},
      {R"({"must":[{"field":"a","match":1})", "filter: malformed JSON at byte 32"},
      {R"({"mustt":[]})", "filter: unknown key 'mustt'"},
      {R"({"must":{}})", "filter.must: wanted a list of conditions, got an object"},
      {R"({"must":[1]})", "filter.must[0]: wanted an object, got a number"},
      {R"({"must":[{"field":"a","match":1},{"field":"a"}]})",
       "filter.must[1]: a condition needs exactly one of"},
      {R"({"must":[{"field":"a","match":1,"exists":true}]})", "got 2"},
      {R"({"must":[{"field":"a","matches":1}]})", "filter.must[0]: unknown key 'matches'"},
      {R"({"must":[{"match":1}]})", "filter.must[0].field: it is missing"},
      {R"({"must":[{"field":"","match":1}]})", "filter.must[0].field: it is missing"},
      {R"({"must":[{"field":7,"match":1}]})", "filter.must[0].field: wanted a string"},
      {R"({"must":[{"field":"a..b","match":1}]})", "filter.must[0].field: the path 'a..b' has an"},
      {R"({"must":[{"field":"a","match":null}]})", "filter.must[0].match: null cannot be matched"},
      {R"({"must":[{"field":"a","match":{}}]})", "filter.must[0].match: wanted a string"},
      {R"({"must":[{"field":"a","match":[]}]})", "filter.must[0].match: the list is empty"},
      {R"({"must":[{"field":"a","match":["x",[1]]}]})", "filter.must[0].match[1]: wanted"},
      {R"({"must_not":[{"field":"a","range":{}}]})", "filter.must_not[0].range: no bound"},
      {R"({"mustNot":[{"field":"a","range":{"gte":null}}]})", "filter.must_not[0].range: no bound"},
      {R"({"must":[{"field":"a","range":{"gte":true}}]})", "filter.must[0].range.gte: wanted"},
      {R"({"must":[{"field":"a","range":{"ge":1}}]})", "filter.must[0].range: unknown key 'ge'"},
      {R"({"must":[{"field":"a","range":[1,2]}]})", "filter.must[0].range: wanted an object"},
      {R"({"must":[{"field":"a","range":{"gte":1,"lt":"2026-01-01T00:00:00Z"}}]})",
       "filter.must[0].range.lt: wanted a number as the other bound is"},
      {R"({"must":[{"field":"a","range":{"gte":"2026-13-01T00:00:00Z"}}]})",
       "filter.must[0].range.gte: '2026-13-01T00:00:00Z' is no RFC 3339 time"},
      {R"({"must":[{"field":"a","exists":"yes"}]})", "filter.must[0].exists: wanted true or false"},
      {R"({"must":[{"field":"a","is_empty":1}]})", "filter.must[0].is_empty: wanted true or"},
      {R"({"must":[{"has_id":"a"}]})", "filter.must[0].has_id: wanted a list of ids"},
      {R"({"must":[{"has_id":["a",1]}]})", "filter.must[0].has_id[1]: wanted a string"},
      {R"({"must":[{"hasId":[""]}]})", "filter.must[0].has_id[0]: id is empty"},
      {R"({"must":[{"has_id":[]}]})", "filter.must[0].has_id: the list is empty"},
      {R"({"must":[{"field":"a","has_id":["b"]}]})", "filter.must[0].field: has_id and filter"},
      {R"({"must":[{"filter":{"should":[{"field":"a"}]}}]})",
       "filter.must[0].filter.should[0]: a condition needs"},
      {R"({"min_should":2,"should":[{"field":"a","exists":true}]})",
       "filter.min_should: it is 2, but should has 1"},
      {R"({"min_should":-1})", "filter.min_should: wanted a whole number"},
      {R"({"min_should":0.5})", "filter.min_should: wanted a whole number"},
      {R"({"must":[],"must":[]})", "the key 'must' is given twice"},
      {R"({"must_not":[{"field":"a","exists":true}],"mustNot":[{"field":"b","exists":true}]})",
       "filter.must_not: it is given twice"},
      {"", "filter: malformed JSON at byte 0"},
  };
  for (const auto& [json, message] : cases) EXPECT_THAT(ErrorOf(json), HasSubstr(message)) << json;
}

TEST(FilterParse, ProtoErrorsNameThePlaceToo) {
  const auto error = [](auto fill) {
    v1::Filter proto;
    fill(proto);
    const auto filter = FilterFromProto(proto);
    EXPECT_EQ(filter.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(MessageOf(filter.status()));
  };
  EXPECT_THAT(error([](v1::Filter& f) { f.add_must()->set_field("a"); }),
              HasSubstr("filter.must[0]: a condition needs exactly one"));
  EXPECT_THAT(error([](v1::Filter& f) {
                auto* condition = f.add_should();
                condition->set_field("a");
                condition->mutable_range()->mutable_gte()->set_number_value(std::nan(""));
              }),
              HasSubstr("filter.should[0].range.gte: the bound is not finite"));
  EXPECT_THAT(error([](v1::Filter& f) {
                auto* condition = f.add_must();
                condition->set_field("a");
                condition->mutable_match()->set_number_value(HUGE_VAL);
              }),
              HasSubstr("filter.must[0].match: the number is not finite"));
  EXPECT_THAT(error([](v1::Filter& f) {
                auto* condition = f.add_must();
                condition->set_field("a");
                condition->mutable_match()->mutable_struct_value();
              }),
              HasSubstr("filter.must[0].match: wanted a string"));
  EXPECT_THAT(error([](v1::Filter& f) {
                auto* condition = f.add_must();
                condition->set_field("a");
                condition->mutable_match()->set_string_value("x");
                condition->GetReflection()->MutableUnknownFields(condition)->AddVarint(15, 1);
              }),
              HasSubstr("unknown field"));
}

TEST(FilterParse, DepthConditionsAndValuesAreBounded) {
  const auto nested = [](uint32_t levels) {
    std::string json;
    for (uint32_t i = 1; i < levels; ++i) json += R"({"must":[{"filter":)";
    json += "{}";
    for (uint32_t i = 1; i < levels; ++i) json += "}]}";
    return json;
  };
  EXPECT_TRUE(FilterFromJson(nested(kMaxFilterDepth)).ok());
  EXPECT_THAT(ErrorOf(nested(kMaxFilterDepth + 1)), HasSubstr("nested deeper than 16 levels"));
  EXPECT_THAT(ErrorOf(nested(10'000)), HasSubstr("too deeply"));

  v1::Filter deep;
  v1::Filter* innermost = &deep;
  for (uint32_t i = 1; i < 1000; ++i) innermost = innermost->add_must()->mutable_filter();
  EXPECT_THAT(std::string(MessageOf(FilterFromProto(deep).status())), HasSubstr("nested deeper"));

  std::string many = R"({"must":[)";
  for (size_t i = 0; i <= kMaxFilterConditions; ++i) many += R"({"field":"a","match":1},)";
  many.back() = ']';
  EXPECT_THAT(ErrorOf(many + "}"), HasSubstr("filter.must[1024]: the filter has more than 1024"));

  std::string values = R"({"must":[{"field":"a","match":[)";
  for (size_t i = 0; i <= kMaxFilterValues; ++i) values += std::to_string(i) + ",";
  values.back() = ']';
  EXPECT_THAT(ErrorOf(values + "}]}"), HasSubstr("lists more than 65536 values"));
}

TEST(FilterParse, EveryTruncationIsRefused) {
  const std::string json =
      R"({"must":[{"field":"a","match":["x",1.5]}],"should":[{"filter":{"must_not":[{"has_id":["q"]}]}}]})";
  ASSERT_TRUE(FilterFromJson(json).ok());
  for (size_t size = 0; size < json.size(); ++size) {
    EXPECT_THAT(ErrorOf(json.substr(0, size)), HasSubstr("at byte ")) << size;
  }
}

TEST(FilterParse, BothParsersAndTheWireFormAgree) {
  for (uint64_t seed = 1; seed <= 1000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    v1::Filter proto;
    testing_filter::FillFilter(random, 3, proto);
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = random.OneIn(2);
    options.always_print_primitive_fields = random.OneIn(2);
    options.add_whitespace = random.OneIn(2);
    std::string json;
    ASSERT_TRUE(google::protobuf::util::MessageToJsonString(proto, &json, options).ok());
    const auto from_proto = FilterFromProto(proto);
    const auto from_json = FilterFromJson(json);
    ASSERT_TRUE(from_proto.ok()) << from_proto.status();
    ASSERT_TRUE(from_json.ok()) << from_json.status() << "\n" << json;
    EXPECT_EQ(WireOf(*from_json), WireOf(*from_proto)) << json;
    v1::Filter wire;
    FilterToProto(*from_proto, wire);
    const auto again = FilterFromProto(wire);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(WireOf(*again), WireOf(*from_proto));
  }
}

TEST(FilterParse, LargeWholeNumbersKeepTheirDigitsOnTheWire) {
  for (const int64_t wanted :
       {(int64_t{1} << 53) + 1, -(int64_t{1} << 53) - 1, INT64_MAX, INT64_MIN}) {
    const std::string json =
        fmt::format(R"({{"must":[{{"field":"n","match":[{},"x"]}}]}})", wanted);
    const auto filter = FilterFromJson(json);
    ASSERT_TRUE(filter.ok()) << filter.status();
    v1::Filter wire;
    FilterToProto(*filter, wire);
    const auto again = FilterFromProto(wire);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(Matches(*again, "id", Value(Object{{"n", Value(wanted)}}))) << wanted;
    const int64_t other = wanted > 0 ? wanted - 1 : wanted + 1;
    EXPECT_FALSE(Matches(*again, "id", Value(Object{{"n", Value(other)}}))) << wanted;
  }
}

TEST(FilterParse, OtherObjectsOfTheWireAreNoNumbers) {
  for (const char* text : {"", "1x", "9223372036854775808", "1.5"}) {
    v1::Filter wire;
    v1::Condition& condition = *wire.add_must();
    condition.set_field("n");
    auto& members = *condition.mutable_match()->mutable_struct_value()->mutable_fields();
    members["int64"].set_string_value(text);
    EXPECT_FALSE(FilterFromProto(wire).ok()) << text;
    members["int64"].set_string_value("1");
    EXPECT_TRUE(FilterFromProto(wire).ok());
    members["more"].set_bool_value(true);
    EXPECT_FALSE(FilterFromProto(wire).ok());
  }
}

}  // namespace
}  // namespace vectron
