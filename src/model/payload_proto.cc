#include "model/payload_proto.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/limits.h"
#include "base/status.h"
#include "model/json_reader.h"
#include "model/json_writer.h"
#include "model/text.h"

namespace vectron {
namespace {

using ProtoValue = google::protobuf::Value;
using ProtoStruct = google::protobuf::Struct;

// Whole doubles below this are exact integers.
constexpr double kExactWhole = 0x1p53;

// One member of a payload on its way to text: a typed value, a text, or both.
struct Member {
  std::string_view key;
  const ProtoValue* value = nullptr;
  const std::string* text = nullptr;
};

template <typename Map>
void Sort(std::vector<std::pair<std::string_view, const ProtoValue*>>& members, const Map& map) {
  members.reserve(map.size());
  for (const auto& [key, value] : map) members.emplace_back(key, &value);
  std::sort(members.begin(), members.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
}

absl::StatusOr<Value> NumberFromProto(double number) {
  if (!std::isfinite(number)) return InvalidArgument("a number is not finite");
  if (std::trunc(number) == number && std::abs(number) < kExactWhole) {
    return Value(static_cast<int64_t>(number));
  }
  return Value(number);
}

absl::StatusOr<Value> StructTree(const ProtoStruct& proto, uint32_t depth) {
  std::vector<std::pair<std::string_view, const ProtoValue*>> sorted;
  Sort(sorted, proto.fields());
  Object object;
  object.reserve(sorted.size());
  for (const auto& [key, value] : sorted) {
    auto tree = ValueFromProto(*value, depth - 1);
    if (!tree.ok()) return Annotate(tree.status(), Quote(key));
    object.emplace_back(std::string(key), *std::move(tree));
  }
  return Value(std::move(object));
}

// Whether a number of the tree may have been a whole one whose digits a double does not keep.
bool MayLackDigits(const Value& tree) {
  if (const double* real = tree.get<double>()) {
    return std::abs(*real) >= kExactWhole && std::abs(*real) <= 0x1p63;
  }
  if (const Array* array = tree.get<Array>()) {
    return std::any_of(array->begin(), array->end(), MayLackDigits);
  }
  const Object* object = tree.get<Object>();
  return object != nullptr && std::any_of(object->begin(), object->end(), [](const auto& member) {
           return MayLackDigits(member.second);
         });
}

// The tree of a JSON text, unless it is another value than `rounded`, or none at all. Where numbers
// are doubles the two are the same.
std::optional<Value> ExactTree(const std::string& text, const Value& rounded) {
  auto wrapped = ParsePayload(fmt::format("{{\"exact\":{}}}", text));
  if (!wrapped.ok()) return std::nullopt;
  Object& members = std::get<Object>(wrapped->variant());
  if (members.size() != 1) return std::nullopt;
  ProtoValue doubles;
  ValueToProto(members.front().second, doubles);
  const auto tree = ValueFromProto(doubles, kMaxJsonDepth - 1);
  if (!tree.ok() || !(*tree == rounded)) return std::nullopt;
  return std::move(members.front().second);
}

// A typed member, with the digits of its text where that has more of them.
absl::StatusOr<Value> MemberTree(const Member& member) {
  auto tree = ValueFromProto(*member.value, kMaxJsonDepth - 1);
  if (!tree.ok()) return Annotate(tree.status(), fmt::format("fields {}", Quote(member.key)));
  if (member.text == nullptr || !MayLackDigits(*tree)) return tree;
  std::optional<Value> exact = ExactTree(*member.text, *tree);
  if (exact.has_value()) return *std::move(exact);
  return tree;
}

// One member of a stored payload into its two forms.
absl::Status FillMember(JsonReader& reader, JsonValue value, std::string& text, ProtoValue& typed) {
  ASSIGN_OR_RETURN(const JsonType type, reader.TypeOf(value));
  if (type == JsonType::string) {
    ASSIGN_OR_RETURN(const std::string_view held, reader.String(value));
    text.assign(held);
    typed.set_string_value(text);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const Value tree, reader.Tree(value, kMaxJsonDepth, DoubledKeys::kLastWins));
  AppendJson(text, tree);
  ValueToProto(tree, typed);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Value> ValueFromProto(const ProtoValue& proto, uint32_t depth) {
  switch (proto.kind_case()) {
    case ProtoValue::kNullValue:
    case ProtoValue::KIND_NOT_SET:
      return Value();
    case ProtoValue::kBoolValue:
      return Value(proto.bool_value());
    case ProtoValue::kNumberValue:
      return NumberFromProto(proto.number_value());
    case ProtoValue::kStringValue:
      return Value(proto.string_value());
    case ProtoValue::kStructValue:
    case ProtoValue::kListValue:
      break;
  }
  if (depth == 0) return InvalidArgument("nested deeper than {} levels", kMaxJsonDepth);
  if (proto.has_struct_value()) return StructTree(proto.struct_value(), depth);
  Array array;
  array.reserve(static_cast<size_t>(proto.list_value().values_size()));
  for (const ProtoValue& element : proto.list_value().values()) {
    ASSIGN_OR_RETURN(Value tree, ValueFromProto(element, depth - 1));
    array.push_back(std::move(tree));
  }
  return Value(std::move(array));
}

void ValueToProto(const Value& value, ProtoValue& proto) {
  if (value.is_null()) {
    proto.set_null_value(google::protobuf::NULL_VALUE);
  } else if (const bool* boolean = value.get<bool>()) {
    proto.set_bool_value(*boolean);
  } else if (const int64_t* whole = value.get<int64_t>()) {
    proto.set_number_value(static_cast<double>(*whole));
  } else if (const double* real = value.get<double>()) {
    proto.set_number_value(*real);
  } else if (const std::string* text = value.get<std::string>()) {
    proto.set_string_value(*text);
  } else if (const Array* array = value.get<Array>()) {
    auto* list = proto.mutable_list_value();
    for (const Value& element : *array) ValueToProto(element, *list->add_values());
  } else {
    auto& fields = *proto.mutable_struct_value()->mutable_fields();
    for (const auto& [key, member] : *value.get<Object>()) ValueToProto(member, fields[key]);
  }
}

absl::StatusOr<std::string> PayloadFromProto(const PayloadMap& payload, const ProtoStruct& fields) {
  std::vector<Member> members;
  members.reserve(payload.size() + fields.fields().size());
  for (const auto& [key, value] : fields.fields()) {
    const auto text = payload.find(key);
    members.push_back({key, &value, text == payload.end() ? nullptr : &text->second});
  }
  for (const auto& [key, text] : payload) {
    if (!fields.fields().contains(key)) members.push_back({key, nullptr, &text});
  }
  std::string json;
  if (members.empty()) return json;
  std::sort(members.begin(), members.end(),
            [](const Member& a, const Member& b) { return a.key < b.key; });
  char separator = '{';
  for (const Member& member : members) {
    json.push_back(separator);
    separator = ',';
    AppendJsonString(json, member.key);
    json.push_back(':');
    if (member.value == nullptr) {
      AppendJsonString(json, *member.text);
      continue;
    }
    ASSIGN_OR_RETURN(const Value tree, MemberTree(member));
    AppendJson(json, tree);
  }
  json.push_back('}');
  if (json.size() > kMaxPayloadBytes) {
    return InvalidArgument("payload has {} bytes, at most {} are allowed", json.size(),
                           kMaxPayloadBytes);
  }
  if (!simdjson::validate_utf8(json.data(), json.size())) {
    return InvalidArgument("payload is not valid UTF-8");
  }
  return json;
}

void FillPayload(std::string_view text, PayloadMap& payload, ProtoStruct& fields) {
  auto& typed = *fields.mutable_fields();
  JsonReader reader;
  const auto fill = [&](std::string_view key, JsonValue value) {
    const std::string name(key);
    return FillMember(reader, value, payload[name], typed[name]);
  };
  const auto fill_all = [&]() -> absl::Status {
    RETURN_IF_ERROR(reader.Open(text));
    ASSIGN_OR_RETURN(JsonObject root, reader.RootObject());
    return reader.EachField(root, fill);
  };
  // Stored texts were checked on their way in and are guarded by the store's checksums.
  CHECK_OK(fill_all());
}

}  // namespace vectron
