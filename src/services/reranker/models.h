#pragma once

// The learners of all collections: in memory while used, on disk as checksummed versions.
//
// Records come numbered per source and are applied once, in order; a record is durable when the
// models it changed are saved, which happens each 500 records and at the end. On disk: one folder
// per collection with its last 10 versions, and `marks` with what is durable per source
// (docs/formats/rank-model.md). A damaged version is passed over for the one before, and without
// any the rule serves. Thread-safe.

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/file.h"
#include "services/reranker/learner.h"
#include "vectron/reranker.pb.h"

namespace vectron::reranker {

class Models {
 public:
  // `dir`: made when missing; "": nothing is kept on disk. `files` and `clock` outlive it.
  static absl::StatusOr<std::unique_ptr<Models>> Open(std::string dir, const LearnedConfig& config,
                                                      FileSystem& files, const Clock& clock);
  ~Models();  // saves what is not

  // Calls `read` with the collection's learner, a fresh one when nothing was learned, while no one
  // changes it.
  void Read(const std::string& tenant, const std::string& collection,
            const std::function<void(const Learner&)>& read);

  v1::LearnFeedbackResponse Learn(const v1::LearnFeedbackRequest& request);
  v1::ModelStatus Status(const std::string& tenant, const std::string& collection);
  // NotFound (version), FailedPrecondition (nothing learned yet), InvalidArgument (action).
  absl::StatusOr<v1::ModelStatus> Control(const v1::ControlModelRequest& request);
  // DataLoss, ResourceExhausted: what could not be written stays in memory and is tried again.
  absl::Status Save();

 private:
  struct Entry {
    std::string tenant;
    std::string collection;
    std::string dir;  // "": not kept
    absl::Mutex mutex;
    std::unique_ptr<Learner> learner ABSL_GUARDED_BY(mutex);
    std::map<std::string, uint64_t> applied ABSL_GUARDED_BY(mutex);  // per source
    uint64_t saved_version ABSL_GUARDED_BY(mutex) = 0;               // the newest file
    bool dirty ABSL_GUARDED_BY(mutex) = false;
  };
  using EntryPtr = std::shared_ptr<Entry>;  // shared with requests under way when it is dropped

  Models(std::string dir, const LearnedConfig& config, FileSystem& files, const Clock& clock);
  absl::Status ReadMarks();
  EntryPtr Find(const std::string& tenant, const std::string& collection);
  void Load(Entry& entry);
  struct Saved {
    int64_t unix_ms = 0;
    std::map<std::string, uint64_t> applied;
    std::unique_ptr<Learner> learner;
  };
  absl::StatusOr<Saved> ReadVersion(const Entry& entry, uint64_t version) const;
  std::vector<uint64_t> VersionsOf(const Entry& entry) const;
  // Searches wait while the model is copied, not while it is written.
  absl::Status SaveEntry(Entry& entry);
  absl::Status WriteVersion(const Entry& entry, uint64_t version, std::string_view body);
  void FillStatus(const Entry& entry, v1::ModelStatus& status) const
      ABSL_SHARED_LOCKS_REQUIRED(entry.mutex);
  void DropLeastUsed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string dir_;
  const LearnedConfig config_;
  FileSystem& files_;
  const Clock& clock_;

  // Lock order: learn_mutex_, mutex_, Entry::mutex.
  absl::Mutex learn_mutex_;  // one batch at a time
  std::map<std::string, uint64_t> applied_ ABSL_GUARDED_BY(learn_mutex_);
  std::map<std::string, uint64_t> durable_ ABSL_GUARDED_BY(learn_mutex_);
  uint64_t unsaved_records_ ABSL_GUARDED_BY(learn_mutex_) = 0;

  absl::Mutex mutex_;
  std::list<EntryPtr> by_use_ ABSL_GUARDED_BY(mutex_);  // latest first
  std::map<std::string, std::list<EntryPtr>::iterator> by_key_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vectron::reranker
