#include "shard/log_store.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/status.h"

namespace vectron::shard {
namespace {

using storage::kLogEntries;
using storage::kLogGroups;
using storage::LogGroupRecord;

// What a start may have to replay from the write-ahead log.
constexpr size_t kWriteBufferBytes = size_t{8} << 20;
constexpr uint64_t kWorthFlushingBytes = uint64_t{2} << 20;
// A command larger than this part of the cache would push out all others.
constexpr size_t kMaxCachedPart = 8;

std::string EntryKey(GroupId group, uint64_t index) {
  return storage::LogEntryKey({.group = group.value, .index = index});
}

// The end of all keys of a group. The last possible index is never used.
std::string EntriesEnd(GroupId group) { return EntryKey(group, ~uint64_t{0}); }

absl::Status CheckFormat(storage::Kv& kv, const std::string& name) {
  ASSIGN_OR_RETURN(const std::optional<std::string> format,
                   kv.Get(kLogGroups, storage::kFormatKey));
  if (!format) {
    storage::WriteBatch batch;
    batch.Put(kLogGroups, std::string(storage::kFormatKey),
              storage::EncodeNumber(storage::kLogStoreFormat));
    return kv.Write(batch, storage::Kv::Durability::kSynced);
  }
  ASSIGN_OR_RETURN(const uint64_t version, storage::DecodeNumber(*format));
  if (version == storage::kLogStoreFormat) return absl::OkStatus();
  return FailedPrecondition("log {}: format {}, this version reads {}", name, version,
                            storage::kLogStoreFormat);
}

}  // namespace

LogStore::LogStore(std::unique_ptr<storage::Kv> kv, std::string name, size_t tail_cache_bytes)
    : kv_(std::move(kv)), name_(std::move(name)), tail_cache_bytes_(tail_cache_bytes) {}

LogStore::~LogStore() = default;

absl::StatusOr<std::unique_ptr<LogStore>> LogStore::Open(const std::string& dir,
                                                         storage::RocksResources& resources,
                                                         size_t tail_cache_bytes) {
  const storage::RocksOptions options{.dir = dir,
                                      .columns = storage::LogStoreColumns(),
                                      .write_ahead_log = storage::WriteAheadLog::kOn,
                                      .write_buffer_bytes = kWriteBufferBytes};
  ASSIGN_OR_RETURN(std::unique_ptr<storage::Kv> kv, storage::OpenRocksKv(options, resources));
  return Over(std::move(kv), dir, tail_cache_bytes);
}

absl::StatusOr<std::unique_ptr<LogStore>> LogStore::Over(std::unique_ptr<storage::Kv> kv,
                                                         std::string name,
                                                         size_t tail_cache_bytes) {
  RETURN_IF_ERROR(CheckFormat(*kv, name));
  std::unique_ptr<LogStore> store(new LogStore(std::move(kv), std::move(name), tail_cache_bytes));
  RETURN_IF_ERROR(store->Load());
  return store;
}

absl::Status LogStore::Load() {
  absl::Status status;
  std::map<uint64_t, Group> groups;
  const std::string first = storage::LogGroupKey(0);
  const auto visit = [&](std::string_view key, std::string_view value) {
    const std::optional<uint64_t> group = storage::ParseLogGroupKey(key);
    if (!group) return true;
    const absl::StatusOr<LogGroupRecord> record = storage::DecodeLogGroupRecord(value);
    if (!record.ok()) {
      status = Annotate(record.status(), fmt::format("log {}: group {}", name_, *group));
      return false;
    }
    groups[*group].record = *record;
    return true;
  };
  RETURN_IF_ERROR(kv_->Scan(kLogGroups, std::string_view(first).substr(0, 1),
                            storage::PrefixEnd(std::string_view(first).substr(0, 1)), nullptr,
                            visit));
  RETURN_IF_ERROR(status);
  const absl::MutexLock lock(&mutex_);
  groups_ = std::move(groups);
  return absl::OkStatus();
}

LogGroupRecord LogStore::Extent(GroupId group) const {
  const absl::MutexLock lock(&mutex_);
  const auto found = groups_.find(group.value);
  return found == groups_.end() ? LogGroupRecord() : found->second.record;
}

std::vector<GroupId> LogStore::Groups() const {
  const absl::MutexLock lock(&mutex_);
  std::vector<GroupId> ids;
  for (const auto& [id, group] : groups_) ids.push_back(GroupId{id});
  return ids;
}

absl::StatusOr<uint64_t> LogStore::BytesBefore(GroupId group, const LogGroupRecord& record,
                                               uint64_t index) const {
  CHECK_GE(index, record.first_index);
  CHECK_LE(index, record.next_index);
  if (index == record.next_index) return record.bytes_after;
  if (index == record.first_index) return record.bytes_before;
  ASSIGN_OR_RETURN(const std::optional<std::string> value,
                   kv_->Get(kLogEntries, EntryKey(group, index)));
  if (!value) return DataLoss("log {}: group {}: entry {} is missing", name_, group.value, index);
  ASSIGN_OR_RETURN(const storage::LogEntryValue entry, storage::DecodeLogEntryValue(*value));
  return entry.header.bytes_before;
}

// Puts one group's part of an append into the batch; returns what the group's record becomes.
absl::StatusOr<LogGroupRecord> LogStore::Stage(const LogAppend& append,
                                               storage::WriteBatch& batch) const {
  if (append.hard_state) {
    batch.Put(kLogGroups, storage::LogHardStateKey(append.group.value),
              std::string(*append.hard_state));
  }
  LogGroupRecord record = Extent(append.group);
  if (append.entries == nullptr || append.entries->empty()) return record;

  const uint64_t first = append.entries->front().index;
  CHECK_GE(first, record.first_index);
  CHECK_LE(first, record.next_index);
  if (first < record.next_index) {
    ASSIGN_OR_RETURN(record.bytes_after, BytesBefore(append.group, record, first));
    batch.DeleteRange(kLogEntries, EntryKey(append.group, first),
                      EntryKey(append.group, record.next_index));
    record.next_index = first;
  }
  for (const Entry& entry : *append.entries) {
    CHECK_EQ(entry.index, record.next_index);
    batch.Put(
        kLogEntries, EntryKey(append.group, entry.index),
        storage::EncodeLogEntryHeader({.term = entry.term, .bytes_before = record.bytes_after}),
        entry.command);
    record.bytes_after += entry.command.size();
    record.next_index = entry.index + 1;
    record.last_term = entry.term;
  }
  batch.Put(kLogGroups, storage::LogGroupKey(append.group.value),
            storage::EncodeLogGroupRecord(record));
  return record;
}

absl::Status LogStore::Append(const std::vector<LogAppend>& appends) {
  storage::WriteBatch batch;
  std::vector<LogGroupRecord> records;
  for (const LogAppend& append : appends) {
    ASSIGN_OR_RETURN(records.emplace_back(), Stage(append, batch));
  }
  if (batch.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(kv_->Write(batch, storage::Kv::Durability::kSynced));
  for (size_t i = 0; i < appends.size(); ++i) Remember(appends[i], records[i]);
  return absl::OkStatus();
}

// Takes over a written append into memory.
void LogStore::Remember(const LogAppend& append, const LogGroupRecord& record) {
  if (append.entries == nullptr || append.entries->empty()) return;
  const absl::MutexLock lock(&mutex_);
  Group& group = groups_[append.group.value];
  group.record = record;
  const uint64_t first = append.entries->front().index;
  while (!group.tail.empty() && group.tail.back().index >= first) {
    cached_bytes_ -= group.tail.back().command.size();
    group.tail.pop_back();
  }
  for (const Entry& entry : *append.entries) {
    if (entry.command.size() > tail_cache_bytes_ / kMaxCachedPart || tail_cache_bytes_ == 0) {
      // The tail stays consecutive, and ends at the last entry or is empty.
      for (const Entry& cached : group.tail) cached_bytes_ -= cached.command.size();
      group.tail.clear();
      continue;
    }
    group.tail.push_back(entry);
    cached_bytes_ += entry.command.size();
  }
  TrimTails();
}

// Drops the oldest cached entries of the groups in turn until the budget holds.
void LogStore::TrimTails() {
  while (cached_bytes_ > tail_cache_bytes_) {
    for (auto& [id, group] : groups_) {
      for (size_t drop = (group.tail.size() + 1) / 2; drop > 0; --drop) {
        cached_bytes_ -= group.tail.front().command.size();
        group.tail.pop_front();
      }
    }
  }
}

absl::StatusOr<std::vector<Entry>> LogStore::Read(GroupId group, const ReadRange& range) const {
  std::vector<Entry> entries;
  if (range.first > range.last) return entries;
  {
    const absl::MutexLock lock(&mutex_);
    const auto found = groups_.find(group.value);
    const LogGroupRecord record = found == groups_.end() ? LogGroupRecord() : found->second.record;
    if (range.first < record.first_index || range.last >= record.next_index) {
      return NotFound("log {}: group {}: entries {}-{} asked for, it has {}-{}", name_, group.value,
                      range.first, range.last, record.first_index, record.next_index - 1);
    }
    const std::deque<Entry>& tail = found->second.tail;
    if (!tail.empty() && tail.front().index <= range.first) {
      size_t bytes = 0;
      for (uint64_t i = range.first; i <= range.last && bytes <= range.max_bytes; ++i) {
        entries.push_back(tail[i - tail.front().index]);
        bytes += entries.back().command.size();
      }
      return entries;
    }
  }

  absl::Status status;
  size_t bytes = 0;
  const auto visit = [&](std::string_view key, std::string_view value) {
    const std::optional<storage::LogPosition> position = storage::ParseLogEntryKey(key);
    const absl::StatusOr<storage::LogEntryValue> entry = storage::DecodeLogEntryValue(value);
    const uint64_t wanted = range.first + entries.size();
    if (!position || position->index != wanted || !entry.ok()) {
      status =
          DataLoss("log {}: group {}: entry {} is missing or damaged", name_, group.value, wanted);
      return false;
    }
    entries.push_back(
        {.term = entry->header.term, .index = wanted, .command = std::string(entry->command)});
    bytes += entry->command.size();
    return bytes <= range.max_bytes;
  };
  RETURN_IF_ERROR(kv_->Scan(kLogEntries, EntryKey(group, range.first),
                            EntryKey(group, range.last + 1), nullptr, visit));
  RETURN_IF_ERROR(status);
  const uint64_t read = entries.size();
  if (read == 0 || (bytes <= range.max_bytes && read != range.last - range.first + 1)) {
    return DataLoss("log {}: group {}: entry {} is missing", name_, group.value,
                    range.first + read);
  }
  return entries;
}

absl::StatusOr<uint64_t> LogStore::TermOf(GroupId group, uint64_t index) const {
  const LogGroupRecord record = Extent(group);
  if (index == 0) return 0;
  if (index + 1 == record.next_index) return record.last_term;
  if (index + 1 == record.first_index) return record.cut_term;
  ASSIGN_OR_RETURN(const std::vector<Entry> entries, Read(group, {.first = index, .last = index}));
  return entries.front().term;
}

absl::StatusOr<std::string> LogStore::ReadHardState(GroupId group) const {
  ASSIGN_OR_RETURN(std::optional<std::string> state,
                   kv_->Get(kLogGroups, storage::LogHardStateKey(group.value)));
  return state.value_or("");
}

absl::Status LogStore::CutBefore(GroupId group, uint64_t index) {
  LogGroupRecord record = Extent(group);
  CHECK_LE(index, record.next_index);
  if (index <= record.first_index) return absl::OkStatus();
  ASSIGN_OR_RETURN(const uint64_t bytes, BytesBefore(group, record, index));
  ASSIGN_OR_RETURN(record.cut_term, TermOf(group, index - 1));
  storage::WriteBatch batch;
  batch.DeleteRange(kLogEntries, EntryKey(group, record.first_index), EntryKey(group, index));
  record.first_index = index;
  record.bytes_before = bytes;
  batch.Put(kLogGroups, storage::LogGroupKey(group.value), storage::EncodeLogGroupRecord(record));
  RETURN_IF_ERROR(kv_->Write(batch, storage::Kv::Durability::kBuffered));

  const absl::MutexLock lock(&mutex_);
  Group& known = groups_[group.value];
  known.record = record;
  while (!known.tail.empty() && known.tail.front().index < index) {
    cached_bytes_ -= known.tail.front().command.size();
    known.tail.pop_front();
  }
  return absl::OkStatus();
}

absl::Status LogStore::FlushIfMostlyCut() {
  uint64_t kept = 0;
  {
    const absl::MutexLock lock(&mutex_);
    for (const auto& [id, group] : groups_) {
      kept += group.record.bytes_after - group.record.bytes_before;
    }
  }
  const uint64_t unflushed = kv_->memory_bytes();
  if (unflushed < kWorthFlushingBytes || kept > unflushed / 4) return absl::OkStatus();
  return kv_->Flush();
}

absl::StatusOr<uint64_t> LogStore::BytesFrom(GroupId group, uint64_t index) const {
  const LogGroupRecord record = Extent(group);
  ASSIGN_OR_RETURN(const uint64_t before,
                   BytesBefore(group, record, std::max(index, record.first_index)));
  return record.bytes_after - before;
}

absl::Status LogStore::Restart(GroupId group, uint64_t index, uint64_t term) {
  const LogGroupRecord record{
      .first_index = index + 1, .next_index = index + 1, .cut_term = term, .last_term = term};
  storage::WriteBatch batch;
  batch.DeleteRange(kLogEntries, EntryKey(group, 0), EntriesEnd(group));
  batch.Put(kLogGroups, storage::LogGroupKey(group.value), storage::EncodeLogGroupRecord(record));
  RETURN_IF_ERROR(kv_->Write(batch, storage::Kv::Durability::kSynced));
  const absl::MutexLock lock(&mutex_);
  Group& known = groups_[group.value];
  for (const Entry& entry : known.tail) cached_bytes_ -= entry.command.size();
  known = Group();
  known.record = record;
  return absl::OkStatus();
}

absl::Status LogStore::Destroy(GroupId group) {
  storage::WriteBatch batch;
  batch.DeleteRange(kLogEntries, EntryKey(group, 0), EntriesEnd(group));
  batch.Delete(kLogGroups, storage::LogGroupKey(group.value));
  batch.Delete(kLogGroups, storage::LogHardStateKey(group.value));
  RETURN_IF_ERROR(kv_->Write(batch, storage::Kv::Durability::kSynced));
  const absl::MutexLock lock(&mutex_);
  const auto found = groups_.find(group.value);
  if (found == groups_.end()) return absl::OkStatus();
  for (const Entry& entry : found->second.tail) cached_bytes_ -= entry.command.size();
  groups_.erase(found);
  return absl::OkStatus();
}

uint64_t LogStore::disk_bytes() const { return kv_->disk_bytes(); }

uint64_t LogStore::memory_bytes() const {
  const absl::MutexLock lock(&mutex_);
  return cached_bytes_ + kv_->memory_bytes();
}

}  // namespace vectron::shard
