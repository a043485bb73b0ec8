#pragma once

// One shard over its real parts: RocksDB, the HNSW index, the local log, thread pools. For tests of
// this folder.

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/timer.h"
#include "shard/local_log.h"
#include "shard/shard.h"
#include "storage/rocks_kv.h"

namespace vectron::shard {

class RealNode {
 public:
  // Everything lives below `dir`.
  RealNode(std::string dir, CollectionSchema schema, FileSystem* files = nullptr)
      : own_files_(NewPosixFileSystem()), files_(files != nullptr ? files : own_files_.get()) {
    options_ = {.schema = std::move(schema), .group = {7}, .ordinal = {0}, .dir = dir + "/shard"};
    absl::StatusOr<std::unique_ptr<LocalLog>> log =
        LocalLog::Open(dir + "/log", {.files = files_,
                                      .resources = &resources_,
                                      .apply_executor = &apply_pool_,
                                      .on_fatal = {}});
    CHECK_OK(log.status());
    log_ = *std::move(log);
  }
  ~RealNode() { Close(); }

  absl::Status Open() {
    absl::StatusOr<std::unique_ptr<Shard>> shard =
        Shard::Open(options_,
                    {.files = files_,
                     .clock = &clock_,
                     .read_executor = &apply_pool_,
                     .background_executor = &background_pool_,
                     .resources = &resources_,
                     .timer = &timer_},
                    [this](Applier& applier, uint64_t applied) {
                      return log_->Attach(options_.group, applier, applied);
                    });
    if (shard.ok()) shard_ = *std::move(shard);
    return shard.status();
  }
  void Close() {
    if (shard_ == nullptr) return;
    shard_.reset();
    log_->Detach(options_.group);
  }

  absl::StatusOr<WriteResult> Upsert(UpsertWrite write) {
    std::promise<absl::StatusOr<WriteResult>> answer;
    shard_->Upsert(std::move(write), 0, [&](absl::StatusOr<WriteResult> result) {
      answer.set_value(std::move(result));
    });
    return answer.get_future().get();
  }
  absl::StatusOr<WriteResult> Delete(std::string id) {
    std::promise<absl::StatusOr<WriteResult>> answer;
    shard_->Delete({std::move(id), ""}, 0, [&](absl::StatusOr<WriteResult> result) {
      answer.set_value(std::move(result));
    });
    return answer.get_future().get();
  }
  absl::StatusOr<SearchAnswer> Search(const SearchQuery& query) {
    std::promise<absl::StatusOr<SearchAnswer>> answer;
    shard_->Search(query, {}, [&](absl::StatusOr<SearchAnswer> result) {
      answer.set_value(std::move(result));
    });
    return answer.get_future().get();
  }
  absl::StatusOr<std::optional<PointRecord>> Get(const std::string& id) {
    std::promise<absl::StatusOr<std::optional<PointRecord>>> answer;
    shard_->Get(id, {}, [&](absl::StatusOr<std::optional<PointRecord>> result) {
      answer.set_value(std::move(result));
    });
    return answer.get_future().get();
  }
  Shard& shard() { return *shard_; }

 private:
  ShardOptions options_;
  const std::unique_ptr<FileSystem> own_files_;
  FileSystem* const files_;
  SystemClock clock_;
  ThreadTimer timer_{clock_};
  ThreadPool apply_pool_{"apply", 2};
  ThreadPool background_pool_{"background", 2};
  storage::RocksResources resources_;
  std::unique_ptr<LocalLog> log_;
  std::unique_ptr<Shard> shard_;
};

}  // namespace vectron::shard
