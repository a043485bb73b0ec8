#pragma once

// Pieces of JSON text appended to a string.

#include <cstdint>
#include <string>
#include <string_view>

namespace vectron {

// In quotes; escapes what JSON requires to be escaped and nothing else. `text` is valid UTF-8.
void AppendJsonString(std::string& out, std::string_view text);

// The shortest digits that read back as the same double; whole numbers keep a ".0", so that they
// read back as no integer. The value is finite.
void AppendJsonDouble(std::string& out, double value);

// The shortest digits that read back as the same float, whole numbers without a point; "Infinity",
// "-Infinity" and "NaN" in quotes, as proto3's JSON mapping has them.
void AppendJsonFloat(std::string& out, float value);

void AppendJsonInt(std::string& out, int64_t value);
void AppendJsonUint(std::string& out, uint64_t value);

}  // namespace vectron
