#pragma once

// A worker over a local log in a folder of its own, which may stop and start again; for the tests
// of this folder.

#include <memory>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "base/check.h"
#include "base/status.h"
#include "base/temp_dir.h"
#include "base/timer.h"
#include "services/worker/worker.h"
#include "storage/rocks_kv.h"

namespace vectron::worker {

class TestWorker {
 public:
  static constexpr uint32_t kDimension = 4;

  TestWorker() { Start(); }
  ~TestWorker() { Stop(); }

  void Start() {
    absl::StatusOr<std::unique_ptr<shard::LocalLog>> log =
        shard::LocalLog::Open(dir / "log", {.files = files.get(),
                                            .resources = &resources_,
                                            .apply_executor = &apply_,
                                            .on_fatal = {}});
    CHECK_OK(log.status());
    log_ = *std::move(log);
    shards_ = MakeLocalShards({.shard = {.files = files.get(),
                                         .clock = &clock,
                                         .read_executor = &search,
                                         .background_executor = &background,
                                         .resources = &resources_,
                                         .timer = &timer},
                               .log = log_.get()});
    absl::StatusOr<std::unique_ptr<Worker>> made =
        Worker::Make(dir.path(), {.files = files.get(),
                                  .clock = &clock,
                                  .shards = shards_.get(),
                                  .search_executor = search_executor,
                                  .max_open_files = max_open_files});
    CHECK_OK(made.status());
    worker_ = *std::move(made);
  }
  void Stop() {
    worker_.reset();
    shards_.reset();
    log_.reset();
  }

  Worker& worker() { return *worker_; }
  // Shard `group` - 1 of a collection with this many shards.
  static rpc::ShardAssignment Assignment(uint64_t group, uint32_t shard_count, uint64_t epoch = 1) {
    CollectionSchema schema;
    schema.name = "docs";
    schema.dimension = kDimension;
    schema.shard_count = shard_count;
    return {.schema = std::move(schema),
            .group = GroupId{group},
            .ordinal = ShardOrdinal{static_cast<uint32_t>(group - 1)},
            .epoch = epoch};
  }

  const TempDir dir;
  const std::unique_ptr<FileSystem> files = NewPosixFileSystem();
  uint64_t max_open_files = 20'000;  // from the next start on

 private:
  storage::RocksResources resources_;
  ThreadPool apply_{"apply", 2};

 public:
  SystemClock clock;
  ThreadPool search{"search", 2};
  Executor* search_executor = &search;  // from the next start on
  ThreadPool background{"build", 2};
  ThreadTimer timer{clock};

 private:
  std::unique_ptr<shard::LocalLog> log_;
  std::unique_ptr<ShardSource> shards_;
  std::unique_ptr<Worker> worker_;
};

// One call with the result of its callback.
template <typename Result, typename Call>
Result Await(Call call) {
  Result result = absl::UnknownError("");
  absl::Notification done;
  call([&](Result r) {
    result = std::move(r);
    done.Notify();
  });
  done.WaitForNotification();
  return result;
}

}  // namespace vectron::worker
