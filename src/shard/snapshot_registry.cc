#include "shard/snapshot_registry.h"

#include <algorithm>

#include "base/crc32c.h"
#include "base/status.h"

namespace vectron::shard {
namespace {

// Folders within a snapshot; state machines write a few levels.
constexpr int kMaxDepth = 8;

absl::Status ListTree(FileSystem& files, const std::string& dir, const std::string& prefix,
                      int depth, std::vector<consensus::SnapshotFile>& found) {
  if (depth > kMaxDepth) return Internal("{}: folders too deep for a snapshot", dir);
  ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(dir));
  for (const std::string& name : names) {
    const std::string path = dir + "/" + name;
    if (files.List(path).ok()) {
      RETURN_IF_ERROR(ListTree(files, path, prefix + name + "/", depth + 1, found));
      continue;
    }
    ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(path, OpenMode::kRead));
    ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    found.push_back({prefix + name, size});
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SnapshotRegistry::Add(const consensus::SnapshotId& snapshot, const std::string& dir) {
  auto offered = std::make_shared<Offered>();
  offered->dir = dir;
  RETURN_IF_ERROR(ListTree(files_, dir, "", 0, offered->files));
  const absl::MutexLock lock(&mutex_);
  offered_[{snapshot.group, snapshot.token}] = std::move(offered);
  return absl::OkStatus();
}

void SnapshotRegistry::Remove(const consensus::SnapshotId& snapshot) {
  const absl::MutexLock lock(&mutex_);
  const auto found = offered_.find({snapshot.group, snapshot.token});
  if (found == offered_.end()) return;
  const std::shared_ptr<Offered> leaving = found->second;
  offered_.erase(found);
  const auto unread = [&] { return leaving->readers == 0; };
  mutex_.Await(absl::Condition(&unread));
}

uint64_t SnapshotRegistry::uses(const consensus::SnapshotId& snapshot) const {
  const absl::MutexLock lock(&mutex_);
  const auto found = offered_.find({snapshot.group, snapshot.token});
  return found == offered_.end() ? 0 : found->second->uses;
}

absl::StatusOr<std::vector<consensus::SnapshotFile>> SnapshotRegistry::List(
    const consensus::SnapshotId& snapshot) {
  const absl::MutexLock lock(&mutex_);
  const auto found = offered_.find({snapshot.group, snapshot.token});
  if (found == offered_.end()) {
    return NotFound("group {}: there is no snapshot '{}'", snapshot.group, snapshot.token);
  }
  ++found->second->uses;
  return found->second->files;
}

absl::StatusOr<consensus::SnapshotChunk> SnapshotRegistry::Read(
    const consensus::SnapshotId& snapshot, consensus::SnapshotPosition at, size_t max_bytes) {
  std::shared_ptr<Offered> offered;
  {
    const absl::MutexLock lock(&mutex_);
    const auto found = offered_.find({snapshot.group, snapshot.token});
    if (found == offered_.end()) {
      return NotFound("group {}: there is no snapshot '{}'", snapshot.group, snapshot.token);
    }
    offered = found->second;
    ++offered->uses;
    ++offered->readers;
  }
  const auto read = [&]() -> absl::StatusOr<consensus::SnapshotChunk> {
    if (at.file >= offered->files.size() || at.offset > offered->files[at.file].bytes) {
      return OutOfRange("snapshot '{}' has no file {} with offset {}", snapshot.token, at.file,
                        at.offset);
    }
    const consensus::SnapshotFile& file = offered->files[at.file];
    consensus::SnapshotChunk chunk{.at = at, .bytes = {}, .crc32c = 0};
    chunk.bytes.resize(std::min<uint64_t>(max_bytes, file.bytes - at.offset));
    if (!chunk.bytes.empty()) {
      ASSIGN_OR_RETURN(const std::unique_ptr<File> opened,
                       files_.Open(offered->dir + "/" + file.name, OpenMode::kRead));
      RETURN_IF_ERROR(opened->Read(at.offset, chunk.bytes.size(), chunk.bytes.data()));
    }
    chunk.crc32c = Crc32c(chunk.bytes);
    return chunk;
  };
  auto chunk = read();
  const absl::MutexLock lock(&mutex_);
  --offered->readers;
  return chunk;
}

}  // namespace vectron::shard
