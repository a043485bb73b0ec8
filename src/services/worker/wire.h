#pragma once

// What the parts of WorkerService share.

#include <google/protobuf/repeated_field.h>

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rpc/worker_api.h"
#include "services/worker/worker.h"
#include "vectron/worker.pb.h"

namespace vectron::worker {

// "vectron.worker.v1.WorkerService.Search"
std::string RpcName(std::string_view method);

absl::Status CheckRequestId(std::string_view request_id);

// Writes that come off the wire: checked against the collection, ids made unique.
void CheckedUpsert(Worker& worker, rpc::ShardUpsert upsert, int64_t deadline_nanos,
                   std::function<void(absl::StatusOr<rpc::WriteAck>)> done);
void CheckedDelete(Worker& worker, rpc::ShardDelete request, int64_t deadline_nanos,
                   std::function<void(absl::StatusOr<rpc::WriteAck>)> done);

// The target of a request of the contract: an epoch of 0 is any.
inline rpc::ShardTarget TargetOf(uint64_t shard_id, uint64_t shard_epoch) {
  return {.group = GroupId{shard_id}, .epoch = shard_epoch == 0 ? ~uint64_t{0} : shard_epoch};
}

// Vectors of the contract as points, plundered. InvalidArgument naming the vector: lengths that
// differ, metadata that is no JSON object, none or too many.
absl::StatusOr<PointBatch> PointsOf(google::protobuf::RepeatedPtrField<v1::Vector>& vectors);

}  // namespace vectron::worker
