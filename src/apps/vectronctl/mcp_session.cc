#include "apps/vectronctl/mcp_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "apps/vectronctl/rows/json.h"
#include "base/status.h"
#include "model/payload.h"

namespace vectron::ctl {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

// Newest first; a client that asks for another gets the newest and may hang up.
constexpr std::array<std::string_view, 3> kVersions = {"2025-06-18", "2025-03-26", "2024-11-05"};

// Codes of JSON-RPC 2.0.
constexpr int kParseError = -32700;
constexpr int kInvalidRequest = -32600;
constexpr int kMethodNotFound = -32601;
constexpr int kInvalidParams = -32602;

const Value* Find(const Struct& object, const std::string& key) {
  const auto found = object.fields().find(key);
  return found == object.fields().end() ? nullptr : &found->second;
}

std::string_view Text(const Value* value) {
  if (value == nullptr || value->kind_case() != Value::kStringValue) return "";
  return value->string_value();
}

std::string Envelope(std::string_view id, std::string_view member, std::string_view content) {
  return fmt::format(R"({{"jsonrpc":"2.0","id":{},"{}":{}}})", id, member, content);
}

std::string Error(std::string_view id, int code, std::string_view message) {
  std::string text;
  rows::AppendJsonString(message, text);
  return Envelope(id, "error", fmt::format(R"({{"code":{},"message":{}}})", code, text));
}

const Struct& ObjectOr(const Value* value, const Struct& otherwise) {
  return value != nullptr && value->has_struct_value() ? value->struct_value() : otherwise;
}

std::string ToolResult(const absl::StatusOr<std::string>& outcome) {
  const std::string shown = outcome.ok() ? *outcome : std::string(MessageOf(outcome.status()));
  std::string text;
  rows::AppendJsonString(shown, text);
  std::string result = fmt::format(R"({{"content":[{{"type":"text","text":{}}}])", text);
  if (outcome.ok()) result += ",\"structuredContent\":" + *outcome;
  return result + fmt::format(R"(,"isError":{}}})", !outcome.ok());
}

// The answer to a request with a number that arguments cannot hold.
std::string RefuseNumber(std::string_view id, std::string_view method, const absl::Status& why) {
  if (method == "tools/call") return Envelope(id, "result", ToolResult(why));
  return Error(id, kInvalidParams, MessageOf(why));
}

// The answer to what is no request. When it is JSON all the same, only a number is too large, and
// the one who asked is told by its id.
std::string RefuseUnreadable(std::string_view message, const absl::Status& why) {
  const auto tree = ParsePayload(message);
  const vectron::Value* const id = tree.ok() ? tree->Find("id") : nullptr;
  const vectron::Value* const method = tree.ok() ? tree->Find("method") : nullptr;
  if (id == nullptr || method == nullptr || method->get<std::string>() == nullptr ||
      (id->get<std::string>() == nullptr && id->get<int64_t>() == nullptr)) {
    return McpParseError(MessageOf(why));
  }
  std::string text;
  vectron::AppendJson(text, *id);
  return RefuseNumber(text, *method->get<std::string>(), why);
}

}  // namespace

std::string McpParseError(std::string_view why) { return Error("null", kParseError, why); }

std::string McpSession::Answer(std::string_view message) {
  const size_t begin = message.find_first_not_of(" \t\r");
  const bool batch = begin != std::string_view::npos && message[begin] == '[';
  return batch ? AnswerBatch(message) : AnswerOne(message);
}

std::string McpSession::AnswerBatch(std::string_view messages) {
  const auto each = rows::ParseArray(messages);
  if (!each.ok()) return McpParseError(MessageOf(each.status()));
  if (each->empty()) return Error("null", kInvalidRequest, "an array without a request");
  std::string answers;
  for (const std::string& message : *each) {
    const std::string answer = AnswerOne(message);
    if (!answer.empty()) answers += (answers.empty() ? "" : ",") + answer;
  }
  return answers.empty() ? "" : fmt::format("[{}]", answers);
}

