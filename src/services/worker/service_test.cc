// The worker over gRPC: what holds for WorkerApi holds over the wire, and the contract's RPCs.

#include "services/worker/service.h"

#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>

#include "absl/synchronization/notification.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"
#include "rpc/grpc_server.h"
#include "rpc/worker_client.h"
#include "services/worker/wire.h"
#include "services/worker/worker_testing.h"
#include "vectron/worker.grpc.pb.h"

namespace vectron::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    CHECK_OK(service_.Register(registry_));
    auto server = rpc::GrpcServer::Start({.address = "127.0.0.1:0"}, registry_);
    CHECK_OK(server.status());
    server_ = *std::move(server);
    client_ = std::make_unique<rpc::WorkerClient>(server_->bound_address(), rpc::ChannelOptions(),
                                                  node_.clock);
    stub_ = v1::WorkerService::NewStub(server_->InProcessChannel());
  }
  ~ServiceTest() override {
    client_.reset();
    server_->Stop(1'000);
  }

  void MakeShards(uint32_t count) {
    for (uint64_t group = 1; group <= count; ++group) {
      ASSERT_TRUE(node_.worker().CreateShard(TestWorker::Assignment(group, count)).ok());
    }
  }
  // An id that the shard of this group of `count` holds.
  static std::string IdIn(uint64_t group, uint32_t count, int number) {
    for (int i = 0;; ++i) {
      std::string id = fmt::format("p{}-{}", number, i);
      if (ShardOf(id, count).value == group - 1) return id;
    }
  }
  static rpc::ShardUpsert UpsertOf(uint64_t group, const std::vector<std::string>& ids, float x) {
    rpc::ShardUpsert request;
    request.target = {.group = GroupId{group}, .epoch = 1};
    request.points.dimension = TestWorker::kDimension;
    for (const std::string& id : ids) {
      request.points.ids.push_back(id);
      request.points.vectors.insert(request.points.vectors.end(), {x, x, x, x});
      request.points.payloads.push_back(id.size() % 2 == 0 ? "" : R"({"n":1})");
    }
    return request;
  }

  TestWorker node_;
  Metrics metrics_;
  rpc::RpcRegistry registry_{metrics_, node_.clock, {}};
  WorkerService service_{{.worker = &node_.worker(),
                          .clock = &node_.clock,
                          .timer = &node_.timer,
                          .background_executor = &node_.background}};
  std::unique_ptr<rpc::GrpcServer> server_;
  std::unique_ptr<rpc::WorkerClient> client_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
};

// The same requests to the worker itself and over the wire: equal answers.
class EitherWay : public ServiceTest, public testing::WithParamInterface<bool> {
 protected:
  rpc::WorkerApi& api() {
    if (GetParam()) return *client_;
    return node_.worker();
  }
  absl::StatusOr<rpc::WriteAck> Upsert(rpc::ShardUpsert request, int64_t deadline_nanos = 0) {
    return Await<absl::StatusOr<rpc::WriteAck>>(
        [&](auto done) { api().Upsert(std::move(request), deadline_nanos, done); });
  }
  absl::StatusOr<std::optional<PointRecord>> Get(rpc::ShardTarget target, const std::string& id) {
    return Await<absl::StatusOr<std::optional<PointRecord>>>(
        [&](auto done) { api().Get({.target = target, .id = id}, 0, done); });
  }
  std::map<uint64_t, absl::StatusOr<SearchAnswer>> Search(rpc::ShardsSearch search) {
    std::map<uint64_t, absl::StatusOr<SearchAnswer>> answers;
    std::atomic<int> inside{0};
    absl::Notification all;
    const size_t wanted = search.targets.size();
    api().Search(std::move(search), 0, [&](rpc::ShardAnswer answer) {
      EXPECT_EQ(inside.fetch_add(1), 0);
      EXPECT_TRUE(answers.emplace(answer.group.value, std::move(answer.answer)).second);
      const bool complete = answers.size() == wanted;
      inside.fetch_sub(1);
      if (complete) all.Notify();
    });
    all.WaitForNotification();
    return answers;
  }
};

