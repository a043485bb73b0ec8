#pragma once

// A file that is appended to and, when it is full, becomes PATH.1 (that PATH.2, and so on).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/file.h"

namespace vectron::rpc {

// For its owner alone (mode 0600). Not thread-safe.
class RotatingFile {
 public:
  // max_files: with the present one, at least 1; the oldest is removed. `files` outlives it.
  RotatingFile(std::string path, size_t max_file_bytes, size_t max_files, FileSystem& files);

  // Goes on behind what is there.
  absl::Status Open();
  // Opens it again when an error has closed it. The bytes stay together in one file.
  absl::Status Append(std::string_view bytes);
  absl::Status Sync();

 private:
  absl::Status Rotate();
  std::string PathOf(size_t number) const;

  const std::string path_;
  const size_t max_file_bytes_;
  const size_t max_files_;
  FileSystem& files_;
  std::unique_ptr<File> file_;
  uint64_t size_bytes_ = 0;
};

}  // namespace vectron::rpc
