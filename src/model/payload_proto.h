#pragma once

// Payloads between their stored text and the two maps of the wire: `fields` (typed) and `payload`
// (top-level values as text).

#include <google/protobuf/map.h>
#include <google/protobuf/struct.pb.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/payload.h"

namespace vectron {

using PayloadMap = google::protobuf::Map<std::string, std::string>;

// The tree of a wire value; unset is null. Numbers are doubles there: whole ones below 2^53 become
// integers again. Members come in the order of their keys. InvalidArgument: NaN, infinite, nested
// deeper than `depth` levels.
absl::StatusOr<Value> ValueFromProto(const google::protobuf::Value& proto, uint32_t depth);
void ValueToProto(const Value& value, google::protobuf::Value& proto);

// The stored text of a point's two maps: the union of their keys, sorted; `fields` wins where both
// name one. Strings of the textual map stay strings. Numbers of `fields` are doubles: where the
// text of the same key is the same value, with all digits of whole numbers beyond 2^53, these are
// kept, so that what PayloadToProto gives comes back as it was. InvalidArgument naming the field.
absl::StatusOr<std::string> PayloadFromProto(const PayloadMap& payload,
                                             const google::protobuf::Struct& fields);
// Fills both maps from a stored text (as NormalizePayload gives it). In the textual map strings are
// as they are, others as JSON. `fields` stays unset for an empty payload.
template <typename Point>
void PayloadToProto(std::string_view text, Point& point);

// The parts of PayloadToProto.
void FillPayload(std::string_view text, PayloadMap& payload, google::protobuf::Struct& fields);

template <typename Point>
void PayloadToProto(std::string_view text, Point& point) {
  if (!text.empty()) FillPayload(text, *point.mutable_payload(), *point.mutable_fields());
}

}  // namespace vectron
