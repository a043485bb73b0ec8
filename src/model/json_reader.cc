#include "model/json_reader.h"

#include <algorithm>
#include <cstring>

#include "absl/container/inlined_vector.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"
#include "model/json_check.h"
#include "model/json_writer.h"
#include "model/text.h"

namespace vectron {
namespace {

static_assert(kJsonPadding >= simdjson::SIMDJSON_PADDING);

// Scratch memory above this is not kept for the next text.
constexpr size_t kMaxKeptBytes = size_t{4} << 20;
// Levels that the search for a wrong byte goes into: more than any text has that is taken.
constexpr size_t kMaxCheckedDepth = 2 * size_t{kMaxJsonDepth};
// Up to this many members, doubled keys are looked for by comparing all pairs.
constexpr size_t kSmallObject = 16;

std::string_view Why(simdjson::error_code code) {
  switch (code) {
    case simdjson::EMPTY:
      return "there is no value";
    case simdjson::TAPE_ERROR:
      return "a comma, colon, brace, key or value is missing or superfluous";
    case simdjson::INCOMPLETE_ARRAY_OR_OBJECT:
      return "the text ends inside an object or array, or goes on behind it";
    case simdjson::UNCLOSED_STRING:
      return "a string is not closed";
    case simdjson::STRING_ERROR:
      return "a string has a bad escape";
    case simdjson::UTF8_ERROR:
      return "not valid UTF-8";
    case simdjson::UNESCAPED_CHARS:
      return "a control character in a string is not escaped";
    case simdjson::NUMBER_ERROR:
      return "a bad number, or one out of range";
    case simdjson::INCORRECT_TYPE:
      return "not the type of value that is wanted here";
    case simdjson::DEPTH_ERROR:
      return "nested too deeply";
    default:
      return simdjson::error_message(code);
  }
}

// Position of the first control character inside a string.
size_t FirstBareControl(std::string_view text) {
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (in_string && static_cast<uint8_t>(text[i]) < 0x20) return i;
    if (in_string && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      in_string = !in_string;
    }
  }
  return text.size();
}

// Where in a written object one member stands.
struct Member {
  uint64_t key_hash = 0;
  size_t begin = 0;  // of the key's opening quote
  size_t key_end = 0;
  size_t end = 0;
};
using Members = absl::InlinedVector<Member, kSmallObject>;

bool MayHaveDoubledKeys(const Members& members) {
  if (members.size() <= kSmallObject) {
    for (size_t i = 1; i < members.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (members[i].key_hash == members[j].key_hash) return true;
      }
    }
    return false;
  }
  std::vector<uint64_t> hashes(members.size());
  std::transform(members.begin(), members.end(), hashes.begin(),
                 [](const Member& member) { return member.key_hash; });
  std::sort(hashes.begin(), hashes.end());
  return std::adjacent_find(hashes.begin(), hashes.end()) != hashes.end();
}

// For n keys: the index whose value counts for key i, or n when an earlier member has the same key.
// `key(i)` is a view.
template <typename KeyOf>
std::vector<size_t> LastOfEachKey(size_t count, KeyOf key) {
  std::vector<size_t> order(count);
  for (size_t i = 0; i < count; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) < key(b); });
  std::vector<size_t> last(count, count);
  for (size_t begin = 0; begin < count;) {
    size_t end = begin + 1;
    while (end < count && key(order[end]) == key(order[begin])) ++end;
    last[order[begin]] = order[end - 1];
    begin = end;
  }
  return last;
}

// Rewrites the object at out[begin, ...) so that each key stands once.
void RemoveDoubledKeys(std::string& out, size_t begin, const Members& members) {
  const std::string_view written(out);
  const std::vector<size_t> last = LastOfEachKey(members.size(), [&](size_t i) {
    return written.substr(members[i].begin, members[i].key_end - members[i].begin);
  });
  std::string object = "{";
  for (size_t i = 0; i < members.size(); ++i) {
    if (last[i] == members.size()) continue;
    if (object.size() > 1) object.push_back(',');
    const Member& member = members[last[i]];
    object.append(written.substr(member.begin, member.end - member.begin));
  }
  object.push_back('}');
  out.replace(begin, std::string::npos, object);
}

