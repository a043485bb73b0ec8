#pragma once

// A worker: the shards of one node, opened, served, created and destroyed. The front door of this
// folder.
//
// A shard is in one of three states: opening, serving, or failed (it could not be opened; why is
// kept and given to everyone who asks for it). One failed shard does not keep the others from being
// served.
//
// Below the worker's folder: shards/<group id>/ holds everything of one shard
// (docs/formats/data-folder.md).
//
// Thread-safe. Callbacks may run before the call returns, in the caller or on one of the executors.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/timer.h"
#include "rpc/shard_host_api.h"
#include "rpc/worker_api.h"
#include "services/worker/long_searches.h"
#include "services/worker/shard_source.h"
#include "shard/replicator.h"
#include "shard/shard.h"

namespace vectron::worker {

// What a worker borrows; all outlive it.
struct WorkerDeps {
  FileSystem* files = nullptr;
  const Clock* clock = nullptr;
  ShardSource* shards = nullptr;
  Executor* search_executor = nullptr;     // long searches, parts of others, scans
  uint64_t max_open_files = ~uint64_t{0};  // of the process; bounds how many shards can be made
};

// One shard as metrics and readiness see it.
struct ShardReport {
  rpc::ShardAssignment assignment;
  absl::Status state;  // OK: serves. Unavailable: opening. Else why it does not.
  shard::ShardStats stats;
  std::optional<shard::GroupView> group;  // of a replicated shard
};

class Worker : public rpc::WorkerApi, public rpc::ShardHostApi {
 public:
  // dir: made when missing. Errors: Internal, ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<Worker>> Make(const std::string& dir,
                                                      const WorkerDeps& deps);
  // Closes every shard, as many at a time as the search executor runs. No call may be under way or
  // follow.
  ~Worker() override;

  // Opens shards that exist on disk, in parallel on `executor`, and returns when each serves or has
  // failed. Requests may come meanwhile. A missing folder is DataLoss: a shard that once served is
  // begun anew only where its group can refill it (ShardSource::CanRefill).
  void OpenShards(const std::vector<rpc::ShardAssignment>& assignments, Executor& executor);
  // Opens a shard that exists on disk or makes it, and serves it. Errors: AlreadyExists,
  // ResourceExhausted, and why opening failed; a replica that cannot be opened stays as it is.
  absl::Status AddShard(const rpc::ShardAssignment& assignment);
  bool Holds(GroupId group) const;
  bool HoldsReplica(GroupId group, uint64_t replica) const;
  // Removes what is kept of a destroyed shard, unless there is a new one in its place.
  absl::Status ForgetShard(GroupId group);
  // Makes a shard's new epoch known: requests with an older one are refused from now on. NotFound.
  absl::Status SetEpoch(GroupId group, uint64_t epoch);
  // About once a second, from any one thread.
  void Tick();
  // By group.
  std::vector<ShardReport> Report() const;

  // WorkerApi. Errors beside those of the shards: FailedPrecondition (the shard is not here, or the
  // epoch is old), Unavailable (opening), or why opening failed (DataLoss, ...). Reads stop at
  // their deadline (DeadlineExceeded), and once they are called off (Cancelled).
  void Upsert(rpc::ShardUpsert request, int64_t deadline_nanos,
              std::function<void(absl::StatusOr<rpc::WriteAck>)> done) override;
  void Delete(rpc::ShardDelete request, int64_t deadline_nanos,
              std::function<void(absl::StatusOr<rpc::WriteAck>)> done) override;
  void Get(rpc::ShardGet request, int64_t deadline_nanos,
           std::function<void(absl::StatusOr<std::optional<PointRecord>>)> done) override;
  void Search(rpc::ShardsSearch request, int64_t deadline_nanos,
              std::function<void(rpc::ShardAnswer)> each) override;
  void Scan(rpc::ShardScan request, int64_t deadline_nanos,
            std::function<void(absl::StatusOr<rpc::ScanPage>)> done) override;
  // Of shards that do not serve only `ready` (false) is told. Nor is one ready in which a read met
  // damaged data, though it serves what is whole.
  void Describe(std::vector<GroupId> groups, int64_t deadline_nanos,
                std::function<void(absl::StatusOr<std::vector<rpc::ShardInfo>>)> done) override;

