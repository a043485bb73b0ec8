#pragma once

// The text that asks a language model for an order, and the strict reading of its answer. Pure.
//
// Candidates go as JSON under shuffled labels c00, c01, ...; what they say is data: a JSON writer
// escapes it, so no text can leave its string, and an answer is only ever read as a list of labels.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/reranker/document.h"

namespace vectron::reranker {

struct LlmPrompt {
  std::string system;
  std::string user;
  std::vector<size_t> label_to_index;  // of label n, the candidate
  size_t max_tokens = 0;               // that an answer needs
};

// candidates: 1 to 50. seed: of the shuffle.
LlmPrompt MakePrompt(std::string_view query, std::span<const Document> candidates, uint64_t seed);

// The body of a request to an OpenAI-compatible chat endpoint.
std::string ChatRequestBody(const LlmPrompt& prompt, std::string_view model);

struct ChatAnswer {
  std::string content;
  int64_t prompt_tokens = 0;  // 0 when the endpoint does not say
  int64_t completion_tokens = 0;
};
// InvalidArgument for anything but a chat completion with a text.
absl::StatusOr<ChatAnswer> ParseChatResponse(std::string_view body);

// The order of the candidates from the content of an answer. Unknown and repeated labels drop,
// missing ones follow in the given order. InvalidArgument for anything but {"order":[...]} and when
// fewer than half of the labels are known.
absl::StatusOr<std::vector<size_t>> ParseOrder(std::string_view content, const LlmPrompt& prompt);

}  // namespace vectron::reranker
