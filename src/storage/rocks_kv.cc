#include "storage/rocks_kv.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/snapshot.h>
#include <rocksdb/sst_file_manager.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"
#include "storage/log_file_check.h"

namespace vectron::storage {

// Passes RocksDB's warnings on to our log; there is no LOG file per store.
class RocksLogger : public rocksdb::Logger {
 public:
  RocksLogger() : Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    std::array<char, 1'024> line{};
    std::vsnprintf(line.data(), line.size(), format, arguments);
    std::string_view text = line.data();
    while (text.ends_with('\n')) text.remove_suffix(1);
    if (text.find("Shutdown in progress") != text.npos) return;  // of a store that we close
    LogWarning("rocksdb: {}", text);
  }
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < rocksdb::InfoLogLevel::WARN_LEVEL) return;
    if (level >= rocksdb::InfoLogLevel::HEADER_LEVEL) return;
    Logv(format, arguments);
  }
  void LogHeader(const char* /*format*/, va_list /*arguments*/) override {}
};

struct RocksResources::State {
  std::shared_ptr<rocksdb::Cache> cache;                 // shared with RocksDB's option objects
  std::shared_ptr<rocksdb::WriteBufferManager> buffers;  // likewise
  std::shared_ptr<rocksdb::SstFileManager> files;        // likewise; retries after a full disk
  std::shared_ptr<rocksdb::Logger> logger;               // likewise
  rocksdb::Env* env = nullptr;                           // the process's own
  int background_jobs = 2;
};

RocksResources::RocksResources(const RocksResourcesOptions& options)
    : state_(std::make_unique<State>()) {
  state_->cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  state_->buffers = std::make_shared<rocksdb::WriteBufferManager>(options.write_buffer_bytes);
  state_->logger = std::make_shared<RocksLogger>();
  state_->env = rocksdb::Env::Default();
  state_->files.reset(rocksdb::NewSstFileManager(state_->env, state_->logger));
  state_->env->SetBackgroundThreads(options.flush_threads, rocksdb::Env::Priority::HIGH);
  state_->env->SetBackgroundThreads(options.compaction_threads, rocksdb::Env::Priority::LOW);
  state_->background_jobs = options.flush_threads + options.compaction_threads;
}

RocksResources::~RocksResources() = default;

uint64_t RocksResources::block_cache_used_bytes() const { return state_->cache->GetUsage(); }
uint64_t RocksResources::write_buffers_used_bytes() const {
  return state_->buffers->memory_usage();
}

namespace {

using rocksdb::Slice;

Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view ToView(const Slice& slice) { return {slice.data(), slice.size()}; }

absl::Status ToStatus(const rocksdb::Status& status, const std::string& dir) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = fmt::format("store {}: {}", dir, status.ToString());
  if (status.IsCorruption()) return absl::DataLossError(message);
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kSpaceLimit ||
      status.IsMemoryLimit()) {
    return absl::ResourceExhaustedError(message);
  }
  if (status.IsIOError()) {
    if (message.find("Too many open files") != std::string::npos) {
      return absl::ResourceExhaustedError(message);
    }
    // A file that the store's own records name is not there.
    if (status.IsPathNotFound()) return absl::DataLossError(message);
  }
  if (status.IsShutdownInProgress() || status.IsBusy() || status.IsTryAgain() ||
      status.IsTimedOut()) {
    return absl::UnavailableError(message);
  }
  return absl::InternalError(message);
}

// Errors of opening that mean something else than later.
absl::Status ToOpenStatus(const rocksdb::Status& status, const std::string& dir) {
  const std::string text = status.ToString();
  if (status.IsIOError() && text.find("lock") != std::string::npos) {
    return FailedPrecondition("store {}: is open already: {}", dir, text);
  }
  return ToStatus(status, dir);
}

