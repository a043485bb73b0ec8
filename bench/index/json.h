#pragma once

// Results as JSON, written as they come.

#include <cstdint>
#include <string>
#include <string_view>

namespace vectron::bench {

// Appends values to a text of JSON; commas and indentation are its business. Thread-compatible.
//
//   json.BeginObject(); json.Key("n"); json.Number(3); json.EndObject();
class JsonWriter {
 public:
  void BeginObject() { Open('{'); }
  void EndObject() { Close('}'); }
  void BeginArray() { Open('['); }
  void EndArray() { Close(']'); }
  void Key(std::string_view key);
  void Number(double value);  // null when not finite
  void Integer(uint64_t value);
  void Text(std::string_view value);
  void Bool(bool value);

  void Field(std::string_view key, double value) { Key(key), Number(value); }
  void Count(std::string_view key, uint64_t value) { Key(key), Integer(value); }
  void Field(std::string_view key, std::string_view value) { Key(key), Text(value); }

  const std::string& text() const { return text_; }

 private:
  void Open(char bracket);
  void Close(char bracket);
  void Separate();

  std::string text_;
  int depth_ = 0;
  bool first_ = true;  // of the innermost open bracket
  bool after_key_ = false;
};

}  // namespace vectron::bench
