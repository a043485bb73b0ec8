#pragma once

// Messages from and to JSON by the mapping of the contract, section 2, for RPCs without a hand-made
// form.

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "model/convert.h"
#include "rpc/http_message.h"

namespace vectron::rpc {

// Fills a cleared message from JSON no deeper than kMaxJsonDepth: lowerCamelCase and snake_case
// names, unknown names ignored, null is the default, numbers may be strings, enums are names or
// numbers. An empty text is `{}`. InvalidArgument names the byte position (no JSON) or the field,
// with what was got and wanted. Unlike protobuf's own reader it refuses unknown enum names and
// anything that is not JSON.
absl::Status MessageFromJson(PaddedJson json, google::protobuf::Message& message);

// Sets fields from path parameters, whatever the message held there. InvalidArgument when a value
// does not fit its field or is no UTF-8.
absl::Status ApplyPathParams(const PathParams& params, google::protobuf::Message& message);

// Sets fields from a query: "consistency=STRONG&maxStalenessMs=5&tag=a&tag=b"; both spellings,
// `a.b` for a field of a sub-message, a repeated field may come several times, of the others the
// last wins, unknown names are ignored. InvalidArgument as above.
absl::Status ApplyQuery(std::string_view query, google::protobuf::Message& message);

// Appends the message as JSON: lowerCamelCase, every field (zero values too; an unset sub-message
// is null; an unset `optional` or Value field is left out), 64-bit integers as strings, enums by
// name, bytes as base64, NaN and infinities as strings, google.protobuf.Struct, Value and ListValue
// as the JSON they stand for. Keys of maps are sorted.
void MessageToJson(const google::protobuf::Message& message, std::string& out);

}  // namespace vectron::rpc
