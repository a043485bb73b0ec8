#include "apps/vectronctl/rows/json_point.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "apps/vectronctl/rows/json_dom.h"
#include "base/status.h"

namespace vectron::rows {
namespace {

using simdjson::SUCCESS;

absl::Status NumbersFromDom(const simdjson::dom::array& from, std::vector<float>& into) {
  into.reserve(from.size());
  for (const auto item : from) {
    double value = 0;
    if (item.get(value) != SUCCESS) {
      return InvalidArgument("vector[{}]: wanted a number", into.size());
    }
    const auto narrow = static_cast<float>(value);
    if (!std::isfinite(narrow)) {
      return InvalidArgument("vector[{}]: {} is beyond the range of 32-bit floats", into.size(),
                             value);
    }
    into.push_back(narrow);
  }
  return absl::OkStatus();
}

// "[1,2,3]", as pgvector prints a vector.
absl::Status NumbersFromText(std::string_view text, std::vector<float>& into) {
  simdjson::dom::parser parser;
  simdjson::dom::array array;
  if (parser.parse(text.data(), text.size()).get(array) != SUCCESS) {
    return InvalidArgument("vector: a string has to hold an array, as in \"[1,2,3]\"");
  }
  return NumbersFromDom(array, into);
}

// A row of a table: what is neither id nor embedding is payload.
absl::Status TableRow(const simdjson::dom::object& from, Row& row) {
  simdjson::dom::element value;
  RETURN_IF_ERROR(VectorFromDom(from.at_key("embedding").value_unsafe(), row.vector));
  if (from.at_key("id").get(value) == SUCCESS) RETURN_IF_ERROR(IdFromDom(value, row.id));
  RETURN_IF_ERROR(Annotate(PayloadFromDom(from, row.payload), "payload"));
  for (const char* key : {"id", "embedding"}) {
    row.payload.fields.mutable_fields()->erase(key);
    row.payload.texts.erase(key);
  }
  return absl::OkStatus();
}

bool IsPassedOver(std::string_view key) {
  constexpr std::array<std::string_view, 4> kKeys = {"version", "score", "shard_key",
                                                     "order_value"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

}  // namespace

absl::Status VectorFromDom(const simdjson::dom::element& from, std::vector<float>& into) {
  into.clear();
  simdjson::dom::array array;
  if (from.get(array) == SUCCESS) return NumbersFromDom(array, into);
  std::string_view text;
  if (from.get(text) == SUCCESS) return NumbersFromText(text, into);
  simdjson::dom::object named;
  if (from.get(named) != SUCCESS) return InvalidArgument("vector: wanted an array");
  if (named.size() != 1) {
    return InvalidArgument("vector: {} named vectors; a point has one: export one name at a time",
                           named.size());
  }
  simdjson::dom::array only;
  if ((*named.begin()).value.get(only) != SUCCESS) {
    return InvalidArgument("vector: the named vector is no array (sparse vectors are not kept)");
  }
  return NumbersFromDom(only, into);
}

absl::Status IdFromDom(const simdjson::dom::element& from, std::string& into) {
  std::string_view text;
  int64_t number = 0;
  uint64_t large = 0;
  if (from.get(text) == SUCCESS) {
    into = text;
  } else if (from.get(number) == SUCCESS) {
    into = std::to_string(number);
  } else if (from.get(large) == SUCCESS) {
    into = std::to_string(large);
  } else {
    return InvalidArgument("id: wanted a string or a whole number");
  }
  if (into.empty()) return InvalidArgument("id: is empty");
  return absl::OkStatus();
}

absl::Status PointFromDom(const simdjson::dom::object& from, Row& row) {
  simdjson::dom::element ignored;
  const bool has_vector = from.at_key("vector").get(ignored) == SUCCESS;
  if (!has_vector && from.at_key("embedding").get(ignored) == SUCCESS) return TableRow(from, row);
  for (const auto field : from) {
    if (field.key == "vector") {
      RETURN_IF_ERROR(VectorFromDom(field.value, row.vector));
    } else if (field.key == "id") {
      RETURN_IF_ERROR(IdFromDom(field.value, row.id));
    } else if (field.key == "payload") {
      if (field.value.is_null()) continue;
      simdjson::dom::object payload;
      if (field.value.get(payload) != SUCCESS) {
        return InvalidArgument("payload: wanted an object");
      }
      RETURN_IF_ERROR(Annotate(PayloadFromDom(payload, row.payload), "payload"));
    } else if (!IsPassedOver(field.key)) {
      return InvalidArgument("unknown key \"{}\"; a point has \"id\", \"vector\" and \"payload\"",
                             field.key);
    }
  }
  if (!has_vector) return InvalidArgument("the key \"vector\" is missing");
  return absl::OkStatus();
}

}  // namespace vectron::rows
