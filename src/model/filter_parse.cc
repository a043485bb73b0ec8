#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "model/filter.h"
#include "model/ids.h"
#include "model/json_reader.h"
#include "model/text.h"

namespace vectron {
namespace {

// Where in a filter the parser is; made into text only for an error. Lives on the stack below its
// parent.
struct Place {
  const Place* parent = nullptr;
  std::string_view name;  // of a member; unused for an element
  size_t index = 0;       // of an element
  bool is_element = false;

  Place Member(std::string_view key) const { return {.parent = this, .name = key}; }
  Place Element(size_t at) const {
    return {.parent = this, .name = {}, .index = at, .is_element = true};
  }
  std::string Text() const {
    if (parent == nullptr) return std::string(name);
    if (is_element) return fmt::format("{}[{}]", parent->Text(), index);
    return fmt::format("{}.{}", parent->Text(), name);
  }
};

template <typename... Args>
absl::Status Wrong(const Place& place, fmt::format_string<Args...> format, Args&&... args) {
  return InvalidArgument("{}: {}", place.Text(), fmt::format(format, std::forward<Args>(args)...));
}

std::string_view KindName(const Value& value) {
  static constexpr std::array<std::string_view, 7> kNames = {
      "null", "a bool", "a number", "a number", "a string", "a list", "an object"};
  return kNames[value.variant().index()];
}

// The names a key may have: snake_case, lowerCamelCase.
bool IsKey(std::string_view key, std::string_view snake, std::string_view camel) {
  return key == snake || key == camel;
}

bool IsWhole(double number) {
  return std::trunc(number) == number && number >= -0x1p63 && number < 0x1p63;
}

// Parses one filter; counts what its limits bound.
class Parser {
 public:
  absl::StatusOr<Filter> Group(const Value& tree, const Place& place, uint32_t depth);

 private:
  absl::Status Conditions(const Value& tree, const Place& place, uint32_t depth,
                          std::vector<Condition>& conditions);
  absl::StatusOr<Condition> OneCondition(const Value& tree, const Place& place, uint32_t depth);
  // Reads the member `key` into the condition if it is a test. False when it is none.
  absl::StatusOr<bool> Test(std::string_view key, const Value& value, const Place& place,
                            uint32_t depth, Condition& condition);
  absl::StatusOr<MatchTest> Match(const Value& tree, const Place& place);
  absl::StatusOr<MatchValue> OneMatchValue(const Value& tree, const Place& place);
  absl::StatusOr<HasIdTest> HasId(const Value& tree, const Place& place);
  absl::Status CountValues(size_t count, const Place& place);

