#pragma once

// The structures of worker_api.h and their messages of vectron.worker.v1, both ways. What comes off
// the wire is checked for its form (counts that must agree, bounds on nesting and lists, known
// numbers), so that whoever uses it need not; what only the schema can tell is not. Errors of the
// readers are InvalidArgument. Requests are plundered.

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rpc/worker_api.h"
#include "vectron/worker.pb.h"

namespace vectron::rpc {

void ToWire(const ShardTarget& target, worker::v1::ShardTarget& wire);
ShardTarget FromWire(const worker::v1::ShardTarget& wire);

void ToWire(const Filter& filter, worker::v1::ShardFilter& wire);
absl::StatusOr<Filter> FromWire(const worker::v1::ShardFilter& wire);

void ToWire(ShardUpsert&& request, worker::v1::UpsertPointsRequest& wire);
absl::StatusOr<ShardUpsert> FromWire(worker::v1::UpsertPointsRequest& wire);
void ToWire(ShardDelete&& request, worker::v1::DeletePointRequest& wire);
ShardDelete FromWire(worker::v1::DeletePointRequest& wire);
void ToWire(ShardGet&& request, worker::v1::GetPointRequest& wire);
absl::StatusOr<ShardGet> FromWire(worker::v1::GetPointRequest& wire);
void ToWire(PointRecord&& point, worker::v1::StoredPoint& wire);
PointRecord FromWire(worker::v1::StoredPoint& wire);

void ToWire(ShardsSearch&& request, worker::v1::SearchShardsRequest& wire);
absl::StatusOr<ShardsSearch> FromWire(worker::v1::SearchShardsRequest& wire);
void ToWire(ShardAnswer&& answer, worker::v1::ShardHits& wire);
// An answer that contradicts itself is an answer whose status is Internal.
ShardAnswer FromWire(worker::v1::ShardHits& wire);

void ToWire(ShardScan&& request, worker::v1::ScanShardRequest& wire);
absl::StatusOr<ShardScan> FromWire(worker::v1::ScanShardRequest& wire);
void ToWire(ScanPage&& page, worker::v1::ScanShardResponse& wire);
ScanPage FromWire(worker::v1::ScanShardResponse& wire);

void ToWire(const ShardInfo& info, worker::v1::ShardDescription& wire);
ShardInfo FromWire(const worker::v1::ShardDescription& wire);

// A status with its hints; not OK.
void ToWire(const absl::Status& status, worker::v1::ShardError& wire);
absl::Status FromWire(const worker::v1::ShardError& wire);

}  // namespace vectron::rpc
