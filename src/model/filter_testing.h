#pragma once

// Random filters in their wire form, over the small world of payloads that RandomPayload makes, so
// that they often match.

#include <google/protobuf/struct.pb.h>

#include <string>
#include <utility>

#include "base/random.h"
#include "model/payload.h"
#include "vectron/vectron.pb.h"

namespace vectron::testing_filter {

inline std::string SmallText(Random& random) {
  static const char* const kTexts[] = {"",
                                       "a",
                                       "b",
                                       "1",
                                       "2026-01-01T00:00:00Z",
                                       "2026-01-01T01:00:00.5+01:00",
                                       "c",
                                       "true",
                                       "9999-12-31T23:59:59Z",
                                       "1500-06-01T00:00:00Z",
                                       "1999-12-31T23:59:59Z"};
  return kTexts[random.Below(std::size(kTexts))];
}

inline Value SmallScalar(Random& random) {
  switch (random.Below(6)) {
    case 0:
      return Value();
    case 1:
      return Value(random.OneIn(2));
    case 2:
      return Value(static_cast<int64_t>(random.Below(4)));
    case 3:
      return Value(static_cast<double>(random.Below(8)) / 2);
    default:
      return Value(SmallText(random));
  }
}

inline Value SmallValue(Random& random, int depth) {
  const uint64_t kind = random.Below(depth > 0 ? 4 : 2);
  if (kind < 2) return SmallScalar(random);
  if (kind == 2) {
    Array array;
    for (uint64_t n = random.Below(3); n > 0; --n) array.push_back(SmallValue(random, depth - 1));
    return Value(std::move(array));
  }
  Object object;
  for (const char* key : {"a", "b", "c"}) {
    if (random.OneIn(2)) object.emplace_back(key, SmallValue(random, depth - 1));
  }
  return Value(std::move(object));
}

inline Value RandomPayload(Random& random) {
  Object object;
  for (const char* key : {"a", "b", "c"}) {
    if (!random.OneIn(4)) object.emplace_back(key, SmallValue(random, 3));
  }
  return Value(std::move(object));
}

inline std::string RandomPath(Random& random) {
  std::string path;
  for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
    if (!path.empty()) path += '.';
    path += static_cast<char>('a' + random.Below(3));
    if (random.OneIn(3)) path += "[]";
  }
  return path;
}

inline void SetOperand(Random& random, google::protobuf::Value& value) {
  switch (random.Below(4)) {
    case 0:
      value.set_bool_value(random.OneIn(2));
      return;
    case 1:
      value.set_number_value(static_cast<double>(random.Below(8)) / 2);
      return;
    default:
      value.set_string_value(SmallText(random));
  }
}

inline void SetRange(Random& random, v1::Range& range) {
  const bool times = random.OneIn(3);
  const auto set = [&](google::protobuf::Value& bound) {
    if (times) {
      static const char* const kBounds[] = {"2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z",
                                            "9999-12-31T23:59:59Z", "1500-06-01T00:00:00Z"};
      bound.set_string_value(kBounds[random.OneIn(4) ? random.Below(4) : random.Below(2)]);
    } else {
      bound.set_number_value(static_cast<double>(random.Below(8)) / 2);
    }
  };
  const uint64_t mask = 1 + random.Below(15);
  if ((mask & 1) != 0) set(*range.mutable_gt());
  if ((mask & 2) != 0) set(*range.mutable_gte());
  if ((mask & 4) != 0) set(*range.mutable_lt());
  if ((mask & 8) != 0) set(*range.mutable_lte());
}

inline void FillFilter(Random& random, int depth, v1::Filter& filter);

inline void FillCondition(Random& random, int depth, v1::Condition& condition) {
  const uint64_t kind = random.Below(depth > 0 ? 8 : 7);
  if (kind < 6) condition.set_field(RandomPath(random));
  switch (kind) {
    case 0:
    case 1:
      SetOperand(random, *condition.mutable_match());
      return;
    case 2:
      for (uint64_t n = 1 + random.Below(12); n > 0; --n) {
        SetOperand(random, *condition.mutable_match()->mutable_list_value()->add_values());
      }
      return;
    case 3:
      SetRange(random, *condition.mutable_range());
      return;
    case 4:
      condition.set_exists(random.OneIn(2));
      return;
    case 5:
      condition.set_is_empty(random.OneIn(2));
      return;
    case 6:
      for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
        condition.add_has_id("p" + std::to_string(random.Below(4)));
      }
      return;
    default:
      FillFilter(random, depth - 1, *condition.mutable_filter());
  }
}

inline void FillFilter(Random& random, int depth, v1::Filter& filter) {
  for (uint64_t n = random.Below(3); n > 0; --n) FillCondition(random, depth, *filter.add_must());
  for (uint64_t n = random.Below(4); n > 0; --n) FillCondition(random, depth, *filter.add_should());
  for (uint64_t n = random.Below(2); n > 0; --n) {
    FillCondition(random, depth, *filter.add_must_not());
  }
  filter.set_min_should(
      static_cast<uint32_t>(random.Below(static_cast<uint64_t>(filter.should_size()) + 1)));
}

}  // namespace vectron::testing_filter
