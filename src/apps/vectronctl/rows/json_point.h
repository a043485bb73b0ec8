#pragma once

// One point out of a JSON object, in our own form or in that of other databases' exports.

#include <simdjson.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "apps/vectronctl/rows/row_reader.h"

namespace vectron::rows {

// Fills all of `row` but its number from one of
//
//   {"id", "vector", "payload"}                 ours and Qdrant's; "version", "score", "shard_key"
//                                               and "order_value", which exports add, are passed
//                                               over
//   {"vector": {"name": [...]}, ...}            Qdrant's named vectors, when there is just one
//   {"id", "embedding", any other columns ...}  a row of a table, as PostgreSQL's row_to_json
//                                               writes it; the other columns are the payload
//
// A vector is an array of numbers or, as pgvector prints it, a string "[1,2,3]". An id is a string
// or a whole number. Errors: InvalidArgument.
absl::Status PointFromDom(const simdjson::dom::object& from, Row& row);

// The parts of it.
absl::Status VectorFromDom(const simdjson::dom::element& from, std::vector<float>& into);
absl::Status IdFromDom(const simdjson::dom::element& from, std::string& into);

}  // namespace vectron::rows
