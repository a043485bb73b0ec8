// The real server over gRPC: every RPC, and the codes and messages of errors. What is wrong with
// requests in detail is tested over HTTP (the handlers are the same); here it is enough that both
// protocols say the same.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "base/check.h"
#include "base/limits.h"
#include "base/temp_dir.h"
#include "vectron/vectron.grpc.pb.h"

namespace vectron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// `vectron dev` as a child process, killed at the end of the test program.
class ServerProcess {
 public:
  ServerProcess() {
    int out[2];
    CHECK_EQ(::pipe2(out, O_CLOEXEC), 0);
    const char* const binary = std::getenv("VECTRON_BINARY");
    const std::string program = binary != nullptr ? binary : "build/release/bin/vectron";
    const std::string data = dir_ / "data";
    const std::string log = dir_ / "log";
    pid_ = ::fork();
    CHECK_NE(pid_, -1);
    if (pid_ == 0) {
      ::dup2(out[1], STDOUT_FILENO);
      const int log_file = ::open(log.c_str(), O_CREAT | O_WRONLY, 0644);
      ::dup2(log_file, STDERR_FILENO);
      ::execl(program.c_str(), program.c_str(), "dev", "--data", data.c_str(), "--http",
              "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--auth", "off", nullptr);
      ::_exit(127);
    }
    ::close(out[1]);
    std::FILE* const lines = ::fdopen(out[0], "r");
    char line[1024] = {};
    CHECK(std::fgets(line, sizeof line, lines) != nullptr);
    std::fclose(lines);
    const std::string text = line;
    const std::string key = "\"grpc\":\"";
    const size_t begin = text.find(key) + key.size();
    address_ = text.substr(begin, text.find('"', begin) - begin);
  }
  ~ServerProcess() {
    ::kill(pid_, SIGTERM);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  const std::string& address() const { return address_; }

 private:
  TempDir dir_;
  pid_t pid_ = -1;
  std::string address_;
};

class GrpcApi : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = std::make_unique<ServerProcess>(); }
  static void TearDownTestSuite() { server_.reset(); }

  GrpcApi() {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    stub_ = v1::VectronService::NewStub(grpc::CreateCustomChannel(
        server_->address(), grpc::InsecureChannelCredentials(), arguments));
  }

  // Makes a collection named after the test.
  std::string Make(int32_t dimension, uint32_t shards = 1, const std::string& distance = "") {
    v1::CreateCollectionRequest request;
    request.set_name(testing::UnitTest::GetInstance()->current_test_info()->name());
    request.set_dimension(dimension);
    request.set_distance(distance);
    request.set_shard_count(shards);
    v1::CreateCollectionResponse response;
    const grpc::Status status =
        Call(&v1::VectronService::Stub::CreateCollection, request, response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(response.success());
    return request.name();
  }
  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::VectronService::Stub::*method)(grpc::ClientContext*,
                                                                     const Request&, Response*),
                    const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return ((*stub_).*method)(&context, request, &response);
  }
  static v1::Point* AddPoint(v1::UpsertRequest& request, const std::string& id,
                             const std::vector<float>& vector) {
    v1::Point* const point = request.add_points();
    point->set_id(id);
    point->mutable_vector()->Add(vector.begin(), vector.end());
    return point;
  }
  grpc::Status Upsert(const v1::UpsertRequest& request) {
    return Call(&v1::VectronService::Stub::Upsert, request, upserted_);
  }
  grpc::Status Get(const std::string& collection, const std::string& id) {
    v1::GetRequest request;
    request.set_collection(collection);
    request.set_id(id);
    got_.Clear();
    return Call(&v1::VectronService::Stub::Get, request, got_);
  }
  grpc::Status Search(const v1::SearchRequest& request) {
    found_.Clear();
    return Call(&v1::VectronService::Stub::Search, request, found_);
  }
  static v1::SearchRequest Query(const std::string& collection, const std::vector<float>& vector,
                                 uint32_t top_k = 0) {
    v1::SearchRequest request;
    request.set_collection(collection);
    request.mutable_vector()->Add(vector.begin(), vector.end());
    request.set_top_k(top_k);
    return request;
  }
  static std::vector<std::string> Ids(const v1::SearchResponse& response) {
    std::vector<std::string> ids;
    for (const v1::SearchResult& result : response.results()) ids.push_back(result.id());
    return ids;
  }

  static std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<v1::VectronService::Stub> stub_;
  v1::UpsertResponse upserted_;
  v1::GetResponse got_;
  v1::SearchResponse found_;
};
std::unique_ptr<ServerProcess> GrpcApi::server_;

