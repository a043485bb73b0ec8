#pragma once

// Ordered durable bytes: the one interface to a store, with a RocksDB and a memory twin
// (rocks_kv.h, memory_kv.h).

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vectron::storage {

// Index of a column family among those given at open.
using Column = uint32_t;

// Writes that happen together or not at all, in order. Thread-compatible.
class WriteBatch {
 public:
  struct Operation {
    enum class Kind : uint8_t { kPut, kDelete, kDeleteRange } kind;
    Column column;
    std::string key;
    std::string value;      // of kPut; the exclusive end of kDeleteRange
    std::string_view rest;  // of kPut: follows `value`, borrowed until the batch is written
  };

  void Put(Column column, std::string key, std::string value, std::string_view rest = {}) {
    bytes_ += key.size() + value.size() + rest.size();
    operations_.push_back({Operation::Kind::kPut, column, std::move(key), std::move(value), rest});
  }
  void Delete(Column column, std::string key) {
    bytes_ += key.size();
    operations_.push_back({Operation::Kind::kDelete, column, std::move(key), {}, {}});
  }
  // Deletes keys in [begin, end).
  void DeleteRange(Column column, std::string begin, std::string end) {
    operations_.push_back(
        {Operation::Kind::kDeleteRange, column, std::move(begin), std::move(end), {}});
  }
  const std::vector<Operation>& operations() const { return operations_; }
  bool empty() const { return operations_.empty(); }
  size_t bytes() const { return bytes_; }

 private:
  std::vector<Operation> operations_;
  size_t bytes_ = 0;
};

// A consistent view of the store. Thread-safe; does not outlive its Kv.
class KvSnapshot {
 public:
  virtual ~KvSnapshot() = default;
};

// Errors of every read and write: DataLoss naming the file (corruption), ResourceExhausted (disk
// full), Unavailable (the store refuses writes after an earlier failure), Internal. A read that is
// not OK is never "not found". Thread-safe.
class Kv {
 public:
  virtual ~Kv() = default;

  enum class Durability : uint8_t {
    kBuffered,  // survives the process with a write-ahead log, else as of the last flush
    kSynced,    // on disk when Write returns
  };
  virtual absl::Status Write(const WriteBatch& batch, Durability durability) = 0;

  virtual absl::StatusOr<std::optional<std::string>> Get(Column column,
                                                         std::string_view key) const = 0;
  // One entry per key, in order.
  virtual absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      Column column, const std::vector<std::string_view>& keys) const = 0;
  // Calls visit for keys in [begin, end) in order (an empty end is no end) until it returns false.
  // `snapshot` may be null.
  virtual absl::Status Scan(
      Column column, std::string_view begin, std::string_view end, const KvSnapshot* snapshot,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) const = 0;
  virtual std::unique_ptr<const KvSnapshot> TakeSnapshot() const = 0;

  // All writes before the call are in files on disk when it returns (atomically over all columns).
  virtual absl::Status Flush() = 0;
  // Hard links of a consistent state into `dir` (must not exist).
  virtual absl::Status Checkpoint(const std::string& dir) = 0;
  virtual uint64_t disk_bytes() const = 0;
  virtual uint64_t memory_bytes() const = 0;
};

}  // namespace vectron::storage
