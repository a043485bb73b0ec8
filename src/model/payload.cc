#include "model/payload.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "base/status.h"
#include "model/json_reader.h"
#include "model/json_writer.h"

namespace vectron {
namespace {

constexpr std::string_view kEmptyObject = "{}";

absl::Status CheckSize(size_t size) {
  if (size <= kMaxPayloadBytes) return absl::OkStatus();
  return InvalidArgument("payload has {} bytes, at most {} are allowed", size, kMaxPayloadBytes);
}

}  // namespace

const Value* Value::Find(std::string_view key) const {
  const Object* object = get<Object>();
  if (object == nullptr) return nullptr;
  for (const auto& [name, value] : *object) {
    if (name == key) return &value;
  }
  return nullptr;
}

bool Value::operator==(const Value& other) const { return value_ == other.value_; }

absl::StatusOr<Value> ParsePayload(std::string_view json) {
  if (json.empty()) return Value(Object());
  RETURN_IF_ERROR(CheckSize(json.size()));
  JsonReader reader;
  RETURN_IF_ERROR(reader.Open(json));
  ASSIGN_OR_RETURN(JsonObject root, reader.RootObject());
  ASSIGN_OR_RETURN(Value tree, reader.ObjectTree(root, kMaxJsonDepth, DoubledKeys::kLastWins));
  RETURN_IF_ERROR(reader.ExpectEnd());
  return tree;
}

void AppendJson(std::string& out, const Value& value) {
  if (value.is_null()) {
    out += "null";
  } else if (const bool* boolean = value.get<bool>()) {
    out += *boolean ? "true" : "false";
  } else if (const int64_t* whole = value.get<int64_t>()) {
    AppendJsonInt(out, *whole);
  } else if (const double* real = value.get<double>()) {
    AppendJsonDouble(out, *real);
  } else if (const std::string* text = value.get<std::string>()) {
    AppendJsonString(out, *text);
  } else if (const Array* array = value.get<Array>()) {
    char separator = '[';
    if (array->empty()) out.push_back('[');
    for (const Value& element : *array) {
      out.push_back(separator);
      AppendJson(out, element);
      separator = ',';
    }
    out.push_back(']');
  } else {
    const Object& object = *value.get<Object>();
    char separator = '{';
    if (object.empty()) out.push_back('{');
    for (const auto& [key, member] : object) {
      out.push_back(separator);
      AppendJsonString(out, key);
      out.push_back(':');
      AppendJson(out, member);
      separator = ',';
    }
    out.push_back('}');
  }
}

std::string WritePayload(const Value& payload) {
  const Object* object = payload.get<Object>();
  CHECK(object != nullptr);
  std::string text;
  if (!object->empty()) AppendJson(text, payload);
  return text;
}

absl::StatusOr<std::string> NormalizePayload(std::string_view json) {
  std::string text;
  if (json.empty()) return text;
  RETURN_IF_ERROR(CheckSize(json.size()));
  JsonReader reader;
  RETURN_IF_ERROR(reader.Open(json));
  ASSIGN_OR_RETURN(JsonObject root, reader.RootObject());
  text.reserve(json.size());
  RETURN_IF_ERROR(reader.CopyObject(root, kMaxJsonDepth, &text));
  RETURN_IF_ERROR(reader.ExpectEnd());
  RETURN_IF_ERROR(CheckSize(text.size()));
  if (text == kEmptyObject) text.clear();
  return text;
}

namespace {

// The longest front of a text within the bytes that does not end within a code point.
std::string_view FrontOf(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

// Appends a value that is no list, cut; returns the bytes of its text.
absl::StatusOr<size_t> AppendFront(JsonReader& reader, JsonValue value, size_t bytes,
                                   std::string& out) {
  ASSIGN_OR_RETURN(const JsonType type, reader.TypeOf(value));
  if (type == JsonType::string) {
    ASSIGN_OR_RETURN(const std::string_view text, reader.String(value));
    const std::string_view front = FrontOf(text, bytes);
    AppendJsonString(out, front);
    return front.size();
  }
  std::string json;
  RETURN_IF_ERROR(reader.AppendCompact(value, kMaxJsonDepth, json));
  if (json.size() <= bytes) {
    out += json;
  } else {
    AppendJsonString(out, FrontOf(json, bytes));
  }
  return std::min(json.size(), bytes);
}

absl::Status AppendExcerpt(JsonReader& reader, JsonValue value, std::string& out) {
  ASSIGN_OR_RETURN(const JsonType type, reader.TypeOf(value));
  if (type != JsonType::array) {
    return AppendFront(reader, value, kExcerptFieldBytes, out).status();
  }
  ASSIGN_OR_RETURN(const JsonArray list, reader.AsArray(value));
  out.push_back('[');
  size_t used = 0;  // of the elements' texts, joined
  RETURN_IF_ERROR(reader.EachElement(list, [&](size_t i, JsonValue element) -> absl::Status {
    if (used >= kExcerptFieldBytes) return reader.Skip(element, kMaxJsonDepth);
    if (i > 0) out.push_back(',');
    ASSIGN_OR_RETURN(const size_t bytes,
                     AppendFront(reader, element, kExcerptFieldBytes - used, out));
    used += bytes + 1;
    return absl::OkStatus();
  }));
  out.push_back(']');
  return absl::OkStatus();
}

}  // namespace

std::string ExcerptPayload(std::string_view payload) {
  std::string text;
  if (payload.empty()) return text;
  JsonReader reader;
  CHECK_OK(reader.Open(payload));
  auto root = reader.RootObject();
  CHECK_OK(root.status());
  CHECK_OK(reader.EachField(*root, [&](std::string_view key, JsonValue value) -> absl::Status {
    std::string field(1, text.empty() ? '{' : ',');
    AppendJsonString(field, key);
    field.push_back(':');
    RETURN_IF_ERROR(AppendExcerpt(reader, value, field));
    if (text.size() + field.size() < kExcerptBytes) text += field;
    return absl::OkStatus();
  }));
  if (!text.empty()) text.push_back('}');
  return text;
}

std::string SelectPayloadFields(std::string_view payload, const std::vector<std::string>& keys) {
  std::string text;
  if (payload.empty()) return text;
  JsonReader reader;
  CHECK_OK(reader.Open(payload));
  auto root = reader.RootObject();
  CHECK_OK(root.status());
  CHECK_OK(reader.EachField(*root, [&](std::string_view key, JsonValue value) -> absl::Status {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      return reader.Skip(value, kMaxJsonDepth);
    }
    text.push_back(text.empty() ? '{' : ',');
    AppendJsonString(text, key);
    text.push_back(':');
    return reader.AppendCompact(value, kMaxJsonDepth, text);
  }));
  if (!text.empty()) text.push_back('}');
  return text;
}

}  // namespace vectron
