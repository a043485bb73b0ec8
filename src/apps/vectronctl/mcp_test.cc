#include "apps/vectronctl/mcp.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include "base/status.h"

namespace vectron::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

McpSession Session() {
  McpTool echo{"echo", "Says \"it\" again.", R"({"type":"object"})", true,
               [](const google::protobuf::Struct& arguments) -> absl::StatusOr<std::string> {
                 const auto it = arguments.fields().find("it");
                 if (it == arguments.fields().end()) return NotFound("no \"it\" here");
                 return R"({"said":")" + it->second.string_value() + R"("})";
               }};
  return McpSession({echo});
}

TEST(McpSession, AgreesOnAVersion) {
  const auto initialize = [](const std::string& version) {
    return Session().Answer(
        R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":")" + version +
        R"("}})");
  };
  EXPECT_THAT(initialize("2024-11-05"), HasSubstr(R"("protocolVersion":"2024-11-05")"));
  EXPECT_THAT(initialize("1999-01-01"), HasSubstr(R"("protocolVersion":"2025-06-18")"));
  EXPECT_THAT(initialize("2025-06-18"), HasSubstr(R"("capabilities":{"tools":)"));
}

TEST(McpSession, ListsAndCallsTools) {
  EXPECT_THAT(
      Session().Answer(R"({"jsonrpc":"2.0","id":"a","method":"tools/list"})"),
      HasSubstr(
          R"("id":"a","result":{"tools":[{"name":"echo","description":"Says \"it\" again.")"));
  EXPECT_EQ(
      Session().Answer(
          R"({"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"it":"x"}}})"),
      R"({"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"{\"said\":\"x\"}"}],)"
      R"("structuredContent":{"said":"x"},"isError":false}})");
}

TEST(McpSession, TellsTheAssistantWhyAToolFailed) {
  const std::string answer = Session().Answer(
      R"({"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo"}})");
  EXPECT_THAT(answer, HasSubstr(R"("text":"no \"it\" here"}],"isError":true)"));
  EXPECT_THAT(answer, Not(HasSubstr("structuredContent")));
}

TEST(McpSession, AnswersRequestsOnly) {
  EXPECT_EQ(Session().Answer(R"({"jsonrpc":"2.0","method":"notifications/initialized"})"), "");
  EXPECT_EQ(Session().Answer(R"({"jsonrpc":"2.0","id":1,"result":{}})"), "");
  EXPECT_EQ(Session().Answer(R"({"jsonrpc":"2.0","id":1,"method":"ping"})"),
            R"({"jsonrpc":"2.0","id":1,"result":{}})");
}

TEST(McpSession, RefusesWhatIsNoRequest) {
  EXPECT_THAT(Session().Answer("{"), HasSubstr(R"("id":null,"error":{"code":-32700)"));
  EXPECT_THAT(Session().Answer("[]"), HasSubstr(R"("id":null,"error":{"code":-32600)"));
  EXPECT_THAT(Session().Answer("[1,"), HasSubstr(R"("id":null,"error":{"code":-32700)"));
  EXPECT_THAT(Session().Answer(R"({"id":1,"method":"ping"})"), HasSubstr("-32600"));
  EXPECT_THAT(Session().Answer(R"({"jsonrpc":"2.0","id":[],"method":"ping"})"),
              HasSubstr("-32600"));
  EXPECT_THAT(Session().Answer(R"({"jsonrpc":"2.0","id":1,"method":"fly"})"), HasSubstr("-32601"));
  EXPECT_THAT(
      Session().Answer(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fly"}})"),
      HasSubstr("-32602"));
  EXPECT_THAT(
      Session().Answer(
          R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":3}})"),
      HasSubstr("-32602"));
}

TEST(McpSession, AnswersABatchWithAnArrayOfItsAnswers) {
  EXPECT_EQ(
      Session().Answer(
          R"([{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"},)"
          R"({"jsonrpc":"2.0","id":"b","method":"ping"}])"),
      R"([{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":"b","result":{}}])");
  EXPECT_EQ(Session().Answer(R"([{"jsonrpc":"2.0","method":"notifications/x"}])"), "");
  EXPECT_THAT(Session().Answer("[1]"), HasSubstr("-32700"));
}

TEST(McpSession, ANumberThatArgumentsCannotHoldIsAnErrorOfTheTool) {
  for (const char* number : {"9007199254740993", "18446744073709551615", "99999999999999999999"}) {
    const std::string answer = Session().Answer(
        R"({"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"it":)" +
        std::string(number) + "}}}");
    EXPECT_THAT(answer, HasSubstr(R"("id":7,"result":{"content")")) << number;
    EXPECT_THAT(answer, HasSubstr(R"("isError":true)")) << number;
  }
  EXPECT_THAT(
      Session().Answer(
          R"({"jsonrpc":"2.0","id":7,"method":"ping","params":{"n":18446744073709551615}})"),
      HasSubstr(R"("id":7,"error":{"code":-32602)"));
  EXPECT_EQ(Session().Answer(R"({"jsonrpc":"2.0","id":9007199254740993,"method":"ping"})"),
            R"({"jsonrpc":"2.0","id":9007199254740993,"result":{}})");
}

TEST(McpTools, LeaveOutWritingWhenReadOnly) {
  Client client({"127.0.0.1:1", 100});
  EXPECT_EQ(McpTools(client, {false}).size(), 5U);
  for (const McpTool& tool : McpTools(client, {true})) EXPECT_TRUE(tool.read_only) << tool.name;
}

TEST(McpTools, NameTheArgumentThatIsWrong) {
  Client client({"127.0.0.1:1", 100});
  const auto tools = McpTools(client, {});
  const auto refusal = [&tools](size_t tool, const std::string& arguments) {
    google::protobuf::Struct parsed;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(arguments, &parsed).ok());
    return std::string(MessageOf(tools[tool].call(parsed).status()));
  };
  EXPECT_THAT(refusal(1, "{}"), HasSubstr("collection"));
  EXPECT_THAT(refusal(2, R"({"collection":"c","vector":["x"]})"), HasSubstr("no number"));
  EXPECT_THAT(refusal(2, R"({"collection":"c"})"), HasSubstr("vector (or like)"));
  EXPECT_THAT(refusal(2, R"({"collection":"c","vector":[1],"top_k":1e9})"), HasSubstr("1 to 100"));
  EXPECT_THAT(refusal(2, R"({"collection":"c","vector":[1],"top_k":1.9})"),
              HasSubstr("top_k must be a whole number"));
  EXPECT_THAT(refusal(2, R"({"collection":"c","vector":[1],"topk":1})"),
              HasSubstr("search has no topk; known are: collection, vector"));
  EXPECT_THAT(refusal(0, R"({"all":true})"), HasSubstr("has no all"));
  EXPECT_THAT(refusal(4, R"({"collection":"c","points":[{"id":"p","vector":[1],"fields":{}}]})"),
              HasSubstr("a point has no fields"));
  EXPECT_THAT(refusal(2, R"({"collection":"c","vector":[1],"filter":{"musst":[]}})"),
              HasSubstr("musst"));
  EXPECT_THAT(refusal(4, R"({"collection":"c","points":[{"id":"p"}]})"),
              HasSubstr("vector of point p"));
}

}  // namespace
}  // namespace vectron::ctl
