#include "model/text.h"

#include <fmt/format.h>

#include <cstdint>
#include <iterator>

namespace vectron {
namespace {

constexpr size_t kMaxQuotedBytes = 64;

bool IsContinuation(uint8_t byte) { return (byte & 0xc0) == 0x80; }

// Length of the well-formed sequence at text[at], 0 when there is none. RFC 3629, section 4.
size_t SequenceLength(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : uint8_t{0};
  };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return IsContinuation(byte(1)) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const uint8_t low = first == 0xe0 ? 0xa0 : 0x80;
    const uint8_t high = first == 0xed ? 0x9f : 0xbf;
    return byte(1) >= low && byte(1) <= high && IsContinuation(byte(2)) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const uint8_t low = first == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xf4 ? 0x8f : 0xbf;
    const bool good =
        byte(1) >= low && byte(1) <= high && IsContinuation(byte(2)) && IsContinuation(byte(3));
    return good ? 4 : 0;
  }
  return 0;
}

bool IsControl(std::string_view sequence) {
  const auto first = static_cast<uint8_t>(sequence[0]);
  if (sequence.size() == 1) return first < 0x20 || first == 0x7f;
  return first == 0xc2 && static_cast<uint8_t>(sequence[1]) < 0xa0;
}

}  // namespace

size_t ValidUtf8Length(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = SequenceLength(text, at);
    if (length == 0) return at;
    at += length;
  }
  return at;
}

std::string Quote(std::string_view text) {
  std::string quoted = "'";
  size_t at = 0;
  while (at < text.size() && at < kMaxQuotedBytes) {
    const size_t length = SequenceLength(text, at);
    if (length != 0 && !IsControl(text.substr(at, length))) {
      quoted.append(text.substr(at, length));
      at += length;
      continue;
    }
    fmt::format_to(std::back_inserter(quoted), "\\x{:02x}", static_cast<uint8_t>(text[at]));
    ++at;
  }
  quoted += at < text.size() ? "...'" : "'";
  return quoted;
}

}  // namespace vectron
