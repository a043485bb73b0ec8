#pragma once

// The files of one snapshot on their way here: written in order into a folder, each synced when
// whole, then all read again.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "consensus/peer_transport.h"

namespace vectron::shard {

// Used by one thread at a time.
class IncomingSnapshot : public consensus::SnapshotSink {
 public:
  // The folder is emptied at the first Begin. files outlives it.
  IncomingSnapshot(FileSystem& files, std::string dir, std::string token)
      : files_(files), dir_(std::move(dir)), token_(std::move(token)) {}

  // Errors beyond the interface's: ResourceExhausted, when the files would leave less than the
  // disk's reserve.
  absl::StatusOr<consensus::SnapshotPosition> Begin(
      const std::vector<consensus::SnapshotFile>& files) override;
  absl::Status Write(const consensus::SnapshotChunk& chunk) override;

  // Reads everything back and syncs the folders. DataLoss: something is missing, or is not what was
  // written.
  absl::Status Verify();

  const std::string& token() const { return token_; }
  const std::string& dir() const { return dir_; }
  bool verified() const { return verified_; }

 private:
  absl::Status CheckRoom(const std::vector<consensus::SnapshotFile>& files) const;
  absl::Status FinishFile();

  FileSystem& files_;
  const std::string dir_;
  const std::string token_;
  bool begun_ = false;
  bool verified_ = false;
  std::vector<consensus::SnapshotFile> wanted_;
  consensus::SnapshotPosition position_;  // of the next byte
  std::unique_ptr<File> open_;            // the file of position_, once begun
  uint32_t crc_ = 0;                      // of what that file has so far
  std::vector<uint32_t> crcs_;            // of the finished files
};

// Whether a name from another node stays within the folder it is put into: relative, without empty,
// "." and ".." parts.
bool IsSafeRelativePath(const std::string& name);

}  // namespace vectron::shard
