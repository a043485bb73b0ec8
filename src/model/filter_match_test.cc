#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/random.h"
#include "base/status.h"
#include "model/filter.h"
#include "model/filter_testing.h"
#include "model/json_reader.h"
#include "vectron/vectron.pb.h"

namespace vectron {
namespace {

// --- A twin of the evaluation, straight from the words of the contract, over the wire form ---

using ProtoValue = google::protobuf::Value;

std::vector<std::string> Split(const std::string& path) {
  std::vector<std::string> steps;
  std::istringstream in(path);
  for (std::string step; std::getline(in, step, '.');) steps.push_back(step);
  return steps;
}

std::vector<Value> ValuesOf(const Value& payload, const std::string& path) {
  std::vector<Value> values = {payload};
  for (std::string step : Split(path)) {
    const bool each = step.size() > 2 && step.substr(step.size() - 2) == "[]";
    if (each) step.resize(step.size() - 2);
    std::vector<Value> next;
    for (const Value& value : values) {
      const Value* member = value.Find(step);
      if (member == nullptr) continue;
      if (!each) {
        next.push_back(*member);
      } else if (const Array* array = member->get<Array>()) {
        next.insert(next.end(), array->begin(), array->end());
      }
    }
    values = next;
  }
  return values;
}

std::vector<Value> WithElements(const std::vector<Value>& values) {
  std::vector<Value> all;
  for (const Value& value : values) {
    if (const Array* array = value.get<Array>()) {
      all.insert(all.end(), array->begin(), array->end());
    } else {
      all.push_back(value);
    }
  }
  return all;
}

// A number as long double, which holds every int64 and every double.
std::optional<long double> NumberOf(const Value& value) {
  if (const int64_t* whole = value.get<int64_t>()) return static_cast<long double>(*whole);
  if (const double* real = value.get<double>()) return static_cast<long double>(*real);
  return std::nullopt;
}

bool TwinEquals(const Value& value, const ProtoValue& wanted) {
  if (wanted.has_list_value()) {
    for (const ProtoValue& one : wanted.list_value().values()) {
      if (TwinEquals(value, one)) return true;
    }
    return false;
  }
  if (wanted.has_bool_value()) return value == Value(wanted.bool_value());
  if (wanted.has_string_value()) return value == Value(wanted.string_value());
  const auto number = NumberOf(value);
  return number.has_value() && *number == static_cast<long double>(wanted.number_value());
}

// Nanoseconds: a long double has room for those of ten thousand years.
long double NumberOf(const Timestamp& time) {
  return static_cast<long double>(time.seconds) * 1e9L + time.nanos;
}

// -1, 0, 1; nullopt when the two cannot be compared.
std::optional<int> TwinCompare(const Value& value, const ProtoValue& bound) {
  std::optional<long double> left, right;
  if (bound.has_string_value()) {
    const std::string* text = value.get<std::string>();
    if (text == nullptr || !ParseRfc3339(*text).has_value()) return std::nullopt;
    left = NumberOf(*ParseRfc3339(*text));
    right = NumberOf(*ParseRfc3339(bound.string_value()));
  } else {
    left = NumberOf(value);
    right = static_cast<long double>(bound.number_value());
  }
  if (!left.has_value()) return std::nullopt;
  return *left < *right ? -1 : *left > *right ? 1 : 0;
}

bool TwinInRange(const Value& value, const v1::Range& range) {
  if (range.has_gt()) {
    const auto order = TwinCompare(value, range.gt());
    if (!order.has_value() || *order <= 0) return false;
  }
  if (range.has_gte()) {
    const auto order = TwinCompare(value, range.gte());
    if (!order.has_value() || *order < 0) return false;
  }
  if (range.has_lt()) {
    const auto order = TwinCompare(value, range.lt());
    if (!order.has_value() || *order >= 0) return false;
  }
  if (range.has_lte()) {
    const auto order = TwinCompare(value, range.lte());
    if (!order.has_value() || *order > 0) return false;
  }
  return true;
}

bool TwinBlank(const Value& value) {
  return value == Value() || value == Value(std::string()) || value == Value(Array()) ||
         value == Value(Object());
}

bool TwinMatches(const v1::Filter& filter, const std::string& id, const Value& payload);

bool TwinHolds(const v1::Condition& condition, const std::string& id, const Value& payload) {
  const std::vector<Value> values = ValuesOf(payload, condition.field());
  int holding = 0;
  if (condition.has_match()) {
    for (const Value& value : WithElements(values)) holding += TwinEquals(value, condition.match());
    return holding > 0;
  }
  if (condition.has_range()) {
    for (const Value& value : WithElements(values))
      holding += TwinInRange(value, condition.range());
    return holding > 0;
  }
  if (condition.has_exists()) return condition.exists() == !values.empty();
  if (condition.has_is_empty()) {
    for (const Value& value : values) holding += TwinBlank(value) ? 0 : 1;
    return condition.is_empty() == (holding == 0);
  }
  if (condition.has_filter()) return TwinMatches(condition.filter(), id, payload);
  for (const std::string& one : condition.has_id()) holding += one == id;
  return holding > 0;
}

bool TwinMatches(const v1::Filter& filter, const std::string& id, const Value& payload) {
  bool all = true;
  for (const auto& condition : filter.must()) all = all && TwinHolds(condition, id, payload);
  for (const auto& condition : filter.must_not()) all = all && !TwinHolds(condition, id, payload);
  uint32_t should = 0;
  for (const auto& condition : filter.should()) should += TwinHolds(condition, id, payload);
  const uint32_t least = filter.min_should() > 0    ? filter.min_should()
                         : filter.should_size() > 0 ? 1
                                                    : 0;
  return all && should >= least;
}

TEST(FilterMatch, AgreesWithItsTwinOnRandomFilters) {
  size_t matched = 0;
  size_t total = 0;
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    v1::Filter proto;
    testing_filter::FillFilter(random, 2, proto);
    const auto filter = FilterFromProto(proto);
    ASSERT_TRUE(filter.ok()) << filter.status() << "\n" << proto.DebugString();
    for (int i = 0; i < 20; ++i) {
      const Value payload = testing_filter::RandomPayload(random);
      const std::string id = "p" + std::to_string(random.Below(4));
      const bool wanted = TwinMatches(proto, id, payload);
      ASSERT_EQ(Matches(*filter, id, payload), wanted) << proto.DebugString() << "\n"
                                                       << WritePayload(payload) << " of " << id;
      matched += wanted ? 1u : 0u;
      ++total;
    }
  }
  EXPECT_GT(matched, total / 10);
  EXPECT_LT(matched, total - total / 10);
}

bool MatchesJson(const std::string& condition, const std::string& payload) {
  const auto filter = FilterFromJson("{\"must\":[" + condition + "]}");
  EXPECT_TRUE(filter.ok()) << filter.status();
  const auto value = ParsePayload(payload);
  EXPECT_TRUE(value.ok()) << value.status();
  return Matches(*filter, "p1", *value);
}

TEST(FilterMatch, TypesAreStrict) {
  EXPECT_TRUE(MatchesJson(R"({"field":"a","match":1})", R"({"a":1})"));
  EXPECT_TRUE(MatchesJson(R"({"field":"a","match":1.0})", R"({"a":1})"));
  EXPECT_TRUE(MatchesJson(R"({"field":"a","match":1})", R"({"a":1.0})"));
  EXPECT_FALSE(MatchesJson(R"({"field":"a","match":1})", R"({"a":"1"})"));
  EXPECT_FALSE(MatchesJson(R"({"field":"a","match":"1"})", R"({"a":1})"));
  EXPECT_FALSE(MatchesJson(R"({"field":"a","match":1})", R"({"a":true})"));
  EXPECT_FALSE(MatchesJson(R"({"field":"a","match":true})", R"({"a":1})"));
  EXPECT_FALSE(MatchesJson(R"({"field":"a","range":{"gte":0}})", R"({"a":true})"));
  EXPECT_FALSE(MatchesJson(R"({"field":"a","range":{"gte":0}})", R"({"a":"1"})"));
}

TEST(FilterMatch, LargeIntegersAreComparedExactly) {
  const std::string payload = R"({"a":9007199254740993})";
  EXPECT_TRUE(MatchesJson(R"({"field":"a","match":9007199254740993})", payload));
  EXPECT_FALSE(MatchesJson(R"({"field":"a","match":9007199254740992})", payload));
  EXPECT_TRUE(MatchesJson(R"({"field":"a","range":{"gt":9007199254740992}})", payload));
  EXPECT_FALSE(MatchesJson(R"({"field":"a","range":{"lte":9007199254740992}})", payload));
  const std::string largest = R"({"a":9223372036854775807})";
  EXPECT_TRUE(MatchesJson(R"({"field":"a","range":{"lt":9223372036854775808}})", largest));
  EXPECT_FALSE(MatchesJson(R"({"field":"a","match":9223372036854775808})", largest));
  EXPECT_TRUE(MatchesJson(R"({"field":"a","range":{"gt":-1e300}})", largest));
}

TEST(FilterMatch, ArraysAreOneValueUnlessEntered) {
  const std::string payload = R"({"a":[{"b":[1,2]},{"b":3},{"c":[[5]]}],"t":["x",[],"y"]})";
  EXPECT_FALSE(MatchesJson(R"({"field":"a.b","match":3})", payload));
  EXPECT_TRUE(MatchesJson(R"({"field":"a[].b","match":3})", payload));
  EXPECT_TRUE(MatchesJson(R"({"field":"a[].b","match":2})", payload));
  EXPECT_FALSE(MatchesJson(R"({"field":"a[].b[]","match":3})", payload));
  EXPECT_TRUE(MatchesJson(R"({"field":"t","match":"y"})", payload));
  EXPECT_TRUE(MatchesJson(R"({"field":"t[]","match":"y"})", payload));
  EXPECT_FALSE(MatchesJson(R"({"field":"a[].c","match":5})", payload));
  EXPECT_TRUE(MatchesJson(R"({"field":"a[].c[]","match":5})", payload));
}

TEST(FilterMatch, ExistsAndIsEmptyAsTheContractSays) {
  const std::string payload = R"({"n":null,"s":"","l":[],"o":{},"ln":[null],"v":0})";
  for (const char* field : {"n", "s", "l", "o", "ln", "v"}) {
    EXPECT_TRUE(MatchesJson(fmt::format(R"({{"field":"{}","exists":true}})", field), payload));
  }
  EXPECT_FALSE(MatchesJson(R"({"field":"z","exists":true})", payload));
  EXPECT_TRUE(MatchesJson(R"({"field":"z","exists":false})", payload));
  EXPECT_FALSE(MatchesJson(R"({"field":"l[]","exists":true})", payload));
  for (const char* field : {"n", "s", "l", "o", "z", "l[]", "ln[]"}) {
    EXPECT_TRUE(MatchesJson(fmt::format(R"({{"field":"{}","is_empty":true}})", field), payload))
        << field;
  }
  EXPECT_FALSE(MatchesJson(R"({"field":"v","is_empty":true})", payload));
  EXPECT_FALSE(MatchesJson(R"({"field":"ln","is_empty":true})", payload));
}

TEST(FilterMatch, TimesCompareAcrossOffsets) {
  const std::string payload = R"({"t":"2026-01-01T00:30:00+01:00","bad":"yesterday"})";
  EXPECT_TRUE(MatchesJson(R"({"field":"t","range":{"lt":"2026-01-01T00:00:00Z"}})", payload));
  EXPECT_TRUE(MatchesJson(R"({"field":"t","range":{"gte":"2025-12-31T23:30:00Z"}})", payload));
  EXPECT_FALSE(MatchesJson(R"({"field":"t","range":{"gt":"2025-12-31T23:30:00Z"}})", payload));
  EXPECT_FALSE(MatchesJson(R"({"field":"bad","range":{"gte":"1990-01-01T00:00:00Z"}})", payload));
}

TEST(FilterMatch, VisitValuesYieldsEachValueOfAPath) {
  const auto payload = ParsePayload(R"({"a":[{"b":1},{"b":[2]},{"c":0}]})");
  std::vector<std::string> seen;
  VisitValues(*payload, *ParsePath("a[].b"), [&](const Value& value) {
    std::string text;
    AppendJson(text, value);
    seen.push_back(text);
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"1", "[2]"}));
}

