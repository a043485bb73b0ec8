#include "shard/incoming_snapshot.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/crc32c.h"
#include "base/limits.h"
#include "base/status.h"

namespace vectron::shard {
namespace {

constexpr size_t kReadBackBytes = size_t{1} << 20;

std::string FolderOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

bool IsSafeRelativePath(const std::string& name) {
  if (name.empty() || name.size() > kMaxSnapshotNameBytes) return false;
  size_t begin = 0;
  while (begin <= name.size()) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    if (part.find('\0') != std::string::npos) return false;
    begin = end + 1;
  }
  return true;
}

absl::Status IncomingSnapshot::CheckRoom(const std::vector<consensus::SnapshotFile>& files) const {
  uint64_t total = 0;
  for (const consensus::SnapshotFile& file : files) total += file.bytes;
  ASSIGN_OR_RETURN(const FileSystem::Space space, files_.FreeSpace(dir_));
  const uint64_t reserve = std::min(kDiskReserveBytes, space.total_bytes / 20);
  if (space.free_bytes >= reserve && space.free_bytes - reserve >= total) return absl::OkStatus();
  return ResourceExhausted("{}: a snapshot of {} bytes does not fit: {} free", dir_, total,
                           space.free_bytes);
}

absl::StatusOr<consensus::SnapshotPosition> IncomingSnapshot::Begin(
    const std::vector<consensus::SnapshotFile>& files) {
  const auto same = [](const consensus::SnapshotFile& a, const consensus::SnapshotFile& b) {
    return a.name == b.name && a.bytes == b.bytes;
  };
  if (begun_) {
    if (!std::equal(files.begin(), files.end(), wanted_.begin(), wanted_.end(), same)) {
      return DataLoss("snapshot '{}' has other files than before", token_);
    }
    return position_;
  }
  if (files.size() > kMaxSnapshotFiles)
    return DataLoss("snapshot '{}' has {} files", token_, files.size());
  for (const consensus::SnapshotFile& file : files) {
    if (!IsSafeRelativePath(file.name)) {
      return DataLoss("snapshot '{}' names a file '{}'", token_, file.name);
    }
  }
  RETURN_IF_ERROR(files_.RemoveTree(dir_));
  RETURN_IF_ERROR(files_.MakeDirs(dir_));
  RETURN_IF_ERROR(CheckRoom(files));
  wanted_ = files;
  begun_ = true;
  return position_;
}

absl::Status IncomingSnapshot::Write(const consensus::SnapshotChunk& chunk) {
  if (!begun_ || chunk.at.file != position_.file || chunk.at.offset != position_.offset ||
      position_.file >= wanted_.size()) {
    return DataLoss("snapshot '{}': got file {} from {} on, wanted file {} from {} on", token_,
                    chunk.at.file, chunk.at.offset, position_.file, position_.offset);
  }
  const consensus::SnapshotFile& file = wanted_[position_.file];
  if (chunk.bytes.size() > file.bytes - position_.offset ||
      (chunk.bytes.empty() && file.bytes != 0)) {
    return DataLoss("snapshot '{}': '{}' of {} bytes got {} at {}", token_, file.name, file.bytes,
                    chunk.bytes.size(), position_.offset);
  }
  if (Crc32c(chunk.bytes) != chunk.crc32c) {
    return DataLoss("snapshot '{}': '{}': bad checksum at {}", token_, file.name, position_.offset);
  }
  if (open_ == nullptr) {
    const std::string path = dir_ + "/" + file.name;
    RETURN_IF_ERROR(files_.MakeDirs(FolderOf(path)));
    ASSIGN_OR_RETURN(open_, files_.Open(path, OpenMode::kCreate));
    crc_ = 0;
  }
  RETURN_IF_ERROR(open_->Write(position_.offset, chunk.bytes));
  crc_ = Crc32c(chunk.bytes, crc_);
  position_.offset += chunk.bytes.size();
  return position_.offset == file.bytes ? FinishFile() : absl::OkStatus();
}

absl::Status IncomingSnapshot::FinishFile() {
  RETURN_IF_ERROR(open_->Sync());
  open_.reset();
  crcs_.push_back(crc_);
  position_ = {.file = position_.file + 1, .offset = 0};
  return absl::OkStatus();
}

absl::Status IncomingSnapshot::Verify() {
  if (!begun_ || position_.file != wanted_.size()) {
    return DataLoss("snapshot '{}': {} of {} files came", token_, position_.file, wanted_.size());
  }
  std::set<std::string> folders = {dir_};
  std::string piece;
  for (size_t i = 0; i < wanted_.size(); ++i) {
    const std::string path = dir_ + "/" + wanted_[i].name;
    for (std::string folder = FolderOf(path); folders.insert(folder).second;)
      folder = FolderOf(folder);
    ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files_.Open(path, OpenMode::kRead));
    ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    if (size != wanted_[i].bytes)
      return DataLoss("{}: {} bytes, wanted {}", path, size, wanted_[i].bytes);
    uint32_t crc = 0;
    for (uint64_t at = 0; at < size; at += piece.size()) {
      piece.resize(std::min<uint64_t>(kReadBackBytes, size - at));
      RETURN_IF_ERROR(file->Read(at, piece.size(), piece.data()));
      crc = Crc32c(piece, crc);
    }
    if (crc != crcs_[i]) return DataLoss("{}: is not what was written", path);
  }
  for (const std::string& folder : folders) RETURN_IF_ERROR(files_.SyncDir(folder));
  RETURN_IF_ERROR(files_.SyncDir(FolderOf(dir_)));
  verified_ = true;
  return absl::OkStatus();
}

}  // namespace vectron::shard