rocksdb::ColumnFamilyOptions ColumnFamilyOptionsFor(ColumnUse use, const RocksOptions& options,
                                                    const RocksResources::State& shared) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = shared.cache;
  table.format_version = 5;
  table.cache_index_and_filter_blocks = true;  // so that the cache bounds them
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.block_size = 4'096;

  rocksdb::ColumnFamilyOptions column;
  column.compression = rocksdb::kNoCompression;
  column.write_buffer_size = options.write_buffer_bytes;
  column.max_write_buffer_number = 16;  // writers stall one below it
  column.arena_block_size = 64 << 10;   // what an idle column may hold
  // Applying a committed entry must not wait, so RocksDB's own slow-downs are out of reach;
  // admission limits writers.
  column.level0_slowdown_writes_trigger = 1'000;
  column.level0_stop_writes_trigger = 2'000;
  column.soft_pending_compaction_bytes_limit = 0;
  column.hard_pending_compaction_bytes_limit = 0;
  column.level_compaction_dynamic_level_bytes = true;
  column.force_consistency_checks = true;
  column.paranoid_file_checks = false;  // reading each new file back doubles the cost of a flush
  switch (use) {
    case ColumnUse::kPoints:
      table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
      column.compression = rocksdb::kLZ4Compression;
      break;
    case ColumnUse::kLargeValues:
      table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
      table.block_size = 16'384;
      break;
    case ColumnUse::kLog:
      break;
    case ColumnUse::kSmall:
      table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
      column.write_buffer_size = std::min(options.write_buffer_bytes, size_t{4} << 20);
      break;
  }
  column.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return column;
}

rocksdb::DBOptions DbOptionsFor(const RocksOptions& options, const RocksResources::State& shared) {
  rocksdb::DBOptions db;
  db.create_if_missing = true;
  db.create_missing_column_families = true;
  db.paranoid_checks = true;
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  db.env = shared.env;
  db.info_log = shared.logger;
  db.write_buffer_manager = shared.buffers;
  db.sst_file_manager = shared.files;
  db.max_background_jobs = shared.background_jobs;
  db.max_open_files = 128;
  db.max_file_opening_threads = 1;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.bytes_per_sync = 1 << 20;
  db.avoid_flush_during_recovery = true;
  // The same state after a stop as after a crash: one way to start, and it is tested.
  db.avoid_flush_during_shutdown = true;
  // A missing log, or a MANIFEST that has lost its end, is then noticed.
  db.track_and_verify_wals_in_manifest = options.write_ahead_log == WriteAheadLog::kOn;
  // Without a log, for a state of one moment over all columns. With one, so that a column of few
  // writes does not hold back the old log files, which a start would have to replay.
  db.atomic_flush = true;
  return db;
}

class RocksSnapshot : public KvSnapshot {
 public:
  explicit RocksSnapshot(rocksdb::DB& db) : db_(db), snapshot_(db.GetSnapshot()) {}
  ~RocksSnapshot() override { db_.ReleaseSnapshot(snapshot_); }
  const rocksdb::Snapshot* get() const { return snapshot_; }

 private:
  rocksdb::DB& db_;
  const rocksdb::Snapshot* snapshot_;
};

// Counts what changes a store's files but for writes.
class FileChanges : public rocksdb::EventListener {
 public:
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo&) override { ++count_; }
  void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override { ++count_; }
  void OnTableFileDeleted(const rocksdb::TableFileDeletionInfo&) override { ++count_; }
  uint64_t count() const { return count_; }

 private:
  std::atomic<uint64_t> count_{0};
};

class RocksKv : public Kv {
 public:
  RocksKv(const RocksOptions& options, const RocksResources::State& shared)
      : dir_(options.dir), write_ahead_log_(options.write_ahead_log), env_(shared.env) {}

  ~RocksKv() override {
    for (rocksdb::ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
    if (db_ == nullptr) return;
    const rocksdb::Status closed = db_->Close();
    if (!closed.ok()) LogWarning("close store {}: {}", dir_, closed.ToString());
  }

  absl::Status Open(const RocksOptions& options, const RocksResources::State& shared);

  absl::Status Write(const WriteBatch& batch, Durability durability) override;
  absl::StatusOr<std::optional<std::string>> Get(Column column,
                                                 std::string_view key) const override;
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      Column column, const std::vector<std::string_view>& keys) const override;
  absl::Status Scan(
      Column column, std::string_view begin, std::string_view end, const KvSnapshot* snapshot,
      const std::function<bool(std::string_view, std::string_view)>& visit) const override;
  std::unique_ptr<const KvSnapshot> TakeSnapshot() const override {
    return std::make_unique<RocksSnapshot>(*db_);
  }
  absl::Status Flush() override;
  absl::Status Checkpoint(const std::string& dir) override;
  uint64_t disk_bytes() const override;
  uint64_t memory_bytes() const override;

 private:
  rocksdb::ColumnFamilyHandle* HandleOf(Column column) const {
    CHECK_LT(column, handles_.size());
    return handles_[column];
  }
  rocksdb::Status Stage(const WriteBatch::Operation& operation, rocksdb::WriteBatch& staged) const;
  absl::Status Refusal() const;
  void RefuseFromNowOn(const absl::Status& why);

