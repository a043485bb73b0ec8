// The client against a server that does what a script says.

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
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
  bool stays = false;  // the call, until its connection is gone
};

class Script final : public v1::VectronService::Service {
 public:
  using Clock = std::chrono::system_clock;

  // Filled before the first call; one entry a call.
  std::vector<Stream> streams;
  std::atomic<size_t> calls = 0;

  // How long each call may take, in their order, since the last time.
  std::vector<Clock::duration> TakeTimes() {
    const std::lock_guard lock(mutex_);
    return std::exchange(times_, {});
  }

  grpc::Status Upsert(grpc::ServerContext* context, const v1::UpsertRequest* request,
                      v1::UpsertResponse* response) override {
    response->set_upserted(request->points_size());
    return Note(context);
  }
  grpc::Status Get(grpc::ServerContext* context, const v1::GetRequest* /*request*/,
                   v1::GetResponse* /*response*/) override {
    return Note(context);
  }
  grpc::Status Delete(grpc::ServerContext* context, const v1::DeleteRequest* /*request*/,
                      v1::DeleteResponse* /*response*/) override {
    return Note(context);
  }
  grpc::Status ScrollPoints(grpc::ServerContext* context, const v1::ScrollRequest* /*request*/,
                            v1::ScrollResponse* /*response*/) override {
    return Note(context);
  }
  grpc::Status Search(grpc::ServerContext* context, const v1::SearchRequest* /*request*/,
                      v1::SearchResponse* /*response*/) override {
    return Note(context);
  }
  grpc::Status CreateCollection(grpc::ServerContext* context,
                                const v1::CreateCollectionRequest* /*request*/,
                                v1::CreateCollectionResponse* /*response*/) override {
    return Note(context);
  }
  grpc::Status DeleteCollection(grpc::ServerContext* context,
                                const v1::DeleteCollectionRequest* /*request*/,
                                v1::DeleteCollectionResponse* /*response*/) override {
    return Note(context);
  }
  grpc::Status ListCollections(grpc::ServerContext* context,
                               const v1::ListCollectionsRequest* /*request*/,
                               v1::ListCollectionsResponse* /*response*/) override {
    return Note(context);
  }
  grpc::Status GetCollectionStatus(grpc::ServerContext* context,
                                   const v1::GetCollectionStatusRequest* /*request*/,
                                   v1::GetCollectionStatusResponse* /*response*/) override {
    return Note(context);
  }
  grpc::Status SubmitFeedback(grpc::ServerContext* context,
                              const v1::SubmitFeedbackRequest* /*request*/,
                              v1::SubmitFeedbackResponse* /*response*/) override {
    return Note(context);
  }
  grpc::Status ListFeedback(grpc::ServerContext* context,
                            const v1::ListFeedbackRequest* /*request*/,
                            v1::ListFeedbackResponse* /*response*/) override {
    return Note(context);
  }
  grpc::Status SearchStream(grpc::ServerContext* context, const v1::SearchRequest* /*request*/,
                            grpc::ServerWriter<v1::SearchResponse>* writer) override {
    Note(context);
    const size_t call = calls++;
    if (call >= streams.size()) return {grpc::StatusCode::INTERNAL, "the script is over"};
    for (const v1::SearchResponse& answer : streams[call].answers) writer->Write(answer);
    while (streams[call].stays && !context->IsCancelled()) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    return streams[call].end;
  }

 private:
  grpc::Status Note(const grpc::ServerContext* context) {
    const std::lock_guard lock(mutex_);
    times_.push_back(context->deadline() - Clock::now());
    return {};
  }

  std::mutex mutex_;
  std::vector<Clock::duration> times_;
};

class ScriptTest : public testing::Test {
 protected:
  ScriptTest() { Start(); }
  ~ScriptTest() override { server_->Shutdown(Script::Clock::now()); }

  // Ends the calls there are as a server does that is killed.
  void Restart() {
    server_->Shutdown(Script::Clock::now());
    Start();
  }

  Client Connect(ClientOptions options = {}) const {
    options.retry = {1'000, milliseconds(1), milliseconds(10)};
    return Client("127.0.0.1:" + std::to_string(port_), std::move(options));
  }
  // The ids of each answer of a stream, and whether it was the last; after_first runs after the
  // first.
  using Seen = std::vector<std::pair<std::vector<std::string>, bool>>;
  static Seen Listen(Client* client, const std::function<void()>& after_first) {
    Seen seen;
    client->SearchStream("c", std::vector{1.0F}, {}, [&](const SearchResults& better) {
      std::vector<std::string> ids;
      for (const SearchResult& result : better.results) ids.push_back(result.id);
      seen.emplace_back(std::move(ids), better.last);
      if (seen.size() == 1) after_first();
      return true;
    });
    return seen;
  }
  static v1::SearchResponse Answer(const std::vector<std::string>& ids, bool last = false) {
    v1::SearchResponse answer;
    for (const std::string& id : ids) answer.add_results()->set_id(id);
    answer.set_last(last);
    return answer;
  }

  Script script_;

 private:
  void Start() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port_),
                             grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&script_);
    server_ = builder.BuildAndStart();
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(ScriptTest, AsksAStreamThatBreaksAgain) {
  const Stream broken{{Answer({"b"})}, {grpc::StatusCode::UNAVAILABLE, "restarting"}};
  script_.streams = {broken, {{Answer({"b"}), Answer({"a", "b"}, true)}, grpc::Status()}};
  Client client = Connect();
  EXPECT_EQ(Listen(&client, [] {}), (Seen{{{"b"}, false}, {{"b"}, false}, {{"a", "b"}, true}}));
  EXPECT_EQ(script_.calls, 2U);
}

