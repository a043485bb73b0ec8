#include "apps/vectronctl/rows/json.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "apps/vectronctl/rows/json_dom.h"
#include "base/limits.h"
#include "base/status.h"
#include "model/payload.h"

namespace vectron::rows {
namespace {

using simdjson::dom::element_type;
constexpr int64_t kExactIntegerMax = int64_t{1} << 53;

bool IsLargeWhole(int64_t number) {
  return number >= kExactIntegerMax || number <= -kExactIntegerMax;
}

// A walk through a document into a Struct.
class Converter {
 public:
  explicit Converter(WholeNumbers allowed) : allowed_(allowed) {}

  absl::Status ConvertObject(const simdjson::dom::object& from, uint32_t depth,
                             google::protobuf::Struct& into) const {
    if (depth > kMaxJsonDepth) return InvalidArgument("nested deeper than {}", kMaxJsonDepth);
    for (const auto field : from) {
      auto& value = (*into.mutable_fields())[std::string(field.key)];
      value.Clear();  // of doubled keys the last one counts
      RETURN_IF_ERROR(Annotate(Convert(field.value, depth, value), std::string(field.key)));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status ConvertArray(const simdjson::dom::array& from, uint32_t depth,
                            google::protobuf::Value& into) const {
    auto& list = *into.mutable_list_value();
    size_t position = 0;
    for (const auto item : from) {
      RETURN_IF_ERROR(
          Annotate(Convert(item, depth + 1, *list.add_values()), fmt::format("[{}]", position)));
      ++position;
    }
    return absl::OkStatus();
  }

  absl::Status Convert(const simdjson::dom::element& from, uint32_t depth,
                       google::protobuf::Value& into) const {
    switch (from.type()) {
      case element_type::OBJECT:
        return ConvertObject(from.get_object().value_unsafe(), depth + 1,
                             *into.mutable_struct_value());
      case element_type::ARRAY:
        if (depth >= kMaxJsonDepth) return InvalidArgument("nested deeper than {}", kMaxJsonDepth);
        return ConvertArray(from.get_array().value_unsafe(), depth, into);
      case element_type::STRING:
        into.set_string_value(std::string(from.get_string().value_unsafe()));
        return absl::OkStatus();
      case element_type::INT64:
        return ConvertWhole(from.get_int64().value_unsafe(), into);
      case element_type::UINT64:  // only numbers beyond int64 have this type
        return InvalidArgument("{} would lose digits ({}); write it as a string",
                               from.get_uint64().value_unsafe(),
                               allowed_ == WholeNumbers::kTo64Bits ? "whole numbers end before 2^63"
                                                                   : "whole numbers go to 2^53");
      case element_type::DOUBLE:
        into.set_number_value(from.get_double().value_unsafe());
        return absl::OkStatus();
      case element_type::BOOL:
        into.set_bool_value(from.get_bool().value_unsafe());
        return absl::OkStatus();
      case element_type::NULL_VALUE:
        into.set_null_value(google::protobuf::NULL_VALUE);
        return absl::OkStatus();
    }
    return Internal("unknown JSON type");
  }

  absl::Status ConvertWhole(int64_t number, google::protobuf::Value& into) const {
    if (allowed_ == WholeNumbers::kTo53Bits &&
        (number > kExactIntegerMax || number < -kExactIntegerMax)) {
      return InvalidArgument(
          "{} would lose digits (whole numbers go to 2^53); write it as a string", number);
    }
    into.set_number_value(static_cast<double>(number));
    return absl::OkStatus();
  }

  const WholeNumbers allowed_;
};

// Whether a whole number is somewhere in it that is large enough to lose digits as a double.
bool HasLargeWhole(const simdjson::dom::element& from) {
  switch (from.type()) {
    case element_type::OBJECT: {
      const simdjson::dom::object object = from.get_object().value_unsafe();
      for (const auto field : object) {
        if (HasLargeWhole(field.value)) return true;
      }
      return false;
    }
    case element_type::ARRAY: {
      const simdjson::dom::array array = from.get_array().value_unsafe();
      for (const auto item : array) {
        if (HasLargeWhole(item)) return true;
      }
      return false;
    }
    case element_type::INT64:
      return IsLargeWhole(from.get_int64().value_unsafe());
    default:
      return false;
  }
}

// The same of what a server returned, where all are doubles.
bool MayLackDigits(const google::protobuf::Value& value) {
  if (value.has_struct_value()) {
    const auto& members = value.struct_value().fields();
    return std::any_of(members.begin(), members.end(),
                       [](const auto& member) { return MayLackDigits(member.second); });
  }
  if (value.has_list_value()) {
    const auto& items = value.list_value().values();
    return std::any_of(items.begin(), items.end(), MayLackDigits);
  }
  return value.kind_case() == google::protobuf::Value::kNumberValue &&
         std::abs(value.number_value()) >= static_cast<double>(kExactIntegerMax);
}

absl::StatusOr<simdjson::dom::object> ObjectOf(simdjson::dom::parser& parser,
                                               std::string_view json) {
  simdjson::dom::element element;
  if (const auto error = parser.parse(json.data(), json.size()).get(element)) {
    return NoValidJson(json, error);
  }
  simdjson::dom::object object;
  if (element.get(object) != simdjson::SUCCESS) return InvalidArgument("wanted a JSON object");
  return object;
}

}  // namespace

absl::Status StructFromDom(const simdjson::dom::object& from, uint32_t depth, WholeNumbers allowed,
                           google::protobuf::Struct& into) {
  return Converter(allowed).ConvertObject(from, depth, into);
}

absl::Status PayloadFromDom(const simdjson::dom::object& from, Payload& into) {
  into.fields.Clear();
  into.texts.clear();
  RETURN_IF_ERROR(StructFromDom(from, 1, WholeNumbers::kTo64Bits, into.fields));
  for (const auto field : from) {
    const std::string key(field.key);
    into.texts.erase(key);  // of doubled keys the last one counts
    if (HasLargeWhole(field.value)) into.texts[key] = simdjson::minify(field.value);
  }
  return absl::OkStatus();
}

absl::Status NoValidJson(std::string_view object, simdjson::error_code error) {
  // The reader of payloads knows the byte, unless there is too much text for one.
  absl::Status why;
  if (object.size() <= kMaxPayloadBytes) why = NormalizePayload(object).status();
  return InvalidArgument("no valid JSON: {}", why.ok()
                                                  ? std::string_view(simdjson::error_message(error))
                                                  : MessageOf(why));
}

absl::StatusOr<google::protobuf::Struct> ParseObject(std::string_view json) {
  simdjson::dom::parser parser;
  ASSIGN_OR_RETURN(const simdjson::dom::object object, ObjectOf(parser, json));
  google::protobuf::Struct out;
  RETURN_IF_ERROR(StructFromDom(object, 1, WholeNumbers::kTo53Bits, out));
  return out;
}

absl::StatusOr<Payload> ParsePayloadObject(std::string_view json) {
  simdjson::dom::parser parser;
  ASSIGN_OR_RETURN(const simdjson::dom::object object, ObjectOf(parser, json));
  Payload out;
  RETURN_IF_ERROR(PayloadFromDom(object, out));
  return out;
}

absl::StatusOr<std::vector<std::string>> ParseArray(std::string_view json) {
  simdjson::dom::parser parser;
  simdjson::dom::array array;
  if (const auto error = parser.parse(json.data(), json.size()).get(array)) {
    return InvalidArgument("no array of JSON: {}", simdjson::error_message(error));
  }
  std::vector<std::string> out;
  for (const auto item : array) out.push_back(simdjson::minify(item));
  return out;
}

void AppendJsonString(std::string_view text, std::string& out) {
  out.push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        } else {
          out.push_back(c);
        }
    }
  }
  out.push_back('"');
}

