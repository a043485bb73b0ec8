#include "model/json_writer.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "base/check.h"

namespace vectron {
namespace {

constexpr size_t kMaxNumberBytes = 32;

constexpr uint64_t Repeat(uint8_t byte) { return 0x0101010101010101ULL * byte; }

// A mask that is not zero when any of eight bytes is `byte` (Warren, Hacker's Delight, section
// 6-1).
constexpr uint64_t HasByte(uint64_t word, uint8_t byte) {
  const uint64_t zero = word ^ Repeat(byte);
  return (zero - Repeat(1)) & ~zero & Repeat(0x80);
}

// Whether any of the eight bytes must be escaped. May err towards yes, never towards no.
bool AnyEscape(uint64_t word) {
  const uint64_t control = (word - Repeat(0x20)) & ~word & Repeat(0x80);
  return (control | HasByte(word, '"') | HasByte(word, '\\')) != 0;
}

bool NeedsEscape(char c) { return static_cast<uint8_t>(c) < 0x20 || c == '"' || c == '\\'; }

void AppendEscaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      fmt::format_to(std::back_inserter(out), FMT_COMPILE("\\u{:04x}"), static_cast<uint8_t>(c));
  }
}

}  // namespace

void AppendJsonString(std::string& out, std::string_view text) {
  out.push_back('"');
  size_t copied = 0;  // text[0, copied) is in `out`
  size_t at = 0;
  while (at < text.size()) {
    if (at + 8 <= text.size()) {
      uint64_t word;
      std::memcpy(&word, text.data() + at, 8);
      if (!AnyEscape(word)) {
        at += 8;
        continue;
      }
    }
    const size_t end = std::min(at + 8, text.size());
    for (; at < end; ++at) {
      if (!NeedsEscape(text[at])) continue;
      out.append(text.substr(copied, at - copied));
      AppendEscaped(out, text[at]);
      copied = at + 1;
    }
  }
  out.append(text.substr(copied));
  out.push_back('"');
}

void AppendJsonDouble(std::string& out, double value) {
  CHECK(std::isfinite(value));
  char buffer[kMaxNumberBytes];
  const char* end = fmt::format_to(buffer, FMT_COMPILE("{}"), value);
  const std::string_view digits(buffer, static_cast<size_t>(end - buffer));
  out.append(digits);
  if (digits.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void AppendJsonFloat(std::string& out, float value) {
  if (!std::isfinite(value)) [[unlikely]] {
    out += std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    return;
  }
  char buffer[kMaxNumberBytes];
  const char* end = fmt::format_to(buffer, FMT_COMPILE("{}"), value);
  out.append(buffer, static_cast<size_t>(end - buffer));
}

void AppendJsonInt(std::string& out, int64_t value) {
  const fmt::format_int digits(value);
  out.append(digits.data(), digits.size());
}

void AppendJsonUint(std::string& out, uint64_t value) {
  const fmt::format_int digits(value);
  out.append(digits.data(), digits.size());
}

}  // namespace vectron
