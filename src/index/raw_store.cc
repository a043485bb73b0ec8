#include "index/raw_store.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "base/crash_point.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "index/half.h"

namespace vectron::index {
namespace {

constexpr uint32_t kRowAlignment = 16;
constexpr std::string_view kSection = "raw";
constexpr std::string_view kCrcSection = "raw_crc";
constexpr const char* kFileName = "raw.vectors";
// The file grows by a quarter within these bounds, so that a small index costs little disk and a
// large one few calls.
constexpr uint64_t kMinFileStep = uint64_t{64} << 10;
constexpr uint64_t kMaxFileStep = uint64_t{64} << 20;
constexpr uint64_t kVerifyRows = 64;  // checked in one hold of the lock

uint32_t Stride(const RawStore::Options& options) {
  const uint32_t value_bytes = options.storage == VectorStorage::kF16 ? 2 : 4;
  return (options.dimension * value_bytes + kRowAlignment - 1) / kRowAlignment * kRowAlignment;
}

}  // namespace

RawStore::RawStore(const Options& options)
    : dimension_(options.dimension),
      storage_(options.storage),
      stride_(Stride(options)),
      row_lines_((stride_ + 63) / 64),
      path_(options.path),
      rows_(stride_),
      scratch_(stride_, '\0') {}

RawStore::~RawStore() = default;

absl::Status RawStore::OpenFile(FileSystem& files, OpenMode mode) {
  ASSIGN_OR_RETURN(file_, files.Open(path_, mode));
  ASSIGN_OR_RETURN(const uint64_t size, file_->Size());
  file_bytes_.store(size, std::memory_order_relaxed);
  rows_.BackByFile(file_->descriptor());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RawStore>> RawStore::Create(const Options& options,
                                                           FileSystem& files) {
  CHECK_GE(options.dimension, 1U);
  std::unique_ptr<RawStore> store(new RawStore(options));
  if (!options.in_memory) {
    // A new file, not the old one emptied: a checkpoint may hold a link to that.
    RETURN_IF_ERROR(files.Remove(options.path));
    RETURN_IF_ERROR(store->OpenFile(files, OpenMode::kCreate));
  }
  return store;
}

absl::StatusOr<std::unique_ptr<RawStore>> RawStore::OpenFrom(const Options& options,
                                                             FileSystem& files,
                                                             const CheckpointReader& reader,
                                                             uint64_t rows) {
  CHECK_GE(options.dimension, 1U);
  std::unique_ptr<RawStore> store(new RawStore(options));
  RETURN_IF_ERROR(store->crcs_.store().OpenFrom(reader, kCrcSection, rows));
  const SectionInfo* const section = reader.FindSection(kSection);
  if (section == nullptr) {
    RETURN_IF_ERROR(store->rows_.OpenFrom(reader, kSection, rows));
    return store;
  }
  if (!section->linked || section->size_bytes < rows * store->stride_) {
    return DataLoss("{}: section {} of {} bytes, {} rows of {} wanted", reader.dir(), kSection,
                    section->size_bytes, rows, store->stride_);
  }
  RETURN_IF_ERROR(files.Remove(options.path));
  RETURN_IF_ERROR(files.HardLink(reader.dir() + "/" + section->file, options.path));
  CrashPoint("raw_store.linked");
  RETURN_IF_ERROR(store->OpenFile(files, OpenMode::kReadWrite));
  RETURN_IF_ERROR(store->Reserve(rows));
  return store;
}

absl::Status RawStore::Reserve(uint64_t rows) {
  if (rows <= rows_.reserved_rows() && rows <= crcs_.reserved_rows()) return absl::OkStatus();
  RETURN_IF_ERROR(crcs_.Reserve(rows));
  const uint64_t bytes = rows * stride_;
  if (file_ != nullptr && bytes > disk_bytes()) {
    const uint64_t step = std::clamp(disk_bytes() / 4, kMinFileStep, kMaxFileStep);
    const uint64_t size = std::max(bytes, disk_bytes() + step);
    RETURN_IF_ERROR(file_->Allocate(size));
    file_bytes_.store(size, std::memory_order_relaxed);
  }
  return rows_.Reserve(rows);
}

absl::Status RawStore::Put(uint32_t slot, std::span<const float> vector) {
  CHECK_EQ(vector.size(), dimension_);
  CHECK_LT(slot, rows_.reserved_rows());
  char* const row = file_ != nullptr ? scratch_.data() : rows_.At(slot);
  if (storage_ == VectorStorage::kF16) {
    ToHalf(vector, reinterpret_cast<uint16_t*>(row));
  } else {
    std::memcpy(row, vector.data(), vector.size_bytes());
  }
  if (file_ != nullptr) {
    RETURN_IF_ERROR(file_->Write(uint64_t{slot} * stride_, scratch_));
    NoteReads(1);  // the builder will read it
  }
  crcs_[slot] = Crc32c({row, stride_});
  return absl::OkStatus();
}

void RawStore::Read(uint32_t slot, std::span<float> into) const {
  CHECK_EQ(into.size(), dimension_);
  if (storage_ == VectorStorage::kF16) {
    FromHalf(F16(slot), into);
  } else {
    std::memcpy(into.data(), F32(slot), into.size_bytes());
  }
}

void RawStore::TrimResident() {
  if (file_ == nullptr || reads_.load(std::memory_order_relaxed) < kTrimReads) return;
  reads_.store(0, std::memory_order_relaxed);
  rows_.DropResident();
}

absl::Status RawStore::WriteTo(CheckpointWriter& writer, uint64_t rows, AppendLock& lock) {
  if (file_ != nullptr) {
    RETURN_IF_ERROR(file_->Sync());
    CrashPoint("raw_store.synced");
    RETURN_IF_ERROR(writer.LinkFile(kSection, kFileName, path_, rows * stride_));
  } else {
    RETURN_IF_ERROR(rows_.WriteTo(writer, kSection, rows, lock));
  }
  return crcs_.store().WriteTo(writer, kCrcSection, rows, lock);
}

absl::Status RawStore::Verify(uint64_t first, uint64_t count,
                              const std::function<bool(uint32_t)>& needed, AppendLock& lock) const {
  const uint64_t end = first + count;
  CHECK_LE(end, rows_.reserved_rows());
  std::string rows;
  for (uint64_t begin = first; begin < end; begin += kVerifyRows) {
    const uint64_t stop = std::min(begin + kVerifyRows, end);
    if (file_ != nullptr) {
      // Outside the lock, because the disk may be slow.
      rows.resize((stop - begin) * stride_);
      RETURN_IF_ERROR(file_->Read(begin * stride_, rows.size(), rows.data()));
    }
    const std::lock_guard hold(lock);
    for (uint64_t row = begin; row < stop; ++row) {
      if (!needed(static_cast<uint32_t>(row))) continue;
      const char* const bytes =
          file_ != nullptr ? rows.data() + (row - begin) * stride_ : rows_.At(row);
      if (Crc32c({bytes, stride_}) != crcs_[row]) RETURN_IF_ERROR(VerifyAgain(row));
    }
  }
  return absl::OkStatus();
}

absl::Status RawStore::VerifyAgain(uint64_t row) const {
  std::string bytes(stride_, '\0');
  if (file_ != nullptr) {
    RETURN_IF_ERROR(file_->Read(row * stride_, bytes.size(), bytes.data()));
  } else {
    std::memcpy(bytes.data(), rows_.At(row), stride_);
  }
  const uint32_t got = Crc32c(bytes);
  if (got == crcs_[row]) return absl::OkStatus();
  return DataLoss("{}: vector of slot {} at offset {}: CRC {:08x}, wanted {:08x}",
                  file_ != nullptr ? file_->path() : "vectors in memory", row, row * stride_, got,
                  crcs_[row]);
}

absl::Status RawStore::Adopt(AppendLock& lock) {
  RETURN_IF_ERROR(crcs_.store().Adopt(lock));
  return file_ != nullptr ? absl::OkStatus() : rows_.Adopt(lock);
}

uint64_t RawStore::memory_bytes() const {
  return rows_.memory_bytes() + crcs_.store().memory_bytes();
}

}  // namespace vectron::index
