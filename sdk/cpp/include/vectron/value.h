#pragma once

// A JSON value: what payloads hold.

#include <concepts>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace vectron {

// null, a bool, a number (64-bit float), a string, an array or an object. A value type; copies are
// deep.
//
//   vectron::Payload payload = {{"price", 1.2}, {"tags", vectron::Value::Array{"crisp", "sweet"}}};
class Value {
 public:
  using Array = std::vector<Value>;
  using Object = std::map<std::string, Value, std::less<>>;

  Value() = default;
  Value(std::nullptr_t) {}
  Value(std::same_as<bool> auto value) : data_(value) {}
  // Whole numbers beyond 2^53 are rounded, as in JSON of doubles: keep those as strings.
  template <typename T>
  requires((std::integral<T> || std::floating_point<T>)&&!std::same_as<T, bool>) Value(T value)
      : data_(static_cast<double>(value)) {}
  Value(const char* text) : data_(std::string(text)) {}
  Value(std::string_view text) : data_(std::string(text)) {}
  Value(std::string text) : data_(std::move(text)) {}
  Value(Array items) : data_(std::move(items)) {}
  Value(Object fields) : data_(std::move(fields)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  // The content if it is of that type, else null.
  const bool* as_bool() const { return std::get_if<bool>(&data_); }
  const double* as_number() const { return std::get_if<double>(&data_); }
  const std::string* as_string() const { return std::get_if<std::string>(&data_); }
  const Array* as_array() const { return std::get_if<Array>(&data_); }
  const Object* as_object() const { return std::get_if<Object>(&data_); }

  friend bool operator==(const Value&, const Value&) = default;

 private:
  std::variant<std::monostate, bool, double, std::string, Array, Object> data_;
};

using Payload = Value::Object;

}  // namespace vectron
