#include "rpc/worker_client.h"

#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "rpc/unary_client_call.h"
#include "rpc/worker_codec.h"
#include "vectron/worker.grpc.pb.h"

namespace vectron::rpc {
namespace {

namespace wire_v1 = worker::v1;
using Async = wire_v1::WorkerService::StubInterface::async_interface;

template <typename Request, typename Response>
using Call = UnaryClientCall<wire_v1::WorkerService, Request, Response>;

template <typename Request, typename Response>
auto NewCall(ChannelPool& channels) {
  return std::make_unique<Call<Request, Response>>(channels);
}

// Hands the answers of a search on, one for each target: a target that the worker passed over has
// failed.
void DeliverAnswers(const std::vector<GroupId>& groups, const absl::Status& status,
                    wire_v1::SearchShardsResponse& response,
                    const std::function<void(ShardAnswer)>& each) {
  if (!status.ok()) {
    for (const GroupId group : groups) each({.group = group, .answer = status});
    return;
  }
  if (static_cast<size_t>(response.answers_size()) != groups.size()) {
    const absl::Status error =
        Internal("the worker answered for {} of {} shards", response.answers_size(), groups.size());
    for (const GroupId group : groups) each({.group = group, .answer = error});
    return;
  }
  for (size_t i = 0; i < groups.size(); ++i) {
    ShardAnswer answer = FromWire(*response.mutable_answers(static_cast<int>(i)));
    if (answer.group != groups[i]) {
      answer = {.group = groups[i],
                .answer = Internal("the worker answered for shard group {} instead of {}",
                                   answer.group.value, groups[i].value)};
    }
    each(std::move(answer));
  }
}

}  // namespace

WorkerClient::WorkerClient(std::string address, ChannelOptions options, const Clock& clock)
    : channels_(std::move(address), std::move(options), clock) {}
WorkerClient::~WorkerClient() = default;

void WorkerClient::Upsert(ShardUpsert request, int64_t deadline_nanos,
                          std::function<void(absl::StatusOr<WriteAck>)> done) {
  auto call = NewCall<wire_v1::UpsertPointsRequest, wire_v1::WritePointsResponse>(channels_);
  ToWire(std::move(request), call->request);
  call->Send(std::move(call), &Async::UpsertPoints, deadline_nanos,
             [done = std::move(done)](const absl::Status& status,
                                      const wire_v1::WritePointsResponse& response) {
               if (!status.ok()) return done(status);
               done(WriteAck{.version = response.version()});
             });
}

void WorkerClient::Delete(ShardDelete request, int64_t deadline_nanos,
                          std::function<void(absl::StatusOr<WriteAck>)> done) {
  auto call = NewCall<wire_v1::DeletePointRequest, wire_v1::WritePointsResponse>(channels_);
  ToWire(std::move(request), call->request);
  call->Send(std::move(call), &Async::DeletePoint, deadline_nanos,
             [done = std::move(done)](const absl::Status& status,
                                      const wire_v1::WritePointsResponse& response) {
               if (!status.ok()) return done(status);
               done(WriteAck{.version = response.version()});
             });
}

void WorkerClient::Get(ShardGet request, int64_t deadline_nanos,
                       std::function<void(absl::StatusOr<std::optional<PointRecord>>)> done) {
  auto call = NewCall<wire_v1::GetPointRequest, wire_v1::GetPointResponse>(channels_);
  std::shared_ptr<Cancellation> cancellation = std::move(request.cancellation);
  ToWire(std::move(request), call->request);
  call->Send(
      std::move(call), &Async::GetPoint, deadline_nanos,
      [done = std::move(done)](const absl::Status& status, wire_v1::GetPointResponse& response) {
        if (!status.ok()) return done(status);
        if (!response.has_point()) return done(std::optional<PointRecord>());
        done(std::optional<PointRecord>(FromWire(*response.mutable_point())));
      },
      std::move(cancellation));
}

void WorkerClient::Search(ShardsSearch request, int64_t deadline_nanos,
                          std::function<void(ShardAnswer)> each) {
  CHECK(!request.targets.empty());
  std::vector<GroupId> groups;
  for (const ShardTarget& target : request.targets) groups.push_back(target.group);
  auto call = NewCall<wire_v1::SearchShardsRequest, wire_v1::SearchShardsResponse>(channels_);
  std::shared_ptr<Cancellation> cancellation = std::move(request.cancellation);
  ToWire(std::move(request), call->request);
  call->Send(
      std::move(call), &Async::SearchShards, deadline_nanos,
      [groups = std::move(groups), each = std::move(each)](
          const absl::Status& status, wire_v1::SearchShardsResponse& response) {
        DeliverAnswers(groups, status, response, each);
      },
      std::move(cancellation));
}

void WorkerClient::Scan(ShardScan request, int64_t deadline_nanos,
                        std::function<void(absl::StatusOr<ScanPage>)> done) {
  auto call = NewCall<wire_v1::ScanShardRequest, wire_v1::ScanShardResponse>(channels_);
  std::shared_ptr<Cancellation> cancellation = std::move(request.cancellation);
  ToWire(std::move(request), call->request);
  call->Send(
      std::move(call), &Async::ScanShard, deadline_nanos,
      [done = std::move(done)](const absl::Status& status, wire_v1::ScanShardResponse& response) {
        if (!status.ok()) return done(status);
        done(FromWire(response));
      },
      std::move(cancellation));
}

void WorkerClient::Describe(std::vector<GroupId> groups, int64_t deadline_nanos,
                            std::function<void(absl::StatusOr<std::vector<ShardInfo>>)> done) {
  auto call = NewCall<wire_v1::DescribeShardsRequest, wire_v1::DescribeShardsResponse>(channels_);
  for (const GroupId group : groups) call->request.add_groups(group.value);
  call->Send(std::move(call), &Async::DescribeShards, deadline_nanos,
             [done = std::move(done)](const absl::Status& status,
                                      const wire_v1::DescribeShardsResponse& response) {
               if (!status.ok()) return done(status);
               std::vector<ShardInfo> infos;
               for (const auto& shard : response.shards()) infos.push_back(FromWire(shard));
               done(std::move(infos));
             });
}

}  // namespace vectron::rpc
