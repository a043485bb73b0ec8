#include "rpc/grpc_server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/synchronization/notification.h"
#include "base/status.h"
#include "rpc/error_table.h"
#include "rpc/http_dispatcher.h"
#include "vectron/vectron.grpc.pb.h"

namespace vectron::rpc {
namespace {

using ::testing::HasSubstr;

class GrpcServerTest : public testing::Test {
 protected:
  GrpcServerTest() : registry_(metrics_, clock_, {.max_in_flight = 4}) {
    EXPECT_TRUE(registry_.AddService("vectron.v1.VectronService").ok());
    registry_.Unary<v1::GetRequest, v1::GetResponse>(
        "vectron.v1.VectronService.Get", [this](CallContext& context, v1::GetRequest& request,
                                                v1::GetResponse& response, RpcDone done) {
          EXPECT_EQ(context.protocol, Protocol::kGrpc);
          if (request.id() == "none")
            return done(NotFound("point \"{}\" does not exist", request.id()));
          if (request.id() == "busy") return done(WithRetryAfter(ResourceExhausted("wait"), 70));
          if (request.id() == "drop") return;
          if (request.id() == "late") {
            late_ = std::thread([&response, done] {
              response.mutable_point()->set_id("came late");
              done(absl::OkStatus());
            });
            return;
          }
          deadline_seconds_ =
              context.deadline_nanos == 0
                  ? 0
                  : static_cast<double>(context.deadline_nanos - context.start_nanos) * 1e-9;
          response.mutable_point()->set_id(request.collection() +
                                           std::string(context.Header("x-a").value_or("-")));
          done(absl::OkStatus());
        });
    registry_.Unary<v1::UpsertRequest, v1::UpsertResponse>(
        "vectron.v1.VectronService.Upsert",
        [](CallContext&, v1::UpsertRequest& request, v1::UpsertResponse& response, RpcDone done) {
          response.set_upserted(request.points_size());
          done(absl::OkStatus());
        });
    registry_.Stream<v1::SearchRequest, v1::SearchResponse>(
        "vectron.v1.VectronService.SearchStream",
        [this](CallContext&, v1::SearchRequest& request, ServerStream<v1::SearchResponse> stream) {
          Search(request, std::move(stream));
        });
  }
  ~GrpcServerTest() override {
    if (late_.joinable()) late_.join();
  }

