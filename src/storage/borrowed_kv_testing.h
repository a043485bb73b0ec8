#pragma once

// A Kv lent to an owner that it outlives: a disk that is still there when the process has ended.
// For tests.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/kv.h"

namespace vectron::storage {

// Thread-safe as what it borrows.
class BorrowedKv : public Kv {
 public:
  explicit BorrowedKv(Kv& kv) : kv_(kv) {}

  absl::Status Write(const WriteBatch& batch, Durability durability) override {
    return kv_.Write(batch, durability);
  }
  absl::StatusOr<std::optional<std::string>> Get(Column column,
                                                 std::string_view key) const override {
    return kv_.Get(column, key);
  }
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      Column column, const std::vector<std::string_view>& keys) const override {
    return kv_.MultiGet(column, keys);
  }
  absl::Status Scan(
      Column column, std::string_view begin, std::string_view end, const KvSnapshot* snapshot,
      const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    return kv_.Scan(column, begin, end, snapshot, visit);
  }
  std::unique_ptr<const KvSnapshot> TakeSnapshot() const override { return kv_.TakeSnapshot(); }
  absl::Status Flush() override { return kv_.Flush(); }
  absl::Status Checkpoint(const std::string& dir) override { return kv_.Checkpoint(dir); }
  uint64_t disk_bytes() const override { return kv_.disk_bytes(); }
  uint64_t memory_bytes() const override { return kv_.memory_bytes(); }

 private:
  Kv& kv_;
};

}  // namespace vectron::storage
