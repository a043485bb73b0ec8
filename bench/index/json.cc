#include "bench/index/json.h"

#include <fmt/format.h>

#include <cmath>

#include "model/json_writer.h"

namespace vectron::bench {

void JsonWriter::Separate() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (depth_ == 0) return;
  if (!first_) text_ += ',';
  text_ += '\n';
  text_.append(static_cast<size_t>(depth_), ' ');
  first_ = false;
}

void JsonWriter::Open(char bracket) {
  Separate();
  text_ += bracket;
  ++depth_;
  first_ = true;
}

void JsonWriter::Close(char bracket) {
  --depth_;
  if (!first_) {
    text_ += '\n';
    text_.append(static_cast<size_t>(depth_), ' ');
  }
  text_ += bracket;
  first_ = false;
}

void JsonWriter::Key(std::string_view key) {
  Separate();
  AppendJsonString(text_, key);
  text_ += ": ";
  after_key_ = true;
}

void JsonWriter::Number(double value) {
  Separate();
  text_ += std::isfinite(value) ? fmt::format("{:.6g}", value) : "null";
}

void JsonWriter::Integer(uint64_t value) {
  Separate();
  text_ += fmt::format("{}", value);
}

void JsonWriter::Text(std::string_view value) {
  Separate();
  AppendJsonString(text_, value);
}

void JsonWriter::Bool(bool value) {
  Separate();
  text_ += value ? "true" : "false";
}

}  // namespace vectron::bench
