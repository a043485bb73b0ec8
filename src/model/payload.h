#pragma once

// A payload as a tree of JSON values, and its conversions to and from text. (payload_proto.h has
// those to the wire's maps.)

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vectron {

class Value;
using Array = std::vector<Value>;
using Object = std::vector<std::pair<std::string, Value>>;  // in the order given; keys are unique
                                                            // (the last wins)

// Any JSON value. Whole numbers within int64 keep all their digits. Thread-compatible.
class Value {
 public:
  using Variant = std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object>;

  Value() = default;  // null
  template <typename T>
  explicit Value(T value) : value_(std::move(value)) {}

  const Variant& variant() const { return value_; }
  Variant& variant() { return value_; }
  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  template <typename T>
  const T* get() const {
    return std::get_if<T>(&value_);
  }
  // The member of an object; null when this is no object or lacks the key.
  const Value* Find(std::string_view key) const;
  // Same types, same values, members in the same order; 1 and 1.0 are different here.
  bool operator==(const Value& other) const;

 private:
  Variant value_;
};

// Parses a payload: one JSON object (or nothing: an empty one) within kMaxPayloadBytes and
// kMaxJsonDepth. InvalidArgument with what and where (byte position). Whatever NormalizePayload and
// WritePayload give is parsed again.
absl::StatusOr<Value> ParsePayload(std::string_view json);
// The text of an object without white space; "" for an empty object. Numbers are finite.
std::string WritePayload(const Value& payload);
// Appends the JSON text of any value, without white space. Numbers are finite.
void AppendJson(std::string& out, const Value& value);
// Like ParsePayload then WritePayload, without the tree: checks, takes out white space and doubled
// keys. The result is within kMaxPayloadBytes too.
absl::StatusOr<std::string> NormalizePayload(std::string_view json);

// Keeps only these top-level keys, in stored order. Payload and result are texts as stored.
std::string SelectPayloadFields(std::string_view payload, const std::vector<std::string>& keys);

// Bytes of a payload, and of one of its fields, that ranking reads at most.
inline constexpr size_t kExcerptBytes = 16'384;
inline constexpr size_t kExcerptFieldBytes = 4'096;

// What a payload longer than kExcerptBytes is ranked by: its top-level fields in stored order,
// those that still fit. A text is cut after kExcerptFieldBytes, at a character; of a list the first
// elements stay; a longer object becomes the text of its beginning. Both are texts as stored.
std::string ExcerptPayload(std::string_view payload);

}  // namespace vectron