// The name of a doubled key, after taking doubled ones out; null when there is none.
std::unique_ptr<std::string> TakeOutDoubledKeys(Object& object) {
  const size_t count = object.size();
  bool doubled = count > kSmallObject;
  for (size_t i = 1; i < count && !doubled; ++i) {
    for (size_t j = 0; j < i && !doubled; ++j) doubled = object[i].first == object[j].first;
  }
  if (!doubled) return nullptr;
  const std::vector<size_t> last =
      LastOfEachKey(count, [&](size_t i) { return std::string_view(object[i].first); });
  std::unique_ptr<std::string> name;
  Object kept;
  kept.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    if (last[i] == count) continue;
    if (last[i] != i) name = std::make_unique<std::string>(object[i].first);
    kept.emplace_back(std::move(object[i].first), std::move(object[last[i]].second));
  }
  object = std::move(kept);
  return name;
}

}  // namespace

// Memory that a reader works in. Each thread keeps one spare, because making it anew costs more
// than reading a usual request.
struct JsonReader::Scratch {
  simdjson::ondemand::parser parser;
  std::string padded;

  static std::unique_ptr<Scratch>& Spare() {
    static thread_local std::unique_ptr<Scratch> spare;
    return spare;
  }
};

JsonReader::JsonReader() : scratch_(std::move(Scratch::Spare())) {
  if (scratch_ == nullptr) scratch_ = std::make_unique<Scratch>();
}

JsonReader::~JsonReader() {
  const bool small =
      scratch_->parser.capacity() <= kMaxKeptBytes && scratch_->padded.capacity() <= kMaxKeptBytes;
  if (small) Scratch::Spare() = std::move(scratch_);
}

absl::Status JsonReader::Open(std::string_view json) {
  return Open(PaddedJson{.data = json.data(), .size = json.size(), .capacity = json.size()});
}

absl::Status JsonReader::Open(PaddedJson json) {
  CHECK_LE(json.size, json.capacity);
  text_ = std::string_view(json.data, json.size);
  if (json.size > kMaxHttpBodyBytes) {
    return InvalidArgument("JSON text has {} bytes, at most {} are allowed", json.size,
                           kMaxHttpBodyBytes);
  }
  if (json.capacity - json.size < kJsonPadding) {
    std::string& padded = scratch_->padded;
    padded.reserve(json.size + kJsonPadding);
    padded.assign(text_);
    padded.append(kJsonPadding, ' ');
    text_ = std::string_view(padded).substr(0, json.size);
    json.capacity = padded.size();
  }
  const auto error =
      scratch_->parser.iterate(text_.data(), text_.size(), json.capacity).get(document_);
  switch (error) {
    case simdjson::SUCCESS:
      return absl::OkStatus();
    case simdjson::UTF8_ERROR:
      return MalformedAtByte(ValidUtf8Length(text_), error);
    case simdjson::UNESCAPED_CHARS:
      return MalformedAtByte(FirstBareControl(text_), error);
    default:
      return MalformedSomewhere(error);
  }
}

absl::StatusOr<JsonObject> JsonReader::RootObject() {
  JsonType type;
  if (const auto error = document_.type().get(type)) return Malformed(error);
  if (type != JsonType::object) {
    const size_t at = std::min(text_.find_first_not_of(" \t\r\n"), text_.size());
    return InvalidArgument("malformed JSON at byte {}: an object is wanted", at);
  }
  JsonObject object;
  const auto error = document_.get_object().get(object);
  if (error) return Malformed(error);
  return object;
}

absl::Status JsonReader::ExpectEnd() {
  const char* where = nullptr;
  if (document_.current_location().get(where) == simdjson::OUT_OF_BOUNDS) return absl::OkStatus();
  return InvalidArgument("malformed JSON at byte {}: something follows the value",
                         std::min(PositionOf(where), text_.size()));
}

absl::StatusOr<JsonType> JsonReader::TypeOf(JsonValue value) {
  JsonType type;
  if (const auto error = value.type().get(type)) return MalformedAt(value, error);
  if (type == JsonType::boolean || type == JsonType::null) {
    const std::string_view token = Token(value);
    if (token != "true" && token != "false" && token != "null") {
      return InvalidArgument("malformed JSON at byte {}: neither true, false nor null",
                             PositionOf(token.data()));
    }
  }
  return type;
}