#define EXPECT_CODE(call, code, ...)                                                    \
  do {                                                                                  \
    const grpc::Status status_ = (call);                                                \
    EXPECT_EQ(status_.error_code(), grpc::StatusCode::code) << status_.error_message(); \
    EXPECT_THAT(status_.error_message(), testing::AllOf(__VA_ARGS__));                  \
  } while (false)

TEST_F(GrpcApi, LivesThroughACollectionsWholeLife) {
  const std::string name = Make(2, 3, "cosine");
  v1::UpsertRequest upsert;
  upsert.set_collection(name);
  AddPoint(upsert, "x", {1, 0});
  AddPoint(upsert, "y", {0, 1});
  AddPoint(upsert, "xy", {1, 1});
  upsert.set_return_versions(true);
  ASSERT_TRUE(Upsert(upsert).ok());
  EXPECT_EQ(upserted_.upserted(), 3);
  EXPECT_EQ(upserted_.versions_size(), 3);

  ASSERT_TRUE(Search(Query(name, {1, 0.1F})).ok());
  EXPECT_THAT(Ids(found_), ElementsAre("x", "xy", "y"));
  EXPECT_NEAR(found_.results(0).score(), 1 - 1 / std::sqrt(1.01), 1e-6);
  EXPECT_EQ(found_.query_id().size(), 36U);

  v1::DeleteRequest remove;
  remove.set_collection(name);
  remove.set_id("x");
  v1::DeleteResponse removed;
  ASSERT_TRUE(Call(&v1::VectronService::Stub::Delete, remove, removed).ok());
  EXPECT_GT(removed.version(), 0U);
  EXPECT_CODE(Get(name, "x"), NOT_FOUND, HasSubstr("'x'"), HasSubstr(name));

  v1::GetCollectionStatusRequest describe;
  describe.set_name(name);
  v1::GetCollectionStatusResponse description;
  ASSERT_TRUE(Call(&v1::VectronService::Stub::GetCollectionStatus, describe, description).ok());
  EXPECT_EQ(description.point_count(), 2U);
  EXPECT_EQ(description.distance(), "cosine");
  EXPECT_EQ(description.shards_size(), 3);

  v1::ListCollectionsResponse list;
  ASSERT_TRUE(
      Call(&v1::VectronService::Stub::ListCollections, v1::ListCollectionsRequest(), list).ok());
  EXPECT_THAT(list.collections(), testing::Contains(name));

  v1::DeleteCollectionRequest drop;
  drop.set_name(name);
  v1::DeleteCollectionResponse dropped;
  ASSERT_TRUE(Call(&v1::VectronService::Stub::DeleteCollection, drop, dropped).ok());
  EXPECT_TRUE(dropped.success());
  EXPECT_CODE(Call(&v1::VectronService::Stub::DeleteCollection, drop, dropped), NOT_FOUND,
              HasSubstr(name));
  EXPECT_CODE(Upsert(upsert), NOT_FOUND, HasSubstr(name));
  EXPECT_CODE(Search(Query(name, {1, 0})), NOT_FOUND, HasSubstr(name));
}

