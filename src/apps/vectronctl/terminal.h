#pragma once

// What people see: tables on standard output, progress and messages on standard error.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace vectron::ctl {

// "1,234,567"
std::string WithCommas(uint64_t number);
// "12.3 MiB"
std::string HumanBytes(uint64_t bytes);
// "1:05" or "2:03:09"
std::string HumanSeconds(double seconds);
// Cuts UTF-8 text to `columns` characters, the last one an ellipsis when something was cut.
std::string Shorten(std::string_view text, size_t columns);
// Columns of the terminal on standard output; 0 when it is none.
size_t TerminalColumns();

// Columns as wide as their contents, the last one cut at the terminal's edge.
class Table {
 public:
  // A title that begins with '>' makes a right-aligned column.
  explicit Table(std::vector<std::string> titles);
  void AddRow(std::vector<std::string> cells);
  // Ends with a line break. columns: 0 for no limit.
  std::string Render(size_t columns) const;

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

// A bar with rate and remaining time, redrawn in place on a terminal; elsewhere a line every few
// seconds. Thread-compatible.
class Progress {
 public:
  enum class Style { kBar, kLines, kSilent };
  // Bar when standard error is a terminal, else lines.
  static Style Default();
  Progress(std::string what, Style style);  // what: "points"

  // fraction in [0, 1], or negative when unknown. `count` includes `count_before`, which an earlier
  // run did.
  void Update(double fraction, uint64_t count, int64_t now_nanos);
  void SetStart(double fraction_before, uint64_t count_before, int64_t now_nanos);
  // Erases the bar, so that a message can be printed.
  void Clear();
  double PerSecond(uint64_t count, int64_t now_nanos) const;

 private:
  std::string Line(double fraction, uint64_t count, int64_t now_nanos) const;

  std::string what_;
  Style style_;
  int64_t start_nanos_ = 0;
  int64_t shown_nanos_ = 0;
  double fraction_before_ = 0;
  uint64_t count_before_ = 0;
  bool drawn_ = false;
};

// Prints "vectronctl: message" and returns the exit code of an error (1).
int Fail(const absl::Status& status);
// Prints "vectronctl: message" and returns the exit code of a wrong command line (2).
int FailUsage(std::string_view message);

}  // namespace vectron::ctl