  // What is asked of every store again and again, and costs a call to the system for each file:
  // looked at anew when something changed.
  struct FileSizes {
    bool known = false;
    uint64_t changes = 0;   // FileChanges::count
    uint64_t sequence = 0;  // of the newest write
    uint64_t disk_bytes = 0;
    uint64_t reader_bytes = 0;  // of memory, for open tables
  };
  FileSizes MeasuredFiles() const;
  uint64_t MemoryOf(const std::string& property) const;

  const std::string dir_;
  const WriteAheadLog write_ahead_log_;
  rocksdb::Env* const env_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  mutable absl::Mutex mutex_;
  absl::Status refusal_ ABSL_GUARDED_BY(mutex_);  // of every write, once one failed
  const std::shared_ptr<FileChanges> changes_ = std::make_shared<FileChanges>();
  mutable absl::Mutex sizes_mutex_;
  mutable FileSizes sizes_ ABSL_GUARDED_BY(sizes_mutex_);
};

absl::Status RocksKv::Open(const RocksOptions& options, const RocksResources::State& shared) {
  rocksdb::DBOptions db_options = DbOptionsFor(options, shared);
  db_options.listeners.push_back(changes_);
  std::vector<rocksdb::ColumnFamilyDescriptor> columns;
  for (const ColumnOptions& column : options.columns) {
    columns.emplace_back(columns.empty() ? rocksdb::kDefaultColumnFamilyName : column.name,
                         ColumnFamilyOptionsFor(column.use, options, shared));
  }
  if (env_->FileExists(dir_ + "/CURRENT").ok()) {
    std::vector<std::string> names;
    const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(db_options, dir_, &names);
    if (!listed.ok()) return ToOpenStatus(listed, dir_);
    for (const std::string& name : names) {
      const bool known = std::any_of(columns.begin(), columns.end(),
                                     [&](const auto& column) { return column.name == name; });
      if (!known)
        return FailedPrecondition("store {}: has a column {} of a newer version", dir_, name);
    }
  }
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(db_options, dir_, columns, &handles_, &db);
  db_.reset(db);
  return ToOpenStatus(opened, dir_);
}

absl::Status RocksKv::Refusal() const {
  const absl::ReaderMutexLock lock(&mutex_);
  return refusal_;
}

void RocksKv::RefuseFromNowOn(const absl::Status& why) {
  const absl::MutexLock lock(&mutex_);
  if (!refusal_.ok()) return;
  refusal_ = Unavailable("store {}: refuses writes since one failed: {}", dir_, MessageOf(why));
}

rocksdb::Status RocksKv::Stage(const WriteBatch::Operation& operation,
                               rocksdb::WriteBatch& staged) const {
  using Kind = WriteBatch::Operation::Kind;
  rocksdb::ColumnFamilyHandle* handle = HandleOf(operation.column);
  switch (operation.kind) {
    case Kind::kPut: {
      const Slice key = operation.key;
      const std::array<Slice, 2> value{Slice(operation.value), ToSlice(operation.rest)};
      return staged.Put(handle, rocksdb::SliceParts(&key, 1), rocksdb::SliceParts(value.data(), 2));
    }
    case Kind::kDelete:
      return staged.Delete(handle, operation.key);
    case Kind::kDeleteRange:
      if (operation.key >= operation.value) return rocksdb::Status::OK();
      return staged.DeleteRange(handle, operation.key, operation.value);
  }
  return rocksdb::Status::NotSupported("unknown operation");
}

