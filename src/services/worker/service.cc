#include "services/worker/service.h"

#include <set>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/status.h"
#include "model/ids.h"
#include "model/validate.h"
#include "rpc/worker_codec.h"
#include "services/worker/search_collect.h"
#include "services/worker/wire.h"

namespace vectron::worker {
namespace {

using rpc::CallContext;
using rpc::RpcDone;

// Answers a write, whose response has a version.
std::function<void(absl::StatusOr<rpc::WriteAck>)> AnswerWrite(v1::WritePointsResponse& response,
                                                               RpcDone done) {
  return [&response, done = std::move(done)](const absl::StatusOr<rpc::WriteAck>& ack) {
    if (ack.ok()) response.set_version(ack->version);
    done(ack.status());
  };
}

// A target answers once; which answer is whose is told by its group.
absl::Status CheckTargets(const std::vector<rpc::ShardTarget>& targets) {
  std::set<GroupId> groups;
  for (const rpc::ShardTarget& target : targets) {
    if (!groups.insert(target.group).second) {
      return InvalidArgument("targets: shard group {} is named twice", target.group.value);
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string RpcName(std::string_view method) {
  return fmt::format("vectron.worker.v1.WorkerService.{}", method);
}

absl::Status CheckRequestId(std::string_view request_id) {
  if (request_id.size() <= kMaxRequestIdBytes) return absl::OkStatus();
  return InvalidArgument("request_id: got {} bytes, at most {} are allowed", request_id.size(),
                         kMaxRequestIdBytes);
}

void CheckedUpsert(Worker& worker, rpc::ShardUpsert upsert, int64_t deadline_nanos,
                   std::function<void(absl::StatusOr<rpc::WriteAck>)> done) {
  absl::Status checked = CheckRequestId(upsert.request_id);
  if (checked.ok()) checked = worker.CheckPoints(upsert.target, upsert.points);
  if (!checked.ok()) return done(checked);
  upsert.points = KeepLastOfEachId(std::move(upsert.points));
  worker.Upsert(std::move(upsert), deadline_nanos, std::move(done));
}

void CheckedDelete(Worker& worker, rpc::ShardDelete request, int64_t deadline_nanos,
                   std::function<void(absl::StatusOr<rpc::WriteAck>)> done) {
  absl::Status checked = CheckRequestId(request.request_id);
  if (checked.ok()) checked = CheckPointId(request.id);
  if (!checked.ok()) return done(checked);
  worker.Delete(std::move(request), deadline_nanos, std::move(done));
}

WorkerService::WorkerService(const WorkerServiceDeps& deps) : deps_(deps) {
  CHECK(deps.worker != nullptr && deps.clock != nullptr && deps.timer != nullptr);
  CHECK(deps.background_executor != nullptr);
}

absl::Status WorkerService::Register(rpc::RpcRegistry& registry) {
  RETURN_IF_ERROR(registry.AddService("vectron.worker.v1.WorkerService"));
  RegisterPoints(registry);
  RegisterShards(registry);
  RegisterVectors(registry);
  RegisterSearches(registry);
  RegisterKeys(registry);
  RegisterStreams(registry);
  return absl::OkStatus();
}

void WorkerService::RegisterPoints(rpc::RpcRegistry& registry) {
  Worker& worker = *deps_.worker;
  registry.Unary<v1::UpsertPointsRequest, v1::WritePointsResponse>(
      RpcName("UpsertPoints"), [&worker](CallContext& context, v1::UpsertPointsRequest& request,
                                         v1::WritePointsResponse& response, RpcDone done) {
        absl::StatusOr<rpc::ShardUpsert> upsert = rpc::FromWire(request);
        if (!upsert.ok()) return done(upsert.status());
        CheckedUpsert(worker, *std::move(upsert), context.deadline_nanos,
                      AnswerWrite(response, std::move(done)));
      });
  registry.Unary<v1::DeletePointRequest, v1::WritePointsResponse>(
      RpcName("DeletePoint"), [&worker](CallContext& context, v1::DeletePointRequest& request,
                                        v1::WritePointsResponse& response, RpcDone done) {
        CheckedDelete(worker, rpc::FromWire(request), context.deadline_nanos,
                      AnswerWrite(response, std::move(done)));
      });
  registry.Unary<v1::GetPointRequest, v1::GetPointResponse>(
      RpcName("GetPoint"), [&worker](CallContext& context, v1::GetPointRequest& request,
                                     v1::GetPointResponse& response, RpcDone done) {
        absl::StatusOr<rpc::ShardGet> get = rpc::FromWire(request);
        if (!get.ok()) return done(get.status());
        worker.Get(
            *std::move(get), context.deadline_nanos,
            [&response, done = std::move(done)](absl::StatusOr<std::optional<PointRecord>> point) {
              if (point.ok() && point->has_value()) {
                rpc::ToWire(**std::move(point), *response.mutable_point());
              }
              done(point.status());
            });
      });
}

void WorkerService::RegisterShards(rpc::RpcRegistry& registry) {
  Worker& worker = *deps_.worker;
  registry.Unary<v1::SearchShardsRequest, v1::SearchShardsResponse>(
      RpcName("SearchShards"), [this](CallContext& context, v1::SearchShardsRequest& request,
                                      v1::SearchShardsResponse& response, RpcDone done) {
        absl::StatusOr<rpc::ShardsSearch> search = rpc::FromWire(request);
        if (!search.ok()) return done(search.status());
        const absl::Status checked = CheckTargets(search->targets);
        if (!checked.ok()) return done(checked);
        const auto collect = std::make_shared<SearchCollect>(
            deps_, [&response, done = std::move(done)](std::vector<rpc::ShardAnswer> answers) {
              for (rpc::ShardAnswer& answer : answers) {
                rpc::ToWire(std::move(answer), *response.add_answers());
              }
              done(absl::OkStatus());
            });
        collect->Start(*std::move(search), context.deadline_nanos);
      });
  registry.Unary<v1::ScanShardRequest, v1::ScanShardResponse>(
      RpcName("ScanShard"), [&worker](CallContext& context, v1::ScanShardRequest& request,
                                      v1::ScanShardResponse& response, RpcDone done) {
        absl::StatusOr<rpc::ShardScan> scan = rpc::FromWire(request);
        if (!scan.ok()) return done(scan.status());
        worker.Scan(*std::move(scan), context.deadline_nanos,
                    [&response, done = std::move(done)](absl::StatusOr<rpc::ScanPage> page) {
                      if (page.ok()) rpc::ToWire(*std::move(page), response);
                      done(page.status());
                    });
      });
  registry.Unary<v1::DescribeShardsRequest, v1::DescribeShardsResponse>(
      RpcName("DescribeShards"), [&worker](CallContext& context, v1::DescribeShardsRequest& request,
                                           v1::DescribeShardsResponse& response, RpcDone done) {
        std::vector<GroupId> groups;
        for (const uint64_t group : request.groups()) groups.push_back(GroupId{group});
        worker.Describe(std::move(groups), context.deadline_nanos,
                        [&response, done = std::move(done)](
                            const absl::StatusOr<std::vector<rpc::ShardInfo>>& infos) {
                          if (!infos.ok()) return done(infos.status());
                          for (const rpc::ShardInfo& info : *infos)
                            rpc::ToWire(info, *response.add_shards());
                          done(absl::OkStatus());
                        });
      });
}

}  // namespace vectron::worker
