#pragma once

// One conversation of the Model Context Protocol, by which assistants use tools: lines of JSON-RPC
// 2.0. modelcontextprotocol.io/specification, versions 2024-11-05 to 2025-06-18. No I/O.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/struct.pb.h"

namespace vectron::ctl {

struct McpTool {
  std::string name;
  std::string description;   // for the assistant: what it does, and when to use it
  std::string input_schema;  // a JSON Schema object as text
  bool read_only = true;
  // Returns a JSON object as text. An error is told to the assistant, which may try otherwise.
  std::function<absl::StatusOr<std::string>(const google::protobuf::Struct& arguments)> call;
};

// Confined to one thread.
class McpSession {
 public:
  explicit McpSession(std::vector<McpTool> tools) : tools_(std::move(tools)) {}

  // The answer to one message, or to an array of them, without a line break; empty when none is due
  // (notifications).
  std::string Answer(std::string_view message);

 private:
  std::string AnswerBatch(std::string_view messages);
  std::string AnswerOne(std::string_view message);
  std::string AnswerRequest(const std::string& id, std::string_view method,
                            const google::protobuf::Struct& params) const;
  std::string Initialize(const google::protobuf::Struct& params) const;
  std::string ListTools() const;
  // InvalidArgument: there is no such tool.
  absl::StatusOr<std::string> CallTool(const google::protobuf::Struct& params) const;

  std::vector<McpTool> tools_;
};

// {"jsonrpc":"2.0","id":null,"error":{…}} for a message that cannot even be read.
std::string McpParseError(std::string_view why);

}  // namespace vectron::ctl
