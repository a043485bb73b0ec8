#pragma once

// The dumb twin of VectorIndex: every search compares with every row, in double precision, under
// one mutex. For the tests of this folder and of those above it. Slots are reused by the same rules
// as in the real index, as early as they allow.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "index/vector_index.h"

namespace vectron::index {

// Thread-safe.
class MemoryVectorIndex : public VectorIndex {
 public:
  // InvalidArgument (options).
  static absl::StatusOr<std::unique_ptr<VectorIndex>> Create(const IndexOptions& options,
                                                             FileSystem& files);
  // From a folder written by WriteCheckpoint of a twin. NotFound, DataLoss.
  static absl::StatusOr<std::unique_ptr<VectorIndex>> Open(const IndexOptions& options,
                                                           FileSystem& files,
                                                           const std::string& checkpoint_dir);

  absl::Status Reserve(uint64_t rows) override;
  uint32_t Upsert(const Row& row) override;
  std::optional<uint32_t> Remove(std::string_view id) override;
  void Commit(uint64_t applied_index) override;
  std::vector<uint32_t> TakeFreedSlots() override;
  CheckpointCut BeginCheckpoint() override;
  bool Build(Executor& executor) override;
  absl::Status WriteCheckpoint(const CheckpointCut& cut, const std::string& dir) override;
  void CheckpointPublished(const CheckpointCut& cut) override;
  absl::Status VerifyAndAdopt() override { return absl::OkStatus(); }
  void TrimResident() override {}
  Snapshot TakeSnapshot() override;
  absl::StatusOr<SearchResult> Search(const Snapshot& snapshot, std::span<const float> query,
                                      const SearchOptions& options) const override;
  void ForEachRow(
      const Snapshot& snapshot,
      const std::function<void(uint32_t, std::string_view, uint64_t)>& visit) const override;
  std::optional<RowView> RowAt(const Snapshot& snapshot, uint32_t slot) const override;
  std::optional<Located> Find(std::string_view id) const override;
  IndexStats stats() const override;
  uint64_t applied_index() const override;
  const IndexOptions& options() const override { return options_; }
  uint64_t GraphHash() const override { return 0; }
  absl::Status CheckGraph() const override { return absl::OkStatus(); }

 protected:
  void ReleaseReader(size_t reader) override;

 private:
  static constexpr uint32_t kAlive = ~uint32_t{0};
  struct Stored {
    std::string id;
    std::vector<float> vector;  // empty: the slot is free
    uint64_t version = 0;
    uint8_t flags = 0;
    uint32_t birth = 0;       // commit sequence from which the row is seen
    uint32_t death = kAlive;  // commit sequence from which it is not
    bool SeenAt(uint32_t sequence) const { return birth <= sequence && sequence < death; }
  };

  MemoryVectorIndex(const IndexOptions& options, FileSystem& files)
      : options_(options), files_(files) {}
  double Distance(std::span<const float> a, std::span<const float> b) const;
  absl::Status Load(std::string_view bytes);

  const IndexOptions options_;
  FileSystem& files_;
  mutable absl::Mutex mutex_;
  std::deque<Stored> rows_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint32_t, std::less<>> slots_ ABSL_GUARDED_BY(mutex_);
  std::set<uint32_t> dead_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mutex_);
  CheckpointCut state_ ABSL_GUARDED_BY(mutex_);
  std::optional<uint32_t> published_sequence_ ABSL_GUARDED_BY(mutex_);
  std::optional<uint32_t> cut_sequence_ ABSL_GUARDED_BY(mutex_);
  std::multiset<uint32_t> readers_ ABSL_GUARDED_BY(mutex_);  // sequences of held snapshots
};

}  // namespace vectron::index
