#pragma once

// JSON text to and from protobuf's Struct, where the client reads and writes points.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/map.h"
#include "google/protobuf/struct.pb.h"

namespace vectron::rows {

// Parses one JSON object. InvalidArgument: malformed, no object, nested deeper than kMaxJsonDepth,
// or a whole number beyond 2^53 (a Struct holds doubles and would change it).
absl::StatusOr<google::protobuf::Struct> ParseObject(std::string_view json);

// A payload in the two forms in which points carry it. `fields` holds doubles; of members with
// whole numbers beyond 2^53 `texts` has the JSON text too, from which a server takes all digits.
struct Payload {
  google::protobuf::Struct fields;
  google::protobuf::Map<std::string, std::string> texts;
};
// As ParseObject, but whole numbers go to int64.
absl::StatusOr<Payload> ParsePayloadObject(std::string_view json);
// The elements of an array, each as JSON text. InvalidArgument: no array.
absl::StatusOr<std::vector<std::string>> ParseArray(std::string_view json);
// Appends the payload of a point that a server returned, with all digits of whole numbers. `texts`:
// its textual map.
void AppendPayload(const google::protobuf::Struct& fields,
                   const google::protobuf::Map<std::string, std::string>& texts, std::string& out);

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
