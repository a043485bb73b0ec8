#pragma once

// A check of JSON text that finds the first byte that makes no sense.

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

namespace vectron {

// Well-formed JSON (RFC 8259) in UTF-8, no deeper than `max_depth` (a scalar has depth 0), else
// InvalidArgument "malformed JSON at byte N: <why>"; of NaN and Infinity, which some writers put
// into JSON, with the field as well.
absl::Status CheckJson(std::string_view json, size_t max_depth);

}  // namespace vectron