absl::StatusOr<std::string_view> JsonReader::String(JsonValue value) {
  // Without an escape the string is read where it stands.
  const std::string_view token = Token(value);
  if (token.size() >= 2 && token.front() == '"' && token.back() == '"') {
    const std::string_view inside = token.substr(1, token.size() - 2);
    if (inside.empty() || std::memchr(inside.data(), '\\', inside.size()) == nullptr) return inside;
  }
  std::string_view text;
  if (const auto error = value.get_string().get(text)) return MalformedAt(value, error);
  return text;
}

absl::StatusOr<JsonNumber> JsonReader::Number(JsonValue value) {
  simdjson::ondemand::number number;
  if (value.get_number().get(number) == simdjson::SUCCESS && number.is_int64()) {
    const int64_t whole = number.get_int64();
    return JsonNumber{.is_whole = true, .whole = whole, .real = static_cast<double>(whole)};
  }
  JsonNumber result;
  if (const auto error = value.get_double().get(result.real)) return MalformedAt(value, error);
  return result;
}

absl::StatusOr<JsonObject> JsonReader::AsObject(JsonValue value) {
  JsonObject object;
  if (const auto error = value.get_object().get(object)) return Malformed(error);
  return object;
}

absl::StatusOr<JsonArray> JsonReader::AsArray(JsonValue value) {
  JsonArray array;
  if (const auto error = value.get_array().get(array)) return Malformed(error);
  return array;
}

