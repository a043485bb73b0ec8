#include "index/record_store.h"

#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <string>
#include <system_error>

#include "base/check.h"
#include "base/status.h"
#include "index/available_memory.h"
#include "index/checkpoint.h"

namespace vectron::index {
namespace {

constexpr uint64_t kHugePageBytes = uint64_t{2} << 20;
constexpr uint64_t kMinRowsPerChunk = 256;  // so that a chunk of a 16-byte multiple is whole pages
// The first chunk gets huge pages once it is this full: below, they would waste more than they
// help.
constexpr uint64_t kHugePagesFromBytes = 2 * kHugePageBytes;
// Growth smaller than this is not worth asking the system for.
constexpr uint64_t kMemoryCheckBytes = kHugePageBytes;
constexpr uint64_t kMemoryKeptFree = uint64_t{64} << 20;
constexpr uint64_t kMaxStoreRows = uint64_t{1} << 32;

uint64_t RoundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

absl::Status MapError(std::string_view what, uint64_t bytes) {
  const std::string reason = std::generic_category().message(errno);
  return ResourceExhausted("{} {} bytes: {}", what, bytes, reason);
}

// Anonymous memory whose start is a multiple of 2 MiB; bytes too. No pages are taken yet.
absl::StatusOr<char*> MapAligned(uint64_t bytes) {
  constexpr int kProtection = PROT_READ | PROT_WRITE;
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* const exact = ::mmap(nullptr, bytes, kProtection, kFlags, -1, 0);
  if (exact == MAP_FAILED) return MapError("map", bytes);
  if (reinterpret_cast<uintptr_t>(exact) % kHugePageBytes == 0) return static_cast<char*>(exact);
  ::munmap(exact, bytes);
  void* const wide = ::mmap(nullptr, bytes + kHugePageBytes, kProtection, kFlags, -1, 0);
  if (wide == MAP_FAILED) return MapError("map", bytes);
  char* const start = static_cast<char*>(wide);
  const uint64_t before = RoundUp(reinterpret_cast<uintptr_t>(wide), kHugePageBytes) -
                          reinterpret_cast<uintptr_t>(wide);
  if (before > 0) ::munmap(start, before);
  if (before < kHugePageBytes) ::munmap(start + before + bytes, kHugePageBytes - before);
  return start + before;
}

// Advice only: a kernel without huge pages refuses it and all works on.
void AdviseHugePages(char* start, uint64_t bytes, bool wanted) {
  ::madvise(start, bytes, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

// Copies memory that others may be changing word by word.
void CopyRelaxed(const char* from, size_t bytes, char* into) {
  size_t at = 0;
  if (reinterpret_cast<uintptr_t>(from) % 8 == 0) {
    for (; at + 8 <= bytes; at += 8) {
      const uint64_t word =
          __atomic_load_n(reinterpret_cast<const uint64_t*>(from + at), __ATOMIC_RELAXED);
      std::memcpy(into + at, &word, 8);
    }
  }
  for (; at < bytes; ++at) into[at] = __atomic_load_n(from + at, __ATOMIC_RELAXED);
}

std::string ChunkSection(std::string_view name, uint64_t chunk) {
  return fmt::format("{}/{}", name, chunk);
}

}  // namespace

void AppendLock::lock() {
  for (int spins = 0; held_.exchange(true, std::memory_order_acquire);) {
    while (held_.load(std::memory_order_relaxed)) {
      if (++spins > 64) ::sched_yield();
    }
  }
}

RecordStore::RecordStore(uint32_t stride_bytes) : stride_(stride_bytes) {
  CHECK_GE(stride_bytes, 1U);
  const uint64_t rows = std::max(kMaxChunkBytes / stride_bytes, kMinRowsPerChunk);
  shift_ = static_cast<uint32_t>(std::bit_width(rows)) - 1;
  mask_ = (uint64_t{1} << shift_) - 1;
}

RecordStore::~RecordStore() {
  for (const MappedChunk& mapped : mapped_) ReleaseStage(mapped);
  for (uint64_t i = 0; i < chunk_count(); ++i) ::munmap(chunk(i), range_bytes());
}

uint64_t RecordStore::range_bytes() const {
  return descriptor_ >= 0 ? chunk_bytes() : RoundUp(chunk_bytes(), kHugePageBytes);
}

void RecordStore::BackByFile(int descriptor) {
  CHECK_EQ(chunk_count(), 0U);
  CHECK_EQ(stride_ % 16, 0U);
  CHECK_GE(descriptor, 0);
  descriptor_ = descriptor;
}

void RecordStore::DropResident() {
  if (descriptor_ < 0) return;
  for (uint64_t i = 0; i < chunk_count(); ++i) ::madvise(chunk(i), range_bytes(), MADV_DONTNEED);
}

void RecordStore::GrowTables() {
  const uint64_t size = table_size_ == 0 ? 4 : table_size_ * 2;
  auto pointers = std::make_unique<std::atomic<char*>[]>(size);
  for (uint64_t i = 0; i < size; ++i) {
    pointers[i].store(i < table_size_ ? chunk(i) : nullptr, std::memory_order_relaxed);
  }
  table_.store(pointers.get(), std::memory_order_release);
  tables_.push_back(std::move(pointers));
  table_size_ = size;
}

absl::Status RecordStore::AddChunk(bool huge_pages) {
  char* base = nullptr;
  if (descriptor_ >= 0) {
    const auto offset = static_cast<off_t>(chunk_count() * chunk_bytes());
    void* const mapped = ::mmap(nullptr, range_bytes(), PROT_READ, MAP_SHARED, descriptor_, offset);
    if (mapped == MAP_FAILED) return MapError("map a file for", range_bytes());
    base = static_cast<char*>(mapped);
  } else {
    ASSIGN_OR_RETURN(base, MapAligned(range_bytes()));
    AdviseHugePages(base, range_bytes(), huge_pages);
  }
  const uint64_t index = chunk_count();
  if (index == table_size_) GrowTables();
  table_.load(std::memory_order_relaxed)[index].store(base, std::memory_order_relaxed);
  chunk_count_.store(index + 1, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status RecordStore::Reserve(uint64_t rows) {
  if (rows <= reserved_rows()) return absl::OkStatus();
  if (rows > kMaxStoreRows) {
    return ResourceExhausted("{} rows wanted, a store has at most {}", rows, kMaxStoreRows);
  }
  const uint64_t bytes = rows * stride_;
  if (descriptor_ < 0 && bytes > checked_bytes_) {
    // In doubling steps up to a chunk, so that a slow growth does not ask each time.
    const uint64_t step = std::min(std::max(checked_bytes_, uint64_t{256} << 10), chunk_bytes());
    const uint64_t wanted = std::max(bytes, checked_bytes_ + step);
    const uint64_t growth = wanted - checked_bytes_;
    if (growth >= kMemoryCheckBytes) {
      const uint64_t available = AvailableMemoryBytes();
      if (available < kMemoryKeptFree || available - kMemoryKeptFree < growth) {
        return ResourceExhausted("{} bytes of memory wanted for {} rows, {} available", growth,
                                 rows, available);
      }
    }
    if (checked_bytes_ < kHugePagesFromBytes && wanted >= kHugePagesFromBytes &&
        chunk_count() > 0) {
      AdviseHugePages(chunk(0), range_bytes(), true);
    }
    checked_bytes_ = wanted;
  }
  while (chunk_count() * rows_per_chunk() < rows) {
    RETURN_IF_ERROR(AddChunk(checked_bytes_ >= kHugePagesFromBytes));
  }
  reserved_rows_.store(rows, std::memory_order_release);
  return absl::OkStatus();
}

uint64_t RecordStore::memory_bytes() const {
  if (descriptor_ >= 0) return 0;
  const uint64_t all = reserved_rows() * stride_;
  return all - std::min(all, mapped_bytes_.load(std::memory_order_relaxed));
}

absl::Status RecordStore::WriteTo(CheckpointWriter& writer, std::string_view name, uint64_t rows,
                                  AppendLock& lock) const {
  CHECK_LT(descriptor_, 0);
  CHECK_LE(rows, reserved_rows());
  std::string buffer;
  for (uint64_t first = 0; first < rows; first += rows_per_chunk()) {
    const uint64_t size = std::min(rows - first, rows_per_chunk()) * stride_;
    RETURN_IF_ERROR(writer.Begin(ChunkSection(name, first >> shift_), size));
    for (uint64_t at = 0; at < size; at += kSectionPieceBytes) {
      buffer.resize(std::min(size - at, kSectionPieceBytes));
      {
        const std::lock_guard hold(lock);
        CopyRelaxed(At(first) + at, buffer.size(), buffer.data());
      }
      RETURN_IF_ERROR(writer.Append(buffer));
    }
    RETURN_IF_ERROR(writer.End());
  }
  return absl::OkStatus();
}

absl::Status RecordStore::OpenFrom(const CheckpointReader& reader, std::string_view name,
                                   uint64_t rows) {
  CHECK_LT(descriptor_, 0);
  CHECK_EQ(chunk_count(), 0U);
  if (rows > kMaxStoreRows) return DataLoss("{}: section {} of {} rows", reader.dir(), name, rows);
  for (uint64_t first = 0; first < rows; first += rows_per_chunk()) {
    const uint64_t size = std::min(rows - first, rows_per_chunk()) * stride_;
    const std::string section_name = ChunkSection(name, first >> shift_);
    const SectionInfo* const section = reader.FindSection(section_name);
    if (section == nullptr || section->linked || section->size_bytes != size) {
      return DataLoss("{}: section {} of {} bytes wanted, {} there", reader.dir(), section_name,
                      size, section == nullptr ? 0 : section->size_bytes);
    }
    RETURN_IF_ERROR(AddChunk(first > 0 || size >= kHugePagesFromBytes));
    char* const base = chunk(chunk_count() - 1);
    const uint64_t bytes = section->padded_bytes();
    void* const mapped =
        ::mmap(base, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
               reader.FileOf(*section).descriptor(), static_cast<off_t>(section->offset));
    if (mapped == MAP_FAILED) return MapError("map a checkpoint's file for", bytes);
    mapped_.push_back(MappedChunk{.base = base, .mapped = bytes});
    mapped_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  }
  checked_bytes_ = rows * stride_;
  reserved_rows_.store(rows, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status RecordStore::Adopt(AppendLock& lock) {
  while (!fully_adopted()) {
    RETURN_IF_ERROR(PreparePiece());
    const std::lock_guard hold(lock);
    RETURN_IF_ERROR(AdoptPiece());
  }
  return absl::OkStatus();
}

absl::Status RecordStore::PreparePiece() {
  MappedChunk& from = mapped_.back();
  const bool huge = from.mapped >= kHugePageBytes;
  if (from.stage == nullptr) {
    // Laid out as the chunk is, so that the pieces merge to one mapping again where they are moved
    // to.
    ASSIGN_OR_RETURN(from.stage, MapAligned(range_bytes()));
    AdviseHugePages(from.stage, range_bytes(), huge);
  }
  const uint64_t left = from.mapped - from.adopted;
  // Advice only, so that the copy under the lock waits for no disk and no zeroing; old kernels
  // refuse it.
  ::madvise(from.base + from.adopted, std::min(left, kHugePageBytes), MADV_POPULATE_READ);
  ::madvise(from.stage + from.adopted, huge ? kHugePageBytes : left, MADV_POPULATE_WRITE);
  return absl::OkStatus();
}

absl::Status RecordStore::AdoptPiece() {
  CHECK(!fully_adopted());
  if (mapped_.back().stage == nullptr) RETURN_IF_ERROR(PreparePiece());
  MappedChunk& from = mapped_.back();
  // The last piece of a large chunk takes the fresh rows behind it along, for the sake of one whole
  // huge page.
  const bool huge = from.mapped >= kHugePageBytes;
  const uint64_t left = from.mapped - from.adopted;
  const uint64_t bytes = huge ? kHugePageBytes : left;
  char* const piece = from.base + from.adopted;
  char* const copy = from.stage + from.adopted;
  std::memcpy(copy, piece, bytes);
  if (::mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, piece) == MAP_FAILED) {
    return MapError("move", bytes);
  }
  from.adopted += std::min(left, bytes);
  mapped_bytes_.fetch_sub(std::min(left, bytes), std::memory_order_relaxed);
  if (from.adopted == from.mapped) {
    ReleaseStage(from);
    mapped_.pop_back();
  }
  return absl::OkStatus();
}

void RecordStore::ReleaseStage(const MappedChunk& chunk) const {
  if (chunk.stage == nullptr) return;
  // What was moved left holes behind that may be somebody else's by now.
  const uint64_t moved =
      chunk.mapped >= kHugePageBytes ? RoundUp(chunk.adopted, kHugePageBytes) : chunk.adopted;
  if (moved < range_bytes()) ::munmap(chunk.stage + moved, range_bytes() - moved);
}

}  // namespace vectron::index
