#include "base/check.h"
#include "base/status.h"
#include "services/worker/shard_source.h"
#include "shard/group_host.h"
#include "shard/raft_log_view.h"
#include "shard/shard_replica.h"

namespace vectron::worker {
namespace {

class GroupShards : public ShardSource {
 public:
  explicit GroupShards(const GroupShardsDeps& deps) : deps_(deps) {
    CHECK(deps.host != nullptr && deps.shard.files != nullptr);
    CHECK(deps.snapshots != nullptr && deps.registry != nullptr);
  }

  absl::StatusOr<std::unique_ptr<shard::Shard>> Open(const rpc::ShardAssignment& assignment,
                                                     const std::string& dir) override {
    CHECK_NE(assignment.replica, uint64_t{0});
    ASSIGN_OR_RETURN(std::unique_ptr<shard::ShardReplica> replica,
                     shard::ShardReplica::Open({.shard = {.schema = assignment.schema,
                                                          .group = assignment.group,
                                                          .ordinal = assignment.ordinal,
                                                          .dir = dir},
                                                .replica = shard::ReplicaId{assignment.replica},
                                                .founders = {.voters = assignment.founders}},
                                               {.shard = deps_.shard,
                                                .host = deps_.host,
                                                .snapshots = deps_.snapshots,
                                                .registry = deps_.registry}));
    return std::unique_ptr<shard::Shard>(std::move(replica));
  }

  // A replica detaches from its group by itself.
  void Close(GroupId, std::unique_ptr<shard::Shard> shard) override { shard.reset(); }

  absl::Status Destroy(GroupId group, const std::string& dir,
                       std::unique_ptr<shard::Shard> shard) override {
    if (shard == nullptr) {
      return shard::ShardReplica::RemoveClosed(*deps_.shard.files, dir, group, *deps_.host);
    }
    // All shards of this source are replicas.
    return static_cast<shard::ShardReplica&>(*shard).Remove();
  }

  absl::Status Forget(const std::string& dir) override {
    return shard::ShardReplica::Forget(*deps_.shard.files, dir);
  }

  std::vector<GroupId> LoggedGroups() const override { return deps_.host->logs().Groups(); }

  absl::StatusOr<std::vector<shard::Entry>> ReadLog(GroupId group, uint64_t first,
                                                    uint64_t last) const override {
    absl::StatusOr<std::vector<shard::Entry>> entries =
        deps_.host->logs().Read(group, {.first = first, .last = last});
    if (absl::IsNotFound(entries.status())) {
      return OutOfRange("the log begins after index {}; take a snapshot", first);
    }
    if (!entries.ok()) return entries.status();
    for (shard::Entry& entry : *entries) {
      const bool is_command =
          !entry.command.empty() && shard::KindOf(entry.command) == consensus::EntryKind::kNormal;
      entry.command = is_command ? std::string(shard::WithoutKind(entry.command)) : std::string();
    }
    return entries;
  }

  bool CanRefill() const override { return true; }

  std::optional<shard::GroupView> View(GroupId group) const override {
    return deps_.host->View(group);
  }

 private:
  const GroupShardsDeps deps_;
};

}  // namespace

std::unique_ptr<ShardSource> MakeGroupShards(const GroupShardsDeps& deps) {
  return std::make_unique<GroupShards>(deps);
}

}  // namespace vectron::worker