  size_t conditions_ = 0;
  size_t values_ = 0;
};

absl::StatusOr<bool> ParseBool(const Value& tree, const Place& place) {
  const bool* value = tree.get<bool>();
  if (value == nullptr) return Wrong(place, "wanted true or false, got {}", KindName(tree));
  return *value;
}

// A whole number of 32 bits, as a number or, as proto3's JSON mapping allows, a string.
absl::StatusOr<uint32_t> ParseCount(const Value& tree, const Place& place) {
  int64_t count = -1;
  if (const int64_t* whole = tree.get<int64_t>()) {
    count = *whole;
  } else if (const double* real = tree.get<double>(); real != nullptr && IsWhole(*real)) {
    count = static_cast<int64_t>(*real);
  } else if (const std::string* text = tree.get<std::string>()) {
    const char* end = text->data() + text->size();
    if (std::from_chars(text->data(), end, count).ptr != end) count = -1;
  }
  if (count < 0 || count > UINT32_MAX) return Wrong(place, "wanted a whole number, 0 or more");
  return static_cast<uint32_t>(count);
}

// The four bounds of a range, or of one under construction.
struct Bounds {
  static constexpr std::array<std::string_view, 4> kNames = {"gt", "gte", "lt", "lte"};
  std::array<const Value*, 4> given = {};  // by the order of kNames; null when not given
};

template <typename Range, typename Parse>
absl::StatusOr<Range> FillRange(const Bounds& bounds, const Place& place, Parse parse) {
  Range range;
  const std::array targets = {&range.gt, &range.gte, &range.lt, &range.lte};
  for (size_t i = 0; i < targets.size(); ++i) {
    if (bounds.given[i] == nullptr) continue;
    ASSIGN_OR_RETURN(*targets[i], parse(*bounds.given[i], place.Member(Bounds::kNames[i])));
  }
  return range;
}

absl::StatusOr<double> NumberBound(const Value& tree, const Place& place) {
  if (const int64_t* whole = tree.get<int64_t>()) return static_cast<double>(*whole);
  if (const double* real = tree.get<double>()) {
    if (std::isfinite(*real)) return *real;
    return Wrong(place, "the bound is not finite");
  }
  return Wrong(place, "wanted a number as the other bound is, got {}", KindName(tree));
}

absl::StatusOr<Timestamp> TimeBound(const Value& tree, const Place& place) {
  const std::string* text = tree.get<std::string>();
  if (text == nullptr) {
    return Wrong(place, "wanted an RFC 3339 time as the other bound is, got {}", KindName(tree));
  }
  const std::optional<Timestamp> time = ParseRfc3339(*text);
  if (time.has_value()) return *time;
  return Wrong(place, "{} is no RFC 3339 time such as '2026-01-31T08:00:00Z'", Quote(*text));
}

absl::Status ParseRange(const Value& tree, const Place& place, Condition& condition) {
  const Object* object = tree.get<Object>();
  if (object == nullptr) {
    return Wrong(place, "wanted an object of gt, gte, lt, lte, got {}", KindName(tree));
  }
  Bounds bounds;
  const Value* first = nullptr;
  for (const auto& [key, value] : *object) {
    const auto* name = std::find(Bounds::kNames.begin(), Bounds::kNames.end(), key);
    if (name == Bounds::kNames.end()) {
      return Wrong(place, "unknown key {}, wanted gt, gte, lt or lte", Quote(key));
    }
    if (value.is_null()) continue;
    if (value.get<std::string>() == nullptr && value.get<int64_t>() == nullptr &&
        value.get<double>() == nullptr) {
      return Wrong(place.Member(*name), "wanted a number or an RFC 3339 string, got {}",
                   KindName(value));
    }
    bounds.given[static_cast<size_t>(name - Bounds::kNames.begin())] = &value;
    if (first == nullptr) first = &value;
  }
  if (first == nullptr) return Wrong(place, "no bound is given");
  if (first->get<std::string>() != nullptr) {
    ASSIGN_OR_RETURN(condition.test, FillRange<TimeRange>(bounds, place, TimeBound));
  } else {
    ASSIGN_OR_RETURN(condition.test, FillRange<NumberRange>(bounds, place, NumberBound));
  }
  return absl::OkStatus();
}

absl::Status Parser::CountValues(size_t count, const Place& place) {
  values_ += count;
  if (values_ <= kMaxFilterValues) return absl::OkStatus();
  return Wrong(place, "the filter lists more than {} values", kMaxFilterValues);
}

absl::StatusOr<MatchValue> Parser::OneMatchValue(const Value& tree, const Place& place) {
  if (const bool* boolean = tree.get<bool>()) return MatchValue(*boolean);
  if (const int64_t* whole = tree.get<int64_t>()) return MatchValue(*whole);
  if (const std::string* text = tree.get<std::string>()) return MatchValue(*text);
  if (const double* real = tree.get<double>()) {
    if (!std::isfinite(*real)) return Wrong(place, "the number is not finite");
    return IsWhole(*real) ? MatchValue(static_cast<int64_t>(*real)) : MatchValue(*real);
  }
  return Wrong(place, "wanted a string, number or bool, got {}", KindName(tree));
}

absl::StatusOr<MatchTest> Parser::Match(const Value& tree, const Place& place) {
  MatchTest test;
  if (const Array* list = tree.get<Array>()) {
    if (list->empty()) return Wrong(place, "the list is empty");
    RETURN_IF_ERROR(CountValues(list->size(), place));
    for (size_t i = 0; i < list->size(); ++i) {
      ASSIGN_OR_RETURN(MatchValue value, OneMatchValue((*list)[i], place.Element(i)));
      test.any_of.push_back(std::move(value));
    }
  } else if (tree.is_null()) {
    return Wrong(place, "null cannot be matched; is_empty finds it");
  } else {
    RETURN_IF_ERROR(CountValues(1, place));
    ASSIGN_OR_RETURN(MatchValue value, OneMatchValue(tree, place));
    test.any_of.push_back(std::move(value));
  }
  std::sort(test.any_of.begin(), test.any_of.end());
  test.any_of.erase(std::unique(test.any_of.begin(), test.any_of.end()), test.any_of.end());
  test.sorted = true;
  return test;
}

absl::StatusOr<HasIdTest> Parser::HasId(const Value& tree, const Place& place) {
  const Array* list = tree.get<Array>();
  if (list == nullptr) return Wrong(place, "wanted a list of ids, got {}", KindName(tree));
  RETURN_IF_ERROR(CountValues(list->size(), place));
  HasIdTest test;
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string* id = (*list)[i].get<std::string>();
    if (id == nullptr) {
      return Wrong(place.Element(i), "wanted a string, got {}", KindName((*list)[i]));
    }
    if (const absl::Status good = CheckPointId(*id); !good.ok()) {
      return Wrong(place.Element(i), "{}", MessageOf(good));
    }
    test.ids.push_back(*id);
  }
  std::sort(test.ids.begin(), test.ids.end());
  test.ids.erase(std::unique(test.ids.begin(), test.ids.end()), test.ids.end());
  test.sorted = true;
  return test;
}

absl::StatusOr<bool> Parser::Test(std::string_view key, const Value& value, const Place& place,
                                  uint32_t depth, Condition& condition) {
  if (key == "match") {
    ASSIGN_OR_RETURN(condition.test, Match(value, place.Member(key)));
    return true;
  }
  const bool is_exists = key == "exists";
  const bool is_empty = IsKey(key, "is_empty", "isEmpty");
  const bool is_has_id = IsKey(key, "has_id", "hasId");
  if (!is_exists && !is_empty && !is_has_id && key != "range" && key != "filter") {
    return Wrong(place,
                 "unknown key {}, wanted field and one of match, range, exists, is_empty, has_id, "
                 "filter",
                 Quote(key));
  }
  if (value.is_null()) return false;
  if (key == "range") {
    RETURN_IF_ERROR(ParseRange(value, place.Member("range"), condition));
  } else if (is_exists) {
    ASSIGN_OR_RETURN(const bool wanted, ParseBool(value, place.Member("exists")));
    condition.test = ExistsTest{wanted};
  } else if (is_empty) {
    ASSIGN_OR_RETURN(const bool wanted, ParseBool(value, place.Member("is_empty")));
    condition.test = IsEmptyTest{wanted};
  } else if (is_has_id) {
    ASSIGN_OR_RETURN(HasIdTest test, HasId(value, place.Member("has_id")));
    if (test.ids.empty()) return false;  // as unset: on the wire the two are the same
    condition.test = std::move(test);
  } else {
    ASSIGN_OR_RETURN(Filter group, Group(value, place.Member("filter"), depth + 1));
    condition.test = std::make_unique<Filter>(std::move(group));
  }
  return true;
}

absl::StatusOr<Condition> Parser::OneCondition(const Value& tree, const Place& place,
                                               uint32_t depth) {
  if (++conditions_ > kMaxFilterConditions) {
    return Wrong(place, "the filter has more than {} conditions", kMaxFilterConditions);
  }
  const Object* object = tree.get<Object>();
  if (object == nullptr) return Wrong(place, "wanted an object, got {}", KindName(tree));
  Condition condition;
  const std::string* field = nullptr;
  size_t tests = 0;
  bool no_ids = false;  // has_id is given, and empty
  for (const auto& [key, value] : *object) {
    if (key == "field") {
      field = value.get<std::string>();
      if (field == nullptr && !value.is_null()) {
        return Wrong(place.Member("field"), "wanted a string, got {}", KindName(value));
      }
      continue;
    }
    ASSIGN_OR_RETURN(const bool is_test, Test(key, value, place, depth, condition));
    if (is_test) ++tests;
    no_ids = no_ids || (!is_test && value.get<Array>() != nullptr);
  }
  if (tests == 0 && no_ids) return Wrong(place.Member("has_id"), "the list is empty");
  if (tests != 1) {
    return Wrong(place,
                 "a condition needs exactly one of match, range, exists, is_empty, has_id, filter; "
                 "got {}",
                 tests);
  }
  const bool has_field = field != nullptr && !field->empty();
  const bool wants_field = !std::holds_alternative<HasIdTest>(condition.test) &&
                           !std::holds_alternative<std::unique_ptr<Filter>>(condition.test);
  if (wants_field != has_field) {
    return Wrong(place.Member("field"), "{}",
                 wants_field ? "it is missing" : "has_id and filter take no field");
  }
  if (!wants_field) return condition;
  auto path = ParsePath(*field);
  if (!path.ok()) return Wrong(place.Member("field"), "{}", MessageOf(path.status()));
  condition.path = *std::move(path);
  return condition;
}

absl::Status Parser::Conditions(const Value& tree, const Place& place, uint32_t depth,
                                std::vector<Condition>& conditions) {
  if (tree.is_null()) return absl::OkStatus();
  const Array* list = tree.get<Array>();
  if (list == nullptr) return Wrong(place, "wanted a list of conditions, got {}", KindName(tree));
  if (!conditions.empty()) return Wrong(place, "it is given twice");
  for (size_t i = 0; i < list->size(); ++i) {
    ASSIGN_OR_RETURN(Condition condition, OneCondition((*list)[i], place.Element(i), depth));
    conditions.push_back(std::move(condition));
  }
  return absl::OkStatus();
}

absl::StatusOr<Filter> Parser::Group(const Value& tree, const Place& place, uint32_t depth) {
  if (depth > kMaxFilterDepth) {
    return Wrong(place, "filters are nested deeper than {} levels", kMaxFilterDepth);
  }
  const Object* object = tree.get<Object>();
  if (object == nullptr) return Wrong(place, "wanted an object, got {}", KindName(tree));
  Filter filter;
  for (const auto& [key, value] : *object) {
    if (key == "must") {
      RETURN_IF_ERROR(Conditions(value, place.Member(key), depth, filter.must));
    } else if (key == "should") {
      RETURN_IF_ERROR(Conditions(value, place.Member(key), depth, filter.should));
    } else if (IsKey(key, "must_not", "mustNot")) {
      RETURN_IF_ERROR(Conditions(value, place.Member("must_not"), depth, filter.must_not));
    } else if (!IsKey(key, "min_should", "minShould")) {
      return Wrong(place, "unknown key {}, wanted must, should, must_not or min_should",
                   Quote(key));
    } else if (!value.is_null()) {
      ASSIGN_OR_RETURN(filter.min_should, ParseCount(value, place.Member("min_should")));
    }
  }
  if (filter.min_should > filter.should.size()) {
    return Wrong(place.Member("min_should"), "it is {}, but should has {} conditions",
                 filter.min_should, filter.should.size());
  }
  if (filter.min_should == 0 && !filter.should.empty()) filter.min_should = 1;
  return filter;
}

}  // namespace

