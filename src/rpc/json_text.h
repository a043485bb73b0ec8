#pragma once

// JSON as text: checking it, and writing its strings and numbers.

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace vectron::rpc {

// Well-formed JSON (RFC 8259) in UTF-8, no deeper than `max_depth` (a scalar has depth 0), else
// InvalidArgument with the byte position; of NaN and Infinity, which some writers put into JSON,
// with the field as well.
absl::Status CheckJson(std::string_view json, size_t max_depth);

// Appends a JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD.
void AppendJsonString(std::string_view text, std::string& out);

// Appends the shortest decimal that reads back as the same value; NaN and infinities as strings
// ("NaN", "-Infinity").
void AppendJsonNumber(double value, std::string& out);
void AppendJsonNumber(float value, std::string& out);

}  // namespace vectron::rpc
