#pragma once

// Small helpers on text that came from outside.

#include <cstddef>
#include <string>
#include <string_view>

namespace vectron {

// Number of bytes before the first one that does not belong to well-formed UTF-8 (RFC 3629: no
// overlong forms, no surrogates, at most U+10FFFF); text.size() when all of it is well-formed.
size_t ValidUtf8Length(std::string_view text);

// The text in single quotes for an error message: at most 64 bytes of it (then "..."), bytes that
// are no printable UTF-8 as \xNN. Always valid UTF-8.
std::string Quote(std::string_view text);

}  // namespace vectron
