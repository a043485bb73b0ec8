#pragma once

// Filters as expressions:
//
//   using vectron::Field;
//   auto cheap = Field("section") == "sound" && Field("size_kb") < 500 &&
//                !Field("tags[]").OneOf({"role::debug"});
//
// A path such as "a.b[].c" names a payload value; [] goes into every element of an array. Tests are
// strict about types: "1" is no 1, and true is no number. Times are compared as RFC 3339 strings.

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "vectron/value.h"

namespace vectron {

// A condition or a group of them. Immutable; copies share. Thread-safe.
class Filter {
 public:
  struct Node;  // of the library
  explicit Filter(std::shared_ptr<const Node> node) : node_(std::move(node)) {}
  const Node& node() const { return *node_; }

 private:
  std::shared_ptr<const Node> node_;
};

// All parts hold / at least one holds / it does not hold. Both sides are always part of the filter.
Filter operator&&(const Filter& left, const Filter& right);
Filter operator||(const Filter& left, const Filter& right);
Filter operator!(const Filter& filter);
// At least `count` of the parts hold. Throws InvalidArgumentError unless 1 <= count <=
// parts.size().
Filter AtLeast(size_t count, const std::vector<Filter>& parts);
// The point's id is one of these.
Filter HasId(const std::vector<std::string>& ids);

// A payload path, to be compared. Throws InvalidArgumentError for values that are no JSON (NaN).
class Field {
 public:
  explicit Field(std::string path);

  Filter OneOf(std::initializer_list<Value> values) const {
    return OneOf(std::vector<Value>(values));
  }
  Filter OneOf(const std::vector<Value>& values) const;
  Filter Between(const Value& low, const Value& high) const;  // low <= value <= high
  Filter Exists() const;   // the path yields a value, null included
  Filter IsEmpty() const;  // the path yields nothing, or only null, "", [] or {}

  friend Filter operator==(const Field& field, const Value& value);
  friend Filter operator!=(const Field& field, const Value& value);
  friend Filter operator<(const Field& field, const Value& value);
  friend Filter operator<=(const Field& field, const Value& value);
  friend Filter operator>(const Field& field, const Value& value);
  friend Filter operator>=(const Field& field, const Value& value);

 private:
  std::string path_;
};

}  // namespace vectron
