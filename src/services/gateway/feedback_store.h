#pragma once

// Feedback on disk, in SQLite: what was said (kept for the retention time, exported page by page),
// and a queue of what the reranker has still to learn. docs/formats/feedback.md has the tables.
//
// A collection is told from an earlier one of its name by when it was made. What belongs to
// collections that are no more goes (Forget), and deleted rows are overwritten on disk.
//
// Writes that wait share one transaction, synced before any of them is answered. Thread-safe;
// callbacks run on the store's executor.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/executor.h"
#include "vectron/reranker.pb.h"
#include "vectron/vectron.pb.h"

struct sqlite3;
struct sqlite3_stmt;

namespace vectron::gateway {

struct FeedbackStoreOptions {
  std::string path;
  int64_t retention_days = 90;  // older feedback goes; 0: none does
  uint64_t max_bytes = 0;       // of the file; past it ResourceExhausted; 0: the disk's size
};

// Whose feedback it is and about what.
struct FeedbackSubject {
  std::string tenant;
  std::string collection;
  int64_t made_unix_ms = 0;  // when the collection was made; 0: before this was noted

  bool operator<(const FeedbackSubject& other) const {
    return std::tie(tenant, collection, made_unix_ms) <
           std::tie(other.tenant, other.collection, other.made_unix_ms);
  }
};

// One SubmitFeedback on its way to disk.
struct FeedbackWrite {
  std::string tenant;
  int64_t made_unix_ms = 0;
  std::string feedback_id;
  v1::SubmitFeedbackRequest request;
  bool learn = false;                      // goes to the reranker as well
  reranker::v1::LearnRecord learn_record;  // without its number
};

class FeedbackStore {
 public:
  // The executor runs the store's work, one piece at a time; it and the clock outlive the store.
  // DataLoss (damaged file), ResourceExhausted, Internal.
  static absl::StatusOr<std::unique_ptr<FeedbackStore>> Open(const FeedbackStoreOptions& options,
                                                             const Clock& clock,
                                                             Executor& executor);
  ~FeedbackStore();  // waits for what was begun
  FeedbackStore(const FeedbackStore&) = delete;
  FeedbackStore& operator=(const FeedbackStore&) = delete;

  // OK when it is on disk. ResourceExhausted (file or disk full, too many waiting), DataLoss.
  void Write(FeedbackWrite write, std::function<void(absl::Status)> done);
  // Feedback on a collection with numbers above `after`, oldest first, and how much there is of any
  // number.
  void List(FeedbackSubject subject, uint64_t after, uint32_t limit,
            std::function<void(absl::StatusOr<v1::ListFeedbackResponse>)> done);

  // --- The queue to the reranker; called on the executor (Run). ---
  // A name of this store that no other has: numbers count within it.
  const std::string& source() const { return source_; }
  absl::StatusOr<std::vector<reranker::v1::LearnRecord>> QueuedAfter(uint64_t number, size_t most);
  absl::Status DropQueued(uint64_t through);
  // Runs a task in order with the store's own work.
  void Run(std::function<void()> task) { serial_.Schedule(std::move(task)); }
  // Deletes what is past its time, a bounded piece; true when there is more.
  absl::StatusOr<bool> Expire();
  // All there is, or was, feedback about.
  absl::StatusOr<std::vector<FeedbackSubject>> Subjects();
  // Deletes the feedback on a subject, a bounded piece, and what is queued of it; true when there
  // is more.
  absl::StatusOr<bool> Forget(const FeedbackSubject& subject);

 private:
  using Statement = std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)>;
  struct Waiting {
    FeedbackWrite write;
    std::function<void(absl::Status)> done;
  };

  FeedbackStore(const FeedbackStoreOptions& options, const Clock& clock, Executor& executor);
  absl::Status OpenFile();
  absl::Status Execute(const char* sql);
  absl::StatusOr<Statement> Prepare(const char* sql);
  absl::Status ErrorOf(int code) const;
  absl::StatusOr<std::string> ReadSource();
  void WriteWaiting();
  absl::Status WriteAll(const std::vector<Waiting>& batch);
  absl::Status Insert(const FeedbackWrite& write);
  absl::Status InsertItems(const FeedbackWrite& write, int64_t number);
  absl::Status Enqueue(const reranker::v1::LearnRecord& record);
  absl::Status DropQueuedOf(const FeedbackSubject& subject);
  absl::StatusOr<v1::ListFeedbackResponse> ReadPage(const FeedbackSubject& subject, uint64_t after,
                                                    uint32_t limit);
  absl::StatusOr<uint64_t> CountOf(const FeedbackSubject& subject);
  absl::Status ReadItems(v1::FeedbackRecord& record);

  const FeedbackStoreOptions options_;
  const Clock& clock_;
  std::unique_ptr<sqlite3, int (*)(sqlite3*)> db_;
  std::string source_;
  absl::Mutex mutex_;
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  SerialExecutor serial_;  // last: its tasks use the above
};

// The name a collection's model has: a collection made again under an old name starts anew.
std::string ModelKeyOf(const std::string& collection, int64_t made_unix_ms);

}  // namespace vectron::gateway
