#pragma once

// Random JSON for tests: values, and texts of them in spellings that mean the same.

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>

#include "base/random.h"
#include "model/json_writer.h"
#include "model/payload.h"

namespace vectron::testing_json {

inline std::string RandomText(Random& random) {
  static const char* const kPieces[] = {"a",
                                        "bc",
                                        "\xc3\xa9",
                                        "\xe2\x82\xac",
                                        "\xf0\x9f\x98\x80",
                                        "\"",
                                        "\\",
                                        "\n",
                                        "\t",
                                        "/",
                                        " ",
                                        "\x01",
                                        "x1",
                                        "{",
                                        "]"};
  std::string text;
  for (uint64_t n = random.Below(6); n > 0; --n) text += kPieces[random.Below(std::size(kPieces))];
  return text;
}

// A key that is unique among siblings by its number.
inline std::string RandomKey(Random& random, size_t number) {
  return RandomText(random) + std::to_string(number);
}

inline Value RandomNumber(Random& random) {
  switch (random.Below(5)) {
    case 0:
      return Value(static_cast<int64_t>(random.Below(10)));
    case 1:  // within what a double holds
      return Value(static_cast<int64_t>(random.Next() >> 12) - (int64_t{1} << 51));
    case 2:
      return Value(std::ldexp(random.Uniform() - 0.5, static_cast<int>(random.Below(200)) - 100));
    case 3:
      return Value(static_cast<double>(random.Below(1000)) / 8);
    default:
      return Value(random.Uniform());
  }
}

inline Value RandomValue(Random& random, int depth) {
  switch (random.Below(depth > 0 ? 7 : 4)) {
    case 0:
      return Value();
    case 1:
      return Value(random.OneIn(2));
    case 2:
      return RandomNumber(random);
    case 3:
      return Value(RandomText(random));
    case 4:
    case 5: {
      Array array;
      for (uint64_t n = random.Below(4); n > 0; --n)
        array.push_back(RandomValue(random, depth - 1));
      return Value(std::move(array));
    }
    default: {
      Object object;
      for (uint64_t n = random.Below(4); n > 0; --n) {
        object.emplace_back(RandomKey(random, n), RandomValue(random, depth - 1));
      }
      return Value(std::move(object));
    }
  }
}

inline Value RandomObject(Random& random, int depth) {
  Object object;
  for (uint64_t n = random.Below(5); n > 0; --n) {
    object.emplace_back(RandomKey(random, n), RandomValue(random, depth - 1));
  }
  return Value(std::move(object));
}

inline std::string Space(Random& random) {
  static const char* const kSpaces[] = {"", "", "", " ", "\n", "\t ", "\r\n"};
  return kSpaces[random.Below(std::size(kSpaces))];
}

// A string in quotes, sometimes with escapes where none are needed.
inline std::string OddString(Random& random, std::string_view text) {
  std::string plain;
  AppendJsonString(plain, text);
  if (!random.OneIn(3)) return plain;
  std::string odd;
  for (size_t i = 0; i < plain.size(); ++i) {
    if (plain[i] == '\\') {  // an escape is taken as it is
      const size_t length = plain[i + 1] == 'u' ? 6 : 2;
      odd.append(plain, i, length);
      i += length - 1;
    } else if (std::isalnum(static_cast<unsigned char>(plain[i])) && random.OneIn(2)) {
      odd += fmt::format("\\u{:04X}", static_cast<unsigned char>(plain[i]));
    } else if (plain[i] == '/') {
      odd += "\\/";
    } else {
      odd += plain[i];
    }
  }
  return odd;
}

// The value with white space and odd strings.
inline std::string OddText(Random& random, const Value& value) {
  std::string out = Space(random);
  if (const Array* array = value.get<Array>()) {
    out += '[';
    for (size_t i = 0; i < array->size(); ++i) {
      if (i > 0) out += ',';
      out += OddText(random, (*array)[i]);
    }
    out += Space(random) + "]";
  } else if (const Object* object = value.get<Object>()) {
    out += '{';
    for (size_t i = 0; i < object->size(); ++i) {
      if (i > 0) out += ',';
      out += Space(random) + OddString(random, (*object)[i].first) + Space(random) + ":" +
             OddText(random, (*object)[i].second);
    }
    out += Space(random) + "}";
  } else if (const std::string* text = value.get<std::string>()) {
    out += OddString(random, *text);
  } else {
    AppendJson(out, value);
  }
  return out + Space(random);
}

// Equal as JSON: members in any order, 1 equal to 1.0.
inline bool SameJson(const Value& a, const Value& b) {
  const auto number = [](const Value& value) {
    const int64_t* whole = value.get<int64_t>();
    return whole != nullptr                 ? static_cast<double>(*whole)
           : value.get<double>() != nullptr ? *value.get<double>()
                                            : std::nan("");
  };
  if (!std::isnan(number(a)) || !std::isnan(number(b))) return number(a) == number(b);
  const Array* array = a.get<Array>();
  if (array != nullptr) {
    const Array* other = b.get<Array>();
    if (other == nullptr || other->size() != array->size()) return false;
    for (size_t i = 0; i < array->size(); ++i) {
      if (!SameJson((*array)[i], (*other)[i])) return false;
    }
    return true;
  }
  const Object* object = a.get<Object>();
  if (object == nullptr) return a == b;
  const Object* other = b.get<Object>();
  if (other == nullptr || other->size() != object->size()) return false;
  for (const auto& [key, value] : *object) {
    const Value* match = b.Find(key);
    if (match == nullptr || !SameJson(value, *match)) return false;
  }
  return true;
}

}  // namespace vectron::testing_json
