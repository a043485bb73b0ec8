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

absl::Status ConvertNumber(int64_t number, google::protobuf::Value& into) {
  if (number > kExactIntegerMax || number < -kExactIntegerMax) {
    return InvalidArgument("{} would lose digits (whole numbers go to 2^53); write it as a string",
                           number);
  }
  into.set_number_value(static_cast<double>(number));
  return absl::OkStatus();
}

absl::Status Convert(const simdjson::dom::element& from, uint32_t depth,
                     google::protobuf::Value& into);

absl::Status ConvertArray(const simdjson::dom::array& from, uint32_t depth,
                          google::protobuf::Value& into) {
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
                     google::protobuf::Value& into) {
  switch (from.type()) {
    case element_type::OBJECT:
      return StructFromDom(from.get_object().value_unsafe(), depth + 1,
                           *into.mutable_struct_value());
    case element_type::ARRAY:
      if (depth >= kMaxJsonDepth) return InvalidArgument("nested deeper than {}", kMaxJsonDepth);
      return ConvertArray(from.get_array().value_unsafe(), depth, into);
    case element_type::STRING:
      into.set_string_value(std::string(from.get_string().value_unsafe()));
      return absl::OkStatus();
    case element_type::INT64:
      return ConvertNumber(from.get_int64().value_unsafe(), into);
    case element_type::UINT64:
      return ConvertNumber(INT64_MAX, into);  // only numbers beyond int64 have this type
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

}  // namespace

absl::Status StructFromDom(const simdjson::dom::object& from, uint32_t depth,
                           google::protobuf::Struct& into) {
  if (depth > kMaxJsonDepth) return InvalidArgument("nested deeper than {}", kMaxJsonDepth);
  for (const auto field : from) {
    auto& value = (*into.mutable_fields())[std::string(field.key)];
    RETURN_IF_ERROR(Annotate(Convert(field.value, depth, value), std::string(field.key)));
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
  simdjson::dom::element element;
  if (const auto error = parser.parse(json.data(), json.size()).get(element)) {
    return NoValidJson(json, error);
  }
  simdjson::dom::object object;
  if (element.get(object) != simdjson::SUCCESS) return InvalidArgument("wanted a JSON object");
  google::protobuf::Struct out;
  RETURN_IF_ERROR(StructFromDom(object, 1, out));
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

void AppendJson(const google::protobuf::Struct& value, std::string& out) {
  std::vector<const std::string*> keys;
  for (const auto& field : value.fields()) keys.push_back(&field.first);
  std::sort(keys.begin(), keys.end(),
            [](const std::string* a, const std::string* b) { return *a < *b; });
  out.push_back('{');
  for (const std::string* key : keys) {
    if (key != keys.front()) out.push_back(',');
    AppendJsonString(*key, out);
    out.push_back(':');
    AppendJson(value.fields().at(*key), out);
  }
  out.push_back('}');
}

}  // namespace vectron::rows
