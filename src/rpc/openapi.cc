#include "rpc/openapi.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <vector>

#include "rpc/json_text.h"

namespace vectron::rpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;

std::string Quoted(std::string_view text) {
  std::string out;
  AppendJsonString(text, out);
  return out;
}

// "{" + members joined by commas + "}"
std::string Object(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string out = "{";
  for (const auto& [key, value] : members) {
    if (out.size() > 1) out += ',';
    out += Quoted(key) + ":" + value;
  }
  return out + "}";
}

std::string Array(const std::vector<std::string>& items) {
  return fmt::format("[{}]", fmt::join(items, ","));
}

struct Comment {
  std::string_view name;  // of an RPC, message, field, enum or value
  std::string_view text;
};
constexpr Comment kComments[] = {
#include "vectron/comments.inc"
};

// What the protos say about this; "" for nothing.
std::string_view CommentOn(const std::string& full_name) {
  const auto* found = std::lower_bound(
      std::begin(kComments), std::end(kComments), full_name,
      [](const Comment& comment, std::string_view name) { return comment.name < name; });
  return found != std::end(kComments) && found->name == full_name ? found->text
                                                                  : std::string_view();
}

std::string_view FirstSentence(std::string_view text) {
  text = text.substr(0, text.find(". "));
  if (text.ends_with('.')) text.remove_suffix(1);
  return text;
}

constexpr std::string_view kAnyValue = R"({"description":"any JSON value"})";
constexpr std::string_view kAnyObject = R"({"type":"object","additionalProperties":true})";

constexpr std::string_view kTypedPayload =
    R"({"type":"object","additionalProperties":true,"description":"one JSON object of any values"})";

// Of a field: what it is, and what the values of an enum mean.
std::string DescriptionOf(const FieldDescriptor& field) {
  std::string text(CommentOn(field.full_name()));
  if (field.enum_type() == nullptr) return text;
  std::string_view before = text.empty() ? "" : ". ";
  for (int i = 0; i < field.enum_type()->value_count(); ++i) {
    const auto& value = *field.enum_type()->value(i);
    const std::string_view meaning = CommentOn(value.full_name());
    if (meaning.empty()) continue;
    text += fmt::format("{}{}: {}", before, value.name(), meaning);
    before = "; ";
  }
  return text;
}

// The schema with a description.
std::string Described(std::string schema, std::string_view text) {
  if (text.empty()) return schema;
  if (schema == kAnyValue) return Object({{"description", Quoted(text)}});
  schema.pop_back();
  return schema + ",\"description\":" + Quoted(text) + "}";
}

// A message that carries the typed payload: `payload` is shown as one object, `fields` not at all.
bool HasTypedPayload(const Descriptor& message) {
  const auto* payload = message.FindFieldByName("payload");
  const auto* fields = message.FindFieldByName("fields");
  return payload != nullptr && payload->is_map() && fields != nullptr &&
         fields->message_type() != nullptr &&
         fields->message_type()->full_name() == "google.protobuf.Struct";
}

// Builds the document; collects the messages and enums on the way.
class Writer {
 public:
  Writer(const RpcRegistry& registry, const OpenApiInfo& info) : registry_(registry), info_(info) {}

  std::string Document() {
    std::map<std::string, std::vector<std::pair<std::string, std::string>>> paths;
    for (const auto& method : registry_.methods()) {
      if (method->route().verb().empty()) continue;
      std::string verb = method->route().verb();
      for (char& c : verb) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
      paths[method->route().path()].emplace_back(verb, Operation(*method));
    }
    std::vector<std::pair<std::string, std::string>> path_members;
    for (const auto& [path, operations] : paths)
      path_members.emplace_back(path, Object(operations));
    const std::string schemas = Schemas();
    return Object(
        {{"openapi", "\"3.1.0\""},
         {"info", Object({{"title", Quoted(info_.title)}, {"version", Quoted(info_.version)}})},
         {"paths", Object(path_members)},
         {"components", Object({{"schemas", schemas}, {"securitySchemes", SecuritySchemes()}})}});
  }

 private:
  static std::string SecuritySchemes() {
    return R"({"bearer":{"type":"http","scheme":"bearer"},"apiKey":{"type":"apiKey","in":"header","name":"x-api-key"}})";
  }

  static std::string ErrorSchema() {
    return R"({"type":"object","required":["code","message","details"],"properties":{)"
           R"("code":{"type":"integer","format":"int32","description":"gRPC status code"},)"
           R"("message":{"type":"string"},"details":{"type":"array","items":{}}}})";
  }

  std::string Ref(const std::string& full_name) {
    return Object({{"$ref", Quoted("#/components/schemas/" + full_name)}});
  }

  std::string MessageRef(const Descriptor& message) {
    if (message.full_name() == "google.protobuf.Struct") return std::string(kAnyObject);
    if (message.full_name() == "google.protobuf.Value") return std::string(kAnyValue);
    if (message.full_name() == "google.protobuf.ListValue") return R"({"type":"array","items":{}})";
    if (seen_.insert(message.full_name()).second) queue_.push_back(&message);
    return Ref(message.full_name());
  }

  std::string EnumSchema(const EnumDescriptor& type) {
    std::vector<std::string> names;
    for (int i = 0; i < type.value_count(); ++i) names.push_back(Quoted(type.value(i)->name()));
    return Object({{"type", "\"string\""}, {"enum", Array(names)}});
  }