TEST_F(GrpcApi, KeepsTypedAndTextualPayloads) {
  const std::string name = Make(1);
  v1::UpsertRequest upsert;
  upsert.set_collection(name);
  v1::Point* const old_client = AddPoint(upsert, "old", {1});
  (*old_client->mutable_payload())["colour"] = "red";
  (*old_client->mutable_payload())["number"] = "7";
  v1::Point* const typed = AddPoint(upsert, "typed", {2});
  (*typed->mutable_payload())["colour"] = "lost";
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(
                  R"({"colour":"blue","n":5,"list":[true,null]})", typed->mutable_fields())
                  .ok());
  ASSERT_TRUE(Upsert(upsert).ok());

  ASSERT_TRUE(Get(name, "old").ok());
  EXPECT_EQ(got_.point().payload().at("colour"), "red");
  EXPECT_EQ(got_.point().payload().at("number"), "7");
  EXPECT_EQ(got_.point().fields().fields().at("number").string_value(), "7");
  ASSERT_TRUE(Get(name, "typed").ok());
  EXPECT_EQ(got_.point().payload().at("colour"), "blue");
  EXPECT_EQ(got_.point().payload().at("n"), "5");
  EXPECT_EQ(got_.point().payload().at("list"), "[true,null]");
  EXPECT_EQ(got_.point().fields().fields().at("n").number_value(), 5);
  EXPECT_GT(got_.point().version(), 0U);

  v1::SearchRequest query = Query(name, {2}, 1);
  v1::Condition& condition = *query.mutable_filter()->add_must();
  condition.set_field("colour");
  condition.mutable_match()->set_string_value("blue");
  ASSERT_TRUE(Search(query).ok());
  EXPECT_THAT(Ids(found_), ElementsAre("typed"));
  EXPECT_EQ(found_.results(0).payload().at("colour"), "blue");
  query.set_include_metadata(false);
  query.set_include_vectors(true);
  ASSERT_TRUE(Search(query).ok());
  EXPECT_EQ(found_.results(0).payload_size(), 0);
  EXPECT_FALSE(found_.results(0).has_fields());
  EXPECT_THAT(found_.results(0).vector(), ElementsAre(2.0F));
}