// --- The shared data set: 54,300 real payloads and filters with known match counts ---

std::filesystem::path DataFolder() {
  const char* shared = std::getenv("VECTRON_SHARED");
  const char* source = std::getenv("VECTRON_SOURCE_DIR");
  const std::filesystem::path base =
      shared != nullptr ? std::filesystem::path(shared)
                        : std::filesystem::path(source != nullptr ? source : ".") / "../shared";
  return base / "data/debian-packages-384";
}

std::vector<Value> ReadPayloads(const std::filesystem::path& file) {
  std::vector<Value> payloads;
  std::FILE* pipe = ::popen(("gzip -dc '" + file.string() + "'").c_str(), "r");
  if (pipe == nullptr) return payloads;
  char* line = nullptr;
  size_t capacity = 0;
  for (ssize_t size; (size = ::getline(&line, &capacity, pipe)) > 0;) {
    auto payload = ParsePayload(std::string_view(line, static_cast<size_t>(size)));
    EXPECT_TRUE(payload.ok()) << payload.status();
    if (payload.ok()) payloads.push_back(*std::move(payload));
  }
  std::free(line);
  ::pclose(pipe);
  return payloads;
}

TEST(FilterMatch, CountsOfTheDebianPackagesAreRight) {
  const std::filesystem::path folder = DataFolder();
  if (!std::filesystem::exists(folder / "filters.json")) {
    GTEST_SKIP() << "NOT RUN: no " << folder << " (set VECTRON_SHARED to where the data is)";
  }
  std::ifstream in(folder / "filters.json");
  std::stringstream text;
  text << in.rdbuf();
  const std::string json = text.str();
  JsonReader reader;
  ASSERT_TRUE(reader.Open(json).ok());
  const auto tree = reader.ObjectTree(*reader.RootObject(), 32, DoubledKeys::kRefuse);
  ASSERT_TRUE(tree.ok()) << tree.status();
  const std::vector<Value> payloads = ReadPayloads(folder / "payload.jsonl.gz");
  ASSERT_EQ(payloads.size(), 54300u);
  size_t filters = 0;
  for (const Value& set : *tree->Find("sets")->get<Array>()) {
    for (const Value& entry : *set.Find("filters")->get<Array>()) {
      std::string filter_json;
      AppendJson(filter_json, *entry.Find("filter"));
      const auto filter = FilterFromJson(filter_json);
      ASSERT_TRUE(filter.ok()) << filter.status() << " " << filter_json;
      const auto count = std::count_if(payloads.begin(), payloads.end(), [&](const Value& payload) {
        return Matches(*filter, "p", payload);
      });
      EXPECT_EQ(count, *entry.Find("matches")->get<int64_t>()) << filter_json;
      ++filters;
    }
  }
  EXPECT_GE(filters, 100u);
}

}  // namespace
}  // namespace vectron
