#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/struct.pb.h>
#include <simdjson.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "absl/strings/escaping.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/status.h"
#include "model/json_check.h"
#include "rpc/json_transcoder.h"
#include "rpc/route_table.h"

namespace vectron::rpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::ListValue;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::Struct;
using google::protobuf::Value;
using simdjson::dom::element;
using simdjson::dom::element_type;

// Where in the request a value stands, for messages: "hnsw.m", "points[3].id".
using Path = std::string;

std::string_view KindOf(const element& json) {
  switch (json.type()) {
    case element_type::OBJECT:
      return "an object";
    case element_type::ARRAY:
      return "an array";
    case element_type::STRING:
      return "a string";
    case element_type::BOOL:
      return "a boolean";
    case element_type::NULL_VALUE:
      return "null";
    default:
      return "a number";
  }
}

std::string_view KindWanted(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return "a whole number of 32 bits";
    case FieldDescriptor::CPPTYPE_INT64:
      return "a whole number of 64 bits";
    case FieldDescriptor::CPPTYPE_UINT32:
      return "a whole number of 32 bits, not negative";
    case FieldDescriptor::CPPTYPE_UINT64:
      return "a whole number of 64 bits, not negative";
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "a number";
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return "the name of an enum value";
    case FieldDescriptor::CPPTYPE_STRING:
      return field.type() == FieldDescriptor::TYPE_BYTES ? "a base64 string" : "a string";
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "an object";
  }
  return "";
}

// Sets a singular field or appends to a repeated one: one name for both of Reflection's.
class Slot {
 public:
  Slot(Message& message, const FieldDescriptor& field)
      : message_(message), reflection_(*message.GetReflection()), field_(field) {}

  const FieldDescriptor& field() const { return field_; }
  void Put(int32_t v) {
    field_.is_repeated() ? reflection_.AddInt32(&message_, &field_, v)
                         : reflection_.SetInt32(&message_, &field_, v);
  }
  void Put(int64_t v) {
    field_.is_repeated() ? reflection_.AddInt64(&message_, &field_, v)
                         : reflection_.SetInt64(&message_, &field_, v);
  }
  void Put(uint32_t v) {
    field_.is_repeated() ? reflection_.AddUInt32(&message_, &field_, v)
                         : reflection_.SetUInt32(&message_, &field_, v);
  }
  void Put(uint64_t v) {
    field_.is_repeated() ? reflection_.AddUInt64(&message_, &field_, v)
                         : reflection_.SetUInt64(&message_, &field_, v);
  }
  void Put(float v) {
    field_.is_repeated() ? reflection_.AddFloat(&message_, &field_, v)
                         : reflection_.SetFloat(&message_, &field_, v);
  }
  void Put(double v) {
    field_.is_repeated() ? reflection_.AddDouble(&message_, &field_, v)
                         : reflection_.SetDouble(&message_, &field_, v);
  }
  void Put(bool v) {
    field_.is_repeated() ? reflection_.AddBool(&message_, &field_, v)
                         : reflection_.SetBool(&message_, &field_, v);
  }
  void Put(std::string v) {
    field_.is_repeated() ? reflection_.AddString(&message_, &field_, std::move(v))
                         : reflection_.SetString(&message_, &field_, std::move(v));
  }
  void PutEnum(int v) {
    field_.is_repeated() ? reflection_.AddEnumValue(&message_, &field_, v)
                         : reflection_.SetEnumValue(&message_, &field_, v);
  }
  Message& Child() {
    return field_.is_repeated() ? *reflection_.AddMessage(&message_, &field_)
                                : *reflection_.MutableMessage(&message_, &field_);
  }

 private:
  Message& message_;
  const Reflection& reflection_;
  const FieldDescriptor& field_;
};

absl::Status WrongValue(const Path& path, const FieldDescriptor& field, std::string_view got) {
  return InvalidArgument("{}: got {}, wanted {}", path, got, KindWanted(field));
}