absl::StatusOr<Path> ParsePath(std::string_view text) {
  if (text.empty()) return InvalidArgument("the path is empty");
  if (text.size() > kMaxFilterPathBytes) {
    return InvalidArgument("the path {} has {} bytes, at most {} are allowed", Quote(text),
                           text.size(), kMaxFilterPathBytes);
  }
  Path path{.text = std::string(text), .steps = {}};
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find('.', begin), text.size());
    std::string_view key = text.substr(begin, end - begin);
    const bool each = key.ends_with("[]");
    if (each) key.remove_suffix(2);
    if (key.empty()) {
      return InvalidArgument("the path {} has an empty step at byte {}", Quote(text), begin);
    }
    if (const size_t bracket = key.find_first_of("[]"); bracket != std::string_view::npos) {
      return InvalidArgument("the path {} has a bracket at byte {} that is not a step's final []",
                             Quote(text), begin + bracket);
    }
    path.steps.push_back({.key = std::string(key), .each = each});
    begin = end + 1;
  }
  return path;
}

absl::StatusOr<Filter> FilterFromTree(const Value& tree) {
  return Parser().Group(tree, Place{.name = "filter"}, 1);
}

absl::StatusOr<Filter> FilterFromJson(std::string_view json) {
  JsonReader reader;
  const auto parse = [&]() -> absl::StatusOr<Value> {
    RETURN_IF_ERROR(reader.Open(json));
    ASSIGN_OR_RETURN(JsonObject root, reader.RootObject());
    ASSIGN_OR_RETURN(Value tree,
                     reader.ObjectTree(root, kMaxFilterJsonDepth, DoubledKeys::kRefuse));
    RETURN_IF_ERROR(reader.ExpectEnd());
    return tree;
  };
  const auto tree = parse();
  if (!tree.ok()) return Annotate(tree.status(), "filter");
  return FilterFromTree(*tree);
}

}  // namespace vectron
