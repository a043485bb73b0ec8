#include "storage/memory_kv.h"

#include <utility>

#include "base/check.h"
#include "base/status.h"

namespace vectron::storage {

class MemoryKv::Snapshot : public KvSnapshot {
 public:
  explicit Snapshot(Columns state) : state_(std::move(state)) {}
  const Columns& state() const { return state_; }

 private:
  const Columns state_;
};

MemoryKv::MemoryKv(size_t columns, WriteAheadLog write_ahead_log)
    : write_ahead_log_(write_ahead_log), shared_(columns, 1) {
  for (size_t i = 0; i < columns; ++i) now_.push_back(std::make_shared<Map>());
  durable_ = now_;
}

const MemoryKv::Map& MemoryKv::MapOf(Column column) const {
  CHECK_LT(column, now_.size());
  return *now_[column];
}

MemoryKv::Map& MemoryKv::OwnMapOf(Column column) {
  CHECK_LT(column, now_.size());
  if (shared_[column] != 0) now_[column] = std::make_shared<Map>(*now_[column]);
  shared_[column] = 0;
  return *now_[column];
}

MemoryKv::Columns MemoryKv::Share() const {
  shared_.assign(shared_.size(), 1);
  return now_;
}

absl::Status MemoryKv::Write(const WriteBatch& batch, Durability durability) {
  using Kind = WriteBatch::Operation::Kind;
  const absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(write_error_);
  for (const WriteBatch::Operation& operation : batch.operations()) {
    Map& map = OwnMapOf(operation.column);
    switch (operation.kind) {
      case Kind::kPut:
        map[operation.key] = operation.value + std::string(operation.rest);
        break;
      case Kind::kDelete:
        map.erase(operation.key);
        break;
      case Kind::kDeleteRange:
        if (operation.key >= operation.value) break;
        map.erase(map.lower_bound(operation.key), map.lower_bound(operation.value));
        break;
    }
  }
  if (durability == Durability::kSynced) durable_ = Share();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> MemoryKv::Get(Column column,
                                                         std::string_view key) const {
  const absl::ReaderMutexLock lock(&mutex_);
  const Map& map = MapOf(column);
  const auto it = map.find(key);
  if (it == map.end()) return std::optional<std::string>();
  return std::optional<std::string>(it->second);
}

absl::StatusOr<std::vector<std::optional<std::string>>> MemoryKv::MultiGet(
    Column column, const std::vector<std::string_view>& keys) const {
  const absl::ReaderMutexLock lock(&mutex_);
  const Map& map = MapOf(column);
  std::vector<std::optional<std::string>> values;
  for (const std::string_view key : keys) {
    const auto it = map.find(key);
    values.push_back(it == map.end() ? std::nullopt : std::optional<std::string>(it->second));
  }
  return values;
}

absl::Status MemoryKv::Scan(
    Column column, std::string_view begin, std::string_view end, const KvSnapshot* snapshot,
    const std::function<bool(std::string_view, std::string_view)>& visit) const {
  Columns columns;
  if (snapshot != nullptr) {
    columns = static_cast<const Snapshot*>(snapshot)->state();
  } else {
    const absl::MutexLock lock(&mutex_);
    columns = Share();
  }
  CHECK_LT(column, columns.size());
  const Map& map = *columns[column];
  for (auto it = map.lower_bound(begin); it != map.end(); ++it) {
    if (!end.empty() && it->first >= end) break;
    if (!visit(it->first, it->second)) break;
  }
  return absl::OkStatus();
}

std::unique_ptr<const KvSnapshot> MemoryKv::TakeSnapshot() const {
  const absl::MutexLock lock(&mutex_);
  return std::make_unique<Snapshot>(Share());
}

absl::Status MemoryKv::Flush() {
  const absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(write_error_);
  durable_ = Share();
  return absl::OkStatus();
}

absl::Status MemoryKv::Checkpoint(const std::string& dir) {
  return Unimplemented("checkpoint {}: a store in memory has no files", dir);
}

uint64_t MemoryKv::memory_bytes() const {
  uint64_t bytes = 0;
  const absl::ReaderMutexLock lock(&mutex_);
  for (const std::shared_ptr<Map>& map : now_) {
    for (const auto& [key, value] : *map) bytes += key.size() + value.size();
  }
  return bytes;
}

void MemoryKv::SimulateCrash(Crash crash) {
  const absl::MutexLock lock(&mutex_);
  write_error_ = absl::OkStatus();
  if (crash == Crash::kProcess && write_ahead_log_ == WriteAheadLog::kOn) return;
  now_ = durable_;
  shared_.assign(shared_.size(), 1);
}

void MemoryKv::FailWrites(absl::Status status) {
  const absl::MutexLock lock(&mutex_);
  write_error_ = std::move(status);
}

}  // namespace vectron::storage
