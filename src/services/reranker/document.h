#pragma once

// A candidate of a reranking with its payload, as the strategies read it.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/vector_types.h"
#include "model/payload.h"

namespace vectron::reranker {

struct Document {
  std::string id;
  float distance = 0;  // lower is closer; finite
  Value payload{Object()};
};

// From the JSON text of a payload ("" is empty). InvalidArgument when it is none.
absl::StatusOr<Document> DocumentFromPayload(std::string id, float distance,
                                             std::string_view payload);
// A top-level value as text: strings as they are, elements of a list joined by a space, others as
// JSON; "" when absent. The view refers to the document or to `scratch`.
std::string_view FieldText(const Document& document, std::string_view field, std::string& scratch);

// What a list is ranked for.
struct Question {
  std::string query;
  Metric metric = Metric::kCosine;
  int64_t now_s = 0;  // unix seconds; scores use the minute
};

}  // namespace vectron::reranker
