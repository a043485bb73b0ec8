#pragma once

// The folder that holds everything of one node, and the right to use it.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/file.h"

namespace vectron {

// Holds the folder locked until it goes: no second process gets it meanwhile, and a crash frees it
// at once. Layout: docs/formats/data-folder.md.
class DataFolder {
 public:
  // Makes the folder and its FORMAT file when there are none, and takes all rights to the folder
  // from users who are neither its owner nor of its group. Errors: FailedPrecondition (in use,
  // and by which process; made by a newer version; not empty and no data folder), DataLoss (FORMAT
  // is damaged), Internal, ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<DataFolder>> Open(const std::string& path,
                                                          FileSystem& files);
  ~DataFolder();
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;

  const std::string& path() const { return path_; }  // absolute

 private:
  DataFolder(std::string path, int lock_descriptor)
      : path_(std::move(path)), lock_descriptor_(lock_descriptor) {}

  const std::string path_;
  const int lock_descriptor_;
};

}  // namespace vectron
