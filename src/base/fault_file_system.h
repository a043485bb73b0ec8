#pragma once

// The faulty twin of a file system: passes everything on to another one and fails one chosen
// operation.
//
//   FaultFileSystem faulty(*real);
//   faulty.FailAt(7, absl::ResourceExhaustedError("disk full"));   // the 7th operation from now,
//   and all later ones
//
// A test that loops over n until nothing fails any more has tried every place where the disk can
// refuse.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/file.h"

namespace vectron {

// Kinds of operation, as bits, to choose which are counted and can fail.
enum FaultKinds : uint32_t {
  kFaultOpen = 1,
  kFaultRead = 2,      // Read, ReadAll, Size, List, Exists, FreeSpace
  kFaultWrite = 4,     // Write, and the write of WriteAtomically
  kFaultAllocate = 8,  // Allocate, Truncate
  kFaultSync = 16,     // Sync, SyncDir, and the sync of WriteAtomically
  kFaultRename = 32,   // Rename, HardLink, and the rename of WriteAtomically
  kFaultRemove = 64,   // Remove, RemoveTree
  kFaultMakeDirs = 128,
  kFaultChanges = 0xfc,  // all that change the disk
  kFaultAll = 0xff,
};

// Thread-safe. Files it opened keep failing with it and must not outlive it.
class FaultFileSystem : public FileSystem {
 public:
  // `base` outlives it.
  explicit FaultFileSystem(FileSystem& base) : base_(base) {}

  struct Fault {
    absl::Status status;         // not OK
    uint32_t kinds = kFaultAll;  // bits of FaultKinds
    bool once =
        false;  // else everything of these kinds fails from then on, as on a full or dead disk
    bool short_write = false;  // a failing Write puts the first half of its bytes on disk
  };
  // The nth (from 1) operation of fault.kinds from now fails. Replaces an earlier fault; the count
  // starts again.
  void FailAt(uint64_t n, Fault fault) ABSL_LOCKS_EXCLUDED(mutex_);
  void FailAt(uint64_t n, absl::Status status) { FailAt(n, Fault{.status = std::move(status)}); }
  // No more faults; the count starts again, of `kinds`.
  void Heal(uint32_t kinds = kFaultAll) ABSL_LOCKS_EXCLUDED(mutex_);
  // Operations of the fault's kinds since FailAt or Heal, the failed ones among them.
  uint64_t operation_count() const ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t failed_count() const ABSL_LOCKS_EXCLUDED(mutex_);

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  absl::StatusOr<std::string> ReadAll(const std::string& path) override;
  // Made of the other operations, so that it can fail at each step.
  absl::Status WriteAtomically(const std::string& path, std::string_view bytes) override;
  absl::Status MakeDirs(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status HardLink(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status RemoveTree(const std::string& path) override;
  absl::Status SyncDir(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override;
  absl::StatusOr<bool> Exists(const std::string& path) override;
  absl::StatusOr<Space> FreeSpace(const std::string& path) override;

 private:
  class FaultFile;
  // Counts one operation; the fault's status (with the path) when it is to fail.
  absl::Status Step(FaultKinds kind, std::string_view path) ABSL_LOCKS_EXCLUDED(mutex_);
  bool short_write() const ABSL_LOCKS_EXCLUDED(mutex_);

  FileSystem& base_;
  mutable absl::Mutex mutex_;
  uint64_t fail_at_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: never
  Fault fault_ ABSL_GUARDED_BY(mutex_);
  uint64_t operations_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t failed_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace vectron
