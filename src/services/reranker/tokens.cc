#include "services/reranker/tokens.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <cstring>

#include "base/check.h"

namespace vectron::reranker {
namespace tokens_internal {
namespace {

constexpr AsciiFold MakeAsciiFold() {
  AsciiFold fold{};
  for (unsigned char c = 'a'; c <= 'z'; ++c) fold.to[c] = c;
  for (unsigned char c = 'A'; c <= 'Z'; ++c) fold.to[c] = static_cast<unsigned char>(c + 32);
  for (unsigned char c = '0'; c <= '9'; ++c) fold.to[c] = c;
  return fold;
}

bool IsIdeograph(UChar32 c) {
  return (c >= 0x3040 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x20000 && c <= 0x3FFFF);
}

bool IsWordPart(UChar32 c) {
  return (U_GET_GC_MASK(c) & (U_GC_L_MASK | U_GC_M_MASK | U_GC_N_MASK)) != 0;
}

icu::UnicodeString Fold(std::string_view text) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfkc = icu::Normalizer2::getNFKCInstance(error);
  CHECK(U_SUCCESS(error));
  icu::UnicodeString raw = icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
  icu::UnicodeString folded = nfkc->normalize(raw, error);
  folded.foldCase(U_FOLD_CASE_DEFAULT);
  icu::UnicodeString normal = nfkc->normalize(folded, error);
  CHECK(U_SUCCESS(error));  // fails for want of memory alone
  return normal;
}

}  // namespace

constexpr AsciiFold kAsciiFold = MakeAsciiFold();

bool IsAscii(std::string_view text) {
  const char* at = text.data();
  size_t left = text.size();
  for (; left >= 8; at += 8, left -= 8) {
    uint64_t chunk = 0;
    std::memcpy(&chunk, at, sizeof chunk);
    if ((chunk & 0x8080'8080'8080'8080ULL) != 0) return false;
  }
  for (; left > 0; ++at, --left) {
    if ((static_cast<unsigned char>(*at) & 0x80) != 0) return false;
  }
  return true;
}

void ForEachUnicodeToken(std::string_view text, const std::function<void(std::string_view)>& each) {
  const icu::UnicodeString folded = Fold(text);
  std::string word;
  const auto flush = [&] {
    if (!word.empty()) each(word);
    word.clear();
  };
  for (int32_t i = 0; i < folded.length(); i = folded.moveIndex32(i, 1)) {
    const UChar32 c = folded.char32At(i);
    const bool alone = IsIdeograph(c);
    if (alone || !IsWordPart(c)) flush();
    if (!alone && !IsWordPart(c)) continue;
    icu::UnicodeString(c).toUTF8String(word);
    if (alone) flush();
  }
  flush();
}

}  // namespace tokens_internal

std::string_view CutText(std::string_view text, size_t limit_bytes) {
  if (text.size() <= limit_bytes) return text;
  size_t end = limit_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

void ForEachToken(std::string_view text, const std::function<void(std::string_view)>& each) {
  VisitTokens(text, each);
}

std::vector<std::string> Tokenize(std::string_view text) {
  std::vector<std::string> tokens;
  VisitTokens(text, [&](std::string_view token) { tokens.emplace_back(token); });
  return tokens;
}

size_t CountTokens(std::string_view text, size_t most) {
  size_t count = 0;
  VisitTokens(text, [&](std::string_view) { count += count < most ? 1 : 0; });
  return count;
}

}  // namespace vectron::reranker
