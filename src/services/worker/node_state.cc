#include "services/worker/node_state.h"

#include <utility>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "base/status.h"

namespace vectron::worker {
namespace {

constexpr std::string_view kMagic = "VECTNODE";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeadBytes = 20;

absl::Status Write(FileSystem& files, const std::string& path,
                   const google::protobuf::MessageLite& message) {
  const std::string body = message.SerializeAsString();
  std::string bytes(kMagic);
  PutFixed(bytes, kVersion);
  PutFixed(bytes, static_cast<uint32_t>(body.size()));
  PutFixed(bytes, Crc32c(body));
  return files.WriteAtomically(path, bytes + body);
}

// False when there is no such file.
absl::StatusOr<bool> Read(FileSystem& files, const std::string& path,
                          google::protobuf::MessageLite& message) {
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) return false;
  ASSIGN_OR_RETURN(const std::string bytes, files.ReadAll(path));
  if (bytes.size() < kHeadBytes || !bytes.starts_with(kMagic)) {
    return DataLoss("{} is damaged", path);
  }
  const auto version = LoadFixed<uint32_t>(bytes.data() + 8);
  if (version > kVersion) {
    return FailedPrecondition("{} has version {}, this version of Vectron knows up to {}", path,
                              version, kVersion);
  }
  const std::string_view body = std::string_view(bytes).substr(kHeadBytes);
  if (LoadFixed<uint32_t>(bytes.data() + 12) != body.size() ||
      LoadFixed<uint32_t>(bytes.data() + 16) != Crc32c(body) ||
      !message.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return DataLoss("{} is damaged", path);
  }
  return true;
}

}  // namespace

absl::StatusOr<NodeState> NodeState::Open(FileSystem& files, const std::string& dir,
                                          uint64_t seed) {
  NodeState state(files, dir);
  ASSIGN_OR_RETURN(const bool known, Read(files, dir + "/node", state.identity_));
  if (!known) {
    Random random(seed);
    state.identity_.set_node_uid(fmt::format("{:016x}{:016x}", random.Next(), random.Next()));
    RETURN_IF_ERROR(Write(files, dir + "/node", state.identity_));
  }
  RETURN_IF_ERROR(Read(files, dir + "/assignments", state.assignments_));
  return state;
}

absl::Status NodeState::SetIds(uint64_t worker_id, const std::string& cluster_id) {
  node::v1::Identity next = identity_;
  next.set_worker_id(worker_id);
  next.set_cluster_id(cluster_id);
  RETURN_IF_ERROR(Write(*files_, dir_ + "/node", next));
  identity_ = std::move(next);
  return absl::OkStatus();
}

absl::Status NodeState::SetAssignments(node::v1::Assignments assignments) {
  RETURN_IF_ERROR(Write(*files_, dir_ + "/assignments", assignments));
  assignments_ = std::move(assignments);
  return absl::OkStatus();
}

}  // namespace vectron::worker
