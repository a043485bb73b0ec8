#pragma once

// Searches that took long, each with the plan of every shard: the newest in memory for the console,
// all of them in a file of JSON lines (a vectron.management.v1.SlowQuery each) that is renamed to
// `<path>.1` when it has grown to its limit.
//
// Never in it: vectors, query texts, payloads, or values of filters.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/file.h"
#include "model/convert.h"
#include "model/filter.h"
#include "rpc/call_context.h"
#include "vectron/management.pb.h"

namespace vectron::gateway {

// "must: year range, tags[] match; must_not: a exists": what a filter asks, without its values; at
// most kMaxFilterShapeBytes, then "...".
std::string FilterShape(const Filter& filter);
inline constexpr size_t kMaxFilterShapeBytes = 512;

// What is noted of a search at its begin: cheap, since most are not slow.
struct WatchedSearch {
  int64_t start_nanos = 0;
  std::string owner;
  std::string collection;
  std::shared_ptr<const Filter> filter;  // shared with the search
  rpc::Protocol protocol = rpc::Protocol::kInProcess;
  Consistency consistency = Consistency::kUnspecified;
  uint32_t top_k = 0;
  uint32_t offset = 0;
  uint32_t ef = 0;
  bool exact = false;
  bool stream = false;
};

// Thread-safe.
class SlowQueryLog {
 public:
  static constexpr size_t kKept = 512;                          // in memory
  static constexpr uint64_t kMaxFileBytes = uint64_t{8} << 20;  // two files of this size at most
  static constexpr size_t kMaxUnwrittenBytes = size_t{1}
                                               << 20;  // past it lines are dropped from the file

  struct Options {
    std::string path;
    double threshold_ms = 500;  // slower ones are logged; 0: all
  };
  // What it borrows; all outlive it. The executor runs what blocks on the disk.
  struct Deps {
    FileSystem* files = nullptr;
    const Clock* clock = nullptr;
    Executor* executor = nullptr;
  };
  // Goes on with what the file has; damaged lines are passed over.
  static absl::StatusOr<std::unique_ptr<SlowQueryLog>> Open(const Options& options,
                                                            const Deps& deps);
  // Waits for what is being written.
  ~SlowQueryLog();
  SlowQueryLog(const SlowQueryLog&) = delete;
  SlowQueryLog& operator=(const SlowQueryLog&) = delete;

  using Done = std::function<void(absl::StatusOr<SearchReply>)>;
  using Progress = std::function<bool(SearchReply)>;
  // Makes a search one whose shards tell what they do, and whose end is logged when it was slow.
  // The caller sees of it what it asked for. `progress` may be null.
  void Watch(const rpc::CallContext& context, SearchCall& call, Progress& progress, Done& done);

  // The newest first; of one collection unless it is empty.
  std::vector<management::v1::SlowQuery> Newest(const std::string& collection, size_t limit) const;
  double threshold_ms() const { return threshold_ms_.load(std::memory_order_relaxed); }
  void SetThreshold(double threshold_ms) {
    threshold_ms_.store(threshold_ms, std::memory_order_relaxed);
  }
  uint64_t total() const;  // since the start

 private:
  SlowQueryLog(const Options& options, const Deps& deps);
  absl::Status Load();
  // Keeps a search that has ended if it was slow.
  void Judge(const WatchedSearch& search, const absl::StatusOr<SearchReply>& reply);
  void Write();  // on the executor
  absl::Status Append(const std::string& lines);

  const Options options_;
  const Deps deps_;
  std::atomic<double> threshold_ms_;
  std::unique_ptr<File> file_;  // of the writer, as is its size
  uint64_t file_bytes_ = 0;

  mutable absl::Mutex mutex_;
  std::deque<management::v1::SlowQuery> kept_ ABSL_GUARDED_BY(mutex_);  // the oldest first
  std::string unwritten_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t total_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;  // lines, since the last one that was written
  SerialExecutor writer_;                         // last: its tasks use everything above
};

}  // namespace vectron::gateway
