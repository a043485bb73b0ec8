#include "rpc/json_text.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <iterator>
#include <string>

namespace vectron::rpc {
namespace {

// Bytes of the UTF-8 sequence at the front of `text`, 0 when there is none. Unicode 15, table 3-7.
size_t SequenceSize(std::string_view text) {
  const auto byte = [&text](size_t i) {
    return static_cast<uint8_t>(i < text.size() ? text[i] : 0);
  };
  const auto follows = [&byte](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return follows(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    if (!follows(1) || !follows(2)) return 0;
    if (lead == 0xe0 && byte(1) < 0xa0) return 0;   // overlong
    if (lead == 0xed && byte(1) >= 0xa0) return 0;  // a surrogate
    return 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if (!follows(1) || !follows(2) || !follows(3)) return 0;
    if (lead == 0xf0 && byte(1) < 0x90) return 0;
    if (lead == 0xf4 && byte(1) >= 0x90) return 0;
    return 4;
  }
  return 0;
}

template <typename T>
void AppendNumber(T value, std::string& out) {
  if (std::isnan(value)) {
    out += "\"NaN\"";
  } else if (std::isinf(value)) {
    out += value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

}  // namespace

void AppendJsonString(std::string_view text, std::string& out) {
  out.push_back('"');
  size_t done = 0;  // text before it is written
  size_t at = 0;
  const auto replace = [&](size_t size, std::string_view by) {
    out.append(text.substr(done, at - done)).append(by);
    at += size;
    done = at;
  };
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"' || c == '\\') {
      const char escaped[] = {'\\', c};
      replace(1, {escaped, 2});
    } else if (c == '\n') {
      replace(1, "\\n");
    } else if (c == '\t') {
      replace(1, "\\t");
    } else if (c == '\r') {
      replace(1, "\\r");
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      replace(1, fmt::format("\\u{:04x}", static_cast<unsigned char>(c)));
    } else if (static_cast<unsigned char>(c) < 0x80) {
      ++at;
    } else if (const size_t size = SequenceSize(text.substr(at)); size > 0) {
      at += size;
    } else {
      replace(1, "\xef\xbf\xbd");
    }
  }
  out.append(text.substr(done));
  out.push_back('"');
}

void AppendJsonNumber(double value, std::string& out) { AppendNumber(value, out); }
void AppendJsonNumber(float value, std::string& out) { AppendNumber(value, out); }

}  // namespace vectron::rpc
