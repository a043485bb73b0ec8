#pragma once

// Fields of requests by proto3's JSON mapping, over a JsonReader. Included by the .cc files of this
// folder only.
//
// Each reader gives nullopt for null (unset), else the value; InvalidArgument naming the field and
// the byte position when it is of another type or out of range. Numbers may be written as strings,
// enums as names or numbers.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/collection.h"
#include "model/json_reader.h"

namespace vectron {

// The type of a field's value. NaN, Infinity and -Infinity, which JSON does not have, are an error
// that names the field.
absl::StatusOr<JsonType> FieldType(JsonReader& reader, JsonValue value, std::string_view field);

absl::StatusOr<std::optional<bool>> ReadBool(JsonReader& reader, JsonValue value,
                                             std::string_view field);
absl::StatusOr<std::optional<uint32_t>> ReadUint32(JsonReader& reader, JsonValue value,
                                                   std::string_view field);
absl::StatusOr<std::optional<std::string>> ReadText(JsonReader& reader, JsonValue value,
                                                    std::string_view field);
// A finite float: the double nearest to the text, rounded to float.
absl::StatusOr<std::optional<float>> ReadFloat(JsonReader& reader, JsonValue value,
                                               std::string_view field);
absl::StatusOr<std::optional<Consistency>> ReadConsistency(JsonReader& reader, JsonValue value,
                                                           std::string_view field);

// Appends the finite components of a list of numbers; null appends none. The list is read to its
// end also after a component that cannot be taken, whose error is put into `problem` (the caller
// then knows more to say); other errors are returned.
absl::Status ReadVector(JsonReader& reader, JsonValue value, std::vector<float>& components,
                        absl::Status& problem);

// One known member of an object: its two spellings and what reads it into a Target.
template <typename Target>
struct JsonField {
  std::string_view snake;
  std::string_view camel;
  absl::Status (*read)(Target& target, JsonReader& reader, JsonValue value);
};

// Reads the members of `object` by the table; members that are in no entry are checked and dropped.
template <typename Target, size_t kCount>
absl::Status ReadFields(JsonReader& reader, JsonObject object,
                        const JsonField<Target> (&fields)[kCount], Target& target) {
  const auto read = [&](std::string_view key, JsonValue value) -> absl::Status {
    for (const JsonField<Target>& field : fields) {
      if (key == field.snake || key == field.camel) return field.read(target, reader, value);
    }
    return reader.SkipUnknown(value);
  };
  return reader.EachField(object, read);
}

// Like above for a member that is an object, or null: nothing is read then.
template <typename Target, size_t kCount>
absl::Status ReadMessage(JsonReader& reader, JsonValue value, std::string_view name,
                         const JsonField<Target> (&fields)[kCount], Target& target) {
  ASSIGN_OR_RETURN(const JsonType type, FieldType(reader, value, name));
  if (type == JsonType::null) return absl::OkStatus();
  if (type != JsonType::object) return reader.WrongAt(value, "{}: wanted an object", name);
  ASSIGN_OR_RETURN(JsonObject object, reader.AsObject(value));
  return ReadFields(reader, object, fields, target);
}

}  // namespace vectron
