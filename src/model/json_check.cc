#include "model/json_check.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <string>

#include "base/status.h"
#include "model/text.h"

namespace vectron {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// Recursive descent over the grammar of RFC 8259; the recursion is bounded by max_depth.
class Checker {
 public:
  Checker(std::string_view text, size_t max_depth) : text_(text), max_depth_(max_depth) {}

  absl::Status Check() {
    SkipSpace();
    RETURN_IF_ERROR(Value(0));
    SkipSpace();
    return at_ == text_.size() ? absl::OkStatus() : Fail("text after the end of the JSON value");
  }

 private:
  static constexpr size_t kMaxNamedBytes = 66;  // longer keys are no field of ours

  absl::Status Fail(std::string_view what) const {
    return InvalidArgument("malformed JSON at byte {}: {}", at_, what);
  }
  bool Next(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool Take(char c) {
    if (!Next(c)) return false;
    ++at_;
    return true;
  }
  void SkipSpace() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  absl::Status Value(size_t depth) {
    if (at_ == text_.size()) return Fail("the text ends where a value should be");
    for (const std::string_view literal : {"NaN", "Infinity", "-Infinity"}) {
      if (!text_.substr(at_).starts_with(literal)) continue;
      const std::string what = fmt::format("JSON has no {}", literal);
      const bool named = !field_.empty() && field_.size() <= kMaxNamedBytes;
      return Fail(named ? fmt::format("{} (in field {})", what, field_) : what);
    }
    switch (text_[at_]) {
      case '{':
        return Object(depth + 1);
      case '[':
        return Array(depth + 1);
      case '"':
        return String();
      case 't':
        return Word("true");
      case 'f':
        return Word("false");
      case 'n':
        return Word("null");
      default:
        return Number();
    }
  }

  absl::Status Object(size_t depth) {
    if (depth > max_depth_) return Fail(fmt::format("nested deeper than {}", max_depth_));
    ++at_;
    SkipSpace();
    if (Take('}')) return absl::OkStatus();
    const std::string_view outer = field_;
    for (;;) {
      if (!Next('"')) return Fail("a key in quotes should be here");
      const size_t key = at_;
      RETURN_IF_ERROR(String());
      field_ = text_.substr(key, at_ - key);
      SkipSpace();
      if (!Take(':')) return Fail("a colon should be here");
      SkipSpace();
      RETURN_IF_ERROR(Value(depth));
      SkipSpace();
      if (Take('}')) {
        field_ = outer;
        return absl::OkStatus();
      }
      if (!Take(',')) return Fail("a comma or the end of the object should be here");
      SkipSpace();
    }
  }

  absl::Status Array(size_t depth) {
    if (depth > max_depth_) return Fail(fmt::format("nested deeper than {}", max_depth_));
    ++at_;
    SkipSpace();
    if (Take(']')) return absl::OkStatus();
    for (;;) {
      RETURN_IF_ERROR(Value(depth));
      SkipSpace();
      if (Take(']')) return absl::OkStatus();
      if (!Take(',')) return Fail("a comma or the end of the array should be here");
      SkipSpace();
    }
  }

  absl::Status String() {
    ++at_;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return absl::OkStatus();
      }
      if (static_cast<unsigned char>(c) < 0x20) return Fail("a control character in a string");
      if (c == '\\') RETURN_IF_ERROR(Escape());
    }
    return Fail("the text ends within a string");
  }

  // Leaves at_ on the last character of the escape.
  absl::Status Escape() {
    ++at_;
    if (at_ == text_.size()) return Fail("the text ends within a string");
    if (text_[at_] != 'u') {
      return std::string_view("\"\\/bfnrt").find(text_[at_]) != std::string_view::npos
                 ? absl::OkStatus()
                 : Fail("no such escape");
    }
    for (int i = 0; i < 4; ++i) {
      ++at_;
      if (at_ == text_.size() || !IsHex(text_[at_]))
        return Fail("\\u needs four hexadecimal digits");
    }
    return absl::OkStatus();
  }

  absl::Status Word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return Fail("no JSON value");
    at_ += word.size();
    return absl::OkStatus();
  }

  bool Digits() {
    const size_t begin = at_;
    while (at_ < text_.size() && IsDigit(text_[at_])) ++at_;
    return at_ > begin;
  }

  absl::Status Number() {
    const size_t begin = at_;
    Take('-');
    if (Take('0')) {
      if (at_ < text_.size() && IsDigit(text_[at_])) return Fail("a number with a leading zero");
    } else if (!Digits()) {
      return at_ == begin ? Fail("no JSON value") : Fail("a digit should be here");
    }
    if (Take('.') && !Digits()) return Fail("a digit should be here");
    if (Take('e') || Take('E')) {
      if (!Take('+')) Take('-');
      if (!Digits()) return Fail("a digit should be here");
    }
    return absl::OkStatus();
  }

  const std::string_view text_;
  const size_t max_depth_;
  size_t at_ = 0;
  std::string_view field_;  // the innermost key, in its quotes, whose value at_ is in; "": none
};

}  // namespace

absl::Status CheckJson(std::string_view json, size_t max_depth) {
  if (!simdjson::validate_utf8(json.data(), json.size())) {
    return InvalidArgument("malformed JSON at byte {}: not valid UTF-8", ValidUtf8Length(json));
  }
  return Checker(json, max_depth).Check();
}

}  // namespace vectron
