#pragma once

// Fixed-stride records that never move: the memory under everything the index keeps by slot.
//
//   RecordStore            rows of `stride` bytes, for graph records and blocks of links
//   ChunkedArray<T>        the same for one small value a row
//   AppendLock             lets the builder copy memory that the appender may be writing
//
// Rows lie in chunks of a power of two of rows, at most 64 MiB each. A chunk takes its whole
// address range when its first row is reserved and memory only page by page as it is written, so a
// small store costs a page or two, and a row keeps its address for the life of the store: growing,
// opening and adopting never move one. Fresh rows are zero.
//
// Threads: At may be called by any thread for a row that was reserved before the caller learnt of
// it; who may write which bytes is the owner's affair. Reserve: the appender. OpenFrom: before any
// other thread knows the store. WriteTo and Adopt: the builder, while nobody but the appender
// (under the AppendLock) writes. No reader ever takes a lock.
//
// Opening maps the checkpoint's files MAP_PRIVATE (copy on write): nothing is read until it is
// touched, and the files are never written. Adopt then moves the rows to anonymous huge-page
// memory, 2 MiB at a time, each piece copied aside and put in place of the old one by mremap: the
// address stays and a concurrent reader sees the same bytes throughout, so nothing has to be
// retired.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vectron::index {

class CheckpointReader;
class CheckpointWriter;

// Chunks are at most this large (unless 256 rows are larger).
inline constexpr uint64_t kMaxChunkBytes = uint64_t{64} << 20;

// A spin lock for short holds: the appender holds it while it writes one row to any of the index's
// stores (about a microsecond), the builder while it copies one piece of at most 2 MiB (below a
// millisecond). One per index. Yields the processor when it has to wait. Meets BasicLockable, for
// std::lock_guard.
class AppendLock {
 public:
  void lock();
  void unlock() { held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> held_{false};
};

class RecordStore {
 public:
  // stride_bytes: size of a row; >= 1. A multiple of 64 makes every row 64-byte aligned. No memory
  // is taken yet.
  explicit RecordStore(uint32_t stride_bytes);
  ~RecordStore();
  RecordStore(const RecordStore&) = delete;
  RecordStore& operator=(const RecordStore&) = delete;

  // The row's first byte. row < reserved_rows(). Two loads, a shift and a multiply.
  char* At(uint64_t row) {
    return table_.load(std::memory_order_acquire)[row >> shift_].load(std::memory_order_relaxed) +
           (row & mask_) * stride_;
  }
  const char* At(uint64_t row) const { return const_cast<RecordStore*>(this)->At(row); }

  // Makes the rows of this store, still empty, those of a file: row r is at byte r * stride of it,
  // mapped shared and read-only, chunk by chunk as they are reserved. The owner writes rows with
  // pwrite, and makes the file long enough before it reserves. The stride is a multiple of 16.
  // WriteTo, OpenFrom and Adopt are not for such a store.
  void BackByFile(int descriptor);
  // Gives all mapped pages of the file back to the page cache. Any thread; readers meanwhile fault
  // them in again.
  void DropResident();

  // Makes rows [0, rows) usable; never shrinks. rows <= 2^32. ResourceExhausted when the machine or
  // the container has not that much memory left (asked for each step of growth, so that the answer
  // is a status and not the out-of-memory killer), or no address space.
  absl::Status Reserve(uint64_t rows);
  uint64_t reserved_rows() const { return reserved_rows_.load(std::memory_order_relaxed); }

  uint32_t stride_bytes() const { return stride_; }
  uint64_t rows_per_chunk() const { return mask_ + 1; }
  // Anonymous memory the reserved rows need when all are written; not what is only mapped from a
  // checkpoint.
  uint64_t memory_bytes() const;

  // Writes rows [0, rows) as sections "name/0", "name/1", ... one a chunk. Bytes that change
  // meanwhile are written as they were or as they are. Errors: those of the files.
  absl::Status WriteTo(CheckpointWriter& writer, std::string_view name, uint64_t rows,
                       AppendLock& lock) const;
  // Maps rows [0, rows) from the sections that WriteTo made. On an empty store only. Errors:
  // DataLoss (a section is missing or has another size), ResourceExhausted.
  absl::Status OpenFrom(const CheckpointReader& reader, std::string_view name, uint64_t rows);
  // Moves what is still mapped from a checkpoint into memory of our own. Nothing to do: OK at once.
  // After an error (ResourceExhausted) the rest stays mapped and everything works on.
  absl::Status Adopt(AppendLock& lock);
  // Adopt in steps, for an owner that may swap the store between them: pieces still to do, and one
  // of them; the caller holds the AppendLock.
  bool fully_adopted() const { return mapped_.empty(); }
  absl::Status AdoptPiece();

 private:
  // A chunk that is still backed by a checkpoint's file, in part or whole.
  struct MappedChunk {
    char* base = nullptr;
    uint64_t mapped = 0;   // bytes from its start that came from the file; whole pages
    uint64_t adopted = 0;  // of them, moved already
    // Where the rest is copied to before it is moved; null before the first piece.
    char* stage = nullptr;
  };
  using Pointers = std::unique_ptr<std::atomic<char*>[]>;

  absl::Status AddChunk(bool huge_pages);
  void GrowTables();
  // Brings the next piece's pages in, old and new; without the lock.
  absl::Status PreparePiece();
  void ReleaseStage(const MappedChunk& chunk) const;
  uint64_t chunk_bytes() const { return (mask_ + 1) * stride_; }
  uint64_t range_bytes() const;  // address space of a chunk
  uint64_t chunk_count() const { return chunk_count_.load(std::memory_order_acquire); }
  char* chunk(uint64_t i) const {
    return table_.load(std::memory_order_acquire)[i].load(std::memory_order_relaxed);
  }

  const uint32_t stride_;
  int descriptor_ = -1;  // of the file that backs the store; -1: anonymous memory
  uint32_t shift_ = 0;   // rows per chunk = 2^shift_
  uint64_t mask_ = 0;
  // Tables double; old ones stay until the end because a reader may still look at one.
  std::atomic<std::atomic<char*>*> table_{nullptr};
  std::vector<Pointers> tables_;
  uint64_t table_size_ = 0;
  std::atomic<uint64_t> chunk_count_{0};
  uint64_t checked_bytes_ = 0;  // of the rows, that the memory check has let pass
  std::atomic<uint64_t> reserved_rows_{0};
  std::atomic<uint64_t> mapped_bytes_{0};
  std::vector<MappedChunk> mapped_;  // filled by OpenFrom, then the builder's
};

// One T a row. T is trivially copyable and all zero bytes are a valid T; an std::atomic of an
// integer will do. Everything else as for RecordStore.
template <typename T>
class ChunkedArray {
 public:
  static_assert(std::is_trivially_destructible_v<T> && std::is_standard_layout_v<T>);

  ChunkedArray() : rows_(sizeof(T)) {}

  T& operator[](uint64_t row) { return *reinterpret_cast<T*>(rows_.At(row)); }
  const T& operator[](uint64_t row) const { return *reinterpret_cast<const T*>(rows_.At(row)); }
  absl::Status Reserve(uint64_t rows) { return rows_.Reserve(rows); }
  uint64_t reserved_rows() const { return rows_.reserved_rows(); }
  // WriteTo, OpenFrom, Adopt, memory_bytes.
  RecordStore& store() { return rows_; }
  const RecordStore& store() const { return rows_; }

 private:
  RecordStore rows_;
};

}  // namespace vectron::index
