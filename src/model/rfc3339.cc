#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/filter.h"

namespace vectron {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kSecondsPerDay = 86'400;
constexpr size_t kFractionDigits = 9;
// The years that four digits can write, as seconds of UTC.
constexpr int64_t kFirstSecond = -62'167'219'200;
constexpr int64_t kEndSecond = 253'402'300'800;
// The widest offset of the grammar, 23:59, in seconds.
constexpr int64_t kWidestOffset = (23 * 60 + 59) * 60;

// Reads a text from its front; every reader is false once something did not fit.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool done() const { return text_.empty(); }

  // Exactly `digits` decimal digits.
  bool Digits(size_t digits, int& value) {
    if (text_.size() < digits) return false;
    value = 0;
    for (size_t i = 0; i < digits; ++i) {
      if (text_[i] < '0' || text_[i] > '9') return false;
      value = value * 10 + (text_[i] - '0');
    }
    text_.remove_prefix(digits);
    return true;
  }
  bool OneOf(std::string_view choices, char& taken) {
    if (text_.empty() || choices.find(text_.front()) == std::string_view::npos) return false;
    taken = text_.front();
    text_.remove_prefix(1);
    return true;
  }
  bool Literal(std::string_view choices) {
    char taken;
    return OneOf(choices, taken);
  }
  // "." and at least one digit, as nanoseconds; or nothing.
  bool Fraction(uint32_t& nanos) {
    nanos = 0;
    if (!Literal(".")) return true;
    size_t digits = 0;
    int digit;
    while (Digits(1, digit)) {
      if (digits < kFractionDigits) nanos = nanos * 10 + static_cast<uint32_t>(digit);
      ++digits;
    }
    for (size_t i = digits; i < kFractionDigits; ++i) nanos *= 10;
    return digits > 0;
  }

 private:
  std::string_view text_;
};

// "Z" or "+hh:mm", as seconds east of UTC.
bool ReadOffset(Cursor& cursor, int64_t& offset_seconds) {
  offset_seconds = 0;
  char sign;
  if (!cursor.OneOf("Zz+-", sign)) return false;
  if (sign == 'Z' || sign == 'z') return true;
  int hours;
  int minutes;
  const bool read = cursor.Digits(2, hours) && cursor.Literal(":") && cursor.Digits(2, minutes);
  if (!read || hours > 23 || minutes > 59) return false;
  offset_seconds = (hours * 60 + minutes) * 60;
  if (sign == '-') offset_seconds = -offset_seconds;
  return true;
}

int64_t FloorDivide(int64_t value, int64_t divisor) {
  return value / divisor - (value % divisor < 0 ? 1 : 0);
}

// Whether this second of UTC begins a month: only then may the one before it be a leap second.
bool BeginsMonth(int64_t seconds) {
  if (seconds % kSecondsPerDay != 0) return false;
  const std::chrono::sys_days day{std::chrono::days(seconds / kSecondsPerDay)};
  return std::chrono::year_month_day(day).day() == std::chrono::day(1);
}

}  // namespace

std::optional<Timestamp> ParseRfc3339(std::string_view text) {
  Cursor cursor(text);
  int year, month, day, hour, minute, second;
  uint32_t fraction_nanos;
  int64_t offset_seconds;
  const bool read = cursor.Digits(4, year) && cursor.Literal("-") && cursor.Digits(2, month) &&
                    cursor.Literal("-") && cursor.Digits(2, day) && cursor.Literal("Tt") &&
                    cursor.Digits(2, hour) && cursor.Literal(":") && cursor.Digits(2, minute) &&
                    cursor.Literal(":") && cursor.Digits(2, second) &&
                    cursor.Fraction(fraction_nanos) && ReadOffset(cursor, offset_seconds);
  if (!read || !cursor.done() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const int64_t seconds =
      days * kSecondsPerDay + (hour * 60 + minute) * 60 + second - offset_seconds;
  if (second == 60 && !BeginsMonth(seconds)) return std::nullopt;
  return Timestamp{.seconds = seconds, .nanos = fraction_nanos};
}

std::string FormatRfc3339(Timestamp time) {
  int64_t offset = 0;  // seconds east of UTC
  if (time.seconds < kFirstSecond) offset = kWidestOffset;
  if (time.seconds >= kEndSecond) offset = -kWidestOffset;
  const int64_t local = time.seconds + offset;
  const int64_t day = FloorDivide(local, kSecondsPerDay);
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
  const int64_t seconds = local - day * kSecondsPerDay;
  std::string text =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (time.nanos != 0) {
    text += fmt::format(".{:09}", time.nanos);
    text.erase(text.find_last_not_of('0') + 1);
  }
  return text + (offset == 0 ? "Z" : offset > 0 ? "+23:59" : "-23:59");
}

int64_t SaturatedNanos(Timestamp time) {
  constexpr int64_t kLast = INT64_MAX / kNanosPerSecond;       // 854'775'807 ns of it
  constexpr int64_t kFirst = INT64_MIN / kNanosPerSecond - 1;  // its last 854'775'808 ns
  if (time.seconds > kLast) return INT64_MAX;
  if (time.seconds < kFirst) return INT64_MIN;
  int64_t nanos;
  if (time.seconds < 0) {  // from the second's end, which is nearer to 0
    const int64_t end = (time.seconds + 1) * kNanosPerSecond;
    if (__builtin_sub_overflow(end, kNanosPerSecond - time.nanos, &nanos)) return INT64_MIN;
    return nanos;
  }
  if (__builtin_add_overflow(time.seconds * kNanosPerSecond, time.nanos, &nanos)) return INT64_MAX;
  return nanos;
}

}  // namespace vectron
