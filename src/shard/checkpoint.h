#pragma once

// Index checkpoints of a shard: folders `checkpoint-<16 hex digits>` below <shard>/index, the
// highest number is the newest.
//
//   index/   the vector index's files
//   image    what goes with them: applied index, payload bitmaps, request window
//   (docs/formats/shard-checkpoint.md)
//
// A checkpoint is written as `writing`, synced, and renamed. It is made after the store has flushed
// past its applied index, so what a crash leaves is never ahead of the store; one that is (a store
// restored from elsewhere) is dropped at open.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "shard/apply.h"

namespace vectron::shard {

std::string EncodeImage(const StateMachine::Image& image);
// DataLoss, FailedPrecondition (newer format).
absl::StatusOr<StateMachine::Image> DecodeImage(std::string_view bytes);

// Thread-compatible.
class CheckpointFolder {
 public:
  CheckpointFolder(FileSystem& files, std::string dir) : files_(files), dir_(std::move(dir)) {}

  // Makes the folder; removes what an interrupted write and earlier processes left.
  absl::Status Open();

  struct Found {
    uint64_t number = 0;
    std::string index_dir;
  };
  // Newest first.
  std::vector<Found> List() const;
  // NotFound, DataLoss naming the file, FailedPrecondition.
  absl::StatusOr<StateMachine::Image> ReadImage(const Found& checkpoint) const;
  absl::Status Remove(const Found& checkpoint);
  absl::Status RemoveAll();

  // Writes and publishes a checkpoint: after OK it is the newest, and the only one. On an error the
  // older one stays.
  absl::Status Write(const StateMachine::Cut& cut);

  // Hard-links the newest checkpoint, if there is one, below `dir`, which is made: a
  // CheckpointFolder there finds it.
  absl::Status LinkNewest(const std::string& dir) const;

  // A new folder for an index's own files. Those of earlier processes are gone.
  std::string NewWorkDir();

 private:
  std::string PathOf(uint64_t number) const;

  FileSystem& files_;
  const std::string dir_;
  std::vector<uint64_t> numbers_;  // ascending
  uint64_t work_dirs_ = 0;
};

}  // namespace vectron::shard