  // Of one value; repetition is the caller's.
  std::string ValueSchema(const FieldDescriptor& field) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return R"({"type":"integer","format":"int32"})";
      case FieldDescriptor::CPPTYPE_UINT32:
        return R"({"type":"integer","format":"int64","minimum":0})";
      case FieldDescriptor::CPPTYPE_INT64:
        return R"({"type":"string","format":"int64"})";
      case FieldDescriptor::CPPTYPE_UINT64:
        return R"({"type":"string","format":"uint64"})";
      case FieldDescriptor::CPPTYPE_FLOAT:
        return R"({"type":"number","format":"float"})";
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return R"({"type":"number","format":"double"})";
      case FieldDescriptor::CPPTYPE_BOOL:
        return R"({"type":"boolean"})";
      case FieldDescriptor::CPPTYPE_ENUM:
        return EnumSchema(*field.enum_type());
      case FieldDescriptor::CPPTYPE_STRING:
        return field.type() == FieldDescriptor::TYPE_BYTES ? R"({"type":"string","format":"byte"})"
                                                           : R"({"type":"string"})";
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return MessageRef(*field.message_type());
    }
    return "{}";
  }

  std::string FieldSchema(const FieldDescriptor& field) {
    if (field.is_map()) {
      return Object({{"type", "\"object\""},
                     {"additionalProperties", ValueSchema(*field.message_type()->map_value())}});
    }
    if (field.is_repeated()) return Object({{"type", "\"array\""}, {"items", ValueSchema(field)}});
    std::string schema = ValueSchema(field);
    if (field.message_type() == nullptr || !schema.starts_with("{\"$ref\"")) return schema;
    return Object({{"anyOf", Array({schema, R"({"type":"null"})"})}});
  }

  std::string MessageSchema(const Descriptor& message) {
    const bool typed_payload = HasTypedPayload(message);
    std::vector<std::pair<std::string, std::string>> properties;
    for (int i = 0; i < message.field_count(); ++i) {
      const FieldDescriptor& field = *message.field(i);
      if (typed_payload && field.name() == "fields") continue;
      const bool payload = typed_payload && field.name() == "payload";
      properties.emplace_back(field.json_name(),
                              payload ? std::string(kTypedPayload)
                                      : Described(FieldSchema(field), DescriptionOf(field)));
    }
    return Described(Object({{"type", "\"object\""}, {"properties", Object(properties)}}),
                     CommentOn(message.full_name()));
  }

  // Empties the queue, which schemas of messages fill further.
  std::string Schemas() {
    std::map<std::string, std::string> schemas = {{"Error", ErrorSchema()}};
    while (!queue_.empty()) {
      const Descriptor* message = queue_.back();
      queue_.pop_back();
      schemas.emplace(message->full_name(), MessageSchema(*message));
    }
    return Object({schemas.begin(), schemas.end()});
  }

  static std::set<std::string> PathNames(std::string_view path) {
    std::set<std::string> names;
    for (size_t open = path.find('{'); open != std::string_view::npos;
         open = path.find('{', open + 1)) {
      names.emplace(path.substr(open + 1, path.find('}', open) - open - 1));
    }
    return names;
  }

  std::string Parameters(const RpcMethod& method, const std::set<std::string>& in_path) {
    std::vector<std::string> parameters;
    const Descriptor& input = *method.descriptor().input_type();
    for (int i = 0; i < input.field_count(); ++i) {
      const FieldDescriptor& field = *input.field(i);
      const bool path = in_path.contains(field.name());
      if (!path && (method.route().body() || field.message_type() != nullptr)) continue;
      std::vector<std::pair<std::string, std::string>> members = {
          {"name", Quoted(path ? field.name() : field.json_name())},
          {"in", path ? "\"path\"" : "\"query\""},
          {"schema", FieldSchema(field)}};
      if (path) members.emplace_back("required", "true");
      const std::string description = DescriptionOf(field);
      if (!description.empty()) members.emplace_back("description", Quoted(description));
      parameters.push_back(Object(members));
    }
    return Array(parameters);
  }

  std::string Content(const std::string& schema) {
    return Object({{"application/json", Object({{"schema", schema}})}});
  }

  std::string Operation(const RpcMethod& method) {
    const auto& descriptor = method.descriptor();
    const std::string_view comment = CommentOn(descriptor.full_name());
    std::vector<std::pair<std::string, std::string>> members = {
        {"operationId", Quoted(descriptor.service()->name() + "_" + descriptor.name())},
        {"summary", Quoted(comment.empty() ? descriptor.name() : FirstSentence(comment))},
        {"description", Quoted(comment)},
        {"tags", Array({Quoted(descriptor.service()->name())})},
        {"parameters", Parameters(method, PathNames(method.route().path()))}};
    if (method.route().body()) {
      members.emplace_back("requestBody",
                           Object({{"required", "true"},
                                   {"content", Content(MessageRef(*descriptor.input_type()))}}));
    }
    members.emplace_back(
        "responses",
        Object({{"200", Object({{"description", "\"OK\""},
                                {"content", Content(MessageRef(*descriptor.output_type()))}})},
                {"default",
                 Object({{"description", "\"Error\""}, {"content", Content(Ref("Error"))}})}}));
    if (method.scope() != options::SCOPE_PUBLIC)
      members.emplace_back("security", R"([{"bearer":[]},{"apiKey":[]}])");
    return Object(members);
  }

  const RpcRegistry& registry_;
  const OpenApiInfo& info_;
  std::set<std::string> seen_;
  std::vector<const Descriptor*> queue_;
};

}  // namespace

std::string OpenApiJson(const RpcRegistry& registry, const OpenApiInfo& info) {
  return Writer(registry, info).Document();
}

}  // namespace vectron::rpc
