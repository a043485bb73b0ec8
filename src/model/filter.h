#pragma once

// Conditions on a point's payload (the wire contract, section 3a): the tree, its parsers and its
// plain evaluation.
//
// Semantics. A path yields values: `[]` goes into every element; without it an array is one value.
// `match` and `range` hold if any value, or any element of a value that is an array, does. Types
// are strict: a bool is no number, "1" is no 1; 1 equals 1.0. A range with string bounds compares
// RFC 3339 times; values that are none do not match. `exists`: the path yields a value, null
// included. `is_empty`: it yields none, or only null, "", [] or {}. An empty filter matches all.

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/limits.h"
#include "model/payload.h"

namespace vectron::v1 {
class Filter;
}

namespace vectron {

// One step of a path: a key, and whether its array's elements are entered.
struct PathStep {
  std::string key;
  bool each = false;
  bool operator==(const PathStep&) const = default;
};
struct Path {
  std::string text;             // as written
  std::vector<PathStep> steps;  // at least one
};
// Parses `a.b[].c`. InvalidArgument: empty, too long, an empty step.
absl::StatusOr<Path> ParsePath(std::string_view text);

// Calls visit(value) for each value the path yields.
void VisitValues(const Value& payload, const Path& path,
                 const std::function<void(const Value&)>& visit);

struct Filter;

// A value of a match: a string, a number or a bool.
using MatchValue = std::variant<bool, int64_t, double, std::string>;

struct MatchTest {
  // At least one. Whole doubles within int64 are integers (both parsers see to it), so 1.0 finds 1.
  std::vector<MatchValue> any_of;
  bool sorted = false;  // `any_of` is ascending: it is searched by bisection
};
// Seconds since the Unix epoch, and nanoseconds of the second that began then: wide enough for
// every year of RFC 3339.
struct Timestamp {
  int64_t seconds = 0;
  uint32_t nanos = 0;  // below 1,000,000,000
  auto operator<=>(const Timestamp&) const = default;
};

// Bounds on numbers, or on times.
struct NumberRange {
  std::optional<double> gt, gte, lt, lte;
};
struct TimeRange {
  std::optional<Timestamp> gt, gte, lt, lte;
};
struct ExistsTest {
  bool wanted = true;
};
struct IsEmptyTest {
  bool wanted = true;
};
struct HasIdTest {
  std::vector<std::string> ids;
  bool sorted = false;  // as above
};
struct Condition {
  Path path;  // empty for HasIdTest and nested filters
  std::variant<MatchTest, NumberRange, TimeRange, ExistsTest, IsEmptyTest, HasIdTest,
               std::unique_ptr<Filter>>
      test;
};

struct Filter {
  std::vector<Condition> must;
  std::vector<Condition> should;
  std::vector<Condition> must_not;
  uint32_t min_should = 0;  // >= 1 when `should` is not empty

  bool empty() const { return must.empty() && should.empty() && must_not.empty(); }
};

// InvalidArgument names the place ("filter.must[1].range.gte: ...") and what is wrong; limits of
// base/limits.h. `min_should` above the number of `should` conditions is refused, as are a range
// without bounds and an empty list.
// A whole number beyond 2^53, which a Value of the wire does not hold, is there the object
// {"int64": "9007199254740993"}.
absl::StatusOr<Filter> FilterFromProto(const v1::Filter& proto);
// From the JSON text of a filter object, in proto3's JSON mapping; unknown and doubled keys are
// errors here (a misspelt condition must not match all).
absl::StatusOr<Filter> FilterFromJson(std::string_view json);
// From the tree of such a text; what the two above share.
absl::StatusOr<Filter> FilterFromTree(const Value& tree);
// Levels of JSON that a filter within kMaxFilterDepth can take.
inline constexpr uint32_t kMaxFilterJsonDepth = 3 * (kMaxFilterDepth + 1) + 2;
// The wire form; FilterFromProto of it gives an equal filter.
void FilterToProto(const Filter& filter, v1::Filter& proto);

// Whether a point passes; the plain reference that every index must agree with. Thread-safe.
bool Matches(const Filter& filter, std::string_view id, const Value& payload);
bool MatchesCondition(const Condition& condition, std::string_view id, const Value& payload);

// The tests on one value of a path, without a look into the elements of an array.
bool Holds(const MatchTest& test, const Value& value);
bool Holds(const NumberRange& range, const Value& value);
bool Holds(const TimeRange& range, const Value& value);

// RFC 3339 date-time (the grammar of its section 5.6, years 0000 to 9999): a leap second counts as
// the first second of the next day, digits of a fraction beyond the ninth are dropped. nullopt when
// the text is none.
std::optional<Timestamp> ParseRfc3339(std::string_view text);
// In UTC, with as many digits of a fraction as needed: "2026-01-31T08:00:00.25Z". A time that UTC
// puts just outside of those years is written with an offset. `time`: as ParseRfc3339 gives it.
std::string FormatRfc3339(Timestamp time);
// Nanoseconds since the Unix epoch; times outside of what int64 holds (1677-09-21 to 2262-04-11)
// become the nearest end. So the order is kept, but for times at or beyond an end.
int64_t SaturatedNanos(Timestamp time);

}  // namespace vectron
