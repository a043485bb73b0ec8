#pragma once

// What a simulated node is made of: its disk and its executor.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "storage/memory_kv.h"

namespace vectron::sim {

// Kv that forgets to sync, for the planted bug.
class UnsyncedKv : public storage::MemoryKv {
 public:
  using MemoryKv::MemoryKv;
  absl::Status Write(const storage::WriteBatch& batch, Durability) override {
    return MemoryKv::Write(batch, Durability::kBuffered);
  }
};

// Hands the store to a LogStore, which wants to own it, while the disk outlives the process.
class BorrowedKv : public storage::Kv {
 public:
  explicit BorrowedKv(storage::Kv& kv) : kv_(kv) {}
  absl::Status Write(const storage::WriteBatch& batch, Durability durability) override {
    return kv_.Write(batch, durability);
  }
  absl::StatusOr<std::optional<std::string>> Get(storage::Column column,
                                                 std::string_view key) const override {
    return kv_.Get(column, key);
  }
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      storage::Column column, const std::vector<std::string_view>& keys) const override {
    return kv_.MultiGet(column, keys);
  }
  absl::Status Scan(
      storage::Column column, std::string_view begin, std::string_view end,
      const storage::KvSnapshot* snapshot,
      const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    return kv_.Scan(column, begin, end, snapshot, visit);
  }
  std::unique_ptr<const storage::KvSnapshot> TakeSnapshot() const override {
    return kv_.TakeSnapshot();
  }
  absl::Status Flush() override { return kv_.Flush(); }
  absl::Status Checkpoint(const std::string& dir) override { return kv_.Checkpoint(dir); }
  uint64_t disk_bytes() const override { return kv_.disk_bytes(); }
  uint64_t memory_bytes() const override { return kv_.memory_bytes(); }

 private:
  storage::Kv& kv_;
};

// Runs tasks when the world's clock says so, not when they are given; forgets nothing.
class LaterExecutor : public Executor {
 public:
  explicit LaterExecutor(std::function<void(std::function<void()>)> later)
      : later_(std::move(later)) {}
  void Schedule(std::function<void()> task) override {
    tasks_.push_back(std::move(task));
    later_([this] { RunOne(); });
  }
  size_t parallelism() const override { return 1; }
  void RunAll() {
    while (!tasks_.empty()) RunOne();
  }

 private:
  void RunOne() {
    if (tasks_.empty()) return;
    const std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
  }
  const std::function<void(std::function<void()>)> later_;
  std::deque<std::function<void()>> tasks_;
};

}  // namespace vectron::sim
