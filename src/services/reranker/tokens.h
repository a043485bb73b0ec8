#pragma once

// Words of a text, as the ranking formulas count them.
//
// NFKC, full case folding, NFKC again; then maximal runs of letters, marks and numbers (Unicode
// general categories L, M, N); an ideograph or kana is a token of its own. Bytes that are no UTF-8
// separate tokens. Thread-safe.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vectron::reranker {

// The longest front of `text` of at most `limit_bytes` that does not end within a code point.
std::string_view CutText(std::string_view text, size_t limit_bytes);

// Calls `each` for every token in order; the view is valid during the call.
void ForEachToken(std::string_view text, const std::function<void(std::string_view)>& each);

std::vector<std::string> Tokenize(std::string_view text);

// Tokens of the text, counted no further than `most`.
size_t CountTokens(std::string_view text, size_t most);

namespace tokens_internal {

// What an ASCII byte becomes: its lower case if it belongs to a token, else 0.
struct AsciiFold {
  unsigned char to[128];
};
extern const AsciiFold kAsciiFold;

bool IsAscii(std::string_view text);
// The general case; `each` may be called with any UTF-8.
void ForEachUnicodeToken(std::string_view text, const std::function<void(std::string_view)>& each);

}  // namespace tokens_internal

// The same without the call through std::function, for inner loops.
template <typename Each>
void VisitTokens(std::string_view text, Each&& each) {
  using tokens_internal::kAsciiFold;
  if (!tokens_internal::IsAscii(text)) {
    tokens_internal::ForEachUnicodeToken(text, each);
    return;
  }
  std::string word;
  for (const char raw : text) {
    const unsigned char folded = kAsciiFold.to[static_cast<unsigned char>(raw)];
    if (folded != 0) {
      word.push_back(static_cast<char>(folded));
    } else if (!word.empty()) {
      each(std::string_view(word));
      word.clear();
    }
  }
  if (!word.empty()) each(std::string_view(word));
}

}  // namespace vectron::reranker
