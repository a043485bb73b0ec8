#pragma once

// Files as a dependency, so that tests can make them fail. Errors carry the path: NotFound,
// ResourceExhausted (disk full), DataLoss (I/O error), Internal (anything else).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vectron {

// A file open for positional reading and writing. Thread-safe for disjoint ranges.
class File {
 public:
  virtual ~File() = default;
  // Reads exactly `size` bytes at `offset`; OutOfRange when the file ends before.
  virtual absl::Status Read(uint64_t offset, size_t size, char* into) const = 0;
  virtual absl::Status Write(uint64_t offset, std::string_view bytes) = 0;
  // Makes the file at least `size` bytes long with its blocks allocated, so that later writes there
  // cannot lack space.
  virtual absl::Status Allocate(uint64_t size) = 0;
  virtual absl::Status Truncate(uint64_t size) = 0;
  virtual absl::StatusOr<uint64_t> Size() const = 0;
  // Data and metadata on disk. After an error the contents are unknown: the caller must end the
  // process or drop the file.
  virtual absl::Status Sync() = 0;
  // The descriptor, for mmap; -1 when there is none.
  virtual int descriptor() const = 0;
  virtual const std::string& path() const = 0;
};

enum class OpenMode { kRead, kReadWrite, kCreate /* read and write, empty */ };

// Thread-safe.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  virtual absl::StatusOr<std::string> ReadAll(const std::string& path) = 0;
  // Writes path.tmp, syncs it, renames it over `path` and syncs the folder: after a crash the old
  // or the new is there.
  virtual absl::Status WriteAtomically(const std::string& path, std::string_view bytes) = 0;
  virtual absl::Status MakeDirs(const std::string& path) = 0;
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status HardLink(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;  // a file; OK when it does not exist
  virtual absl::Status RemoveTree(const std::string& path) = 0;  // OK when it does not exist
  virtual absl::Status SyncDir(const std::string& path) = 0;
  virtual absl::StatusOr<std::vector<std::string>> List(
      const std::string& path) = 0;  // names, sorted
  virtual absl::StatusOr<bool> Exists(const std::string& path) = 0;
  struct Space {
    uint64_t free_bytes = 0;  // for this user
    uint64_t total_bytes = 0;
  };
  virtual absl::StatusOr<Space> FreeSpace(const std::string& path) = 0;
};

std::unique_ptr<FileSystem> NewPosixFileSystem();

}  // namespace vectron
