#pragma once

#include <cstddef>

namespace vectron {

// A borrowed JSON text. The reader looks at up to kJsonPadding bytes behind its end (their content
// does not matter); a buffer with less room behind the text is copied first.
struct PaddedJson {
  const char* data = nullptr;
  size_t size = 0;      // of the text
  size_t capacity = 0;  // of the readable buffer that begins with the text
};

inline constexpr size_t kJsonPadding = 64;

}  // namespace vectron
