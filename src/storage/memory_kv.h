#pragma once

// Kv in memory: the plain twin of rocks_kv.h, for tests of everything above a store. The first
// write to a column after a snapshot, a scan or a flush copies the whole column.

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/kv.h"
#include "storage/rocks_kv.h"

namespace vectron::storage {

// Thread-safe.
class MemoryKv : public Kv {
 public:
  MemoryKv(size_t columns, WriteAheadLog write_ahead_log);

  absl::Status Write(const WriteBatch& batch, Durability durability) override;
  absl::StatusOr<std::optional<std::string>> Get(Column column,
                                                 std::string_view key) const override;
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      Column column, const std::vector<std::string_view>& keys) const override;
  absl::Status Scan(
      Column column, std::string_view begin, std::string_view end, const KvSnapshot* snapshot,
      const std::function<bool(std::string_view, std::string_view)>& visit) const override;
  std::unique_ptr<const KvSnapshot> TakeSnapshot() const override;
  absl::Status Flush() override;
  // Unimplemented: there are no files.
  absl::Status Checkpoint(const std::string& dir) override;
  uint64_t disk_bytes() const override { return 0; }
  uint64_t memory_bytes() const override;

  // What is left after kill -9 (`kProcess`) or a power cut (`kPower`): the writes that kv.h says
  // survive.
  enum class Crash : uint8_t { kProcess, kPower };
  void SimulateCrash(Crash crash);
  // From now on every write fails with `status`; OK ends it.
  void FailWrites(absl::Status status);

 private:
  using Map = std::map<std::string, std::string, std::less<>>;
  using Columns = std::vector<std::shared_ptr<Map>>;  // shared with snapshots and scans, then not
                                                      // changed any more
  class Snapshot;

  const Map& MapOf(Column column) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // The column to write to: a copy when somebody else may hold the present one.
  Map& OwnMapOf(Column column) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // All columns, for somebody who keeps them.
  Columns Share() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const WriteAheadLog write_ahead_log_;
  mutable absl::Mutex mutex_;
  Columns now_ ABSL_GUARDED_BY(mutex_);
  mutable std::vector<char> shared_
      ABSL_GUARDED_BY(mutex_);               // per column: somebody else may hold it
  Columns durable_ ABSL_GUARDED_BY(mutex_);  // as of the last flush or synced write
  absl::Status write_error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vectron::storage