// A whole decimal number of type T, as text.
template <typename T>
bool ParseInteger(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// A double that is a whole number within T.
template <typename T>
bool WholeNumber(double number, T& value) {
  // The upper end of a 64-bit type is no double; the next one above it is, and must not be reached.
  const double end = std::ldexp(1.0, std::numeric_limits<T>::digits);
  if (!(number >= static_cast<double>(std::numeric_limits<T>::min()) && number < end)) return false;
  if (number != std::floor(number)) return false;
  value = static_cast<T>(number);
  return true;
}

bool ParseReal(std::string_view text, double& value) {
  if (text == "NaN")
    value = std::numeric_limits<double>::quiet_NaN();
  else if (text == "Infinity")
    value = std::numeric_limits<double>::infinity();
  else if (text == "-Infinity")
    value = -std::numeric_limits<double>::infinity();
  else {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
  }
  return true;
}

template <typename T>
absl::Status PutIntegerText(Slot& slot, const Path& path, std::string_view text) {
  T value = 0;
  double real = 0;
  if (!ParseInteger(text, value) && !(ParseReal(text, real) && WholeNumber(real, value))) {
    return WrongValue(path, slot.field(), fmt::format("\"{}\"", text.substr(0, 64)));
  }
  slot.Put(value);
  return absl::OkStatus();
}

absl::Status PutReal(Slot& slot, const Path& path, double value) {
  if (slot.field().cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
    slot.Put(value);
    return absl::OkStatus();
  }
  if (std::isfinite(value) && std::abs(value) > std::numeric_limits<float>::max()) {
    return WrongValue(path, slot.field(), fmt::format("{}, too large for a float", value));
  }
  slot.Put(static_cast<float>(value));
  return absl::OkStatus();
}

absl::Status PutEnumText(Slot& slot, const Path& path, std::string_view text) {
  const auto* value = slot.field().enum_type()->FindValueByName(std::string(text));
  int number = 0;
  if (value == nullptr && !ParseInteger(text, number)) {
    std::string names;
    for (int i = 0; i < slot.field().enum_type()->value_count(); ++i) {
      names += (i > 0 ? ", " : "") + slot.field().enum_type()->value(i)->name();
    }
    return InvalidArgument("{}: got \"{}\", wanted one of {}", path, text.substr(0, 64), names);
  }
  slot.PutEnum(value != nullptr ? value->number() : number);
  return absl::OkStatus();
}

absl::Status PutBytes(Slot& slot, const Path& path, std::string_view text) {
  const absl::string_view view(text.data(), text.size());
  std::string bytes;
  if (!absl::Base64Unescape(view, &bytes) && !absl::WebSafeBase64Unescape(view, &bytes)) {
    return WrongValue(path, slot.field(), "a string that is no base64");
  }
  slot.Put(std::move(bytes));
  return absl::OkStatus();
}

// A value given as text: a JSON string, a path parameter, a value of the query.
absl::Status PutText(Slot& slot, const Path& path, std::string_view text) {
  switch (slot.field().cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return PutIntegerText<int32_t>(slot, path, text);
    case FieldDescriptor::CPPTYPE_INT64:
      return PutIntegerText<int64_t>(slot, path, text);
    case FieldDescriptor::CPPTYPE_UINT32:
      return PutIntegerText<uint32_t>(slot, path, text);
    case FieldDescriptor::CPPTYPE_UINT64:
      return PutIntegerText<uint64_t>(slot, path, text);
    case FieldDescriptor::CPPTYPE_ENUM:
      return PutEnumText(slot, path, text);
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") return WrongValue(path, slot.field(), "another text");
      slot.Put(text == "true");
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double value = 0;
      if (!ParseReal(text, value))
        return WrongValue(path, slot.field(), fmt::format("\"{}\"", text.substr(0, 64)));
      return PutReal(slot, path, value);
    }
    case FieldDescriptor::CPPTYPE_STRING:
      if (slot.field().type() == FieldDescriptor::TYPE_BYTES) return PutBytes(slot, path, text);
      if (!simdjson::validate_utf8(text.data(), text.size()))
        return InvalidArgument("{}: no valid UTF-8", path);
      slot.Put(std::string(text));
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return WrongValue(path, slot.field(), "a text");
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status PutInteger(Slot& slot, const Path& path, const element& json) {
  T value = 0;
  bool fits = false;
  if (json.is_int64()) {
    const int64_t number = json.get_int64().value();
    fits = std::in_range<T>(number);
    value = static_cast<T>(number);
  } else if (json.is_uint64()) {
    const uint64_t number = json.get_uint64().value();
    fits = std::in_range<T>(number);
    value = static_cast<T>(number);
  } else {
    fits = WholeNumber(json.get_double().value(), value);
  }
  if (!fits) return WrongValue(path, slot.field(), simdjson::minify(json));
  slot.Put(value);
  return absl::OkStatus();
}

absl::Status PutNumber(Slot& slot, const Path& path, const element& json) {
  switch (slot.field().cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return PutInteger<int32_t>(slot, path, json);
    case FieldDescriptor::CPPTYPE_INT64:
      return PutInteger<int64_t>(slot, path, json);
    case FieldDescriptor::CPPTYPE_UINT32:
      return PutInteger<uint32_t>(slot, path, json);
    case FieldDescriptor::CPPTYPE_UINT64:
      return PutInteger<uint64_t>(slot, path, json);
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return PutReal(slot, path, json.get_double().value());
    case FieldDescriptor::CPPTYPE_ENUM: {
      int64_t number = 0;
      if (json.get_int64().get(number) != simdjson::SUCCESS || !std::in_range<int>(number)) {
        return WrongValue(path, slot.field(), simdjson::minify(json));
      }
      slot.PutEnum(static_cast<int>(number));
      return absl::OkStatus();
    }
    default:
      return WrongValue(path, slot.field(), KindOf(json));
  }
}

void ToValue(const element& json, Value& value) {
  switch (json.type()) {
    case element_type::OBJECT: {
      const simdjson::dom::object object = json;
      Struct& fields = *value.mutable_struct_value();
      for (const auto& [key, child] : object)
        ToValue(child, (*fields.mutable_fields())[std::string(key)]);
      return;
    }
    case element_type::ARRAY: {
      const simdjson::dom::array array = json;
      ListValue& list = *value.mutable_list_value();
      for (const element child : array) ToValue(child, *list.add_values());
      return;
    }
    case element_type::STRING:
      value.set_string_value(std::string(json.get_string().value()));
      return;
    case element_type::BOOL:
      value.set_bool_value(json.get_bool().value());
      return;
    case element_type::NULL_VALUE:
      value.set_null_value(google::protobuf::NULL_VALUE);
      return;
    default:
      value.set_number_value(json.get_double().value());
      return;
  }
}

absl::Status FillMessage(Message& message, const element& json, const Path& path);

absl::Status PutElement(Slot& slot, const Path& path, const element& json) {
  if (slot.field().cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
    return FillMessage(slot.Child(), json, path);
  switch (json.type()) {
    case element_type::INT64:
    case element_type::UINT64:
    case element_type::DOUBLE:
      return PutNumber(slot, path, json);
    case element_type::STRING:
      if (slot.field().cpp_type() == FieldDescriptor::CPPTYPE_BOOL) break;
      return PutText(slot, path, json.get_string().value());
    case element_type::BOOL:
      if (slot.field().cpp_type() != FieldDescriptor::CPPTYPE_BOOL) break;
      slot.Put(json.get_bool().value());
      return absl::OkStatus();
    default:
      break;
  }
  return WrongValue(path, slot.field(), KindOf(json));
}

absl::Status FillMap(Message& message, const FieldDescriptor& field, const element& json,
                     const Path& path) {
  simdjson::dom::object object;
  if (json.get_object().get(object) != simdjson::SUCCESS)
    return WrongValue(path, field, KindOf(json));
  for (const auto& [key, value] : object) {
    Message& entry = *message.GetReflection()->AddMessage(&message, &field);
    const Path entry_path = fmt::format("{}.{}", path, key);
    Slot key_slot(entry, *field.message_type()->map_key());
    RETURN_IF_ERROR(PutText(key_slot, entry_path, key));
    Slot value_slot(entry, *field.message_type()->map_value());
    RETURN_IF_ERROR(PutElement(value_slot, entry_path, value));
  }
  return absl::OkStatus();
}

absl::Status FillField(Message& message, const FieldDescriptor& field, const element& json,
                       const Path& path) {
  const bool takes_null = field.message_type() != nullptr &&
                          field.message_type()->full_name() == "google.protobuf.Value";
  message.GetReflection()->ClearField(&message, &field);
  if (json.is_null() && !(takes_null && !field.is_repeated())) return absl::OkStatus();
  if (field.is_map()) return FillMap(message, field, json, path);
  Slot slot(message, field);
  if (!field.is_repeated()) return PutElement(slot, path, json);
  simdjson::dom::array array;
  if (json.get_array().get(array) != simdjson::SUCCESS) {
    return InvalidArgument("{}: got {}, wanted an array", path, KindOf(json));
  }
  size_t i = 0;
  for (const element item : array)
    RETURN_IF_ERROR(PutElement(slot, fmt::format("{}[{}]", path, i++), item));
  return absl::OkStatus();
}

const FieldDescriptor* FindField(const Descriptor& descriptor, const std::string& name) {
  if (const auto* field = descriptor.FindFieldByName(name)) return field;
  for (int i = 0; i < descriptor.field_count(); ++i) {
    if (descriptor.field(i)->json_name() == name) return descriptor.field(i);
  }
  return nullptr;
}

absl::Status FillMessage(Message& message, const element& json, const Path& path) {
  if (auto* value = google::protobuf::DynamicCastToGenerated<Value>(&message)) {
    ToValue(json, *value);
    return absl::OkStatus();
  }
  if (auto* list = google::protobuf::DynamicCastToGenerated<ListValue>(&message)) {
    simdjson::dom::array array;
    if (json.get_array().get(array) != simdjson::SUCCESS) {
      return InvalidArgument("{}: got {}, wanted an array", path, KindOf(json));
    }
    for (const element child : array) ToValue(child, *list->add_values());
    return absl::OkStatus();
  }
  simdjson::dom::object object;
  if (json.get_object().get(object) != simdjson::SUCCESS) {
    return InvalidArgument("{}: got {}, wanted an object", path.empty() ? "the body" : path,
                           KindOf(json));
  }
  if (auto* fields = google::protobuf::DynamicCastToGenerated<Struct>(&message)) {
    for (const auto& [key, child] : object)
      ToValue(child, (*fields->mutable_fields())[std::string(key)]);
    return absl::OkStatus();
  }
  for (const auto& [key, child] : object) {
    const FieldDescriptor* field = FindField(*message.GetDescriptor(), std::string(key));
    if (field == nullptr) continue;
    RETURN_IF_ERROR(FillField(message, *field, child,
                              path.empty() ? field->name() : path + "." + field->name()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MessageFromJson(PaddedJson json, Message& message) {
  const std::string_view text(json.data, json.size);
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return absl::OkStatus();
  RETURN_IF_ERROR(CheckJson(text, kMaxJsonDepth));
  CHECK_GE(json.capacity, json.size + simdjson::SIMDJSON_PADDING);
  simdjson::dom::parser parser;
  element root;
  // The text is well-formed by now; what is left is a number or an escape that stands for nothing.
  if (const auto error = parser.parse(json.data, json.size, false).get(root)) {
    return InvalidArgument("malformed JSON: {}", simdjson::error_message(error));
  }
  return FillMessage(message, root, "");
}

absl::Status ApplyPathParams(const PathParams& params, Message& message) {
  for (const auto& [name, value] : params) {
    const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(std::string(name));
    CHECK(field != nullptr && !field->is_repeated());
    Slot slot(message, *field);
    RETURN_IF_ERROR(PutText(slot, field->name(), value));
  }
  return absl::OkStatus();
}

namespace {

absl::Status ApplyQueryPair(const std::string& name, std::string_view value, Message& message) {
  Message* target = &message;
  size_t begin = 0;
  for (;;) {
    const size_t dot = name.find('.', begin);
    const FieldDescriptor* field =
        FindField(*target->GetDescriptor(), name.substr(begin, dot - begin));
    if (field == nullptr || field->is_map()) return absl::OkStatus();
    const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (dot == std::string::npos) {
      if (is_message) return InvalidArgument("{}: an object cannot be given in the query", name);
      Slot slot(*target, *field);
      return PutText(slot, name, value);
    }
    if (!is_message || field->is_repeated()) return absl::OkStatus();
    target = target->GetReflection()->MutableMessage(target, field);
    begin = dot + 1;
  }
}

}  // namespace

absl::Status ApplyQuery(std::string_view query, Message& message) {
  while (!query.empty()) {
    const size_t amp = query.find('&');
    const std::string_view pair = query.substr(0, amp);
    query.remove_prefix(amp == std::string_view::npos ? query.size() : amp + 1);
    const size_t equals = pair.find('=');
    std::string name;
    std::string value;
    if (!PercentDecode(pair.substr(0, equals), true, name) ||
        (equals != std::string_view::npos &&
         !PercentDecode(pair.substr(equals + 1), true, value))) {
      return InvalidArgument("the query has a bad percent escape");
    }
    RETURN_IF_ERROR(ApplyQueryPair(name, value, message));
  }
  return absl::OkStatus();
}

}  // namespace vectron::rpc
