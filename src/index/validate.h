#pragma once

// Checks of what comes from outside, shared by the index and its twin. Thread-safe.

#include <span>

#include "absl/status/status.h"
#include "index/vector_index.h"

namespace vectron::index {

// InvalidArgument naming the option, got and wanted.
absl::Status ValidateOptions(const IndexOptions& options);

// InvalidArgument for a wrong size, a component that is not finite, or a query without direction
// with kCosine.
absl::Status ValidateQuery(const IndexOptions& options, std::span<const float> query);

// InvalidArgument for k or ef out of range.
absl::Status ValidateSearch(const SearchOptions& options);

}  // namespace vectron::index
