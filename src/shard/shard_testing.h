#pragma once

// A shard over twins of its parts, for the tests of this folder: a log in memory, MemoryKv,
// MemoryVectorIndex.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/random.h"
#include "base/temp_dir.h"
#include "base/timer.h"
#include "index/memory_vector_index.h"
#include "shard/shard.h"
#include "shard/shard_impl.h"
#include "storage/borrowed_kv_testing.h"
#include "storage/layout.h"
#include "storage/memory_kv.h"

namespace vectron::shard {

// A durable log of one group that outlives the shard: entries are committed, applied and answered
// within Propose. Thread-safe.
class FakeLog : public Replicator {
 public:
  // Answers before the entries are applied when told so: both orders are allowed.
  bool answer_first = false;
  // The error of proposals, when not OK.
  absl::Status refuse;
  // The error of read barriers, when not OK.
  absl::Status refuse_reads;
  // While set, committed entries are not handed over.
  bool hold = false;
  // Of the replica that is attached.
  bool has_vote = true;
  // Runs the answers to read barriers, when set; else the asking thread does.
  std::function<void(std::function<void()>)> answer_reads;
  int barriers = 0;  // asked for
  uint64_t quorum_tail = 0;

  absl::StatusOr<Replicator*> Attach(Applier& applier, uint64_t applied_index) {
    std::vector<Entry> entries;
    {
      const absl::MutexLock lock(&mutex_);
      if (applied_index + 1 < first_) return absl::DataLossError("the log begins later");
      applier_ = &applier;
      entries.assign(entries_.begin() + static_cast<int64_t>(applied_index + 1 - first_),
                     entries_.end());
      handed_ = first_ + entries_.size() - 1;
    }
    if (!entries.empty()) applier.Apply(std::move(entries));
    return this;
  }

  void Propose(std::string command, std::function<void(absl::StatusOr<uint64_t>)> done) override {
    if (!refuse.ok()) {
      done(refuse);
      return;
    }
    uint64_t index = 0;
    {
      const absl::MutexLock lock(&mutex_);
      index = first_ + entries_.size();
      entries_.push_back({1, index, std::move(command)});
    }
    if (answer_first) done(index);
    if (!hold) HandOver();
    if (!answer_first) done(index);
  }
  // Hands over what is committed and was not handed over.
  void HandOver() {
    const absl::MutexLock apply_lock(&apply_mutex_);
    std::vector<Entry> entries;
    {
      const absl::MutexLock lock(&mutex_);
      entries.assign(entries_.begin() + static_cast<int64_t>(handed_ + 1 - first_), entries_.end());
      handed_ = first_ + entries_.size() - 1;
    }
    if (!entries.empty()) applier_->Apply(std::move(entries));
  }
  bool votes() const override { return has_vote; }
  uint64_t quorum_tail_bytes() const override { return quorum_tail; }
  void ReadBarrier(std::function<void(absl::StatusOr<uint64_t>)> done) override {
    ++barriers;
    const auto answer = [this, done = std::move(done)] {
      if (!refuse_reads.ok()) {
        done(refuse_reads);
      } else {
        done(committed_index());
      }
    };
    if (answer_reads) {
      answer_reads(answer);
    } else {
      answer();
    }
  }
  absl::StatusOr<std::vector<Entry>> ReadEntries(uint64_t first, uint64_t last) const override {
    const absl::MutexLock lock(&mutex_);
    if (first < first_ || last >= first_ + entries_.size()) return absl::NotFoundError("cut");
    return std::vector<Entry>(entries_.begin() + static_cast<int64_t>(first - first_),
                              entries_.begin() + static_cast<int64_t>(last + 1 - first_));
  }
  void SetLogMarks(uint64_t needed, uint64_t wished) override {
    const absl::MutexLock lock(&mutex_);
    CHECK_GE(needed, needed_);
    needed_ = needed;
    wished_ = wished;
  }
  uint64_t committed_index() const override {
    const absl::MutexLock lock(&mutex_);
    return first_ + entries_.size() - 1;
  }
  uint64_t first_index() const override {
    const absl::MutexLock lock(&mutex_);
    return first_;
  }
  uint64_t needed() const {
    const absl::MutexLock lock(&mutex_);
    return needed_;
  }
  uint64_t wished() const {
    const absl::MutexLock lock(&mutex_);
    return wished_;
  }
  // Cuts what the store does not need: more than the index may wish.
  void CutAtNeeded() {
    const absl::MutexLock lock(&mutex_);
    while (first_ <= needed_ && !entries_.empty()) {
      entries_.erase(entries_.begin());
      ++first_;
    }
  }
  void Append(std::string command) {
    const absl::MutexLock lock(&mutex_);
    entries_.push_back({1, first_ + entries_.size(), std::move(command)});
  }

