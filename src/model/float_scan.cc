#include "model/float_scan.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace vectron {
namespace {

// Powers of ten that doubles hold exactly.
constexpr double kPowersOfTen[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr uint64_t kWholePowersOfTen[] = {1,       10,        100,        1'000,      10'000,
                                          100'000, 1'000'000, 10'000'000, 100'000'000};
constexpr double kSigns[] = {1, -1};
constexpr int kMaxExactPower = 22;
constexpr uint64_t kMaxExactDigits = uint64_t{1}
                                     << 53;  // whole numbers up to here are exact doubles
constexpr int kMaxDigits = 18;               // that surely fit uint64
constexpr int kMaxExponentDigits = 4;

// The number of eight decimal digits, one a byte, the first of them lowest: they join to pairs,
// pairs to fours, fours to eight (Lemire 2021, "Number parsing at a gigabyte per second").
uint64_t JoinDigits(uint64_t bytes) {
  constexpr uint64_t kPairs = 0x000000ff000000ff;
  bytes = bytes * 10 + (bytes >> 8);
  const uint64_t high = (bytes & kPairs) * (100 + (uint64_t{1'000'000} << 32));
  const uint64_t low = ((bytes >> 16) & kPairs) * (1 + (uint64_t{10'000} << 32));
  return (high + low) >> 32;
}

// Reads digits into the number so far (modulo 2^64), eight bytes at a time without a branch on how
// many they are: their number differs from component to component, so that such branches would be
// guessed wrong.
const char* ReadDigits(const char* at, uint64_t& digits) {
  constexpr uint64_t kHighBits = 0x8080808080808080;
  int count;
  do {
    uint64_t bytes;
    std::memcpy(&bytes, at, sizeof bytes);
    bytes ^= 0x3030303030303030;  // a digit is 0 to 9 now
    const uint64_t others = (((bytes & ~kHighBits) + 0x7676767676767676) | bytes) & kHighBits;
    count = std::countr_zero(others) / 8;
    const int half_shift = 4 * (8 - count);  // two steps, because a shift by 64 is none
    const uint64_t value = JoinDigits(bytes << half_shift << half_shift);
    digits = digits * kWholePowersOfTen[count] + value;
    at += count;
  } while (count == 8);
  return at;
}

// "e+12" into `power`, if it stands there. Null when it is malformed or of absurd length.
const char* ReadExponent(const char* at, int& power) {
  if (*at != 'e' && *at != 'E') return at;
  ++at;
  const bool negative = *at == '-';
  if (negative || *at == '+') ++at;
  uint64_t exponent = 0;
  const char* end = ReadDigits(at, exponent);
  if (end == at || end - at > kMaxExponentDigits) return nullptr;
  power += negative ? -static_cast<int>(exponent) : static_cast<int>(exponent);
  return end;
}

bool EndsNumber(char c) {
  return c == ',' || c == ']' || c == '}' || c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

}  // namespace

bool ReadPlainFloat(const char* begin, float& number) {
  const bool negative = *begin == '-';
  const char* whole = begin + (negative ? 1 : 0);
  uint64_t digits = 0;
  const char* at = ReadDigits(whole, digits);
  auto count = at - whole;
  if (count == 0 || (*whole == '0' && count > 1)) return false;
  int power = 0;
  if (*at == '.') {
    const char* fraction = ++at;
    at = ReadDigits(at, digits);
    if (at == fraction) return false;
    count += at - fraction;
    power = static_cast<int>(fraction - at);
  }
  at = ReadExponent(at, power);
  if (at == nullptr || !EndsNumber(*at)) return false;
  double exact = 0;
  if (count <= kMaxDigits && digits <= kMaxExactDigits && power >= -kMaxExactPower &&
      power <= kMaxExactPower) {
    // One rounding of two exact numbers.
    exact = static_cast<double>(digits);
    exact = power < 0 ? exact / kPowersOfTen[-power] : exact * kPowersOfTen[power];
    exact *= kSigns[negative];
  } else if (std::from_chars(begin, at, exact).ec != std::errc()) {
    return false;
  }
  number = static_cast<float>(exact);
  return std::isfinite(number);
}

}  // namespace vectron
