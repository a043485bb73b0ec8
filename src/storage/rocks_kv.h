#pragma once

// Kv over RocksDB: one instance per store, with memory, background threads and files of all stores
// of a node shared.
//
// Two modes. With a write-ahead log, Write(kSynced) is durable when it returns; a torn tail of the
// log is a normal crash and is dropped, anything else that does not check out is DataLoss at open.
// Without one, writes live in memory until a flush; flushes are atomic over all columns, so what a
// crash leaves is a prefix of the writes.
//
// RocksDB itself does not notice every damage of its log-structured files (write-ahead log and
// MANIFEST): a flipped bit in a record's length or type can look like the end of the file. Open
// therefore checks both with log_file_check.h first.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/kv.h"

namespace vectron::storage {

struct RocksResourcesOptions {
  size_t block_cache_bytes = size_t{32}
                             << 20;  // blocks, indexes and filters of all stores together
  // Unflushed writes of all stores together; past it the largest is flushed.
  size_t write_buffer_bytes = size_t{96} << 20;
  int flush_threads = 1;
  int compaction_threads = 1;
};

// What the stores of one node share. Thread-safe; outlives its stores.
class RocksResources {
 public:
  explicit RocksResources(const RocksResourcesOptions& options = {});
  ~RocksResources();
  RocksResources(const RocksResources&) = delete;
  RocksResources& operator=(const RocksResources&) = delete;

  uint64_t block_cache_used_bytes() const;
  uint64_t write_buffers_used_bytes() const;

  struct State;  // RocksDB's types, known to rocks_kv.cc only
  State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

// How a column is used, which sets its tuning.
enum class ColumnUse : uint8_t {
  kPoints,       // reads of single keys, small to medium values: Bloom filter, LZ4
  kLargeValues,  // reads of single keys, values of kilobytes that do not compress
  kLog,          // appended in key order, cut from the front, rarely read
  kSmall,        // few, small, often overwritten
};

struct ColumnOptions {
  std::string
      name;  // in the store's files; the first column is RocksDB's "default" whatever its name
  ColumnUse use = ColumnUse::kPoints;
};

enum class WriteAheadLog : uint8_t { kOff, kOn };

struct RocksOptions {
  std::string dir;  // made when missing
  std::vector<ColumnOptions> columns;
  WriteAheadLog write_ahead_log = WriteAheadLog::kOn;
  size_t write_buffer_bytes = size_t{32}
                              << 20;  // unflushed writes of one column; it is flushed past it
};

// Opens or makes a store. Columns that are new are added. Closing it (the destructor) flushes
// nothing: a store without a write-ahead log is then as after a crash. Errors: DataLoss naming the
// file (damage), FailedPrecondition (has columns this version does not know, or is open already),
// ResourceExhausted (disk full, too many open files), Internal (I/O).
// Beyond kv.h: after a failed write with a write-ahead log every later write is refused as
// Unavailable, because what is on disk is unknown; reads go on.
absl::StatusOr<std::unique_ptr<Kv>> OpenRocksKv(const RocksOptions& options,
                                                RocksResources& resources);

}  // namespace vectron::storage
