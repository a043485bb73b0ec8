#pragma once

// A worker over a local log in a folder of its own, for the tests of this folder.

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

  TestWorker() {
    absl::StatusOr<std::unique_ptr<shard::LocalLog>> log =
        shard::LocalLog::Open(dir_ / "log", {.files = files_.get(),
                                             .resources = &resources_,
                                             .apply_executor = &apply_,
                                             .on_fatal = {}});
    CHECK_OK(log.status());
    log_ = *std::move(log);
    shards_ = MakeLocalShards({.shard = {.files = files_.get(),
                                         .clock = &clock,
                                         .apply_executor = &apply_,
                                         .background_executor = &background,
                                         .resources = &resources_,
                                         .timer = &timer},
                               .log = log_.get()});
    absl::StatusOr<std::unique_ptr<Worker>> made =
        Worker::Make(dir_.path(), {.files = files_.get(),
                                   .clock = &clock,
                                   .shards = shards_.get(),
                                   .search_executor = &search_});
    CHECK_OK(made.status());
    worker_ = *std::move(made);
  }
  ~TestWorker() {
    worker_.reset();
    log_.reset();
  }

  Worker& worker() { return *worker_; }
  // Shard `group` - 1 of a collection with this many shards.
  static rpc::ShardAssignment Assignment(uint64_t group, uint32_t shard_count) {
    CollectionSchema schema;
    schema.name = "docs";
    schema.dimension = kDimension;
    schema.shard_count = shard_count;
    return {.schema = std::move(schema),
            .group = GroupId{group},
            .ordinal = ShardOrdinal{static_cast<uint32_t>(group - 1)}};
  }

 private:
  TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  storage::RocksResources resources_;
  ThreadPool apply_{"apply", 2};
  ThreadPool search_{"search", 2};

 public:
  SystemClock clock;
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
