#pragma once

// JSON as text: writing its strings and numbers. (Checking it: model/json_check.h.)

#include <string>
#include <string_view>

namespace vectron::rpc {

// Appends a JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD.
void AppendJsonString(std::string_view text, std::string& out);

// Appends the shortest decimal that reads back as the same value; NaN and infinities as strings
// ("NaN", "-Infinity").
void AppendJsonNumber(double value, std::string& out);
void AppendJsonNumber(float value, std::string& out);

}  // namespace vectron::rpc
