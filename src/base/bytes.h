#pragma once

// Little-endian encoding of fixed and variable-length values into a std::string, and a reader that
// cannot run past its end. Used by every format on disk (docs/formats).

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"

namespace vectron {

static_assert(std::endian::native == std::endian::little, "formats are written by memcpy");

template <typename T>
requires std::is_arithmetic_v<T>
void PutFixed(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// LEB128: 7 bits a byte, least significant first.
inline void PutVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

inline void PutLengthPrefixed(std::string& out, std::string_view bytes) {
  PutVarint(out, bytes.size());
  out.append(bytes);
}

template <typename T>
requires std::is_arithmetic_v<T> T LoadFixed(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Big-endian, so that byte order is number order (keys of ordered stores).
inline void PutBigEndian64(std::string& out, uint64_t value) {
  value = __builtin_bswap64(value);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
inline uint64_t LoadBigEndian64(const void* from) {
  return __builtin_bswap64(LoadFixed<uint64_t>(from));
}

// Reads from a borrowed buffer. A read past the end returns false and leaves the reader failed;
// check ok() once at the end, or each read. Thread-compatible.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  size_t remaining() const { return bytes_.size(); }

  template <typename T>
  requires std::is_arithmetic_v<T>
  bool ReadFixed(T& value) {
    if (!ok_ || bytes_.size() < sizeof(T)) return Fail();
    std::memcpy(&value, bytes_.data(), sizeof(T));
    bytes_.remove_prefix(sizeof(T));
    return true;
  }
  bool ReadVarint(uint64_t& value) {
    value = 0;
    for (int shift = 0; ok_ && shift < 64 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return Fail();
  }
  // A view into the buffer, valid as long as it is.
  bool ReadBytes(size_t count, std::string_view& bytes) {
    if (!ok_ || bytes_.size() < count) return Fail();
    bytes = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return true;
  }
  bool ReadLengthPrefixed(std::string_view& bytes) {
    uint64_t count = 0;
    return ReadVarint(count) && ReadBytes(count, bytes);
  }

 private:
  bool Fail() {
    ok_ = false;
    return false;
  }

  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace vectron