TEST_F(ScriptTest, AsksAStreamWhoseServerIsRestartedAgain) {
  const Stream cut{{Answer({"b"})}, grpc::Status(), /*stays=*/true};
  script_.streams = {cut, {{Answer({"b"}), Answer({"a", "b"}, true)}, grpc::Status()}};
  Client client = Connect();
  EXPECT_EQ(Listen(&client, [this] { Restart(); }),
            (Seen{{{"b"}, false}, {{"b"}, false}, {{"a", "b"}, true}}));
  EXPECT_EQ(script_.calls, 2U);
}

TEST_F(ScriptTest, AsksOnceForAnAnswerThatIsTooLarge) {
  script_.streams = {{{Answer({std::string(10'000, 'a')}, true)}, {}}};
  ClientOptions options;
  options.max_message_bytes = 5'000;
  Client client = Connect(options);
  try {
    client.SearchStream("c", std::vector{1.0F}, {}, [](const SearchResults&) { return true; });
    ADD_FAILURE() << "no error";
  } catch (const ResourceExhaustedError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("larger than"), std::string::npos) << message;
    EXPECT_NE(message.find("max_message_bytes"), std::string::npos) << message;
  }
  EXPECT_EQ(script_.calls, 1U);
}

template <typename Options>
Options Within(Timeout time) {
  Options options;
  options.timeout = time;
  return options;
}

TEST_F(ScriptTest, GivesACallItsOwnTimeElseTheClients) {
  script_.streams = {{{Answer({}, true)}, {}}, {{Answer({}, true)}, {}}};
  ClientOptions long_attempts;
  long_attempts.timeout = std::chrono::hours(1);
  long_attempts.attempt_timeout = std::chrono::hours(100);
  Client client = Connect(long_attempts);
  const std::vector<float> vector = {1};
  const std::vector<std::string> ids = {"a"};
  const std::vector<Point> points = {{"a", vector, {}}};
  const auto listen = [](const SearchResults&) { return true; };
  const std::vector<std::pair<const char*, std::function<void(Timeout)>>> calls = {
      {"CreateCollection",
       [&](Timeout time) { client.CreateCollection("c", 1, Distance::kCosine, {}, time); }},
      {"DeleteCollection", [&](Timeout time) { client.DeleteCollection("c", time); }},
      {"ListCollections", [&](Timeout time) { client.ListCollections(time); }},
      {"GetCollectionStatus", [&](Timeout time) { client.GetCollectionStatus("c", time); }},
      {"SubmitFeedback", [&](Timeout time) { client.SubmitFeedback("c", {}, time); }},
      {"ListFeedback", [&](Timeout time) { client.ListFeedback("c", 0, 1, time); }},
      {"Upsert", [&](Timeout time) { client.Upsert("c", points, Within<WriteOptions>(time)); }},
      {"UpsertBatch",
       [&](Timeout time) {
         client.UpsertBatch("c", {ids, vector, {}}, Within<BatchOptions>(time));
       }},
      {"UpsertAsync",
       [&](Timeout time) { client.UpsertAsync("c", points, Within<WriteOptions>(time)).get(); }},
      {"Get", [&](Timeout time) { client.Get("c", "a", Within<ReadOptions>(time)); }},
      {"GetAsync",
       [&](Timeout time) { client.GetAsync("c", "a", Within<ReadOptions>(time)).get(); }},
      {"Delete", [&](Timeout time) { client.Delete("c", "a", "", time); }},
      {"DeleteAsync", [&](Timeout time) { client.DeleteAsync("c", "a", "", time).get(); }},
      {"Scroll", [&](Timeout time) { client.Scroll("c", Within<ScrollOptions>(time)); }},
      {"Search", [&](Timeout time) { client.Search("c", vector, Within<SearchOptions>(time)); }},
      {"SearchAsync",
       [&](Timeout time) { client.SearchAsync("c", vector, Within<SearchOptions>(time)).get(); }},
      {"SearchStream",
       [&](Timeout time) {
         client.SearchStream("c", vector, Within<SearchOptions>(time), listen);
       }},
  };
  for (const auto& [name, call] : calls) {
    SCOPED_TRACE(name);
    call(std::chrono::hours(50));
    call({});
    const std::vector<Script::Clock::duration> times = script_.TakeTimes();
    ASSERT_EQ(times.size(), 2U);
    EXPECT_GT(times[0], std::chrono::hours(10));
    EXPECT_LT(times[1], std::chrono::hours(10));
  }
}

}  // namespace
}  // namespace vectron