  // For the RPCs of the wire, whose callers may be anyone with the cluster's credential. Errors as
  // above and InvalidArgument.
  absl::Status CheckPoints(const rpc::ShardTarget& target, const PointBatch& points) const;
  // Keys beside the points: checked, see shard::KeyWrite.
  void WriteKey(const rpc::ShardTarget& target, shard::KeyWrite write,
                std::function<void(absl::StatusOr<rpc::WriteAck>)> done);
  void GetKey(const rpc::ShardTarget& target, const std::string& key,
              std::function<void(absl::StatusOr<std::optional<std::string>>)> done) const;
  // The shards of a collection that are here, by ordinal. NotFound; FailedPrecondition (several
  // owners have one of this name).
  absl::StatusOr<std::vector<rpc::ShardTarget>> ShardsOf(const std::string& collection) const;
  // Blocks until everything acknowledged is in files.
  absl::Status Flush(const rpc::ShardTarget& target);
  absl::StatusOr<shard::ShardStats> Stats(const rpc::ShardTarget& target) const;
  // A page of what this replica has now; blocks.
  absl::StatusOr<rpc::ScanPage> ScanNow(rpc::ShardScan request) const;
  // One point as this replica has it now.
  absl::StatusOr<std::optional<PointRecord>> GetNow(const rpc::ShardTarget& target,
                                                    const std::string& id) const;
  // Applied entries after `after`, at most max_entries of them. OutOfRange: the log no longer has
  // them.
  absl::StatusOr<std::vector<shard::Entry>> ReadLog(const rpc::ShardTarget& target, uint64_t after,
                                                    uint64_t max_entries) const;

  // ShardHostApi.
  absl::Status CreateShard(const rpc::ShardAssignment& assignment) override;
  absl::Status DestroyShard(GroupId group) override;
  absl::StatusOr<std::vector<GroupId>> StoredShards() override;

 private:
  // Shared by all requests that use the shard just now; when the last one lets go, Slot::unused is
  // notified.
  using Handle = std::shared_ptr<shard::Shard>;
  struct Slot {
    std::shared_ptr<const rpc::ShardAssignment> assignment;  // shared with who reads it unlocked
    uint64_t epoch = 0;                                      // newest
    absl::Status state;
    std::unique_ptr<shard::Shard> shard;  // null unless state is OK
    Handle handle;                        // of the same shard
    std::unique_ptr<absl::Notification> unused;
  };

  Worker(std::string dir, const WorkerDeps& deps);

  std::string ShardDir(GroupId group) const;
  // Whether one shard more may be made: AlreadyExists, ResourceExhausted (open files).
  absl::Status CheckRoomFor(GroupId group) const;
  // Makes an opened shard (or why it could not be) known.
  void Publish(GroupId group, absl::StatusOr<std::unique_ptr<shard::Shard>> opened);
  absl::StatusOr<const Slot*> Find(const rpc::ShardTarget& target) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Handle> Use(const rpc::ShardTarget& target) const;
  // The same error; of a replica that does not lead, with a hint at who does.
  absl::Status WithHint(GroupId group, const absl::Status& error) const;
  shard::WriteCallback AckWrite(Handle shard, GroupId group,
                                std::function<void(absl::StatusOr<rpc::WriteAck>)> done) const;
  // Takes a shard out of the table and waits for requests that use it; null when it is not open.
  std::unique_ptr<shard::Shard> Take(GroupId group);

  const std::string dir_;
  const WorkerDeps deps_;
  LongSearches long_searches_;
  std::atomic<size_t> searches_under_way_{0};  // calls of Search over several shards

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, Slot> slots_ ABSL_GUARDED_BY(mutex_);  // by group
};

}  // namespace vectron::worker
