#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "rpc/json_text.h"
#include "rpc/json_transcoder.h"

namespace vectron::rpc {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::ListValue;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::Struct;
using google::protobuf::Value;

void AppendList(const ListValue& list, std::string& out);
void AppendStruct(const Struct& fields, std::string& out);

void AppendValue(const Value& value, std::string& out) {
  switch (value.kind_case()) {
    case Value::kNumberValue:
      AppendJsonNumber(value.number_value(), out);
      return;
    case Value::kStringValue:
      AppendJsonString(value.string_value(), out);
      return;
    case Value::kBoolValue:
      out += value.bool_value() ? "true" : "false";
      return;
    case Value::kStructValue:
      AppendStruct(value.struct_value(), out);
      return;
    case Value::kListValue:
      AppendList(value.list_value(), out);
      return;
    case Value::kNullValue:
    case Value::KIND_NOT_SET:
      out += "null";
      return;
  }
}

void AppendList(const ListValue& list, std::string& out) {
  out.push_back('[');
  for (int i = 0; i < list.values_size(); ++i) {
    if (i > 0) out.push_back(',');
    AppendValue(list.values(i), out);
  }
  out.push_back(']');
}

void AppendStruct(const Struct& fields, std::string& out) {
  std::vector<std::pair<std::string_view, const Value*>> sorted;
  for (const auto& [key, value] : fields.fields()) sorted.emplace_back(key, &value);
  std::sort(sorted.begin(), sorted.end());
  out.push_back('{');
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (i > 0) out.push_back(',');
    AppendJsonString(sorted[i].first, out);
    out.push_back(':');
    AppendValue(*sorted[i].second, out);
  }
  out.push_back('}');
}

// Reads a singular field, or item `index` of a repeated one (index >= 0).
struct Cell {
  const Message& message;
  const Reflection& reflection;
  const FieldDescriptor& field;
  int index;
};

#define VECTRON_READ_CELL(cell, Type)                               \
  ((cell).index < 0                                                 \
       ? (cell).reflection.Get##Type((cell).message, &(cell).field) \
       : (cell).reflection.GetRepeated##Type((cell).message, &(cell).field, (cell).index))

void AppendEnum(const Cell& cell, std::string& out) {
  const int number = VECTRON_READ_CELL(cell, EnumValue);
  const auto* value = cell.field.enum_type()->FindValueByNumber(number);
  if (value != nullptr) {
    AppendJsonString(value->name(), out);
  } else {
    out += std::to_string(number);
  }
}

void AppendText(const Cell& cell, std::string& out) {
  std::string scratch;
  const std::string& text =
      cell.index < 0 ? cell.reflection.GetStringReference(cell.message, &cell.field, &scratch)
                     : cell.reflection.GetRepeatedStringReference(cell.message, &cell.field,
                                                                  cell.index, &scratch);
  if (cell.field.type() == FieldDescriptor::TYPE_BYTES) {
    out += fmt::format("\"{}\"", absl::Base64Escape(text));
  } else {
    AppendJsonString(text, out);
  }
}

void AppendCell(const Cell& cell, std::string& out) {
  switch (cell.field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      out += std::to_string(VECTRON_READ_CELL(cell, Int32));
      return;
    case FieldDescriptor::CPPTYPE_UINT32:
      out += std::to_string(VECTRON_READ_CELL(cell, UInt32));
      return;
    case FieldDescriptor::CPPTYPE_INT64:
      out += fmt::format("\"{}\"", VECTRON_READ_CELL(cell, Int64));
      return;
    case FieldDescriptor::CPPTYPE_UINT64:
      out += fmt::format("\"{}\"", VECTRON_READ_CELL(cell, UInt64));
      return;
    case FieldDescriptor::CPPTYPE_FLOAT:
      AppendJsonNumber(VECTRON_READ_CELL(cell, Float), out);
      return;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      AppendJsonNumber(VECTRON_READ_CELL(cell, Double), out);
      return;
    case FieldDescriptor::CPPTYPE_BOOL:
      out += VECTRON_READ_CELL(cell, Bool) ? "true" : "false";
      return;
    case FieldDescriptor::CPPTYPE_ENUM:
      AppendEnum(cell, out);
      return;
    case FieldDescriptor::CPPTYPE_STRING:
      AppendText(cell, out);
      return;
    case FieldDescriptor::CPPTYPE_MESSAGE:
      MessageToJson(VECTRON_READ_CELL(cell, Message), out);
      return;
  }
}

// The key of a map entry as JSON has it: a string.
std::string MapKey(const Message& entry, const FieldDescriptor& key) {
  std::string text;
  AppendCell({entry, *entry.GetReflection(), key, -1}, text);
  if (text.empty() || text.front() != '"') text = fmt::format("\"{}\"", text);
  return text;
}

void AppendMap(const Message& message, const FieldDescriptor& field, std::string& out) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<std::pair<std::string, std::string>> entries;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    auto& [key, value] = entries.emplace_back();
    key = MapKey(entry, *field.message_type()->map_key());
    AppendCell({entry, *entry.GetReflection(), *field.message_type()->map_value(), -1}, value);
  }
  std::sort(entries.begin(), entries.end());
  out.push_back('{');
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i > 0) out.push_back(',');
    out.append(entries[i].first).append(":").append(entries[i].second);
  }
  out.push_back('}');
}

void AppendField(const Message& message, const FieldDescriptor& field, std::string& out) {
  const Reflection& reflection = *message.GetReflection();
  if (field.is_map()) {
    AppendMap(message, field, out);
  } else if (field.is_repeated()) {
    out.push_back('[');
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      if (i > 0) out.push_back(',');
      AppendCell({message, reflection, field, i}, out);
    }
    out.push_back(']');
  } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
             !reflection.HasField(message, &field)) {
    out += "null";
  } else {
    AppendCell({message, reflection, field, -1}, out);
  }
}

}  // namespace

void MessageToJson(const Message& message, std::string& out) {
  if (const auto* value = google::protobuf::DynamicCastToGenerated<Value>(&message))
    return AppendValue(*value, out);
  if (const auto* list = google::protobuf::DynamicCastToGenerated<ListValue>(&message))
    return AppendList(*list, out);
  if (const auto* fields = google::protobuf::DynamicCastToGenerated<Struct>(&message))
    return AppendStruct(*fields, out);
  const auto& descriptor = *message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  out.push_back('{');
  bool first = true;
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor& field = *descriptor.field(i);
    // Members of a oneof, which an `optional` field is a kind of, appear when set. So does a Value,
    // whose null is a value.
    const bool when_set = field.containing_oneof() != nullptr ||
                          (!field.is_repeated() && field.message_type() == Value::descriptor());
    if (when_set && !reflection.HasField(message, &field)) continue;
    if (!first) out.push_back(',');
    first = false;
    AppendJsonString(field.json_name(), out);
    out.push_back(':');
    AppendField(message, field, out);
  }
  out.push_back('}');
}

}  // namespace vectron::rpc
