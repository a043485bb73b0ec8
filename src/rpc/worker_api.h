#pragma once

// What the gateway asks of a worker. Two implementations: the worker service itself, when both live
// in one process, and a gRPC client of vectron.worker.v1.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/limits.h"
#include "model/collection.h"
#include "model/filter.h"
#include "model/ids.h"
#include "model/point.h"
#include "model/search.h"
#include "rpc/cancellation.h"

namespace vectron::rpc {

// Names one shard and the epoch of the map the caller routed by. A worker that knows a newer epoch
// answers FailedPrecondition.
struct ShardTarget {
  GroupId group;
  uint64_t epoch = 0;
};

struct ShardUpsert {
  ShardTarget target;
  PointBatch points;  // all of this shard, ids unique
  std::string request_id;
  bool insert_only = false;
};
struct ShardDelete {
  ShardTarget target;
  std::string id;
  std::string request_id;
};
struct ShardGet {
  ShardTarget target;
  std::string id;
  Consistency consistency = Consistency::kUnspecified;
  uint32_t max_staleness_ms = 0;
  std::shared_ptr<Cancellation> cancellation = nullptr;  // of its call between processes; so below
};
// One search of several shards of one worker.
struct ShardsSearch {
  std::vector<ShardTarget> targets;  // at least one
  SearchQuery query;
  std::shared_ptr<Cancellation> cancellation = nullptr;
};
struct ShardAnswer {
  GroupId group;
  absl::StatusOr<SearchAnswer> answer;
};
// A page of one shard's points in id order. Work is bounded: a page ends at `limit` points, at
// max_bytes of them, or after kMaxScanExamined points were looked at, whichever comes first.
struct ShardScan {
  ShardTarget target;
  std::string after_id;                  // exclusive; "" from the first
  uint32_t limit = 100;                  // at least 1
  size_t max_bytes = kMaxScanBytes;      // of the points of the page; one point may pass it
  std::shared_ptr<const Filter> filter;  // null: none
  bool include_vectors = false;
  Consistency consistency = Consistency::kUnspecified;
  uint32_t max_staleness_ms = 0;
  std::shared_ptr<Cancellation> cancellation = nullptr;
};
struct ScanPage {
  std::vector<PointRecord> points;  // that pass the filter, by id
  // Every matching point of the shard with after_id < id <= scanned_to is in `points`. Unless
  // `end`, there may be more behind it. So a merge of several shards is complete up to the least
  // scanned_to of those that are not at their end.
  std::string scanned_to;
  bool end = false;
};
struct WriteAck {
  uint64_t version = 0;
};
struct ShardInfo {
  GroupId group;
  uint64_t points = 0;
  uint64_t indexed = 0;
  uint64_t disk_bytes = 0;
  uint64_t memory_bytes = 0;
  uint64_t applied_index = 0;
  bool ready = false;
  bool leads = true;  // this replica leads the shard
};

// Thread-safe. Callbacks are called once, on any thread, maybe before the call returns.
// `deadline_nanos` is on the monotonic clock, 0 for none.
class WorkerApi {
 public:
  virtual ~WorkerApi() = default;
  virtual void Upsert(ShardUpsert request, int64_t deadline_nanos,
                      std::function<void(absl::StatusOr<WriteAck>)> done) = 0;
  virtual void Delete(ShardDelete request, int64_t deadline_nanos,
                      std::function<void(absl::StatusOr<WriteAck>)> done) = 0;
  virtual void Get(ShardGet request, int64_t deadline_nanos,
                   std::function<void(absl::StatusOr<std::optional<PointRecord>>)> done) = 0;
  // `each` is called once per target as its answer arrives, never twice at the same time.
  virtual void Search(ShardsSearch request, int64_t deadline_nanos,
                      std::function<void(ShardAnswer)> each) = 0;
  virtual void Scan(ShardScan request, int64_t deadline_nanos,
                    std::function<void(absl::StatusOr<ScanPage>)> done) = 0;
  virtual void Describe(std::vector<GroupId> groups, int64_t deadline_nanos,
                        std::function<void(absl::StatusOr<std::vector<ShardInfo>>)> done) = 0;
  // Calls under way to it, where that is counted: whom to ask when several could answer.
  virtual size_t load() const { return 0; }
};

}  // namespace vectron::rpc
