#include "apps/vectron/consensus_node.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "base/status.h"

namespace vectron {
namespace {

constexpr size_t kTailCacheBytes = size_t{64} << 20;  // of the log, for followers a little behind
constexpr int64_t kStopGraceMs = 0;                   // the calls of peers never end by themselves

shard::DiskRoom RoomIn(FileSystem& files, const std::string& dir) {
  const absl::StatusOr<FileSystem::Space> space = files.FreeSpace(dir);
  if (!space.ok()) {
    LogWarning("free space of {}: {}", dir, MessageOf(space.status()));
    return shard::DiskRoom::kNearlyFull;
  }
  const uint64_t reserve = std::min(kDiskReserveBytes, space->total_bytes / 20);
  if (space->free_bytes < reserve / 4) return shard::DiskRoom::kFull;
  return space->free_bytes < reserve ? shard::DiskRoom::kNearlyFull : shard::DiskRoom::kPlenty;
}

}  // namespace

ConsensusNode::ConsensusNode(const ConsensusOptions& options, const ConsensusDeps& deps)
    : options_(options),
      deps_(deps),
      registry_(*deps.files),
      no_rpcs_(*deps.metrics, *deps.clock, {}) {}

absl::StatusOr<std::unique_ptr<ConsensusNode>> ConsensusNode::Start(const ConsensusOptions& options,
                                                                    const ConsensusDeps& deps) {
  std::unique_ptr<ConsensusNode> node(new ConsensusNode(options, deps));
  ASSIGN_OR_RETURN(node->logs_,
                   shard::LogStore::Open(options.log_dir, *deps.resources, kTailCacheBytes));
  node->transport_ = rpc::GrpcPeerTransport::Create(
      {.cluster_id = options.cluster_id,
       .node = options.node,
       .secret = options.cluster.secret,
       .credentials = rpc::ClusterChannel(options.cluster).credentials,
       .trust_certificates = options.cluster.tls.enabled()},
      {.resolve = deps.resolve,
       .clock = deps.clock,
       .timer = deps.timer,
       .file_executor = &node->file_executor_,
       .metrics = deps.metrics});
  shard::GroupHostOptions host;
  host.raft.node = WorkerId{options.node};
  host.raft.seed = options.seed;
  node->host_ = shard::GroupHost::Start(
      host,
      {.logs = node->logs_.get(),
       .transport = node->transport_.get(),
       .apply_executor = deps.apply_executor,
       .clock = deps.clock,
       .timer = deps.timer,
       .on_fatal = {},
       .disk_room = [&files = *deps.files, dir = options.log_dir] { return RoomIn(files, dir); }});
  node->transport_->SetSnapshotSource(&node->registry_);
  node->transport_->SetReceiver(node->host_.get());
  rpc::GrpcServerOptions server;
  server.address = Printable(options.listen);
  server.tls = options.cluster.tls;
  server.extra_services = {node->transport_->service()};
  ASSIGN_OR_RETURN(node->server_, rpc::GrpcServer::Start(std::move(server), node->no_rpcs_));
  return node;
}

void ConsensusNode::StopTalking() {
  if (server_ != nullptr) server_->Stop(kStopGraceMs);
  transport_->Stop();
}

ConsensusNode::~ConsensusNode() {
  if (transport_ != nullptr) StopTalking();
  host_.reset();
  server_.reset();
}

}  // namespace vectron