void AppendJsonNumber(double value, std::string& out) {
  if (!std::isfinite(value)) {
    out += "null";
  } else if (value == std::trunc(value) &&
             std::abs(value) <= static_cast<double>(kExactIntegerMax)) {
    fmt::format_to(std::back_inserter(out), "{}", static_cast<int64_t>(value));
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

void AppendJsonNumber(float value, std::string& out) {
  if (!std::isfinite(value)) {
    out += "null";
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

void AppendJson(const google::protobuf::Value& value, std::string& out) {
  using Kind = google::protobuf::Value;
  switch (value.kind_case()) {
    case Kind::kBoolValue:
      out += value.bool_value() ? "true" : "false";
      break;
    case Kind::kNumberValue:
      AppendJsonNumber(value.number_value(), out);
      break;
    case Kind::kStringValue:
      AppendJsonString(value.string_value(), out);
      break;
    case Kind::kStructValue:
      AppendJson(value.struct_value(), out);
      break;
    case Kind::kListValue: {
      out.push_back('[');
      for (int i = 0; i < value.list_value().values_size(); ++i) {
        if (i > 0) out.push_back(',');
        AppendJson(value.list_value().values(i), out);
      }
      out.push_back(']');
      break;
    }
    default:
      out += "null";
  }
}

namespace {

// Calls append(key) for the keys of an object, in their order, with what stands between them.
template <typename Append>
void AppendMembers(const google::protobuf::Struct& value, std::string& out, Append append) {
  std::vector<const std::string*> keys;
  for (const auto& field : value.fields()) keys.push_back(&field.first);
  std::sort(keys.begin(), keys.end(),
            [](const std::string* a, const std::string* b) { return *a < *b; });
  out.push_back('{');
  for (const std::string* key : keys) {
    if (key != keys.front()) out.push_back(',');
    AppendJsonString(*key, out);
    out.push_back(':');
    append(*key);
  }
  out.push_back('}');
}

}  // namespace

void AppendJson(const google::protobuf::Struct& value, std::string& out) {
  AppendMembers(value, out,
                [&](const std::string& key) { AppendJson(value.fields().at(key), out); });
}

void AppendPayload(const google::protobuf::Struct& fields,
                   const google::protobuf::Map<std::string, std::string>& texts, std::string& out) {
  AppendMembers(fields, out, [&](const std::string& key) {
    const google::protobuf::Value& value = fields.fields().at(key);
    const auto text = texts.find(key);
    if (text != texts.end() && MayLackDigits(value)) {
      out += text->second;
    } else {
      AppendJson(value, out);
    }
  });
}

}  // namespace vectron::rows