TEST_P(EitherWay, StoresGetsAndDeletes) {
  MakeShards(1);
  const rpc::ShardTarget target{.group = GroupId{1}, .epoch = 1};
  const auto ack = Upsert(UpsertOf(1, {"a", "bb"}, 2));
  ASSERT_TRUE(ack.ok()) << ack.status();
  const auto point = Get(target, "a");
  ASSERT_TRUE(point.ok() && point->has_value());
  EXPECT_EQ((*point)->id, "a");
  EXPECT_THAT((*point)->vector, ElementsAre(2, 2, 2, 2));
  EXPECT_EQ((*point)->payload, R"({"n":1})");
  EXPECT_EQ((*point)->version, ack->version);
  EXPECT_EQ((*Get(target, "bb"))->payload, "");
  const auto gone = Await<absl::StatusOr<rpc::WriteAck>>(
      [&](auto done) { api().Delete({.target = target, .id = "a", .request_id = ""}, 0, done); });
  ASSERT_TRUE(gone.ok());
  EXPECT_GT(gone->version, ack->version);
  EXPECT_FALSE(Get(target, "a")->has_value());
}

TEST_P(EitherWay, AppliesARequestIdOnce) {
  MakeShards(1);
  rpc::ShardUpsert request = UpsertOf(1, {"a"}, 1);
  request.request_id = "r1";
  const auto first = Upsert(request);
  ASSERT_TRUE(Upsert(UpsertOf(1, {"a"}, 5)).ok());
  const auto second = Upsert(request);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->version, second->version);
  EXPECT_EQ((*Get({.group = GroupId{1}, .epoch = 1}, "a"))->vector[0], 5);
  rpc::ShardUpsert insert = UpsertOf(1, {"a"}, 7);
  insert.insert_only = true;
  EXPECT_TRUE(absl::IsAlreadyExists(Upsert(insert).status()));
}