 private:
  absl::Mutex apply_mutex_;
  mutable absl::Mutex mutex_;
  Applier* applier_ = nullptr;
  std::vector<Entry> entries_;
  uint64_t first_ = 1;
  uint64_t handed_ = 0;
  uint64_t needed_ = 0;
  uint64_t wished_ = 0;
};

// The real file system without its syncs, whose free space a test sets.
class TestFiles : public FileSystem {
 public:
  std::atomic<uint64_t> free_bytes{uint64_t{1} << 40};

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    return files_->Open(path, mode);
  }
  absl::StatusOr<std::string> ReadAll(const std::string& path) override {
    return files_->ReadAll(path);
  }
  absl::Status WriteAtomically(const std::string& path, std::string_view bytes) override {
    const auto file = files_->Open(path + ".tmp", OpenMode::kCreate);
    if (!file.ok()) return file.status();
    const absl::Status written = (*file)->Write(0, bytes);
    return written.ok() ? files_->Rename(path + ".tmp", path) : written;
  }
  absl::Status MakeDirs(const std::string& path) override { return files_->MakeDirs(path); }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return files_->Rename(from, to);
  }
  absl::Status HardLink(const std::string& from, const std::string& to) override {
    return files_->HardLink(from, to);
  }
  absl::Status Remove(const std::string& path) override { return files_->Remove(path); }
  absl::Status RemoveTree(const std::string& path) override { return files_->RemoveTree(path); }
  absl::Status SyncDir(const std::string& /*path*/) override { return absl::OkStatus(); }
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override {
    return files_->List(path);
  }
  absl::StatusOr<bool> Exists(const std::string& path) override { return files_->Exists(path); }
  absl::StatusOr<Space> FreeSpace(const std::string& /*path*/) override {
    return Space{free_bytes, uint64_t{1} << 41};
  }

 private:
  const std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
};

// The store of a shard that may crash.
class CrashingKv : public storage::BorrowedKv {
 public:
  // While `crashing` is set nothing is flushed any more: what the shard does at its end must not
  // help it. before_multi_get is called before such a read, unless null; it may write.
  CrashingKv(storage::Kv& kv, const bool& crashing, const std::function<void()>& before_multi_get)
      : BorrowedKv(kv), crashing_(crashing), before_multi_get_(before_multi_get) {}
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      storage::Column column, const std::vector<std::string_view>& keys) const override {
    if (before_multi_get_) before_multi_get_();
    return BorrowedKv::MultiGet(column, keys);
  }
  absl::Status Flush() override {
    return crashing_ ? absl::UnavailableError("crashing") : BorrowedKv::Flush();
  }

 private:
  const bool& crashing_;
  const std::function<void()>& before_multi_get_;
};

// Everything one shard needs, and the shard. Inline executors: what is due is done when a call
// returns.
class TestShard {
 public:
  explicit TestShard(CollectionSchema schema) : schema_(std::move(schema)), timer_(clock_) {
    parts_.open_store = [this](const std::string&) -> absl::StatusOr<std::unique_ptr<storage::Kv>> {
      return std::make_unique<CrashingKv>(kv_, crashing_, before_multi_get);
    };
    parts_.create_index = [this](const std::string&) {
      return index::MemoryVectorIndex::Create(index_options(), files_);
    };
    parts_.open_index = [this](const std::string& dir, const std::string&) {
      return index::MemoryVectorIndex::Open(index_options(), files_, dir);
    };
  }
  ~TestShard() { shard_.reset(); }

  index::IndexOptions index_options() const {
    return {.dimension = schema_.dimension, .metric = schema_.metric, .storage = schema_.storage};
  }
  ShardDeps deps() {
    return {.files = &files_,
            .clock = &clock_,
            .read_executor = read_executor,
            .background_executor = &executor_,
            .timer = &timer_};
  }
  absl::Status Open() {
    absl::StatusOr<std::unique_ptr<Shard>> shard = OpenShard(
        {.schema = schema_, .group = {1}, .ordinal = {0}, .dir = dir_ / "shard"}, deps(), parts_,
        [this](Applier& applier, uint64_t applied) { return log_.Attach(applier, applied); });
    if (shard.ok()) shard_ = *std::move(shard);
    return shard.status();
  }
  void Close() { shard_.reset(); }
  // As after kill -9: what the store had not flushed is gone.
  void CrashAndOpen() {
    crashing_ = true;
    shard_.reset();
    crashing_ = false;
    kv_.SimulateCrash(storage::MemoryKv::Crash::kProcess);
    CHECK_OK(Open());
  }

