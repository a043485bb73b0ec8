#include "rpc/rotating_file.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "base/check.h"
#include "base/status.h"

namespace vectron::rpc {

RotatingFile::RotatingFile(std::string path, size_t max_file_bytes, size_t max_files,
                           FileSystem& files)
    : path_(std::move(path)),
      max_file_bytes_(max_file_bytes),
      max_files_(max_files),
      files_(files) {
  CHECK_GT(max_files_, 0u);
}

std::string RotatingFile::PathOf(size_t number) const {
  return number == 0 ? path_ : fmt::format("{}.{}", path_, number);
}

absl::Status RotatingFile::Open() {
  ASSIGN_OR_RETURN(const bool exists, files_.Exists(path_));
  ASSIGN_OR_RETURN(file_, files_.Open(path_, exists ? OpenMode::kReadWrite : OpenMode::kCreate));
  std::error_code ignored;  // a file system without permissions has nothing to protect
  std::filesystem::permissions(
      path_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, ignored);
  ASSIGN_OR_RETURN(size_bytes_, file_->Size());
  return absl::OkStatus();
}

absl::Status RotatingFile::Rotate() {
  RETURN_IF_ERROR(file_->Sync());
  file_ = nullptr;
  RETURN_IF_ERROR(files_.Remove(PathOf(max_files_ - 1)));
  for (size_t number = max_files_ - 1; number > 0; --number) {
    ASSIGN_OR_RETURN(const bool exists, files_.Exists(PathOf(number - 1)));
    if (exists) RETURN_IF_ERROR(files_.Rename(PathOf(number - 1), PathOf(number)));
  }
  return Open();
}

absl::Status RotatingFile::Append(std::string_view bytes) {
  if (file_ == nullptr) RETURN_IF_ERROR(Open());
  if (size_bytes_ > 0 && size_bytes_ + bytes.size() > max_file_bytes_) RETURN_IF_ERROR(Rotate());
  RETURN_IF_ERROR(file_->Write(size_bytes_, bytes));
  size_bytes_ += bytes.size();
  return absl::OkStatus();
}

absl::Status RotatingFile::Sync() { return file_ == nullptr ? absl::OkStatus() : file_->Sync(); }

}  // namespace vectron::rpc