absl::StatusOr<Value> JsonReader::Tree(JsonValue value, uint32_t depth, DoubledKeys doubled) {
  ASSIGN_OR_RETURN(const JsonType type, TypeOf(value));
  switch (type) {
    case JsonType::null:
      return Value();
    case JsonType::boolean:
      return Value(Bool(value));
    case JsonType::number: {
      ASSIGN_OR_RETURN(const JsonNumber number, Number(value));
      return number.is_whole ? Value(number.whole) : Value(number.real);
    }
    case JsonType::string: {
      ASSIGN_OR_RETURN(const std::string_view text, String(value));
      return Value(std::string(text));
    }
    case JsonType::object: {
      if (depth == 0) return TooDeep(value);
      ASSIGN_OR_RETURN(JsonObject object, AsObject(value));
      return ObjectTree(object, depth, doubled);
    }
    case JsonType::array:
      break;
  }
  if (depth == 0) return TooDeep(value);
  ASSIGN_OR_RETURN(JsonArray array, AsArray(value));
  Array elements;
  const auto read = [&](size_t, JsonValue element) -> absl::Status {
    ASSIGN_OR_RETURN(Value tree, Tree(element, depth - 1, doubled));
    elements.push_back(std::move(tree));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(EachElement(array, read));
  return Value(std::move(elements));
}

absl::StatusOr<Value> JsonReader::ObjectTree(JsonObject object, uint32_t depth,
                                             DoubledKeys doubled) {
  CHECK_GE(depth, 1u);
  Object members;
  const auto read = [&](std::string_view key, JsonValue member) -> absl::Status {
    std::string name(key);
    ASSIGN_OR_RETURN(Value tree, Tree(member, depth - 1, doubled));
    members.emplace_back(std::move(name), std::move(tree));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(EachField(object, read));
  const auto name = TakeOutDoubledKeys(members);
  if (name != nullptr && doubled == DoubledKeys::kRefuse) {
    return InvalidArgument("the key {} is given twice", Quote(*name));
  }
  return Value(std::move(members));
}

absl::Status JsonReader::Copy(JsonValue value, uint32_t depth, std::string* out) {
  ASSIGN_OR_RETURN(const JsonType type, TypeOf(value));
  switch (type) {
    case JsonType::null:
    case JsonType::boolean:
      if (out != nullptr) out->append(Token(value));
      return absl::OkStatus();
    case JsonType::number: {
      ASSIGN_OR_RETURN(const JsonNumber number, Number(value));
      if (out == nullptr) return absl::OkStatus();
      if (number.is_whole) {
        AppendJsonInt(*out, number.whole);
      } else {
        AppendJsonDouble(*out, number.real);
      }
      return absl::OkStatus();
    }
    case JsonType::string: {
      ASSIGN_OR_RETURN(const std::string_view text, String(value));
      if (out != nullptr) AppendJsonString(*out, text);
      return absl::OkStatus();
    }
    case JsonType::array: {
      if (depth == 0) return TooDeep(value);
      ASSIGN_OR_RETURN(JsonArray array, AsArray(value));
      return CopyArray(array, depth, out);
    }
    case JsonType::object:
      break;
  }
  if (depth == 0) return TooDeep(value);
  ASSIGN_OR_RETURN(JsonObject object, AsObject(value));
  return CopyObject(object, depth, out);
}

absl::Status JsonReader::CopyArray(JsonArray array, uint32_t depth, std::string* out) {
  if (out != nullptr) out->push_back('[');
  const auto copy = [&](size_t index, JsonValue element) {
    if (out != nullptr && index > 0) out->push_back(',');
    return Copy(element, depth - 1, out);
  };
  RETURN_IF_ERROR(EachElement(array, copy));
  if (out != nullptr) out->push_back(']');
  return absl::OkStatus();
}

absl::Status JsonReader::CopyObject(JsonObject object, uint32_t depth, std::string* out) {
  CHECK_GE(depth, 1u);
  if (out == nullptr) {
    return EachField(object, [&](std::string_view, JsonValue member) {
      return Copy(member, depth - 1, nullptr);
    });
  }
  Members members;
  const size_t begin = out->size();
  out->push_back('{');
  const auto copy = [&](std::string_view key, JsonValue value) -> absl::Status {
    if (!members.empty()) out->push_back(',');
    Member member{.key_hash = Hash64(key), .begin = out->size()};
    AppendJsonString(*out, key);
    member.key_end = out->size();
    out->push_back(':');
    RETURN_IF_ERROR(Copy(value, depth - 1, out));
    member.end = out->size();
    members.push_back(member);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(EachField(object, copy));
  out->push_back('}');
  if (MayHaveDoubledKeys(members)) RemoveDoubledKeys(*out, begin, members);
  return absl::OkStatus();
}

absl::Status JsonReader::SkipUnknown(JsonValue value) { return Skip(value, kMaxJsonDepth); }

absl::Status JsonReader::TooDeep(JsonValue value) {
  return WrongAt(value, "JSON is nested too deeply, at most {} levels are allowed", kMaxJsonDepth);
}

std::string_view JsonReader::Token(JsonValue value) {
  std::string_view token = value.raw_json_token();
  const size_t end = token.find_last_not_of(" \t\r\n");
  return token.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

absl::Status JsonReader::MalformedSomewhere(simdjson::error_code code) {
  absl::Status found = absl::OkStatus();
  if (code != simdjson::EMPTY) found = CheckJson(text_, kMaxCheckedDepth);
  return found.ok() ? MalformedAtByte(text_.size(), code) : found;
}

absl::Status JsonReader::Malformed(simdjson::error_code code) {
  // The iterator notices these some way behind the byte that is wrong.
  if (code == simdjson::TAPE_ERROR || code == simdjson::INCOMPLETE_ARRAY_OR_OBJECT) {
    return MalformedSomewhere(code);
  }
  const char* where = nullptr;
  const bool known = document_.current_location().get(where) == simdjson::SUCCESS;
  return MalformedAtByte(known ? PositionOf(where) : text_.size(), code);
}

std::string_view JsonReader::NonFiniteLiteral(JsonValue value) {
  const std::string_view token = Token(value);
  const bool is_one = token == "NaN" || token == "Infinity" || token == "-Infinity";
  return is_one ? token : std::string_view();
}

absl::Status JsonReader::MalformedAt(JsonValue value, simdjson::error_code code) {
  if (const std::string_view literal = NonFiniteLiteral(value); !literal.empty()) {
    return InvalidArgument("malformed JSON at byte {}: JSON has no {}", PositionOf(literal.data()),
                           literal);
  }
  return MalformedAtByte(PositionOf(value.raw_json_token().data()), code);
}

absl::Status JsonReader::MalformedAtByte(size_t position, simdjson::error_code code) {
  return InvalidArgument("malformed JSON at byte {}: {}", std::min(position, text_.size()),
                         Why(code));
}

}  // namespace vectron
