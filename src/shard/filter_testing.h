#pragma once

// Random payloads and filters over the same few fields and values, so that filters match some
// points. For tests.

#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "model/collection.h"

namespace vectron::shard {

// The fields that filters name; those of `indexed` are declared in some tests.
inline const std::vector<PayloadIndexSpec>& FilterFields() {
  static const auto* const fields = new std::vector<PayloadIndexSpec>{
      {"word", PayloadType::kKeyword},    {"count", PayloadType::kInteger},
      {"price", PayloadType::kFloat},     {"open", PayloadType::kBool},
      {"when", PayloadType::kDatetime},   {"tags[]", PayloadType::kKeyword},
      {"a.b[].c", PayloadType::kInteger}, {"odd", PayloadType::kInteger}};
  return *fields;
}

class RandomFilters {
 public:
  explicit RandomFilters(Random& random) : random_(random) {}

  // A JSON object, or "" for none.
  std::string Payload() {
    std::string members;
    Member(members, "word", random_.OneIn(8) ? Any() : Word());
    Member(members, "count", random_.OneIn(8) ? Any() : Count());
    Member(members, "price", random_.OneIn(8) ? Any() : Price());
    Member(members, "open", random_.OneIn(8) ? Any() : Flag());
    Member(members, "when", random_.OneIn(8) ? Any() : When());
    Member(members, "tags", random_.OneIn(8) ? Any() : List(&RandomFilters::Word));
    Member(members, "a", random_.OneIn(8) ? Any() : "{\"b\":" + List(&RandomFilters::Inner) + "}");
    Member(members, "odd", Any());
    return members.empty() ? "" : "{" + members + "}";
  }

  // The JSON text of a filter. ids: of has_id conditions, "p0" to "p<n-1>".
  std::string Filter(int depth, uint64_t id_count) {
    std::string members;
    for (const char* group : {"must", "should", "must_not"}) {
      if (random_.OneIn(2)) continue;
      std::string conditions;
      const uint64_t count = 1 + random_.Below(3);
      for (uint64_t i = 0; i < count; ++i) {
        if (i > 0) conditions += ",";
        conditions += Condition(depth, id_count);
      }
      if (!members.empty()) members += ",";
      members += fmt::format("\"{}\":[{}]", group, conditions);
      if (std::string_view(group) == "should" && random_.OneIn(2)) {
        members += fmt::format(",\"min_should\":{}", 1 + random_.Below(count));
      }
    }
    return "{" + members + "}";
  }

 private:
  std::string Condition(int depth, uint64_t id_count) {
    if (depth > 0 && random_.OneIn(5)) {
      return "{\"filter\":" + Filter(depth - 1, id_count) + "}";
    }
    if (random_.OneIn(8)) {
      std::string ids;
      const uint64_t count = 1 + random_.Below(4);
      for (uint64_t i = 0; i < count; ++i) {
        ids += fmt::format("{}\"p{}\"", i == 0 ? "" : ",", random_.Below(id_count));
      }
      return "{\"has_id\":[" + ids + "]}";
    }
    return fmt::format("{{\"field\":\"{}\",{}}}", Field(), Test());
  }
  std::string Field() {
    if (random_.OneIn(6)) return "tags";
    if (random_.OneIn(12)) return "missing";
    return FilterFields()[random_.Below(FilterFields().size())].field;
  }
  std::string Test() {
    switch (random_.Below(6)) {
      case 0:
        return "\"match\":" + MatchValue();
      case 1:
        return "\"match\":[" + MatchValue() + "," + MatchValue() + "]";
      case 2:
        return fmt::format("\"range\":{{\"{}\":{}}}", Lower(), Number());
      case 3:
        return fmt::format("\"range\":{{\"{}\":{},\"lt\":{}}}", Lower(), When(), When());
      case 4:
        return "\"exists\":" + Flag();
      default:
        return "\"is_empty\":" + Flag();
    }
  }
  std::string Lower() { return random_.OneIn(2) ? "gt" : "gte"; }
  std::string MatchValue() {
    switch (random_.Below(5)) {
      case 0:
        return Count();
      case 1:
        return Price();
      case 2:
        return Flag();
      case 3:
        return When();
      default:
        return Word();
    }
  }
  std::string Number() { return random_.OneIn(2) ? Count() : Price(); }
  std::string Word() {
    static constexpr const char* kWords[] = {"red", "green", "blue", "1", ""};
    return fmt::format("\"{}\"", kWords[random_.Below(5)]);
  }
  std::string Count() { return std::to_string(static_cast<int64_t>(random_.Below(8)) - 2); }
  std::string Price() { return fmt::format("{}.{}", random_.Below(4), random_.OneIn(2) ? 5 : 0); }
  std::string Flag() { return random_.OneIn(2) ? "true" : "false"; }
  std::string When() {
    // The same times in two spellings, and texts that are none.
    const uint64_t day = 1 + random_.Below(5);
    if (random_.OneIn(4)) return fmt::format("\"2024-01-0{}T01:00:00+01:00\"", day);
    // Beyond what nanoseconds in 64 bits hold, where an index must ask the payload.
    if (random_.OneIn(6)) return fmt::format("\"9999-12-31T23:59:5{}Z\"", day);
    if (random_.OneIn(6)) return fmt::format("\"150{}-01-01T00:00:00Z\"", day);
    return fmt::format("\"2024-01-0{}T00:00:00Z\"", day);
  }
  std::string Inner() {
    return random_.OneIn(3) ? "{}"
                            : fmt::format("{{\"c\":{}}}", random_.OneIn(6) ? Any() : Count());
  }
  std::string List(std::string (RandomFilters::*element)()) {
    std::string list;
    const uint64_t count = random_.Below(4);
    for (uint64_t i = 0; i < count; ++i) list += (i > 0 ? "," : "") + (this->*element)();
    return "[" + list + "]";
  }
  std::string Any() {
    switch (random_.Below(9)) {
      case 0:
        return "null";
      case 1:
        return "{}";
      case 2:
        return "[]";
      case 3:
        return Word();
      case 4:
        return Price();
      case 5:
        return Flag();
      case 6:
        return "[" + Word() + "," + Count() + ",null]";
      case 7:
        return When();
      default:
        return Count();
    }
  }
  void Member(std::string& members, const char* key, const std::string& value) {
    if (random_.OneIn(4)) return;
    if (!members.empty()) members += ",";
    members += fmt::format("\"{}\":{}", key, value);
  }

  Random& random_;
};

}  // namespace vectron::shard
