// Collections: made, deleted, listed, described.

#include <map>
#include <set>

#include "base/limits.h"
#include "base/status.h"
#include "model/collection.h"
#include "services/gateway/fan_in.h"
#include "services/gateway/gateway.h"

namespace vectron::gateway {
namespace {

using StatusDone = std::function<void(absl::StatusOr<v1::GetCollectionStatusResponse>)>;
using Infos = std::vector<rpc::ShardInfo>;

v1::GetCollectionStatusResponse DescribeCollection(const rpc::CollectionRecord& record,
                                                   const std::map<GroupId, rpc::ShardInfo>& infos) {
  v1::GetCollectionStatusResponse response;
  response.set_name(record.schema.name);
  response.set_dimension(static_cast<int32_t>(record.schema.dimension));
  response.set_distance(std::string(MetricName(record.schema.metric)));
  SchemaToProto(record.schema, *response.mutable_options());
  uint64_t points = 0;
  uint64_t indexed = 0;
  uint64_t bytes = 0;
  for (const rpc::ShardPlacement& shard : record.shards) {
    v1::ShardStatus& status = *response.add_shards();
    status.set_shard_id(shard.ordinal.value);
    for (const WorkerId replica : shard.replicas) status.add_replicas(replica.value);
    status.set_leader_id(shard.leader.value);
    const auto info = infos.find(shard.group);
    if (info == infos.end()) continue;
    status.set_ready(info->second.ready);
    points += info->second.points;
    indexed += info->second.indexed;
    bytes += info->second.disk_bytes;
  }
  response.set_point_count(points);
  response.set_indexed_count(indexed);
  response.set_size_bytes(bytes);
  return response;
}

}  // namespace

void Gateway::CreateCollection(const rpc::CallContext& context,
                               const v1::CreateCollectionRequest& request, rpc::RpcDone done) {
  absl::StatusOr<CollectionSchema> schema = SchemaFromProto(request, 1, 1);
  if (!schema.ok()) return done(schema.status());
  if (request.shard_count() == 0) schema->shard_count = deps_.default_shard_count;
  if (request.replication_factor() == 0) {
    schema->replication_factor = deps_.default_replication_factor;
  }
  deps_.placement->CreateCollection(*std::move(schema), context.tenant, std::move(done));
}

void Gateway::DeleteCollection(const rpc::CallContext& context, const std::string& name,
                               rpc::RpcDone done) {
  deps_.placement->DeleteCollection(context.tenant, name, std::move(done));
}

void Gateway::ListCollections(const rpc::CallContext& context,
                              std::function<void(std::vector<std::string> names)> done) {
  deps_.placement->CatchUp(
      [&placement = *deps_.placement, &context, done = std::move(done)](const absl::Status&) {
        const rpc::Identity* const who = context.identity.get();
        const bool everyones = rpc::ActsAsAdmin(who) && context.tenant == who->user_id;
        std::set<std::string> names;
        for (const RecordPtr& record :
             everyones ? placement.AllCollections() : placement.ListCollections(context.tenant)) {
          if (rpc::MayUseCollection(who, record->schema.name)) names.insert(record->schema.name);
        }
        done({names.begin(), names.end()});
      });
}

void Gateway::GetCollectionStatus(const rpc::CallContext& context, const std::string& name,
                                  StatusDone done) {
  const absl::StatusOr<RecordPtr> found = Find(context.tenant, name);
  if (!found.ok()) return done(found.status());
  std::map<rpc::WorkerApi*, std::vector<GroupId>> groups_of;
  for (const rpc::ShardPlacement& shard : (*found)->shards) {
    const absl::StatusOr<Router::Choice> choice = router_.Choose(shard, RouteTo::kLeader);
    if (choice.ok()) groups_of[choice->worker].push_back(shard.group);
  }
  if (groups_of.empty()) return done(DescribeCollection(**found, {}));
  // A worker that does not answer leaves its shards not ready: the status is what can be known now.
  const auto all = std::make_shared<FanIn<Infos>>(  // shared by the workers' callbacks
      groups_of.size(), [record = *found, done = std::move(done)](FanIn<Infos>::Results results) {
        std::map<GroupId, rpc::ShardInfo> infos;
        for (const absl::StatusOr<Infos>& result : results) {
          if (!result.ok()) continue;
          for (const rpc::ShardInfo& info : *result) infos.emplace(info.group, info);
        }
        done(DescribeCollection(*record, infos));
      });
  size_t part = 0;
  for (auto& [worker, groups] : groups_of) {
    worker->Describe(
        std::move(groups), context.deadline_nanos,
        [all, part](absl::StatusOr<Infos> infos) { all->Set(part, std::move(infos)); });
    ++part;
  }
}

}  // namespace vectron::gateway
