#pragma once

// Random request bodies as text, in the many spellings that proto3's JSON mapping allows, and their
// reading.

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/status.h"
#include "model/convert.h"
#include "model/filter_testing.h"
#include "model/json_testing.h"
#include "model/text.h"
#include "vectron/vectron.pb.h"

namespace vectron::testing_request {

using testing_json::OddString;
using testing_json::OddText;
using testing_json::RandomObject;
using testing_json::RandomText;
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
inline absl::StatusOr<UpsertCall> Upsert(const std::string& json) {
  return ReadJson(json, UpsertFromJson);
}
inline absl::StatusOr<SearchCall> Search(const std::string& json) {
  return ReadJson(json, SearchFromJson);
}
inline absl::StatusOr<ScrollCall> Scroll(const std::string& json) {
  return ReadJson(json, ScrollFromJson);
}

template <typename T>
std::string ErrorOf(const absl::StatusOr<T>& result) {
  if (result.ok()) return "accepted";
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ValidUtf8Length(MessageOf(result.status())), MessageOf(result.status()).size());
  return std::string(MessageOf(result.status()));
}

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

inline std::string OddUint(Random& random, uint64_t number) {
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

inline std::string OddFloat(Random& random) {
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

inline std::string OddVector(Random& random, size_t components) {
  std::string text = "[";
  for (size_t i = 0; i < components; ++i) {
    text += (i > 0 ? "," : "") + Space(random) + OddFloat(random) + Space(random);
  }
  return text + "]";
}

inline std::string OddBool(Random& random) { return random.OneIn(2) ? "true" : "false"; }

inline std::string Unknown(Random& random) { return OddText(random, RandomObject(random, 3)); }

// `payload_key` is what the typed payload is called.
inline std::string OddPoint(Random& random, size_t number, size_t components,
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

inline std::string OddUpsert(uint64_t seed, std::string_view payload_key) {
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

inline std::string FilterText(Random& random) {
  v1::Filter filter;
  testing_filter::FillFilter(random, 2, filter);
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = random.OneIn(2);
  std::string json;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(filter, &json, options).ok());
  return json;
}

inline std::string OddSearch(uint64_t seed) {
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

}  // namespace vectron::testing_request