std::string McpSession::AnswerOne(std::string_view message) {
  const auto request = rows::ParsePayloadObject(message);
  if (!request.ok()) return RefuseUnreadable(message, request.status());
  const Value* id_value = Find(request->fields, "id");
  const std::string_view method = Text(Find(request->fields, "method"));
  // Without an id it is a notification, without a method an answer: nothing is due for either.
  const bool is_answer = method.empty() && (Find(request->fields, "result") != nullptr ||
                                            Find(request->fields, "error") != nullptr);
  if (id_value == nullptr || is_answer) return "";
  const auto kind = id_value->kind_case();
  if (kind != Value::kStringValue && kind != Value::kNumberValue) {
    return Error("null", kInvalidRequest, "the id is neither a string nor a number");
  }
  std::string id;
  const auto exact = request->texts.find("id");
  if (exact != request->texts.end()) {
    id = exact->second;
  } else {
    rows::AppendJson(*id_value, id);
  }
  if (Text(Find(request->fields, "jsonrpc")) != "2.0" || method.empty()) {
    return Error(id, kInvalidRequest, "no JSON-RPC 2.0 request: it needs jsonrpc and method");
  }
  if (request->texts.contains("params")) {  // arguments are doubles
    return RefuseNumber(id, method, rows::ParseObject(message).status());
  }
  const Struct none;
  return AnswerRequest(id, method, ObjectOr(Find(request->fields, "params"), none));
}

std::string McpSession::AnswerRequest(const std::string& id, std::string_view method,
                                      const Struct& params) const {
  if (method == "initialize") return Envelope(id, "result", Initialize(params));
  if (method == "ping") return Envelope(id, "result", "{}");
  if (method == "tools/list") return Envelope(id, "result", ListTools());
  if (method == "tools/call") {
    const auto result = CallTool(params);
    if (!result.ok()) return Error(id, kInvalidParams, MessageOf(result.status()));
    return Envelope(id, "result", *result);
  }
  return Error(id, kMethodNotFound, fmt::format("there is no method {}", method));
}

std::string McpSession::Initialize(const Struct& params) const {
  const std::string_view asked = Text(Find(params, "protocolVersion"));
  const bool known = std::find(kVersions.begin(), kVersions.end(), asked) != kVersions.end();
  return fmt::format(
      R"({{"protocolVersion":"{}","capabilities":{{"tools":{{"listChanged":false}}}},)"
      R"("serverInfo":{{"name":"vectron","title":"Vectron","version":"0.1.0"}},)"
      R"("instructions":"A vector database. Collections hold points: an id, a vector, a JSON payload. )"
      R"(List and describe collections first; search with a vector of the collection's dimension, )"
      R"(or with the id of a point that is like what is looked for."}})",
      known ? asked : kVersions.front());
}

std::string McpSession::ListTools() const {
  std::string list;
  for (const McpTool& tool : tools_) {
    std::string description;
    rows::AppendJsonString(tool.description, description);
    list += fmt::format(
        R"({}{{"name":"{}","description":{},"inputSchema":{},"annotations":{{"readOnlyHint":{},"openWorldHint":false}}}})",
        list.empty() ? "" : ",", tool.name, description, tool.input_schema, tool.read_only);
  }
  return fmt::format(R"({{"tools":[{}]}})", list);
}

absl::StatusOr<std::string> McpSession::CallTool(const Struct& params) const {
  const std::string_view name = Text(Find(params, "name"));
  const auto tool = std::find_if(tools_.begin(), tools_.end(),
                                 [name](const McpTool& each) { return each.name == name; });
  if (tool == tools_.end()) return InvalidArgument("there is no tool {}", name);
  const Value* arguments = Find(params, "arguments");
  if (arguments != nullptr && !arguments->has_struct_value()) {
    return InvalidArgument("arguments of {} are no object", name);
  }
  const Struct none;
  return ToolResult(tool->call(ObjectOr(arguments, none)));
}

}  // namespace vectron::ctl
