// The client against a server that does what a script says.

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "vectron/client.h"
#include "vectron/vectron.grpc.pb.h"

namespace vectron {
namespace {

using std::chrono::milliseconds;

// What one call of SearchStream gets.
struct Stream {
  std::vector<v1::SearchResponse> answers;
  grpc::Status end;
};

class Script final : public v1::VectronService::Service {
 public:
  // Filled before the first call; one entry a call.
  std::vector<Stream> streams;
  std::atomic<size_t> calls = 0;

  grpc::Status SearchStream(grpc::ServerContext* /*context*/, const v1::SearchRequest* /*request*/,
                            grpc::ServerWriter<v1::SearchResponse>* writer) override {
    const size_t call = calls++;
    if (call >= streams.size()) return {grpc::StatusCode::INTERNAL, "the script is over"};
    for (const v1::SearchResponse& answer : streams[call].answers) writer->Write(answer);
    return streams[call].end;
  }
};

class ScriptTest : public testing::Test {
 protected:
  ScriptTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&script_);
    server_ = builder.BuildAndStart();
  }
  ~ScriptTest() override { server_->Shutdown(); }

  Client Connect(ClientOptions options = {}) const {
    options.retry = {5, milliseconds(1), milliseconds(2)};
    return Client("127.0.0.1:" + std::to_string(port_), std::move(options));
  }
  static v1::SearchResponse Answer(const std::vector<std::string>& ids, bool last = false) {
    v1::SearchResponse answer;
    for (const std::string& id : ids) answer.add_results()->set_id(id);
    answer.set_last(last);
    return answer;
  }

  Script script_;

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(ScriptTest, AsksAStreamThatBreaksAgain) {
  script_.streams = {{{Answer({"b"})}, {grpc::StatusCode::UNAVAILABLE, "restarting"}},
                     {{Answer({"b"}), Answer({"a", "b"}, true)}, grpc::Status()}};
  using Seen = std::vector<std::pair<std::vector<std::string>, bool>>;
  Seen seen;
  Client client = Connect();
  client.SearchStream("c", std::vector{1.0F}, {}, [&seen](const SearchResults& better) {
    std::vector<std::string> ids;
    for (const SearchResult& result : better.results) ids.push_back(result.id);
    seen.emplace_back(std::move(ids), better.last);
    return true;
  });
  EXPECT_EQ(seen, (Seen{{{"b"}, false}, {{"b"}, false}, {{"a", "b"}, true}}));
  EXPECT_EQ(script_.calls, 2U);
}

}  // namespace
}  // namespace vectron
