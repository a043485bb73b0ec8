#include <algorithm>
#include <cmath>
#include <span>

#include "model/filter.h"

namespace vectron {
namespace {

constexpr double kInt64End = 0x1p63;  // the first double above int64
constexpr size_t kShortList = 8;      // up to this many values are compared one by one

// Calls visit(value) for the values that the rest of a path yields, until it returns true; whether
// it did.
template <typename Visit>
bool AnyValue(const Value& value, std::span<const PathStep> steps, const Visit& visit) {
  if (steps.empty()) return visit(value);
  const Value* member = value.Find(steps.front().key);
  if (member == nullptr) return false;
  const auto rest = steps.subspan(1);
  if (!steps.front().each) return AnyValue(*member, rest, visit);
  const Array* array = member->get<Array>();
  return array != nullptr && std::any_of(array->begin(), array->end(), [&](const Value& element) {
           return AnyValue(element, rest, visit);
         });
}

// -1, 0 or 1 as a is less than, equal to or greater than b; exact. b is no NaN.
int Compare(int64_t a, double b) {
  if (b >= kInt64End) return -1;
  if (b < -kInt64End) return 1;
  const double whole = std::trunc(b);
  const auto truncated = static_cast<int64_t>(whole);
  if (a != truncated) return a < truncated ? -1 : 1;
  return whole < b ? -1 : whole > b ? 1 : 0;
}
int Compare(double a, double b) { return a < b ? -1 : a > b ? 1 : 0; }
int Compare(const Timestamp& a, const Timestamp& b) { return a < b ? -1 : a > b ? 1 : 0; }

template <typename Range, typename Number>
bool InRange(const Range& range, Number number) {
  return (!range.gt || Compare(number, *range.gt) > 0) &&
         (!range.gte || Compare(number, *range.gte) >= 0) &&
         (!range.lt || Compare(number, *range.lt) < 0) &&
         (!range.lte || Compare(number, *range.lte) <= 0);
}

bool Equal(const MatchValue& wanted, const Value& value) {
  if (const bool* boolean = value.get<bool>()) {
    const bool* other = std::get_if<bool>(&wanted);
    return other != nullptr && *other == *boolean;
  }
  if (const std::string* text = value.get<std::string>()) {
    const std::string* other = std::get_if<std::string>(&wanted);
    return other != nullptr && *other == *text;
  }
  if (const int64_t* whole = value.get<int64_t>()) {
    if (const int64_t* other = std::get_if<int64_t>(&wanted)) return *other == *whole;
    const double* other = std::get_if<double>(&wanted);
    return other != nullptr && Compare(*whole, *other) == 0;
  }
  if (const double* real = value.get<double>()) {
    if (const double* other = std::get_if<double>(&wanted)) return *other == *real;
    const int64_t* other = std::get_if<int64_t>(&wanted);
    return other != nullptr && Compare(*other, *real) == 0;
  }
  return false;
}

// The value as one of a match would be kept; nullopt when it cannot be matched.
std::optional<MatchValue> AsMatchValue(const Value& value) {
  if (const bool* boolean = value.get<bool>()) return MatchValue(*boolean);
  if (const int64_t* whole = value.get<int64_t>()) return MatchValue(*whole);
  if (const std::string* text = value.get<std::string>()) return MatchValue(*text);
  const double* real = value.get<double>();
  if (real == nullptr) return std::nullopt;
  if (std::trunc(*real) == *real && *real >= -kInt64End && *real < kInt64End) {
    return MatchValue(static_cast<int64_t>(*real));
  }
  return MatchValue(*real);
}

bool IsBlank(const Value& value) {
  if (value.is_null()) return true;
  if (const std::string* text = value.get<std::string>()) return text->empty();
  if (const Array* array = value.get<Array>()) return array->empty();
  const Object* object = value.get<Object>();
  return object != nullptr && object->empty();
}

// Whether the test holds for a value of the path, or an element of one that is an array.
template <typename Test>
bool HoldsSomewhere(const Test& test, const Path& path, const Value& payload) {
  return AnyValue(payload, path.steps, [&](const Value& value) {
    const Array* array = value.get<Array>();
    if (array == nullptr) return Holds(test, value);
    return std::any_of(array->begin(), array->end(),
                       [&](const Value& element) { return Holds(test, element); });
  });
}

// One overload per kind of test.
struct Evaluator {
  const Path& path;
  std::string_view id;
  const Value& payload;

  bool operator()(const MatchTest& test) const { return HoldsSomewhere(test, path, payload); }
  bool operator()(const NumberRange& range) const { return HoldsSomewhere(range, path, payload); }
  bool operator()(const TimeRange& range) const { return HoldsSomewhere(range, path, payload); }
  bool operator()(const ExistsTest& test) const {
    return AnyValue(payload, path.steps, [](const Value&) { return true; }) == test.wanted;
  }
  bool operator()(const IsEmptyTest& test) const {
    const bool filled =
        AnyValue(payload, path.steps, [](const Value& value) { return !IsBlank(value); });
    return filled != test.wanted;
  }
  bool operator()(const HasIdTest& test) const {
    if (test.sorted) return std::binary_search(test.ids.begin(), test.ids.end(), id);
    return std::find(test.ids.begin(), test.ids.end(), id) != test.ids.end();
  }
  bool operator()(const std::unique_ptr<Filter>& filter) const {
    return Matches(*filter, id, payload);
  }
};

}  // namespace

void VisitValues(const Value& payload, const Path& path,
                 const std::function<void(const Value&)>& visit) {
  AnyValue(payload, path.steps, [&](const Value& value) {
    visit(value);
    return false;
  });
}

bool Holds(const MatchTest& test, const Value& value) {
  if (!test.sorted || test.any_of.size() <= kShortList) {
    return std::any_of(test.any_of.begin(), test.any_of.end(),
                       [&](const MatchValue& wanted) { return Equal(wanted, value); });
  }
  const std::optional<MatchValue> key = AsMatchValue(value);
  return key.has_value() && std::binary_search(test.any_of.begin(), test.any_of.end(), *key);
}

bool Holds(const NumberRange& range, const Value& value) {
  if (const int64_t* whole = value.get<int64_t>()) return InRange(range, *whole);
  const double* real = value.get<double>();
  return real != nullptr && InRange(range, *real);
}

bool Holds(const TimeRange& range, const Value& value) {
  const std::string* text = value.get<std::string>();
  if (text == nullptr) return false;
  const std::optional<Timestamp> time = ParseRfc3339(*text);
  return time.has_value() && InRange(range, *time);
}

bool MatchesCondition(const Condition& condition, std::string_view id, const Value& payload) {
  return std::visit(Evaluator{condition.path, id, payload}, condition.test);
}

bool Matches(const Filter& filter, std::string_view id, const Value& payload) {
  const auto holds = [&](const Condition& condition) {
    return MatchesCondition(condition, id, payload);
  };
  if (!std::all_of(filter.must.begin(), filter.must.end(), holds)) return false;
  if (std::any_of(filter.must_not.begin(), filter.must_not.end(), holds)) return false;
  uint32_t missing = filter.min_should;
  for (const Condition& condition : filter.should) {
    if (missing == 0) break;
    if (holds(condition)) --missing;
  }
  return missing == 0;
}

}  // namespace vectron
