#pragma once

// JSON text to and from protobuf's Struct, where the client reads and writes points.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "google/protobuf/struct.pb.h"

namespace vectron::rows {

// Parses one JSON object. InvalidArgument: malformed, no object, nested deeper than kMaxJsonDepth,
// or a whole number beyond 2^53 (a Struct holds doubles and would change it).
absl::StatusOr<google::protobuf::Struct> ParseObject(std::string_view json);

// Appends without white space; keys sorted, whole numbers without a fraction, others as short as
// they read back equal.
void AppendJson(const google::protobuf::Value& value, std::string& out);
void AppendJson(const google::protobuf::Struct& value, std::string& out);
// Appends a quoted string.
void AppendJsonString(std::string_view text, std::string& out);
// Appends a number; null when it is not finite.
void AppendJsonNumber(double value, std::string& out);
void AppendJsonNumber(float value, std::string& out);

}  // namespace vectron::rows
