#pragma once

// JSON text read in one forward pass (simdjson's on-demand iterator), with every value checked,
// also those that are skipped, and errors that say at which byte. Included by the .cc files of this
// folder only.
//
// All errors are InvalidArgument. Thread-compatible. Values and strings live as long as the reader
// and its text.

#include <simdjson.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status.h"
#include "model/padded_json.h"
#include "model/payload.h"

namespace vectron {

using JsonValue = simdjson::ondemand::value;
using JsonObject = simdjson::ondemand::object;
using JsonArray = simdjson::ondemand::array;
using JsonType = simdjson::ondemand::json_type;

// A number of a JSON text: whole when it is written without point and exponent and fits int64.
struct JsonNumber {
  bool is_whole = false;
  int64_t whole = 0;
  double real = 0;  // set in both cases
};

// What to do when an object names a key twice.
enum class DoubledKeys { kLastWins, kRefuse };

class JsonReader {
 public:
  JsonReader();
  ~JsonReader();
  JsonReader(const JsonReader&) = delete;
  JsonReader& operator=(const JsonReader&) = delete;

  // Indexes the text; one text per reader. At most kMaxHttpBodyBytes.
  absl::Status Open(PaddedJson json);
  // Like above; copies the text.
  absl::Status Open(std::string_view json);

  size_t text_bytes() const { return text_.size(); }
  // The object that is the whole text.
  absl::StatusOr<JsonObject> RootObject();
  // Nothing but white space is left.
  absl::Status ExpectEnd();

  // Calls read(key, value) -> absl::Status for each member, in order. `read` must consume the value
  // by one of the readers below.
  template <typename Read>
  absl::Status EachField(JsonObject object, Read&& read);
  // Calls read(index, value) -> absl::Status for each element.
  template <typename Read>
  absl::Status EachElement(JsonArray array, Read&& read);

  // The type, with true, false and null spelt right.
  absl::StatusOr<JsonType> TypeOf(JsonValue value);
  // Each of these wants a value of its type. (The type first: TypeOf.)
  absl::StatusOr<std::string_view> String(JsonValue value);
  absl::StatusOr<JsonNumber> Number(JsonValue value);
  absl::StatusOr<JsonObject> AsObject(JsonValue value);
  absl::StatusOr<JsonArray> AsArray(JsonValue value);
  // NaN, Infinity or -Infinity where a value should be: what some writers put there, though it is
  // no JSON. Empty for other values.
  std::string_view NonFiniteLiteral(JsonValue value);
  // Of a value that TypeOf called a boolean.
  bool Bool(JsonValue value) { return Token(value).front() == 't'; }

  // Reads and drops any value; it may nest `depth` levels.
  absl::Status Skip(JsonValue value, uint32_t depth) { return Copy(value, depth, nullptr); }
  // Skip at the usual limit of depth.
  absl::Status SkipUnknown(JsonValue value);
  // Appends the value without white space, numbers and strings in their canonical spelling, doubled
  // keys taken out (the last value at the first one's place).
  absl::Status AppendCompact(JsonValue value, uint32_t depth, std::string& out) {
    return Copy(value, depth, &out);
  }
  absl::StatusOr<Value> Tree(JsonValue value, uint32_t depth, DoubledKeys doubled);
  absl::StatusOr<Value> ObjectTree(JsonObject object, uint32_t depth, DoubledKeys doubled);
  absl::Status CopyObject(JsonObject object, uint32_t depth, std::string* out);

  // InvalidArgument "<message> (at byte N)", N being where the value begins.
  template <typename... Args>
  absl::Status WrongAt(JsonValue value, fmt::format_string<Args...> format, Args&&... args) {
    return InvalidArgument("{} (at byte {})", fmt::format(format, std::forward<Args>(args)...),
                           PositionOf(Token(value).data()));
  }
  // InvalidArgument "malformed JSON at byte N: <why>", N being where the reader or the value
  // stands.
  absl::Status Malformed(simdjson::error_code code);
  absl::Status MalformedAt(JsonValue value, simdjson::error_code code);

 private:
  struct Scratch;

  // The raw text of a scalar, or the bracket that opens an array or object.
  std::string_view Token(JsonValue value);
  size_t PositionOf(const char* where) const { return static_cast<size_t>(where - text_.data()); }
  absl::Status MalformedAtByte(size_t position, simdjson::error_code code);
  // Looks through the whole text for the byte.
  absl::Status MalformedSomewhere(simdjson::error_code code);
  absl::Status Copy(JsonValue value, uint32_t depth, std::string* out);
  absl::Status CopyArray(JsonArray array, uint32_t depth, std::string* out);
  absl::Status TooDeep(JsonValue value);

  std::unique_ptr<Scratch> scratch_;
  std::string_view text_;
  simdjson::ondemand::document document_;
};

template <typename Read>
absl::Status JsonReader::EachField(JsonObject object, Read&& read) {
  for (auto field : object) {
    std::string_view key;
    if (const auto error = field.unescaped_key().get(key)) return Malformed(error);
    JsonValue value;
    if (const auto error = field.value().get(value)) return Malformed(error);
    RETURN_IF_ERROR(read(key, value));
  }
  return absl::OkStatus();
}

template <typename Read>
absl::Status JsonReader::EachElement(JsonArray array, Read&& read) {
  size_t index = 0;
  for (auto element : array) {
    JsonValue value;
    if (const auto error = element.get(value)) return Malformed(error);
    RETURN_IF_ERROR(read(index, value));
    ++index;
  }
  return absl::OkStatus();
}

}  // namespace vectron
