#pragma once

// The part of json.h that names simdjson's types.

#include <simdjson.h>

#include "absl/status/status.h"
#include "google/protobuf/struct.pb.h"

namespace vectron::rows {

// `depth`: of this object, 1 for the outermost. Errors as ParseObject.
absl::Status StructFromDom(const simdjson::dom::object& from, uint32_t depth,
                           google::protobuf::Struct& into);

}  // namespace vectron::rows