  absl::StatusOr<WriteResult> Upsert(UpsertWrite write) {
    absl::StatusOr<WriteResult> answer = absl::InternalError("no answer");
    absl::Notification answered;
    shard_->Upsert(std::move(write), 0, [&](absl::StatusOr<WriteResult> result) {
      answer = std::move(result);
      answered.Notify();
    });
    answered.WaitForNotification();
    return answer;
  }
  absl::StatusOr<WriteResult> Delete(std::string id, std::string request_id = "") {
    absl::StatusOr<WriteResult> answer = absl::InternalError("no answer");
    absl::Notification answered;
    shard_->Delete({std::move(id), std::move(request_id)}, 0,
                   [&](absl::StatusOr<WriteResult> result) {
                     answer = std::move(result);
                     answered.Notify();
                   });
    answered.WaitForNotification();
    return answer;
  }
  absl::StatusOr<WriteResult> WriteKey(KeyWrite write) {
    absl::StatusOr<WriteResult> answer = absl::InternalError("no answer");
    absl::Notification answered;
    shard_->WriteKey(std::move(write), [&](absl::StatusOr<WriteResult> result) {
      answer = std::move(result);
      answered.Notify();
    });
    answered.WaitForNotification();
    return answer;
  }
  absl::StatusOr<std::optional<std::string>> GetKey(const std::string& key) {
    absl::StatusOr<std::optional<std::string>> answer = absl::InternalError("no answer");
    shard_->GetKey(key, [&](absl::StatusOr<std::optional<std::string>> result) {
      answer = std::move(result);
    });
    return answer;
  }
  absl::StatusOr<SearchAnswer> Search(const SearchQuery& query,
                                      const Shard::ReadTerms& terms = {}) {
    absl::StatusOr<SearchAnswer> answer = absl::InternalError("no answer");
    shard_->Search(query, terms,
                   [&](absl::StatusOr<SearchAnswer> result) { answer = std::move(result); });
    return answer;
  }
  absl::StatusOr<std::optional<PointRecord>> Get(const std::string& id,
                                                 const Shard::GetOptions& options = {}) {
    absl::StatusOr<std::optional<PointRecord>> answer = absl::InternalError("no answer");
    shard_->Get(id, options, [&](absl::StatusOr<std::optional<PointRecord>> result) {
      answer = std::move(result);
    });
    return answer;
  }

  // Called before the shard reads several points from its store; may write to the shard.
  std::function<void()> before_multi_get;
  Executor* read_executor = &executor_;  // before Open

  Shard& shard() { return *shard_; }
  storage::MemoryKv& kv() { return kv_; }
  FakeLog& log() { return log_; }
  ManualClock& clock() { return clock_; }
  TestFiles& files() { return files_; }
  ManualTimer& timer() { return timer_; }
  ShardParts& parts() { return parts_; }
  CollectionSchema& schema() { return schema_; }
  TempDir& dir() { return dir_; }

 private:
  CollectionSchema schema_;
  TempDir dir_;
  TestFiles files_;
  ManualClock clock_;
  ManualTimer timer_;
  InlineExecutor executor_;
  storage::MemoryKv kv_{storage::ShardStoreColumns().size(), storage::WriteAheadLog::kOff};
  bool crashing_ = false;
  FakeLog log_;
  ShardParts parts_;
  std::unique_ptr<Shard> shard_;
};

inline CollectionSchema TestSchema(uint32_t dimension) {
  CollectionSchema schema;
  schema.name = "test";
  schema.dimension = dimension;
  return schema;
}

inline SearchQuery Nearest(std::vector<float> vector, uint32_t k = 10) {
  SearchQuery query;
  query.vector = std::move(vector);
  query.k = k;
  return query;
}

inline PointBatch OnePoint(std::string id, std::vector<float> vector, std::string payload = "") {
  PointBatch batch;
  batch.dimension = static_cast<uint32_t>(vector.size());
  batch.ids.push_back(std::move(id));
  batch.vectors = std::move(vector);
  batch.payloads.push_back(std::move(payload));
  return batch;
}

}  // namespace vectron::shard