TEST_P(EitherWay, RefusesOldEpochsAndUnknownGroups) {
  MakeShards(1);
  ASSERT_TRUE(node_.worker().SetEpoch(GroupId{1}, 3).ok());
  rpc::ShardUpsert old = UpsertOf(1, {"a"}, 1);
  old.target.epoch = 2;
  EXPECT_TRUE(absl::IsFailedPrecondition(Upsert(old).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(Get({.group = GroupId{1}, .epoch = 2}, "a").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(Get({.group = GroupId{9}, .epoch = 1}, "a").status()));
  old.target.epoch = 4;  // of a map that is newer than what this worker was told: the group decides
  EXPECT_TRUE(Upsert(old).ok());
}

TEST_P(EitherWay, SearchesSeveralShardsWithFilterAndHints) {
  MakeShards(3);
  for (uint64_t group = 1; group <= 3; ++group) {
    std::vector<std::string> ids;
    for (int i = 0; i < 8; ++i) ids.push_back(IdIn(group, 3, i));
    ASSERT_TRUE(Upsert(UpsertOf(group, ids, static_cast<float>(group))).ok());
  }
  rpc::ShardsSearch search;
  for (const uint64_t group : {1, 2, 3, 9}) {
    search.targets.push_back({.group = GroupId{group}, .epoch = 1});
  }
  search.query.vector = {1, 1, 1, 1};
  search.query.k = 5;
  search.query.include_vectors = true;
  search.query.explain = true;
  search.query.filter = std::make_shared<const Filter>(
      *FilterFromJson(R"({"must":[{"field":"n","match":1}],"must_not":[{"has_id":["nobody"]}]})"));
  const auto answers = Search(search);
  ASSERT_EQ(answers.size(), 4U);
  for (uint64_t group = 1; group <= 3; ++group) {
    ASSERT_TRUE(answers.at(group).ok()) << answers.at(group).status();
    for (const SearchHit& hit : answers.at(group)->hits) {
      EXPECT_EQ(hit.payload, R"({"n":1})");
      EXPECT_EQ(hit.vector, std::vector<float>(4, static_cast<float>(group)));
      EXPECT_GT(hit.version, 0U);
    }
    EXPECT_EQ(answers.at(group)->traces.size(), 1U);
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(answers.at(9).status()));
  search.targets.resize(1);
  search.query.vector = {1, 1};
  EXPECT_TRUE(absl::IsInvalidArgument(Search(search).at(1).status()));
}

TEST_P(EitherWay, ScansAndDescribes) {
  MakeShards(1);
  ASSERT_TRUE(Upsert(UpsertOf(1, {"a", "b", "c"}, 1)).ok());
  rpc::ShardScan scan;
  scan.target = {.group = GroupId{1}, .epoch = 1};
  scan.limit = 2;
  scan.include_vectors = true;
  const auto page =
      Await<absl::StatusOr<rpc::ScanPage>>([&](auto done) { api().Scan(scan, 0, done); });
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->points.size(), 2U);
  EXPECT_EQ(page->points[1].id, "b");
  EXPECT_EQ(page->points[1].vector.size(), 4U);
  EXPECT_FALSE(page->end);
  EXPECT_EQ(page->scanned_to, "b");
  const auto infos = Await<absl::StatusOr<std::vector<rpc::ShardInfo>>>([&](auto done) {
    api().Describe({GroupId{1}, GroupId{2}}, 0, done);
  });
  ASSERT_TRUE(infos.ok());
  ASSERT_EQ(infos->size(), 2U);
  EXPECT_EQ((*infos)[0].points, 3U);
  EXPECT_TRUE((*infos)[0].ready && (*infos)[0].leads);
  EXPECT_FALSE((*infos)[1].ready);
}

INSTANTIATE_TEST_SUITE_P(InProcessAndGrpc, EitherWay, testing::Bool());

TEST_F(ServiceTest, PassesDeadlinesOnAndEndsCallsOfAClientThatGoes) {
  MakeShards(1);
  const auto late = Await<absl::StatusOr<rpc::WriteAck>>([&](auto done) {
    client_->Upsert(UpsertOf(1, {"a"}, 1), node_.clock.MonotonicNanos() - 1, done);
  });
  EXPECT_TRUE(absl::IsDeadlineExceeded(late.status())) << late.status();
  rpc::WorkerClient nobody("127.0.0.1:1", {}, node_.clock);
  const auto lost = Await<absl::StatusOr<rpc::WriteAck>>(
      [&](auto done) { nobody.Upsert(UpsertOf(1, {"a"}, 1), 0, done); });
  EXPECT_TRUE(absl::IsUnavailable(lost.status())) << lost.status();
  EXPECT_THAT(std::string(MessageOf(lost.status())), HasSubstr("a worker cannot be reached"));
}

TEST_F(ServiceTest, ChecksPointsThatComeOffTheWire) {
  MakeShards(2);
  const auto store = [&](const std::string& id, std::vector<float> vector,
                         const std::string& metadata) {
    grpc::ClientContext context;
    v1::StoreVectorRequest request;
    v1::StoreVectorResponse response;
    request.set_shard_id(1);
    request.mutable_vector()->set_id(id);
    request.mutable_vector()->mutable_vector()->Add(vector.begin(), vector.end());
    request.mutable_vector()->set_metadata(metadata);
    return stub_->StoreVector(&context, request, &response).error_code();
  };
  const std::string good = IdIn(1, 2, 0);
  EXPECT_EQ(store(good, {1, 2, 3, 4}, R"({"a":1})"), grpc::StatusCode::OK);
  EXPECT_EQ(store(IdIn(2, 2, 0), {1, 2, 3, 4}, ""), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(store(good, {1, 2, 3}, ""), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(store(good, {1, 2, 3, std::numeric_limits<float>::quiet_NaN()}, ""),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(store(good, {1, 2, 3, 4}, "no json"), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(store("", {1, 2, 3, 4}, ""), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServiceTest, ServesTheContractsCalls) {
  MakeShards(1);
  v1::BatchStoreVectorResponse stored;
  {
    grpc::ClientContext context;
    const auto writer = stub_->StreamBatchStoreVector(&context, &stored);
    for (int batch = 0; batch < 3; ++batch) {
      v1::BatchStoreVectorRequest request;
      request.set_shard_id(1);
      for (int i = 0; i < 4; ++i) {
        v1::Vector& vector = *request.add_vectors();
        vector.set_id(fmt::format("p{}", batch * 4 + i));
        for (int d = 0; d < 4; ++d) vector.add_vector(static_cast<float>(batch * 4 + i));
        vector.set_metadata(R"({ "k" : "v" })");
      }
      ASSERT_TRUE(writer->Write(request));
    }
    writer->WritesDone();
    ASSERT_TRUE(writer->Finish().ok());
  }
  EXPECT_EQ(stored.stored(), 12);
  v1::SearchRequest search;
  search.set_collection("docs");
  search.set_k(2);
  search.set_linearizable(true);
  for (int d = 0; d < 4; ++d) search.add_vector(3);
  v1::BatchSearchRequest batch;
  *batch.add_requests() = search;
  *batch.add_requests() = search;
  v1::BatchSearchResponse answers;
  grpc::ClientContext search_context;
  ASSERT_TRUE(stub_->BatchSearch(&search_context, batch, &answers).ok());
  ASSERT_EQ(answers.responses_size(), 2);
  ASSERT_EQ(answers.responses(1).ids_size(), 2);
  EXPECT_EQ(answers.responses(1).ids(0), "p3");
  EXPECT_EQ(answers.responses(1).metadata(0), R"({"k":"v"})");
  search.set_collection("none");
  v1::SearchResponse none;
  grpc::ClientContext none_context;
  EXPECT_EQ(stub_->Search(&none_context, search, &none).error_code(), grpc::StatusCode::NOT_FOUND);

  v1::GetVectorRequest get;
  get.set_shard_id(1);
  get.set_id("p3");
  v1::GetVectorResponse got;
  grpc::ClientContext get_context;
  ASSERT_TRUE(stub_->GetVector(&get_context, get, &got).ok());
  EXPECT_EQ(got.vector().vector(0), 3);
  get.set_id("nobody");
  grpc::ClientContext nobody_context;
  EXPECT_EQ(stub_->GetVector(&nobody_context, get, &got).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::FlushRequest flush;
  flush.set_shard_id(1);
  v1::FlushResponse flushed;
  grpc::ClientContext flush_context;
  EXPECT_TRUE(stub_->Flush(&flush_context, flush, &flushed).ok());
  v1::StatusRequest status;
  status.set_shard_id(1);
  v1::StatusResponse told;
  grpc::ClientContext status_context;
  ASSERT_TRUE(stub_->Status(&status_context, status, &told).ok());
  EXPECT_THAT(told.status(), HasSubstr("12 points"));
}

// The status of one call of the contract's.
template <typename Request, typename Response>
grpc::Status CallOnce(v1::WorkerService::Stub& stub,
                      grpc::Status (v1::WorkerService::Stub::*method)(grpc::ClientContext*,
                                                                      const Request&, Response*),
                      const Request& request, Response& response) {
  grpc::ClientContext context;
  return (stub.*method)(&context, request, &response);
}

TEST_F(ServiceTest, KeepsKeysBesideThePoints) {
  MakeShards(1);
  v1::PutRequest put;
  put.set_shard_id(1);
  put.mutable_kv()->set_key(std::string("\0k", 2));
  put.mutable_kv()->set_value(std::string("\xff\0v", 3));
  v1::PutResponse stored;
  using Stub = v1::WorkerService::Stub;
  ASSERT_TRUE(CallOnce(*stub_, &Stub::Put, put, stored).ok());
  v1::GetRequest get;
  get.set_shard_id(1);
  get.set_key(put.kv().key());
  v1::GetResponse got;
  ASSERT_TRUE(CallOnce(*stub_, &Stub::Get, get, got).ok());
  EXPECT_EQ(got.kv().key(), put.kv().key());
  EXPECT_EQ(got.kv().value(), put.kv().value());
  EXPECT_EQ(node_.worker().Stats({.group = GroupId{1}, .epoch = 1})->points, 0u);
  v1::DeleteRequest remove;
  remove.set_shard_id(1);
  remove.set_key(put.kv().key());
  v1::DeleteResponse removed;
  EXPECT_TRUE(CallOnce(*stub_, &Stub::Delete, remove, removed).ok());
  EXPECT_EQ(CallOnce(*stub_, &Stub::Get, get, got).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(CallOnce(*stub_, &Stub::Delete, remove, removed).ok());
}

TEST_F(ServiceTest, RefusesKeysThatAreTooLargeOrOfAnotherEpoch) {
  MakeShards(1);
  v1::PutRequest put;
  put.set_shard_id(1);
  put.mutable_kv()->set_key(std::string(kMaxPointIdBytes + 1, 'k'));
  v1::PutResponse stored;
  using Stub = v1::WorkerService::Stub;
  const auto expect_refused = [&](grpc::StatusCode code, const std::string& message) {
    const grpc::Status status = CallOnce(*stub_, &Stub::Put, put, stored);
    EXPECT_EQ(status.error_code(), code);
    EXPECT_THAT(status.error_message(), HasSubstr(message));
  };
  expect_refused(grpc::StatusCode::INVALID_ARGUMENT, "key: got 257 bytes");
  put.mutable_kv()->clear_key();
  expect_refused(grpc::StatusCode::INVALID_ARGUMENT, "key: got 0 bytes");
  put.mutable_kv()->set_key(std::string(kMaxPointIdBytes, 'k'));
  put.mutable_kv()->set_value(std::string(kMaxPayloadBytes + 1, 'v'));
  expect_refused(grpc::StatusCode::INVALID_ARGUMENT, "kv.value: got 1048577 bytes");
  put.mutable_kv()->mutable_value()->pop_back();
  EXPECT_TRUE(CallOnce(*stub_, &Stub::Put, put, stored).ok());
  ASSERT_TRUE(node_.worker().SetEpoch(GroupId{1}, 3).ok());
  put.set_shard_epoch(2);
  expect_refused(grpc::StatusCode::FAILED_PRECONDITION, "epoch");
}

TEST_F(ServiceTest, StreamsASnapshotAndTheUpdatesThatFollow) {
  MakeShards(1);
  std::vector<std::string> ids;
  for (int i = 0; i < 50; ++i) ids.push_back(fmt::format("p{:02}", i));
  ASSERT_TRUE(Await<absl::StatusOr<rpc::WriteAck>>([&](auto done) {
                node_.worker().Upsert(UpsertOf(1, ids, 1), 0, done);
              }).ok());
  v1::HNSWSnapshotRequest request;
  request.set_shard_id(1);
  grpc::ClientContext context;
  const auto reader = stub_->StreamHNSWSnapshot(&context, request);
  std::vector<std::string> seen;
  int64_t at = 0;
  bool done = false;
  v1::HNSWSnapshotChunk chunk;
  while (reader->Read(&chunk)) {
    v1::HNSWUpdateBatch points;
    ASSERT_TRUE(points.ParseFromString(chunk.data()));
    for (const v1::HNSWUpdate& point : points.updates()) seen.push_back(point.id());
    at = chunk.snapshot_ts_unix_nano();
    done = chunk.done();
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_TRUE(done);
  EXPECT_EQ(seen, ids);

  grpc::ClientContext updates_context;
  v1::HNSWUpdatesRequest from;
  from.set_shard_id(1);
  from.set_from_ts_unix_nano(at);
  const auto updates = stub_->StreamHNSWUpdates(&updates_context, from);
  ASSERT_TRUE(Await<absl::StatusOr<rpc::WriteAck>>([&](auto sent) {
                node_.worker().Upsert(UpsertOf(1, {"new"}, 9), 0, sent);
              }).ok());
  v1::HNSWUpdateBatch batch;
  ASSERT_TRUE(updates->Read(&batch));
  ASSERT_EQ(batch.updates_size(), 1);
  EXPECT_EQ(batch.updates(0).id(), "new");
  EXPECT_GT(batch.updates(0).ts_unix_nano(), at);
  ASSERT_TRUE(Await<absl::StatusOr<rpc::WriteAck>>([&](auto sent) {
                node_.worker().Delete(
                    {.target = {.group = GroupId{1}, .epoch = 1}, .id = "new", .request_id = ""}, 0,
                    sent);
              }).ok());
  ASSERT_TRUE(updates->Read(&batch));
  EXPECT_TRUE(batch.updates(0).delete_());
  updates_context.TryCancel();
  EXPECT_EQ(updates->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(ServiceTest, TellsOfALargeWriteInSeveralMessages) {
  MakeShards(1);
  std::vector<std::string> ids;
  for (int i = 0; i < 60; ++i) ids.push_back(fmt::format("p{:02}", i));
  rpc::ShardUpsert large = UpsertOf(1, ids, 1);
  const std::string payload = R"({"t":")" + std::string(60'000, 'x') + R"("})";
  large.points.payloads.assign(ids.size(), payload);
  ASSERT_TRUE(Await<absl::StatusOr<rpc::WriteAck>>([&](auto done) {
                node_.worker().Upsert(std::move(large), 0, done);
              }).ok());
  grpc::ClientContext context;
  v1::HNSWUpdatesRequest from;
  from.set_shard_id(1);
  const auto updates = stub_->StreamHNSWUpdates(&context, from);
  std::vector<std::string> seen;
  v1::HNSWUpdateBatch batch;
  while (seen.size() < ids.size() && updates->Read(&batch)) {
    EXPECT_LT(batch.ByteSizeLong(), size_t{2} << 20);
    for (const v1::HNSWUpdate& update : batch.updates()) seen.push_back(update.id());
  }
  EXPECT_EQ(seen, ids);
  context.TryCancel();
  EXPECT_EQ(updates->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(ServiceTest, RefusesABatchWhoseAnswersTogetherAreTooLarge) {
  MakeShards(1);
  ASSERT_TRUE(Await<absl::StatusOr<rpc::WriteAck>>([&](auto done) {
                node_.worker().Upsert(UpsertOf(1, {"a", "b"}, 1), 0, done);
              }).ok());
  Metrics metrics;
  rpc::RpcRegistry registry(metrics, node_.clock, {});
  WorkerService narrow({.worker = &node_.worker(),
                        .clock = &node_.clock,
                        .timer = &node_.timer,
                        .background_executor = &node_.background,
                        .max_answer_bytes = 1'000});
  ASSERT_TRUE(narrow.Register(registry).ok());
  auto server = rpc::GrpcServer::Start({.address = "127.0.0.1:0"}, registry);
  ASSERT_TRUE(server.ok()) << server.status();
  const auto stub = v1::WorkerService::NewStub((*server)->InProcessChannel());
  v1::SearchRequest search;
  search.set_shard_id(1);
  for (int i = 0; i < 4; ++i) search.add_vector(1);
  v1::BatchSearchRequest batch;
  const auto ask = [&](int count) {
    while (batch.requests_size() < count) *batch.add_requests() = search;
    grpc::ClientContext context;
    v1::BatchSearchResponse response;
    return stub->BatchSearch(&context, batch, &response);
  };
  EXPECT_TRUE(ask(2).ok());
  const grpc::Status refused = ask(1'000);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("of 1000 take"));
}

// A worker that takes calls and never answers.
TEST(WorkerClient, EndsACallThatIsCalledOff) {
  SystemClock clock;
  Metrics metrics;
  rpc::RpcRegistry registry(metrics, clock, {});
  CHECK_OK(registry.AddService("vectron.worker.v1.WorkerService"));
  absl::Notification arrived;
  rpc::RpcDone never;
  registry.Unary<v1::GetPointRequest, v1::GetPointResponse>(
      RpcName("GetPoint"),
      [&](rpc::CallContext&, v1::GetPointRequest&, v1::GetPointResponse&, rpc::RpcDone done) {
        never = std::move(done);
        arrived.Notify();
      });
  auto server = rpc::GrpcServer::Start({.address = "127.0.0.1:0"}, registry);
  ASSERT_TRUE(server.ok()) << server.status();
  {
    rpc::WorkerClient client((*server)->bound_address(), rpc::ChannelOptions(), clock);
    rpc::ShardGet get{.target = {.group = GroupId{1}, .epoch = 1}, .id = "a"};
    get.cancellation = std::make_shared<rpc::Cancellation>();
    absl::Notification ended;
    absl::Status status;
    client.Get(get, 0, [&](const absl::StatusOr<std::optional<PointRecord>>& answer) {
      status = answer.status();
      ended.Notify();
    });
    arrived.WaitForNotification();
    get.cancellation->Cancel();
    ended.WaitForNotification();
    EXPECT_TRUE(absl::IsCancelled(status)) << status;
    // One that was called off before it began.
    const auto late = Await<absl::StatusOr<std::optional<PointRecord>>>(
        [&](auto done) { client.Get(get, 0, done); });
    EXPECT_TRUE(absl::IsCancelled(late.status())) << late.status();
  }
  never(absl::CancelledError("nobody waits"));
  (*server)->Stop(1'000);
}

}  // namespace
}  // namespace vectron::worker
