#pragma once

// Messages from and to JSON by the mapping of the contract, section 2, for RPCs without a hand-made form.

#include <string>
#include <string_view>

#include <google/protobuf/message.h>

#include "absl/status/status.h"
#include "model/convert.h"
#include "rpc/http_message.h"

namespace vectron::rpc {

// Well-formed JSON (RFC 8259) no deeper than kMaxJsonDepth, else InvalidArgument with the byte position.
absl::Status CheckJson(PaddedJson json);

// Fills a cleared message from JSON: lowerCamelCase and snake_case names, unknown names ignored, null is the default. An empty body is
// `{}`. InvalidArgument names the byte position or the field, with what was got and wanted.
absl::Status MessageFromJson(PaddedJson json, google::protobuf::Message& message);

// Sets fields from path parameters, whatever the message held there. InvalidArgument when a value does not fit its field or is no UTF-8.
absl::Status ApplyPathParams(const PathParams& params, google::protobuf::Message& message);

// Sets fields from a query: "consistency=STRONG&maxStalenessMs=5&tag=a&tag=b"; both spellings, `a.b` for a field of a sub-message, a
// repeated field may come several times, of the others the last wins, unknown names are ignored. InvalidArgument as above.
absl::Status ApplyQuery(std::string_view query, google::protobuf::Message& message);

// Appends the message as JSON: lowerCamelCase, every field (zero values too; an unset sub-message is null; an unset `optional` field is
// left out), 64-bit integers as strings, enums by name, bytes as base64, NaN and infinities as strings, google.protobuf.Struct, Value
// and ListValue as the JSON they stand for.
void MessageToJson(const google::protobuf::Message& message, std::string& out);

// Appends a JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD.
void AppendJsonString(std::string_view text, std::string& out);

}  // namespace vectron::rpc
