#pragma once

// The logs of all groups of a node in one store with a write-ahead log: append, read, cut. No
// threads of its own.
//
// What open finds is a prefix of what was appended, and holds everything whose Append returned OK.
// Each group's entries are consecutive; a gap, a bad checksum or an undecodable value is DataLoss
// naming the file or the entry, never fewer entries.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "model/ids.h"
#include "shard/replicator.h"
#include "storage/kv.h"
#include "storage/layout.h"
#include "storage/rocks_kv.h"

namespace vectron::shard {

// Entries of one group, at consecutive indexes. The first may be at most one past the group's last;
// entries already there from its index on are replaced.
struct LogAppend {
  GroupId group;
  const std::vector<Entry>* entries = nullptr;  // may be null: hard state only
  std::optional<std::string_view> hard_state;   // opaque; kept as is when not given
};

// Thread-safe, but what changes one group (Append, CutBefore, Restart, Destroy) must not overlap.
class LogStore {
 public:
  // tail_cache_bytes: recent commands kept in memory, all groups together.
  static absl::StatusOr<std::unique_ptr<LogStore>> Open(const std::string& dir,
                                                        storage::RocksResources& resources,
                                                        size_t tail_cache_bytes);
  // Over any store; for tests. Errors as Open.
  static absl::StatusOr<std::unique_ptr<LogStore>> Over(std::unique_ptr<storage::Kv> kv,
                                                        std::string name, size_t tail_cache_bytes);
  ~LogStore();

  // One write and one sync for all. After an error what is on disk is unknown, and every later
  // Append is refused.
  absl::Status Append(const std::vector<LogAppend>& appends);

  // Entries [first, last]. Stops early, after at least one entry, once the commands exceed
  // max_bytes. NotFound: not all of them are in the log. DataLoss.
  struct ReadRange {
    uint64_t first = 0;
    uint64_t last = 0;
    size_t max_bytes = ~size_t{0};
  };
  absl::StatusOr<std::vector<Entry>> Read(GroupId group, const ReadRange& range) const;
  absl::StatusOr<uint64_t> TermOf(GroupId group, uint64_t index) const;
  // "" when none was written.
  absl::StatusOr<std::string> ReadHardState(GroupId group) const;

  // Drops entries below `index` (at most one past the last). Not synced: a crash may bring them
  // back.
  absl::Status CutBefore(GroupId group, uint64_t index);
  // Flushes when most of what is unflushed has been cut, which costs little and spares the next
  // start its replay.
  absl::Status FlushIfMostlyCut();
  // Command bytes of the entries [index, last].
  absl::StatusOr<uint64_t> BytesFrom(GroupId group, uint64_t index) const;
  // Starts a group's log as if entries up to `index` had been there and were cut; what it held is
  // dropped. Synced.
  absl::Status Restart(GroupId group, uint64_t index, uint64_t term);
  // Removes every trace of a group. Synced.
  absl::Status Destroy(GroupId group);

  // [first, next) is in the log; 1, 1 for an unknown group.
  storage::LogGroupRecord Extent(GroupId group) const;
  std::vector<GroupId> Groups() const;
  uint64_t disk_bytes() const;
  uint64_t memory_bytes() const;

 private:
  struct Group {
    storage::LogGroupRecord record;
    std::deque<Entry> tail;  // cached; ends at record.next_index - 1 unless empty
    size_t tail_bytes = 0;
  };

  LogStore(std::unique_ptr<storage::Kv> kv, std::string name, size_t tail_cache_bytes);
  absl::Status Load();
  absl::StatusOr<uint64_t> BytesBefore(GroupId group, const storage::LogGroupRecord& record,
                                       uint64_t index) const;
  absl::StatusOr<storage::LogGroupRecord> Stage(const LogAppend& append,
                                                storage::WriteBatch& batch) const;
  void Remember(const LogAppend& append, const storage::LogGroupRecord& record);
  void TrimTails() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::unique_ptr<storage::Kv> kv_;
  const std::string name_;
  const size_t tail_cache_bytes_;
  mutable absl::Mutex mutex_;  // never held during I/O
  std::map<uint64_t, Group> groups_ ABSL_GUARDED_BY(mutex_);
  size_t cached_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace vectron::shard