absl::Status RocksKv::Write(const WriteBatch& batch, Durability durability) {
  RETURN_IF_ERROR(Refusal());
  rocksdb::WriteBatch staged(batch.bytes() + 32 * batch.operations().size() + 32);
  for (const WriteBatch::Operation& operation : batch.operations()) {
    RETURN_IF_ERROR(ToStatus(Stage(operation, staged), dir_));
  }
  const bool logged = write_ahead_log_ == WriteAheadLog::kOn;
  rocksdb::WriteOptions options;
  options.disableWAL = !logged;
  options.sync = logged && durability == Durability::kSynced;
  const absl::Status written = ToStatus(db_->Write(options, &staged), dir_);
  if (!written.ok()) {
    if (logged) RefuseFromNowOn(written);
    return written;
  }
  return !logged && durability == Durability::kSynced ? Flush() : absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> RocksKv::Get(Column column, std::string_view key) const {
  std::string value;
  const rocksdb::Status got = db_->Get({}, HandleOf(column), ToSlice(key), &value);
  if (got.IsNotFound()) return std::optional<std::string>();
  RETURN_IF_ERROR(ToStatus(got, dir_));
  return std::optional<std::string>(std::move(value));
}

absl::StatusOr<std::vector<std::optional<std::string>>> RocksKv::MultiGet(
    Column column, const std::vector<std::string_view>& keys) const {
  std::vector<Slice> slices;
  slices.reserve(keys.size());
  for (const std::string_view key : keys) slices.push_back(ToSlice(key));
  std::vector<rocksdb::PinnableSlice> values(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  db_->MultiGet({}, HandleOf(column), keys.size(), slices.data(), values.data(), statuses.data());

  std::vector<std::optional<std::string>> result(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].IsNotFound()) continue;
    RETURN_IF_ERROR(ToStatus(statuses[i], dir_));
    result[i] = values[i].ToString();
  }
  return result;
}

absl::Status RocksKv::Scan(
    Column column, std::string_view begin, std::string_view end, const KvSnapshot* snapshot,
    const std::function<bool(std::string_view, std::string_view)>& visit) const {
  rocksdb::ReadOptions options;
  options.fill_cache = false;  // a scan must not push out what searches need
  if (snapshot != nullptr) options.snapshot = static_cast<const RocksSnapshot*>(snapshot)->get();
  const Slice bound = ToSlice(end);
  if (!end.empty()) options.iterate_upper_bound = &bound;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options, HandleOf(column)));
  for (it->Seek(ToSlice(begin)); it->Valid(); it->Next()) {
    if (!visit(ToView(it->key()), ToView(it->value()))) return absl::OkStatus();
  }
  return ToStatus(it->status(), dir_);
}

absl::Status RocksKv::Flush() {
  rocksdb::FlushOptions options;
  options.wait = true;
  options.allow_write_stall = true;
  return ToStatus(db_->Flush(options, handles_), dir_);
}

absl::Status RocksKv::Checkpoint(const std::string& dir) {
  rocksdb::Checkpoint* made = nullptr;
  RETURN_IF_ERROR(ToStatus(rocksdb::Checkpoint::Create(db_.get(), &made), dir_));
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  const rocksdb::Status written = checkpoint->CreateCheckpoint(dir);
  if (written.IsInvalidArgument())
    return AlreadyExists("checkpoint {}: {}", dir, written.ToString());
  return ToStatus(written, dir_);
}

uint64_t RocksKv::MemoryOf(const std::string& property) const {
  uint64_t bytes = 0;
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    uint64_t value = 0;
    if (db_->GetIntProperty(handle, property, &value)) bytes += value;
  }
  return bytes;
}

RocksKv::FileSizes RocksKv::MeasuredFiles() const {
  const absl::MutexLock lock(&sizes_mutex_);
  const uint64_t changes = changes_->count();  // before the files are looked at
  const uint64_t sequence = db_->GetLatestSequenceNumber();
  if (sizes_.known && sizes_.changes == changes && sizes_.sequence == sequence) return sizes_;
  sizes_ = {.changes = changes, .sequence = sequence};
  std::vector<rocksdb::Env::FileAttributes> files;
  sizes_.known = env_->GetChildrenFileAttributes(dir_, &files).ok();
  for (const rocksdb::Env::FileAttributes& file : files) sizes_.disk_bytes += file.size_bytes;
  sizes_.reader_bytes = MemoryOf(rocksdb::DB::Properties::kEstimateTableReadersMem);
  return sizes_;
}

uint64_t RocksKv::disk_bytes() const { return MeasuredFiles().disk_bytes; }

uint64_t RocksKv::memory_bytes() const {
  return MemoryOf(rocksdb::DB::Properties::kSizeAllMemTables) + MeasuredFiles().reader_bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Kv>> OpenRocksKv(const RocksOptions& options,
                                                RocksResources& resources) {
  CHECK(!options.columns.empty());
  const std::unique_ptr<FileSystem> files = NewPosixFileSystem();
  RETURN_IF_ERROR(files->MakeDirs(options.dir));
  RETURN_IF_ERROR(CheckStoreFiles(*files, options.dir));
  auto kv = std::make_unique<RocksKv>(options, resources.state());
  RETURN_IF_ERROR(kv->Open(options, resources.state()));
  return kv;
}

}  // namespace vectron::storage
