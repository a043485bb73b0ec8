#pragma once

// Full-precision vectors by slot, as f32 or f16, in memory or in a file.
//
// In a file: rows are written with pwrite into space allocated beforehand (a full disk is a status
// of Reserve, never a SIGBUS) and read through a read-only mapping that never moves. The page cache
// keeps the pages; TrimResident makes the process give them back. Rows of both backings have the
// same layout: `dimension` values, padded to 16 bytes.
//
// The file is shared with the checkpoints by hard link. The owner never overwrites a slot that the
// newest published checkpoint needs, so a checkpoint needs a sync and a link, not a copy; rows
// written after it are written again when the log is replayed. Damage is found by a CRC32C kept for
// each row, which the checkpoint stores; only rows that the checkpoint needs are held to it.
//
// Threads: Put and Reserve by the appender (Put under the AppendLock, when Verify, WriteTo or Adopt
// may run); row reads by any thread while their row is visible; WriteTo, Verify and Adopt by the
// builder; TrimResident and NoteReads by any.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "base/vector_types.h"
#include "index/checkpoint.h"
#include "index/record_store.h"

namespace vectron::index {

class RawStore {
 public:
  struct Options {
    uint32_t dimension = 0;
    VectorStorage storage = VectorStorage::kF32;
    bool in_memory = false;
    std::string path;  // of the file, when not in memory
  };

  // An empty store; the file is created anew. `files` outlives it. Errors: those of the files.
  static absl::StatusOr<std::unique_ptr<RawStore>> Create(const Options& options,
                                                          FileSystem& files);
  // The store as WriteTo left it, rows [0, rows). In a file: the checkpoint's file is hard-linked
  // to options.path (what is there is replaced) and shared from now on. A checkpoint of a store in
  // memory opens in memory and one in a file in a file, whatever the options say now. Errors:
  // DataLoss (missing, too short), those of the files.
  static absl::StatusOr<std::unique_ptr<RawStore>> OpenFrom(const Options& options,
                                                            FileSystem& files,
                                                            const CheckpointReader& reader,
                                                            uint64_t rows);
  ~RawStore();
  RawStore(const RawStore&) = delete;
  RawStore& operator=(const RawStore&) = delete;

  // Makes slots [0, rows) writable: memory or disk space is taken. ResourceExhausted when there is
  // not enough.
  absl::Status Reserve(uint64_t rows);
  // Stores a row. vector: `dimension` values; with f16 rounded to nearest even, beyond +-65504 to
  // that. Slot reserved. DataLoss or Internal when the file cannot be written: the owner must end
  // the process, as after a failed sync.
  absl::Status Put(uint32_t slot, std::span<const float> vector);

  // The row as stored; of `dimension` values. F32 and F16 only with that storage.
  const float* F32(uint32_t slot) const { return reinterpret_cast<const float*>(Bytes(slot)); }
  const uint16_t* F16(uint32_t slot) const {
    return reinterpret_cast<const uint16_t*>(Bytes(slot));
  }
  // The row widened to f32. into: `dimension` values.
  void Read(uint32_t slot, std::span<float> into) const;
  // Asks the processor for the row's first `lines` cache lines (all, when it has fewer).
  void Prefetch(uint32_t slot, uint32_t lines = 16) const {
    const char* row = Bytes(slot);
    const uint32_t count = lines < row_lines_ ? lines : row_lines_;
    for (uint32_t i = 0; i < count; ++i) __builtin_prefetch(row + size_t{i} * 64);
  }

  VectorStorage storage() const { return storage_; }
  bool in_file() const { return file_ != nullptr; }
  uint32_t stride_bytes() const { return stride_; }

  // Tells that `rows` rows were read, once per search; what TrimResident goes by.
  void NoteReads(uint64_t rows) { reads_.fetch_add(rows, std::memory_order_relaxed); }
  // Gives the mapped pages of the file back to the page cache when at least kTrimReads rows were
  // read since the last time. Readers meanwhile fault their pages in again (about 3 us per 64 KiB).
  void TrimResident();
  static constexpr uint64_t kTrimReads = 512;

  // Syncs the file and adds it and the CRCs of rows [0, rows) to the checkpoint (in memory: writes
  // the rows).
  absl::Status WriteTo(CheckpointWriter& writer, uint64_t rows, AppendLock& lock);
  // Compares rows [first, first + count) for which needed(slot) says true with their CRCs. DataLoss
  // names file and offset. Takes the lock for a few rows at a time, and calls `needed` under it.
  absl::Status Verify(uint64_t first, uint64_t count, const std::function<bool(uint32_t)>& needed,
                      AppendLock& lock) const;
  // Moves what is mapped from a checkpoint (CRCs; rows, when in memory) into memory of our own.
  absl::Status Adopt(AppendLock& lock);

  uint64_t memory_bytes() const;
  uint64_t disk_bytes() const { return file_bytes_.load(std::memory_order_relaxed); }

 private:
  explicit RawStore(const Options& options);
  const char* Bytes(uint32_t slot) const { return rows_.At(slot); }
  absl::Status OpenFile(FileSystem& files, OpenMode mode);
  // One row, read anew; under the lock.
  absl::Status VerifyAgain(uint64_t row) const;

  const uint32_t dimension_;
  const VectorStorage storage_;
  const uint32_t stride_;
  const uint32_t row_lines_;
  const std::string path_;
  RecordStore rows_;             // in memory, or the mapped file
  ChunkedArray<uint32_t> crcs_;  // of each row as stored, padding included
  std::unique_ptr<File> file_;   // null: in memory
  std::atomic<uint64_t> file_bytes_{0};
  std::atomic<uint64_t> reads_{0};
  std::string scratch_;  // one row, the appender's
};

}  // namespace vectron::index
