#pragma once

// The part of json.h that names simdjson's types.

#include <simdjson.h>

#include <string_view>

#include "absl/status/status.h"
#include "apps/vectronctl/rows/json.h"
#include "google/protobuf/struct.pb.h"

namespace vectron::rows {

// Which whole numbers may go into a Struct, whose doubles keep the digits of those to 2^53.
enum class WholeNumbers { kTo53Bits, kTo64Bits };

// `depth`: of this object, 1 for the outermost. Errors as ParseObject.
absl::Status StructFromDom(const simdjson::dom::object& from, uint32_t depth, WholeNumbers allowed,
                           google::protobuf::Struct& into);
// Errors as ParsePayloadObject.
absl::Status PayloadFromDom(const simdjson::dom::object& from, Payload& into);

// Why the text of an object, which simdjson's parser refused with `error`, is none: with the byte
// where it goes wrong.
absl::Status NoValidJson(std::string_view object, simdjson::error_code error);

}  // namespace vectron::rows
