#pragma once

// One shard with replicas on several nodes of one process, over real stores, indexes and logs; for
// tests of this folder.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/temp_dir.h"
#include "shard/peer_testing.h"
#include "shard/shard_replica.h"
#include "shard/shard_testing.h"

namespace vectron::shard {

inline constexpr GroupId kGroup{7};

// Nodes 1 to 3 may hold the founders of the shard, later ones may join. What other threads bring
// about is waited for; the process ends when it does not come.
class ReplicaNodes {
 public:
  // In a folder that outlives the process.
  ReplicaNodes(uint64_t count, std::string dir) : dir_(std::move(dir)) {
    for (uint64_t id = 1; id <= count; ++id) {
      members_[id].node = std::make_unique<HostNode>(network_, id, dir_ + "/" + std::to_string(id));
    }
  }
  // In a folder that goes with them.
  explicit ReplicaNodes(uint64_t count) : ReplicaNodes(count, std::make_unique<TempDir>()) {}

  HostNode& node(uint64_t id) { return *members_.at(id).node; }
  ShardReplica& replica(uint64_t id) { return *members_.at(id).replica; }
  std::string FolderOf(uint64_t id) { return node(id).dir() + "/shard"; }

  // Logs are cut as soon as they are flushed. Before the first node is opened.
  void CutLogsOnceFlushed() {
    for (auto& [id, member] : members_) member.node->group_log_bytes = 1;
  }
  absl::Status Open(uint64_t id, uint64_t serial = 1) {
    HostNode& on = node(id);
    if (on.host == nullptr) on.Start();
    ShardReplicaOptions options;
    options.shard = {.schema = TestSchema(4), .group = kGroup, .ordinal = {0}, .dir = FolderOf(id)};
    options.shard.schema.replication_factor = 3;
    options.replica = on.replica(serial);
    options.founders = Voters({1, 2, 3});
    ShardReplicaDeps deps;
    deps.shard = {.files = &on.faulty_files,
                  .clock = &on.clock,
                  .read_executor = &on.apply_pool,
                  .background_executor = &on.background_pool,
                  .resources = &on.resources,
                  .timer = &on.timer};
    deps.host = on.host.get();
    deps.snapshots = &on.endpoint;
    deps.registry = &on.registry;
    auto opened = ShardReplica::Open(options, deps);
    if (opened.ok()) members_.at(id).replica = *std::move(opened);
    return opened.status();
  }
  // Closes the replica; its node goes on.
  void Close(uint64_t id) { members_.at(id).replica.reset(); }
  void Stop(uint64_t id) {
    Close(id);
    node(id).Stop();
  }
  // Of a node that is stopped.
  void DamageTheData(uint64_t id) {
    int damaged = 0;
    for (const auto& file : std::filesystem::directory_iterator(FolderOf(id) + "/data/store")) {
      if (file.path().extension() != ".sst") continue;
      std::ofstream(file.path(), std::ios::trunc) << "garbage";
      ++damaged;
    }
    CHECK_GT(damaged, 0);
  }

  uint64_t AwaitLeader() {
    uint64_t leader = 0;
    CHECK(Eventually([&] {
      for (auto& [id, member] : members_) {
        if (member.replica != nullptr && member.replica->view().is_leader) leader = id;
      }
      return leader != 0;
    }));
    return leader;
  }
  // By the leader.
  void Change(uint64_t id, consensus::ChangeKind kind) {
    CHECK(Eventually([&] {
      return Answer<absl::Status>([&](std::function<void(absl::Status)> done) {
               node(AwaitLeader())
                   .host->ChangeMembership(kGroup, node(id).replica(), kind, std::move(done));
             })
          .ok();
    }));
  }
  // Until it is acknowledged.
  void Write(const std::string& id, float x) {
    CHECK(Eventually([&] {
      return Answer<absl::StatusOr<WriteResult>>(
                 [&](std::function<void(absl::StatusOr<WriteResult>)> done) {
                   replica(AwaitLeader())
                       .Upsert({.points = OnePoint(id, {x, 1, 0, 0}), .request_id = ""}, 0,
                               std::move(done));
                 })
          .ok();
    }));
  }
  // What one node answers, once it does.
  std::optional<PointRecord> Get(uint64_t at, const std::string& id,
                                 Consistency consistency = Consistency::kStrong) {
    std::optional<PointRecord> record;
    CHECK(Eventually([&] {
      auto got = Answer<absl::StatusOr<std::optional<PointRecord>>>(
          [&](std::function<void(absl::StatusOr<std::optional<PointRecord>>)> done) {
            replica(at).Get(id, {.consistency = consistency}, std::move(done));
          });
      if (!got.ok()) return false;
      record = *std::move(got);
      return true;
    }));
    return record;
  }

 protected:
  LocalNetwork& network() { return network_; }

 private:
  struct Member {
    std::unique_ptr<HostNode> node;
    std::unique_ptr<ShardReplica> replica;
  };
  ReplicaNodes(uint64_t count, std::unique_ptr<TempDir> own_dir)
      : ReplicaNodes(count, own_dir->path()) {
    own_dir_ = std::move(own_dir);
  }

  std::unique_ptr<TempDir> own_dir_;
  const std::string dir_;
  LocalNetwork network_;
  std::map<uint64_t, Member> members_;
};

}  // namespace vectron::shard
