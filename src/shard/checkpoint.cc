#include "shard/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/bytes.h"
#include "base/crash_point.h"
#include "base/status.h"
#include "shard/framed.h"

namespace vectron::shard {
namespace {

constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::string_view kWorkPrefix = "work-";
constexpr uint32_t kMagic = 0x31495356;  // "VSI1"
using Length = uint64_t;                 // as the format has it

}  // namespace

std::string EncodeImage(const StateMachine::Image& image) {
  std::string body;
  PutFixed(body, image.applied_index);
  PutFixed(body, image.points);
  PutLengthPrefixed(body, image.requests);
  PutLengthPrefixed(body, image.filters);
  return Framed<Length>(kMagic, body);
}

absl::StatusOr<StateMachine::Image> DecodeImage(std::string_view bytes) {
  ASSIGN_OR_RETURN(const std::string_view body, Unframed<Length>(kMagic, bytes));
  ByteReader reader(body);
  StateMachine::Image image;
  std::string_view requests;
  std::string_view filters;
  if (!reader.ReadFixed(image.applied_index) || !reader.ReadFixed(image.points) ||
      !reader.ReadLengthPrefixed(requests) || !reader.ReadLengthPrefixed(filters) ||
      reader.remaining() != 0) {
    return DataLoss("contents cut short");
  }
  image.requests = requests;
  image.filters = filters;
  return image;
}

std::string CheckpointFolder::PathOf(uint64_t number) const {
  return fmt::format("{}/{}{:016x}", dir_, kPrefix, number);
}

absl::Status CheckpointFolder::Open() {
  RETURN_IF_ERROR(files_.MakeDirs(dir_));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, files_.List(dir_));
  for (const std::string& name : names) {
    uint64_t number = 0;
    const char* end = name.data() + name.size();
    if (name.starts_with(kPrefix) &&
        std::from_chars(name.data() + kPrefix.size(), end, number, 16).ptr == end) {
      numbers_.push_back(number);
    } else if (name == "writing" || name.starts_with(kWorkPrefix)) {
      RETURN_IF_ERROR(files_.RemoveTree(dir_ + "/" + name));
    }
  }
  std::sort(numbers_.begin(), numbers_.end());
  return absl::OkStatus();
}

std::vector<CheckpointFolder::Found> CheckpointFolder::List() const {
  std::vector<Found> found;
  for (auto it = numbers_.rbegin(); it != numbers_.rend(); ++it) {
    found.push_back({*it, PathOf(*it) + "/index"});
  }
  return found;
}

absl::StatusOr<StateMachine::Image> CheckpointFolder::ReadImage(const Found& checkpoint) const {
  const std::string path = PathOf(checkpoint.number) + "/image";
  ASSIGN_OR_RETURN(const std::string bytes, files_.ReadAll(path));
  absl::StatusOr<StateMachine::Image> image = DecodeImage(bytes);
  if (!image.ok()) return Annotate(image.status(), path);
  return image;
}

absl::Status CheckpointFolder::Remove(const Found& checkpoint) {
  RETURN_IF_ERROR(files_.RemoveTree(PathOf(checkpoint.number)));
  std::erase(numbers_, checkpoint.number);
  return files_.SyncDir(dir_);
}

absl::Status CheckpointFolder::RemoveAll() {
  for (const Found& checkpoint : List()) RETURN_IF_ERROR(Remove(checkpoint));
  return absl::OkStatus();
}

absl::Status CheckpointFolder::Write(const StateMachine::Cut& cut) {
  const std::string writing = dir_ + "/writing";
  RETURN_IF_ERROR(files_.RemoveTree(writing));
  RETURN_IF_ERROR(files_.MakeDirs(writing));
  absl::Status status = cut.indexes->vectors->WriteCheckpoint(cut.index, writing + "/index");
  if (status.ok()) {
    CrashPoint("shard.checkpoint.index_written");
    status = files_.WriteAtomically(writing + "/image", EncodeImage(cut.image));
  }
  if (status.ok()) status = files_.SyncDir(writing);
  const uint64_t number = numbers_.empty() ? 1 : numbers_.back() + 1;
  if (status.ok()) {
    CrashPoint("shard.checkpoint.written");
    status = files_.Rename(writing, PathOf(number));
  }
  if (!status.ok()) {
    // Half a checkpoint is of no use and takes space; what cannot be removed now is at the next
    // write.
    const absl::Status removed = files_.RemoveTree(writing);
    return removed.ok() ? status : Annotate(status, MessageOf(removed));
  }
  numbers_.push_back(number);
  RETURN_IF_ERROR(files_.SyncDir(dir_));
  CrashPoint("shard.checkpoint.published");
  while (numbers_.size() > 1) {
    RETURN_IF_ERROR(Remove({numbers_.front(), {}}));
    CrashPoint("shard.checkpoint.older_removed");
  }
  return absl::OkStatus();
}

absl::Status CheckpointFolder::LinkNewest(const std::string& dir) const {
  RETURN_IF_ERROR(files_.MakeDirs(dir));
  if (numbers_.empty()) return absl::OkStatus();
  const std::string from = PathOf(numbers_.back());
  const std::string to = dir + from.substr(dir_.size());
  RETURN_IF_ERROR(files_.MakeDirs(to + "/index"));
  RETURN_IF_ERROR(files_.HardLink(from + "/image", to + "/image"));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, files_.List(from + "/index"));
  for (const std::string& name : names) {
    RETURN_IF_ERROR(files_.HardLink(from + "/index/" + name, to + "/index/" + name));
  }
  return absl::OkStatus();
}

std::string CheckpointFolder::NewWorkDir() {
  return fmt::format("{}/{}{}", dir_, kWorkPrefix, ++work_dirs_);
}

}  // namespace vectron::shard