TEST_F(GrpcApi, StreamsASearch) {
  const std::string name = Make(1, 4);
  v1::UpsertRequest upsert;
  upsert.set_collection(name);
  for (int i = 0; i < 100; ++i) AddPoint(upsert, std::to_string(i), {static_cast<float>(i)});
  ASSERT_TRUE(Upsert(upsert).ok());
  grpc::ClientContext context;
  const auto reader = stub_->SearchStream(&context, Query(name, {0}, 5));
  std::vector<v1::SearchResponse> answers;
  for (v1::SearchResponse answer; reader->Read(&answer);) answers.push_back(answer);
  EXPECT_TRUE(reader->Finish().ok());
  ASSERT_FALSE(answers.empty());
  EXPECT_LE(answers.size(), 4U);
  for (size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(answers[i].last(), i + 1 == answers.size());
  EXPECT_THAT(Ids(answers.back()), ElementsAre("0", "1", "2", "3", "4"));

  grpc::ClientContext other;
  const auto refused = stub_->SearchStream(&other, Query("none", {0}));
  v1::SearchResponse answer;
  EXPECT_FALSE(refused->Read(&answer));
  EXPECT_CODE(refused->Finish(), NOT_FOUND, HasSubstr("none"));
}

// What is wrong with a search is so with a stream of it, by the same code, and nothing is streamed
// before it is said.
TEST_F(GrpcApi, StreamsAreCheckedLikeSearches) {
  const std::string name = Make(2, 2, "cosine");
  const v1::SearchRequest good = Query(name, {1, 2}, 3);
  using Spoil = std::function<void(v1::SearchRequest&)>;
  const std::vector<std::pair<Spoil, std::string>> cases = {
      {[](auto& q) { q.set_vector(1, std::numeric_limits<float>::quiet_NaN()); }, "vector[1]"},
      {[](auto& q) { q.set_vector(0, std::numeric_limits<float>::infinity()); }, "vector[0]"},
      {[](auto& q) { q.add_vector(3); }, "3 components"},
      {[](auto& q) { q.clear_vector(); }, "0 components"},
      {[](auto& q) { q.set_vector(0, 0), q.set_vector(1, 0); }, "zero"},
      {[](auto& q) { q.set_top_k(16'385); }, "top_k is 16385"},
      {[](auto& q) { q.set_offset(16'384); }, "offset 16384"},
      {[](auto& q) { q.mutable_params()->set_ef(70'000); }, "params.ef"},
      {[](auto& q) { q.mutable_params()->set_target_recall(0.9F); }, "target_recall"},
      {[](auto& q) { q.mutable_filter()->add_must()->set_field("a"); }, "filter.must[0]"},
      {[](auto& q) { q.set_consistency(static_cast<v1::Consistency>(9)); }, "consistency"},
      {[](auto& q) { q.set_score_threshold(std::nanf("")); }, "score_threshold"},
      {[](auto& q) { q.set_collection("none"); }, "none"},
  };
  for (const auto& [spoil, part] : cases) {
    SCOPED_TRACE(part);
    v1::SearchRequest query = good;
    spoil(query);
    const grpc::Status plain = Search(query);
    EXPECT_THAT(plain.error_message(), HasSubstr(part));
    grpc::ClientContext context;
    const auto reader = stub_->SearchStream(&context, query);
    v1::SearchResponse answer;
    EXPECT_FALSE(reader->Read(&answer));
    const grpc::Status streamed = reader->Finish();
    EXPECT_FALSE(streamed.ok());
    EXPECT_EQ(streamed.error_code(), plain.error_code());
    EXPECT_EQ(streamed.error_message(), plain.error_message());
  }
}

TEST_F(GrpcApi, ScrollsThroughACollection) {
  const std::string name = Make(1, 2);
  v1::UpsertRequest upsert;
  upsert.set_collection(name);
  for (int i = 100; i < 150; ++i) AddPoint(upsert, std::to_string(i), {1});
  ASSERT_TRUE(Upsert(upsert).ok());
  v1::ScrollRequest request;
  request.set_collection(name);
  request.set_limit(20);
  request.set_include_vectors(true);
  std::vector<std::string> ids;
  do {
    v1::ScrollResponse page;
    ASSERT_TRUE(Call(&v1::VectronService::Stub::ScrollPoints, request, page).ok());
    for (const v1::Point& point : page.points()) {
      ids.push_back(point.id());
      EXPECT_EQ(point.vector_size(), 1);
    }
    request.set_after_id(page.next_after_id());
  } while (!request.after_id().empty());
  ASSERT_EQ(ids.size(), 50U);
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
}

TEST_F(GrpcApi, RefusesBadBatchesWholeAndNamesThePoint) {
  const std::string name = Make(2, 2, "cosine");
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::string control("a\x01", 2);
  for (const auto& [id, vector, part] :
       std::vector<std::tuple<std::string, std::vector<float>, std::string>>{
           {"bad", {1}, "1 component"},
           {"bad", {1, 2, 3}, "3 component"},
           {"bad", {1, kNan}, "vector"},
           {"bad", {kInfinity, 1}, "vector"},
           {"bad", {0, 0}, "zero"},
           {"", {1, 2}, "id"},
           {std::string(257, 'a'), {1, 2}, "id"},
           {control, {1, 2}, "id"}}) {
    v1::UpsertRequest upsert;
    upsert.set_collection(name);
    AddPoint(upsert, "good", {1, 1});
    AddPoint(upsert, id, vector);
    EXPECT_CODE(Upsert(upsert), INVALID_ARGUMENT, HasSubstr("points[1]"), HasSubstr(part));
    EXPECT_CODE(Get(name, "good"), NOT_FOUND, HasSubstr("good"));
  }
  EXPECT_CODE(Search(Query(name, {1})), INVALID_ARGUMENT, HasSubstr("vector"));
  EXPECT_CODE(Search(Query(name, {1, kNan})), INVALID_ARGUMENT, HasSubstr("vector"));
  EXPECT_CODE(Search(Query(name, {0, 0})), INVALID_ARGUMENT, HasSubstr("zero"));
  EXPECT_CODE(Search(Query(name, {1, 1}, 16'385)), INVALID_ARGUMENT, HasSubstr("16385"),
              HasSubstr("16384"));
  EXPECT_CODE(Get(name, ""), INVALID_ARGUMENT, HasSubstr("id"));
}

TEST_F(GrpcApi, RefusesWhatIsTooLarge) {
  const std::string name = Make(1);
  v1::UpsertRequest upsert;
  upsert.set_collection(name);
  for (size_t i = 0; i <= kMaxUpsertPoints; ++i) AddPoint(upsert, std::to_string(i), {1});
  EXPECT_CODE(Upsert(upsert), INVALID_ARGUMENT, HasSubstr("100000"));
  upsert.mutable_points()->DeleteSubrange(1, static_cast<int>(kMaxUpsertPoints));
  (*upsert.mutable_points(0)->mutable_payload())["big"] = std::string(kMaxPayloadBytes, 'x');
  EXPECT_CODE(Upsert(upsert), INVALID_ARGUMENT, HasSubstr("points[0]"), HasSubstr("payload"));
  upsert.mutable_points(0)->clear_payload();
  while (upsert.points_size() < 70) {
    v1::Point* const point = AddPoint(upsert, std::to_string(upsert.points_size()), {1});
    (*point->mutable_payload())["big"] = std::string(kMaxPayloadBytes - 64, 'x');
  }
  EXPECT_CODE(Upsert(upsert), INVALID_ARGUMENT, HasSubstr(std::to_string(kMaxUpsertBytes)));
  while (upsert.points_size() < 90) *upsert.add_points() = upsert.points(5);
  EXPECT_CODE(Upsert(upsert), RESOURCE_EXHAUSTED,
              HasSubstr("larger"));  // past the message size: not even read
  EXPECT_CODE(Get(name, "0"), NOT_FOUND, HasSubstr("0"));
}

TEST_F(GrpcApi, RerankedAnswersTakeFeedback) {
  const std::string name = Make(1);
  v1::UpsertRequest upsert;
  upsert.set_collection(name);
  for (const char* id : {"a", "b", "c"}) {
    v1::Point* const point = AddPoint(upsert, id, {static_cast<float>(id[0])});
    (*point->mutable_payload())["title"] = id[0] == 'c' ? "red apple" : "pear";
  }
  EXPECT_CODE(Upsert(upsert), OK, testing::_);
  v1::SearchRequest query = Query(name, {'a'});
  query.set_query("red apple");
  query.mutable_rerank()->set_strategy("learned");
  v1::SearchResponse found;
  ASSERT_TRUE(Call(&v1::VectronService::Stub::Search, query, found).ok());
  EXPECT_TRUE(found.reranked());
  EXPECT_EQ(found.rerank().strategy(), "rule");  // nothing has been learned yet
  ASSERT_EQ(found.results_size(), 3);
  v1::SubmitFeedbackRequest feedback;
  feedback.set_collection(name);
  feedback.set_query_id(found.query_id());
  feedback.add_feedback_items()->set_result_id(found.results(0).id());
  feedback.mutable_feedback_items(0)->set_clicked(true);
  v1::SubmitFeedbackResponse stored;
  ASSERT_TRUE(Call(&v1::VectronService::Stub::SubmitFeedback, feedback, stored).ok());
  EXPECT_TRUE(stored.success());
  EXPECT_EQ(stored.learned_items(), 1u);
  feedback.clear_feedback_items();
  EXPECT_CODE(Call(&v1::VectronService::Stub::SubmitFeedback, feedback, stored), INVALID_ARGUMENT,
              HasSubstr("feedback_items"));
}

TEST_F(GrpcApi, SaysUnimplementedToWhatComesLater) {
  v1::UpdateUserProfileResponse profile;
  EXPECT_CODE(
      Call(&v1::VectronService::Stub::UpdateUserProfile, v1::UpdateUserProfileRequest(), profile),
      UNIMPLEMENTED, testing::_);
}

TEST_F(GrpcApi, RefusesATakenNameAndTooManyReplicas) {
  v1::CreateCollectionRequest request;
  request.set_name(Make(1));
  request.set_dimension(1);
  v1::CreateCollectionResponse response;
  EXPECT_CODE(Call(&v1::VectronService::Stub::CreateCollection, request, response), ALREADY_EXISTS,
              HasSubstr(request.name()));
  request.set_name("other");
  request.set_replication_factor(3);
  EXPECT_CODE(Call(&v1::VectronService::Stub::CreateCollection, request, response),
              FAILED_PRECONDITION, HasSubstr("1 worker"));
}

}  // namespace
}  // namespace vectron
