#include "model/json_fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/limits.h"
#include "model/text.h"
#include "vectron/vectron.pb.h"

namespace vectron {
namespace {

// Room made for vectors at first: a component takes about this many bytes of text, and this many
// are the most of one request.
constexpr size_t kComponentBytes = 8;
constexpr size_t kMaxReserved = kMaxUpsertBytes / sizeof(float);

// The whole text as a number; nullopt when it is none.
template <typename Number>
std::optional<Number> NumberOf(std::string_view text) {
  Number number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

// The number that a value holds, written as one or as a string. nullopt: it is neither, or no
// number.
absl::StatusOr<std::optional<double>> AnyNumber(JsonReader& reader, JsonValue value,
                                                JsonType type) {
  if (type == JsonType::number) {
    ASSIGN_OR_RETURN(const JsonNumber number, reader.Number(value));
    return std::optional<double>(number.real);
  }
  if (type != JsonType::string) {
    RETURN_IF_ERROR(reader.SkipUnknown(value));
    return std::optional<double>();
  }
  ASSIGN_OR_RETURN(const std::string_view text, reader.String(value));
  if (text == "NaN") return std::optional<double>(std::nan(""));
  if (text == "Infinity") return std::optional<double>(HUGE_VAL);
  if (text == "-Infinity") return std::optional<double>(-HUGE_VAL);
  // from_chars knows "inf" and "nan", which JSON does not.
  const bool plain = !text.empty() && (text.back() >= '0' && text.back() <= '9');
  return plain ? NumberOf<double>(text) : std::nullopt;
}

// Why a component of a vector cannot be taken; empty when it can: it is in `component` then.
absl::StatusOr<std::string_view> TakeComponent(JsonReader& reader, JsonValue value,
                                               float& component) {
  if (const std::string_view literal = reader.NonFiniteLiteral(value); !literal.empty()) {
    return literal == "NaN" ? "NaN (which JSON does not have)"
                            : "infinite (and JSON has no Infinity)";
  }
  ASSIGN_OR_RETURN(const JsonType type, reader.TypeOf(value));
  ASSIGN_OR_RETURN(const std::optional<double> number, AnyNumber(reader, value, type));
  if (!number.has_value()) return "no number";
  if (std::isnan(*number)) return "NaN";
  component = static_cast<float>(*number);
  return std::isfinite(component) ? "" : "infinite";
}

}  // namespace

absl::StatusOr<JsonType> FieldType(JsonReader& reader, JsonValue value, std::string_view field) {
  if (const std::string_view literal = reader.NonFiniteLiteral(value); !literal.empty()) {
    return reader.WrongAt(value, "{} is {}, which JSON does not have", field, literal);
  }
  absl::StatusOr<JsonType> type = reader.TypeOf(value);
  if (!type.ok()) return Annotate(type.status(), field);
  return type;
}

absl::StatusOr<std::optional<bool>> ReadBool(JsonReader& reader, JsonValue value,
                                             std::string_view field) {
  ASSIGN_OR_RETURN(const JsonType type, FieldType(reader, value, field));
  if (type == JsonType::null) return std::nullopt;
  if (type != JsonType::boolean) return reader.WrongAt(value, "{}: wanted true or false", field);
  return reader.Bool(value);
}

absl::StatusOr<std::optional<uint32_t>> ReadUint32(JsonReader& reader, JsonValue value,
                                                   std::string_view field) {
  ASSIGN_OR_RETURN(const JsonType type, FieldType(reader, value, field));
  if (type == JsonType::null) return std::nullopt;
  std::optional<uint32_t> number;
  if (type == JsonType::number) {
    ASSIGN_OR_RETURN(const JsonNumber parsed, reader.Number(value));
    const bool whole =
        parsed.real >= 0 && parsed.real <= UINT32_MAX && std::trunc(parsed.real) == parsed.real;
    if (whole) number = static_cast<uint32_t>(parsed.real);
  } else if (type == JsonType::string) {
    ASSIGN_OR_RETURN(const std::string_view text, reader.String(value));
    number = NumberOf<uint32_t>(text);
  }
  if (number.has_value()) return number;
  return reader.WrongAt(value, "{}: wanted a whole number, 0 to {}", field, UINT32_MAX);
}

absl::StatusOr<std::optional<std::string>> ReadText(JsonReader& reader, JsonValue value,
                                                    std::string_view field) {
  ASSIGN_OR_RETURN(const JsonType type, FieldType(reader, value, field));
  if (type == JsonType::null) return std::nullopt;
  if (type != JsonType::string) return reader.WrongAt(value, "{}: wanted a string", field);
  ASSIGN_OR_RETURN(const std::string_view text, reader.String(value));
  return std::string(text);
}

absl::StatusOr<std::optional<float>> ReadFloat(JsonReader& reader, JsonValue value,
                                               std::string_view field) {
  ASSIGN_OR_RETURN(const JsonType type, FieldType(reader, value, field));
  if (type == JsonType::null) return std::nullopt;
  float number = 0;
  ASSIGN_OR_RETURN(const std::string_view why, TakeComponent(reader, value, number));
  if (why.empty()) return number;
  return reader.WrongAt(value, "{} is {}, wanted a finite number", field, why);
}

absl::StatusOr<std::optional<Consistency>> ReadConsistency(JsonReader& reader, JsonValue value,
                                                           std::string_view field) {
  ASSIGN_OR_RETURN(const JsonType type, FieldType(reader, value, field));
  if (type == JsonType::null) return std::nullopt;
  if (type == JsonType::number) {
    ASSIGN_OR_RETURN(const JsonNumber number, reader.Number(value));
    const bool small = number.is_whole && number.whole >= INT32_MIN && number.whole <= INT32_MAX;
    return ConsistencyFromProto(small ? static_cast<int>(number.whole) : -1, field);
  }
  v1::Consistency parsed;
  if (type == JsonType::string) {
    ASSIGN_OR_RETURN(const std::string_view text, reader.String(value));
    if (v1::Consistency_Parse(std::string(text), &parsed)) {
      return static_cast<Consistency>(parsed);
    }
  }
  return reader.WrongAt(value, "{}: wanted STRONG, BOUNDED or EVENTUAL", field);
}

absl::Status ReadVector(JsonReader& reader, JsonValue value, std::vector<float>& components,
                        absl::Status& problem) {
  ASSIGN_OR_RETURN(const JsonType type, FieldType(reader, value, "vector"));
  if (type == JsonType::null) return absl::OkStatus();
  if (type != JsonType::array) return reader.WrongAt(value, "vector: wanted a list of numbers");
  ASSIGN_OR_RETURN(JsonArray array, reader.AsArray(value));
  if (components.empty()) {
    components.reserve(std::min(reader.text_bytes() / kComponentBytes, kMaxReserved));
  }
  size_t index = 0;
  for (auto element : array) {
    float component = 0;
    double number;
    const auto error = element.get_double().get(number);
    if (!error) component = static_cast<float>(number);
    if (error || !std::isfinite(component)) [[unlikely]] {
      // A string, null, something too large or malformed.
      JsonValue odd;
      if (const auto failed = element.get(odd)) return reader.Malformed(failed);
      ASSIGN_OR_RETURN(const std::string_view why, TakeComponent(reader, odd, component));
      if (!why.empty() && problem.ok()) {
        problem = reader.WrongAt(odd, "vector[{}] is {}, wanted a finite number", index, why);
      }
    }
    components.push_back(component);
    ++index;
  }
  return absl::OkStatus();
}

}  // namespace vectron
