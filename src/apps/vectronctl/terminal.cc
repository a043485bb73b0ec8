#include "apps/vectronctl/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/status.h"

namespace vectron::ctl {
namespace {

constexpr int64_t kBarEveryNanos = 100'000'000;
constexpr int64_t kLineEveryNanos = 5'000'000'000;
constexpr size_t kBarColumns = 30;

// Characters of UTF-8 text, taking each code point for one column.
size_t Columns(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

std::string WithCommas(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string HumanBytes(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit < 4) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string HumanSeconds(double seconds) {
  const auto whole = static_cast<uint64_t>(std::max(0.0, std::round(seconds)));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string Shorten(std::string_view text, size_t columns) {
  if (Columns(text) <= columns) return std::string(text);
  size_t end = 0;
  for (size_t left = columns; end < text.size(); ++end) {
    const bool starts = (static_cast<unsigned char>(text[end]) & 0xc0) != 0x80;
    if (starts && left-- <= 1) break;
  }
  return std::string(text.substr(0, end)) + "…";
}

size_t TerminalColumns() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 0 || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

Table::Table(std::vector<std::string> titles) {
  for (std::string& title : titles) {
    right_.push_back(title.starts_with('>'));
    if (right_.back()) title.erase(0, 1);
  }
  rows_.push_back(std::move(titles));
}

void Table::AddRow(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

std::string Table::Render(size_t columns) const {
  std::vector<size_t> widths(right_.size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Columns(row[i]));
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - Columns(row[i]), ' ');
      if (i > 0) line += "  ";
      line += right_[i] ? padding + row[i] : row[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += columns > 0 ? Shorten(line, columns) : line;
    out += '\n';
  }
  return out;
}

Progress::Style Progress::Default() {
  return ::isatty(STDERR_FILENO) != 0 ? Style::kBar : Style::kLines;
}

Progress::Progress(std::string what, Style style) : what_(std::move(what)), style_(style) {}

void Progress::SetStart(double fraction_before, uint64_t count_before, int64_t now_nanos) {
  fraction_before_ = std::max(0.0, fraction_before);
  count_before_ = count_before;
  start_nanos_ = now_nanos;
  shown_nanos_ = now_nanos;
}

double Progress::PerSecond(uint64_t count, int64_t now_nanos) const {
  const double seconds = 1e-9 * static_cast<double>(now_nanos - start_nanos_);
  return seconds > 0 ? static_cast<double>(count - count_before_) / seconds : 0;
}

std::string Progress::Line(double fraction, uint64_t count, int64_t now_nanos) const {
  const double rate = PerSecond(count, now_nanos);
  std::string line;
  if (fraction >= 0) line += fmt::format("{:5.1f} %  ", 100 * fraction);
  line +=
      fmt::format("{} {}  {}/s", WithCommas(count), what_, WithCommas(static_cast<uint64_t>(rate)));
  if (fraction > fraction_before_) {
    const double elapsed = 1e-9 * static_cast<double>(now_nanos - start_nanos_);
    const double left = elapsed * (1 - fraction) / (fraction - fraction_before_);
    line += fmt::format("  {} left", HumanSeconds(left));
  }
  return line;
}

void Progress::Update(double fraction, uint64_t count, int64_t now_nanos) {
  if (style_ == Style::kSilent) return;
  const bool bar = style_ == Style::kBar;
  if (now_nanos - shown_nanos_ < (bar ? kBarEveryNanos : kLineEveryNanos)) return;
  shown_nanos_ = now_nanos;
  const std::string line = Line(fraction, count, now_nanos);
  if (!bar) {
    fmt::print(stderr, "{}\n", line);
    return;
  }
  std::string drawing;
  if (fraction >= 0) {
    const auto full = static_cast<size_t>(std::min(1.0, fraction) * kBarColumns);
    for (size_t i = 0; i < kBarColumns; ++i) drawing += i < full ? "█" : "░";
  }
  fmt::print(stderr, "\r\x1b[K{} {}", drawing, line);
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::Clear() {
  if (!drawn_) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  drawn_ = false;
}

int Fail(const absl::Status& status) {
  fmt::print(stderr, "vectronctl: {}\n", MessageOf(status));
  return 1;
}

int FailUsage(std::string_view message) {
  fmt::print(stderr, "vectronctl: {}\n", message);
  return 2;
}

}  // namespace vectron::ctl