  void Search(v1::SearchRequest& request, ServerStream<v1::SearchResponse> stream) {
    if (request.query() == "fail") return stream.Finish(InvalidArgument("no"));
    if (request.query() == "drop") return;
    v1::SearchResponse response;
    if (request.query() == "flood") {
      // A reader that does not read: at some time the queue is full. Bounded, so that a defect
      // fails instead of hanging.
      response.set_query_id(std::string(size_t{256} << 10, 'x'));
      size_t written = 0;
      while (written < 10'000 && stream.Write(response)) ++written;
      flood_written_ = written;
      flooded_.Notify();
    } else {
      for (uint32_t i = 0; i < request.top_k(); ++i) {
        response.add_results()->set_id(std::to_string(i));
        EXPECT_TRUE(stream.Write(response));
      }
    }
    response.set_last(true);
    response.set_query_id("");
    stream.FinishWith(response);
    EXPECT_FALSE(stream.Write(response));
  }

  void Serve(GrpcServerOptions options = {.address = ""}) {
    auto server = GrpcServer::Start(std::move(options), registry_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
    stub_ = v1::VectronService::NewStub(server_->InProcessChannel());
  }
  grpc::Status Get(const std::string& id, v1::GetResponse& response) {
    grpc::ClientContext context;
    v1::GetRequest request;
    request.set_collection("c");
    request.set_id(id);
    return stub_->Get(&context, request, &response);
  }

  SystemClock clock_;
  Metrics metrics_;
  RpcRegistry registry_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<v1::VectronService::Stub> stub_;
  std::thread late_;
  double deadline_seconds_ = -1;
  std::atomic<size_t> flood_written_{0};
  absl::Notification flooded_;
};

TEST_F(GrpcServerTest, AnswersUnaryCalls) {
  Serve();
  v1::GetResponse response;
  EXPECT_TRUE(Get("p", response).ok());
  EXPECT_EQ(response.point().id(), "c-");
  EXPECT_EQ(deadline_seconds_, 0);
  EXPECT_TRUE(Get("late", response).ok());
  EXPECT_EQ(response.point().id(), "came late");
  EXPECT_EQ(registry_.in_flight(), 0u);
}

TEST_F(GrpcServerTest, CountsTheBytesOfMessages) {
  Serve();
  Counter& received = metrics_.AddCounter("vectron_grpc_received_bytes_total",
                                          "Bytes of messages received over gRPC.");
  Counter& sent =
      metrics_.AddCounter("vectron_grpc_sent_bytes_total", "Bytes of messages sent over gRPC.");
  v1::GetRequest get;
  get.set_collection("c");
  get.set_id("p");
  v1::GetResponse got;
  EXPECT_TRUE(Get("p", got).ok());
  EXPECT_EQ(received.value(), get.ByteSizeLong());
  EXPECT_EQ(sent.value(), got.ByteSizeLong());

  const uint64_t received_before = received.value();
  uint64_t expected = sent.value();
  grpc::ClientContext context;
  v1::SearchRequest request;
  request.set_top_k(3);
  auto reader = stub_->SearchStream(&context, request);
  v1::SearchResponse response;
  while (reader->Read(&response)) expected += response.ByteSizeLong();
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(received.value(), received_before + request.ByteSizeLong());
  EXPECT_EQ(sent.value(), expected);
}

TEST_F(GrpcServerTest, ShowsMetadataAndDeadlineToHandlers) {
  Serve();
  grpc::ClientContext context;
  context.AddMetadata("x-a", "b");
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  v1::GetResponse response;
  ASSERT_TRUE(stub_->Get(&context, v1::GetRequest(), &response).ok());
  EXPECT_EQ(response.point().id(), "b");
  EXPECT_GT(deadline_seconds_, 1);
  EXPECT_LE(deadline_seconds_, 30.1);
  grpc::ClientContext twice;
  twice.AddMetadata("x-a", "first");
  twice.AddMetadata("x-a", "last");
  ASSERT_TRUE(stub_->Get(&twice, v1::GetRequest(), &response).ok());
  EXPECT_EQ(response.point().id(), "last") << "as the nearest proxy wrote it";
}

TEST_F(GrpcServerTest, SendsErrorsWithTheirHint) {
  Serve();
  v1::GetResponse response;
  const absl::Status none = FromGrpc(Get("none", response));
  EXPECT_EQ(none.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(MessageOf(none), "point \"none\" does not exist");
  EXPECT_EQ(RetryAfterMillis(FromGrpc(Get("busy", response))), 70);
  EXPECT_EQ(Get("drop", response).error_code(), grpc::StatusCode::INTERNAL);
  grpc::ClientContext context;
  v1::DeleteResponse deleted;
  EXPECT_EQ(stub_->Delete(&context, v1::DeleteRequest(), &deleted).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(GrpcServerTest, RefusesMessagesPastTheBound) {
  GrpcServerOptions options;
  options.max_message_bytes = 1'000;
  Serve(options);
  const auto stub = v1::VectronService::NewStub(
      grpc::CreateChannel(server_->bound_address(), grpc::InsecureChannelCredentials()));
  v1::UpsertRequest request;
  v1::UpsertResponse response;
  request.add_points()->set_id("a");
  grpc::ClientContext small;
  EXPECT_TRUE(stub->Upsert(&small, request, &response).ok());
  EXPECT_EQ(response.upserted(), 1);
  request.set_request_id(std::string(2'000, 'x'));
  grpc::ClientContext large;
  EXPECT_EQ(stub->Upsert(&large, request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(GrpcServerTest, StreamsBestSoFarAndEndsWithTheLast) {
  Serve();
  grpc::ClientContext context;
  v1::SearchRequest request;
  request.set_top_k(3);
  auto reader = stub_->SearchStream(&context, request);
  v1::SearchResponse response;
  int count = 0;
  while (reader->Read(&response)) {
    ++count;
    EXPECT_EQ(response.last(), count == 4);
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(count, 4);
}

TEST_F(GrpcServerTest, EndsStreamsThatFailOrAreDropped) {
  Serve();
  for (const auto& [query, code] : {std::pair{"fail", grpc::StatusCode::INVALID_ARGUMENT},
                                    std::pair{"drop", grpc::StatusCode::INTERNAL}}) {
    grpc::ClientContext context;
    v1::SearchRequest request;
    request.set_query(query);
    auto reader = stub_->SearchStream(&context, request);
    v1::SearchResponse response;
    EXPECT_FALSE(reader->Read(&response));
    EXPECT_EQ(reader->Finish().error_code(), code) << query;
  }
  EXPECT_EQ(registry_.in_flight(), 0u);
}

TEST_F(GrpcServerTest, HoldsAFewAnswersForASlowReaderAndStillSendsTheLast) {
  Serve({.address = "127.0.0.1:0"});
  const auto stub = v1::VectronService::NewStub(
      grpc::CreateChannel(server_->bound_address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  v1::SearchRequest request;
  request.set_query("flood");
  auto reader = stub->SearchStream(&context, request);
  flooded_.WaitForNotification();
  EXPECT_GE(flood_written_, kMaxQueuedStreamMessages);
  EXPECT_LT(flood_written_, 10'000u);
  v1::SearchResponse response;
  size_t count = 0;
  while (reader->Read(&response)) ++count;
  EXPECT_EQ(count, flood_written_ + 1);
  EXPECT_TRUE(response.last());
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(GrpcServerTest, SurvivesClientsThatCancelStreams) {
  Serve();
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    v1::SearchRequest request;
    request.set_top_k(10);
    auto reader = stub_->SearchStream(&context, request);
    if (i % 2 == 0) {
      v1::SearchResponse response;
      reader->Read(&response);
    }
    context.TryCancel();
    reader->Finish();
  }
  v1::GetResponse response;
  EXPECT_TRUE(Get("p", response).ok());
}

// The standard services, asked by hand: their stubs are in no package the project builds on.
std::string CallRaw(grpc::Channel& channel, const std::string& method, const std::string& request,
                    grpc::Status& status) {
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(
      std::shared_ptr<grpc::ChannelInterface>(&channel, [](grpc::ChannelInterface*) {}));
  auto stream = stub.PrepareCall(&context, method, &queue);
  void* tag = nullptr;
  bool ok = false;
  stream->StartCall(nullptr);
  queue.Next(&tag, &ok);
  const grpc::Slice slice(request);
  stream->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
  queue.Next(&tag, &ok);
  grpc::ByteBuffer answer;
  stream->Read(&answer, nullptr);
  queue.Next(&tag, &ok);
  const bool read = ok;
  stream->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  grpc::Slice bytes;
  if (!read || !answer.DumpToSingleSlice(&bytes).ok()) return "";
  return {reinterpret_cast<const char*>(bytes.begin()), bytes.size()};
}

TEST_F(GrpcServerTest, ServesHealthAndReflection) {
  Serve();
  grpc::Status status;
  const auto channel = server_->InProcessChannel();
  // HealthCheckRequest {service = 1}; HealthCheckResponse {status = 1}, SERVING = 1.
  EXPECT_EQ(CallRaw(*channel, "/grpc.health.v1.Health/Check", "", status), "\x08\x01");
  EXPECT_EQ(
      CallRaw(*channel, "/grpc.health.v1.Health/Check", "\n\x19vectron.v1.VectronService", status),
      "\x08\x01");
  EXPECT_EQ(CallRaw(*channel, "/grpc.health.v1.Health/Check", "\n\x01x", status), "");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  // ServerReflectionRequest {list_services = 7}, {file_containing_symbol = 4}.
  const std::string info = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
  EXPECT_THAT(CallRaw(*channel, info, ":\x01*", status), HasSubstr("vectron.v1.VectronService"));
  EXPECT_THAT(CallRaw(*channel, info, "\"\x19vectron.v1.VectronService", status),
              HasSubstr("SearchStream"));
}

TEST_F(GrpcServerTest, ListensOnAFreePortAndSaysWhenItCannot) {
  Serve({.address = "127.0.0.1:0"});
  EXPECT_GT(server_->port(), 0);
  EXPECT_EQ(server_->bound_address(), "127.0.0.1:" + std::to_string(server_->port()));
  const auto second = GrpcServer::Start({.address = server_->bound_address()}, registry_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(GrpcServerTest, StopsWithCallsInTheAir) {
  Serve({.address = "127.0.0.1:0"});
  const auto stub = v1::VectronService::NewStub(
      grpc::CreateChannel(server_->bound_address(), grpc::InsecureChannelCredentials()));
  std::atomic<bool> stop{false};
  absl::Notification begun;
  std::thread caller([&] {
    while (!stop) {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
      v1::GetResponse response;
      const grpc::Status status = stub->Get(&context, v1::GetRequest(), &response);
      if (!begun.HasBeenNotified()) begun.Notify();
      EXPECT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                  status.error_code() == grpc::StatusCode::CANCELLED)
          << status.error_message();
    }
  });
  begun.WaitForNotification();
  server_->Stop(1'000);
  server_->Stop(1'000);
  stop = true;
  caller.join();
}

TEST_F(GrpcServerTest, ServesManyCallersAtOnce) {
  Serve();
  std::vector<std::thread> threads;
  std::atomic<int> refused{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        v1::GetResponse response;
        const grpc::Status status = Get("p", response);
        if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) {
          ++refused;
        } else {
          EXPECT_TRUE(status.ok()) << status.error_message();
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(registry_.in_flight(), 0u);
  EXPECT_EQ(registry_.Find("vectron.v1.VectronService.Get")->stats().errors,
            static_cast<uint64_t>(refused));
}

}  // namespace
}  // namespace vectron::rpc
