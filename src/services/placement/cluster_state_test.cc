#include "services/placement/cluster_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "base/status.h"
#include "services/placement/command.h"

namespace vectron::placement {
namespace {

using ::testing::HasSubstr;

// A state and the index of its last entry.
struct Machine {
  ClusterState state;
  uint64_t index = 0;

  Outcome Apply(CommandBody body) {
    return state.Apply(++index, {.proposal = 0, .body = std::move(body)});
  }
  WorkerId AddWorker(const std::string& uid) {
    const Outcome outcome =
        Apply(RegisterWorker{.known = {}, .profile = {.node_uid = uid, .grpc_address = uid}});
    EXPECT_TRUE(outcome.status.ok()) << outcome.status;
    EXPECT_TRUE(Apply(ChangeWorker{WorkerId{outcome.id}, WorkerChange::kJoined}).status.ok());
    return WorkerId{outcome.id};
  }
  absl::Status Create(const std::string& name, std::vector<std::vector<WorkerId>> shards) {
    return Apply(BeginCreate{.key = {"", name},
                             .schema_bytes = "schema",
                             .replication_factor = static_cast<uint32_t>(shards[0].size()),
                             .now_unix_ms = 5,
                             .shards = std::move(shards)})
        .status;
  }
  const ShardRecord& Only() const {
    EXPECT_EQ(state.shards().size(), 1u);
    return state.shards().begin()->second;
  }
  absl::Status Step(ReplicaId replica, ReplicaStep step) {
    return Apply(StepReplica{Only().group, Only().version, replica, step, 7}).status;
  }
  absl::Status Add(WorkerId worker) {
    return Apply(AddReplica{.group = Only().group,
                            .shard_version = Only().version,
                            .worker = worker,
                            .replaces = {}})
        .status;
  }
};

// Any command, sensible or not.
CommandBody RandomCommand(Random& random, const ClusterState& state) {
  const WorkerId worker{1 + random.Below(8)};
  const CollectionKey key{random.OneIn(3) ? "ann" : "", fmt::format("c{}", random.Below(6))};
  GroupId group{1 + random.Below(30)};
  uint64_t version = 0;
  ReplicaId replica;
  if (!state.shards().empty() && !random.OneIn(10)) {
    auto shard = state.shards().begin();
    std::advance(shard, static_cast<long>(random.Below(state.shards().size())));
    group = shard->first;
    version = shard->second.version;
    replica = shard->second.replicas[random.Below(shard->second.replicas.size())].id;
  }
  const auto now = static_cast<int64_t>(random.Below(1'000'000));
  switch (random.Below(12)) {
    case 0:
      return FoundCluster{fmt::format("cluster-{}", random.Below(3))};
    case 1:
      return RegisterWorker{.known = random.OneIn(2) ? worker : WorkerId{},
                            .profile = {.node_uid = fmt::format("uid-{}", random.Below(10)),
                                        .grpc_address = fmt::format("host:{}", random.Below(100)),
                                        .capabilities = {"a", "b"},
                                        .memory_bytes = random.Next(),
                                        .search_only = random.OneIn(5)},
                            .now_unix_ms = now};
    case 2:
      return ChangeWorker{worker, static_cast<WorkerChange>(1 + random.Below(5))};
    case 3:
      return RemoveWorker{worker};
    case 4:
      return RegisterReranker{{.grpc_address = fmt::format("r:{}", random.Below(4))}};
    case 5:
      return RemoveReranker{RerankerId{1 + random.Below(5)}};
    case 6: {
      BeginCreate create{
          .key = key, .schema_bytes = "x", .replication_factor = 2, .now_unix_ms = now};
      for (uint64_t i = 0; i <= random.Below(3); ++i) {
        create.shards.push_back({worker, WorkerId{1 + random.Below(8)}});
      }
      return create;
    }
    case 7:
      return FinishCreate{key};
    case 8:
      return DropCollection{key, random.OneIn(2)};
    case 9:
      return AddReplica{.group = group,
                        .shard_version = version,
                        .worker = worker,
                        .replaces = replica,
                        .reason = static_cast<MoveReason>(1 + random.Below(7)),
                        .now_unix_ms = now};
    case 10:
      return StepReplica{group, version, replica, static_cast<ReplicaStep>(1 + random.Below(4)),
                         now};
    default: {
      ConfirmDestroyed confirm;
      for (const auto& [doomed, at] : state.doomed()) {
        if (random.OneIn(2)) confirm.replicas.push_back(doomed);
      }
      return confirm;
    }
  }
}

TEST(ClusterState, EqualLogsGiveEqualBytesThroughSnapshotsToo) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(seed);
  Random random(seed);
  ClusterState first;
  ClusterState second;  // decodes every command, and now and then its own snapshot
  for (uint64_t index = 1; index <= 5'000; ++index) {
    const Command command{.proposal = random.Below(100), .body = RandomCommand(random, first)};
    const std::string bytes = EncodeCommand(command);
    const auto decoded = DecodeCommand(bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ASSERT_EQ(EncodeCommand(*decoded), bytes) << Describe(command.body);
    const Outcome one = first.Apply(index, command);
    const Outcome two = second.Apply(index, *decoded);
    ASSERT_EQ(one.status, two.status) << Describe(command.body);
    ASSERT_EQ(one.id, two.id);
    first.CheckInvariants();
    if (!random.OneIn(20)) continue;
    const std::string snapshot = first.Encode();
    ASSERT_EQ(second.Encode(), snapshot);
    auto again = ClusterState::Decode(snapshot);
    ASSERT_TRUE(again.ok()) << again.status();
    second = *std::move(again);
  }
  EXPECT_EQ(second.Encode(), first.Encode());
  EXPECT_FALSE(first.workers().empty());
}

TEST(ClusterState, ChangesNothingWhenItRefuses) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(seed);
  Random random(seed);
  ClusterState state;
  for (uint64_t index = 1; index <= 2'000; ++index) {
    ClusterState before = state;
    const CommandBody body = RandomCommand(random, state);
    const Outcome outcome = state.Apply(index, {.proposal = 0, .body = body});
    if (outcome.status.ok()) continue;
    before.Skip(index);
    ASSERT_EQ(state.Encode(), before.Encode()) << Describe(body);
  }
}

TEST(ClusterState, RefusesEveryFlippedByteAndEveryTruncation) {
  Machine m;
  m.Apply(FoundCluster{"cluster"});
  ASSERT_TRUE(m.Create("docs", {{m.AddWorker("a"), m.AddWorker("b")}}).ok());
  const std::string bytes = m.state.Encode();
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    EXPECT_EQ(ClusterState::Decode(flipped).status().code(), absl::StatusCode::kDataLoss) << i;
    EXPECT_EQ(ClusterState::Decode(bytes.substr(0, i)).status().code(),
              absl::StatusCode::kDataLoss);
  }
}

TEST(PlacementCommand, IsRefusedWhenDamagedOrOfANewerProgram) {
  const std::string bytes = EncodeCommand({.proposal = 3, .body = FoundCluster{"cluster"}});
  for (size_t i = 0; i < bytes.size(); ++i) EXPECT_FALSE(DecodeCommand(bytes.substr(0, i)).ok());
  EXPECT_EQ(DecodeCommand(bytes + "x").status().code(), absl::StatusCode::kDataLoss);
  std::string newer = bytes;
  newer[0] = 2;
  EXPECT_EQ(DecodeCommand(newer).status().code(), absl::StatusCode::kFailedPrecondition);
  newer = bytes;
  newer[2] = 77;
  EXPECT_EQ(DecodeCommand(newer).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ClusterState, KeepsItsFirstName) {
  Machine m;
  EXPECT_TRUE(m.Apply(FoundCluster{"one"}).status.ok());
  EXPECT_EQ(m.Apply(FoundCluster{"two"}).status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(m.state.cluster_id(), "one");
}

TEST(ClusterState, GivesAWorkerItsIdBack) {
  Machine m;
  const WorkerId id = m.AddWorker("a");
  // The answer to its first registration was lost.
  EXPECT_EQ(m.Apply(RegisterWorker{.known = {}, .profile = {.node_uid = "a"}}).id, id.value);
  // It was started again, at another address and then at the same.
  for (const int64_t now : {50, 70}) {
    const Outcome again = m.Apply(RegisterWorker{
        .known = id, .profile = {.node_uid = "a", .grpc_address = "new:1"}, .now_unix_ms = now});
    EXPECT_EQ(again.id, id.value);
    EXPECT_EQ(m.state.FindWorker(id)->registered_unix_ms, now);
  }
  EXPECT_EQ(m.state.FindWorker(id)->profile.grpc_address, "new:1");
  EXPECT_EQ(m.state.workers().size(), 1u);
}

TEST(ClusterState, RefusesAWorkerThatWasRemoved) {
  Machine m;
  const WorkerId id = m.AddWorker("a");
  EXPECT_TRUE(m.Apply(RemoveWorker{id}).status.ok());
  const Outcome again = m.Apply(RegisterWorker{.known = id, .profile = {.node_uid = "a"}});
  EXPECT_EQ(again.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(MessageOf(again.status)), HasSubstr("removed"));
  EXPECT_NE(m.AddWorker("b"), id);
}

// Two nodes of placement that had gone further than the third are lost for good.
TEST(ClusterState, GoesOnAloneBeyondAllThatOthersCanHaveGivenOut) {
  Machine m;
  const WorkerId a = m.AddWorker("a");
  const WorkerId b = m.AddWorker("b");
  ASSERT_TRUE(m.Create("docs", {{a, b}}).ok());
  ClusterState alone = m.state;
  const ReplicaId known = m.Only().replicas[0].id;
  const WorkerId lost_worker = m.AddWorker("c");
  ASSERT_TRUE(m.Add(lost_worker).ok());
  const ReplicaId lost_replica = m.Only().replicas[2].id;
  ASSERT_TRUE(m.Step(lost_replica, ReplicaStep::kPromote).ok());
  const ShardRecord lost = m.Only();
  ASSERT_TRUE(m.Create("lost", {{a}}).ok());

  const uint64_t index = m.index + 1'000;
  alone.GoOnAlone(index);
  alone.CheckInvariants();
  EXPECT_EQ(alone.applied_index(), index);
  EXPECT_EQ(alone.version(), index);
  EXPECT_EQ(alone.FindWorker(a)->assignments_version, index) << "workers take what they are told";
  EXPECT_GT(alone.shards().begin()->second.epoch, lost.epoch) << "and gateways";
  EXPECT_EQ(alone.shards().begin()->second.version, index);
  EXPECT_EQ(alone.FindCollection({"", "docs"})->version, index);
  EXPECT_EQ(alone.collections().size(), 1u);
  // A replica of which nothing is known may be the last good copy: it is not for destruction.
  EXPECT_FALSE(alone.WasGivenOut(lost_replica));
  EXPECT_FALSE(alone.WasGivenOut(known));
  EXPECT_TRUE(alone.WasRemoved(lost_worker)) << "it has to begin anew";

  Machine after{.state = alone, .index = index};
  EXPECT_GT(after.AddWorker("d"), lost_worker);
  ASSERT_TRUE(after.Create("new", {{a}}).ok());
  const ShardRecord& made = after.state.shards().rbegin()->second;
  EXPECT_GT(made.group, m.state.shards().rbegin()->first);
  EXPECT_GT(made.replicas[0].id, m.state.shards().rbegin()->second.replicas[0].id);
  EXPECT_EQ(made.replicas[0].id.node(), a);
  EXPECT_TRUE(after.state.WasGivenOut(made.replicas[0].id));
  after.state.CheckInvariants();
}

TEST(ClusterState, RefusesACopiedFolder) {
  Machine m;
  const WorkerId id = m.AddWorker("a");
  EXPECT_EQ(m.Apply(RegisterWorker{.known = id, .profile = {.node_uid = "b"}}).status.code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(ClusterState, SaysHowManyShardsKeepAWorkerFromBeingRemoved) {
  Machine m;
  const WorkerId a = m.AddWorker("a");
  ASSERT_TRUE(m.Create("docs", {{a}, {a}}).ok());
  const Outcome outcome = m.Apply(RemoveWorker{a});
  EXPECT_EQ(outcome.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(MessageOf(outcome.status)), HasSubstr("2 shards"));
  EXPECT_EQ(m.Apply(RemoveWorker{WorkerId{99}}).status.code(), absl::StatusCode::kNotFound);
}

TEST(ClusterState, DoomsReplicasUntilTheirWorkersDestroyedThem) {
  Machine m;
  const WorkerId a = m.AddWorker("a");
  const WorkerId b = m.AddWorker("b");
  ASSERT_TRUE(m.Create("docs", {{a, b}}).ok());
  const std::vector<ReplicaRecord> replicas = m.Only().replicas;
  const GroupId group = m.Only().group;
  EXPECT_TRUE(m.Apply(DropCollection{{"", "docs"}}).status.ok());
  EXPECT_EQ(m.state.doomed().size(), 2u);
  // A worker that lives has to do its work before it may go.
  EXPECT_EQ(m.Apply(RemoveWorker{a}).status.code(), absl::StatusCode::kFailedPrecondition);
  m.Apply(ConfirmDestroyed{{{group, replicas[0].id}, {group, ReplicaId{12345}}}});
  EXPECT_EQ(m.state.doomed().size(), 1u);
  EXPECT_TRUE(m.Apply(RemoveWorker{a}).status.ok());
  // A dead one takes them with it.
  m.Apply(ChangeWorker{b, WorkerChange::kDead});
  EXPECT_TRUE(m.Apply(RemoveWorker{b}).status.ok());
  EXPECT_TRUE(m.state.doomed().empty());
}

TEST(ClusterState, MovesAReplicaStepByStep) {
  Machine m;
  const WorkerId a = m.AddWorker("a");
  const WorkerId b = m.AddWorker("b");
  ASSERT_TRUE(m.Create("docs", {{a}}).ok());
  const ReplicaId old = m.Only().replicas[0].id;
  const uint64_t epoch = m.Only().epoch;
  EXPECT_FALSE(m.Step(old, ReplicaStep::kLeave).ok()) << "the last replica never leaves";
  EXPECT_FALSE(m.Add(a).ok()) << "it holds one";
  ASSERT_TRUE(m.Add(b).ok());
  const ReplicaId fresh = m.Only().replicas[1].id;
  EXPECT_EQ(m.Only().epoch, epoch) << "a learner changes no route";
  EXPECT_FALSE(m.Step(old, ReplicaStep::kLeave).ok()) << "a learner is no voter";
  EXPECT_TRUE(m.Step(fresh, ReplicaStep::kPromote).ok());
  EXPECT_FALSE(m.Step(fresh, ReplicaStep::kPromote).ok()) << "it is one";
  EXPECT_EQ(m.Only().epoch, epoch + 1);
  EXPECT_FALSE(m.Step(old, ReplicaStep::kGone).ok()) << "it is not leaving";
  EXPECT_TRUE(m.Step(old, ReplicaStep::kLeave).ok());
  EXPECT_TRUE(m.Step(old, ReplicaStep::kGone).ok());
  EXPECT_EQ(m.Only().epoch, epoch + 2);
  EXPECT_EQ(m.Only().replicas.size(), 1u);
  EXPECT_EQ(m.state.doomed().count({m.Only().group, old}), 1u);
  EXPECT_EQ(m.Only().founders, std::vector<ReplicaId>{old}) << "the group began with it";
  // Back on the first worker it is another replica.
  ASSERT_TRUE(m.Add(a).ok());
  EXPECT_NE(m.Only().replicas[1].id, old);
}

TEST(ClusterState, RefusesWhatWasDecidedOnAnOlderVersion) {
  Machine m;
  const WorkerId a = m.AddWorker("a");
  const WorkerId b = m.AddWorker("b");
  ASSERT_TRUE(m.Create("docs", {{a}}).ok());
  AddReplica add{
      .group = m.Only().group, .shard_version = m.Only().version, .worker = b, .replaces = {}};
  EXPECT_TRUE(m.Apply(add).status.ok());
  add.worker = m.AddWorker("c");
  EXPECT_EQ(m.Apply(add).status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(m.Only().replicas.size(), 2u);
}

TEST(ClusterState, TellsWorkersOfChangesThatConcernThem) {
  Machine m;
  const WorkerId a = m.AddWorker("a");
  const WorkerId b = m.AddWorker("b");
  const WorkerId c = m.AddWorker("c");
  ASSERT_TRUE(m.Create("docs", {{a}}).ok());
  EXPECT_EQ(m.state.FindWorker(a)->assignments_version, m.index);
  EXPECT_LT(m.state.FindWorker(b)->assignments_version, m.index);
  ASSERT_TRUE(m.Add(b).ok());
  EXPECT_EQ(m.state.FindWorker(a)->assignments_version, m.index);
  EXPECT_EQ(m.state.FindWorker(b)->assignments_version, m.index);
  EXPECT_LT(m.state.FindWorker(c)->assignments_version, m.index);
  const ReplicaId fresh = m.Only().replicas[1].id;
  ASSERT_TRUE(m.Step(fresh, ReplicaStep::kLeave).ok());
  ASSERT_TRUE(m.Step(fresh, ReplicaStep::kGone).ok());
  EXPECT_EQ(m.state.FindWorker(b)->assignments_version, m.index) << "it has one to destroy";
}

TEST(ClusterState, GivesOutShardsOnlyToEligibleWorkers) {
  Machine m;
  const WorkerId a = m.AddWorker("a");
  const WorkerId b = m.AddWorker("b");
  EXPECT_FALSE(m.Create("docs", {{a, a}}).ok());
  m.Apply(ChangeWorker{b, WorkerChange::kDrain});
  EXPECT_EQ(m.Create("docs", {{a, b}}).code(), absl::StatusCode::kFailedPrecondition);
  m.Apply(ChangeWorker{b, WorkerChange::kCancelDrain});
  EXPECT_TRUE(m.Create("docs", {{a, b}}).ok());
  EXPECT_EQ(m.Create("docs", {{a, b}}).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(m.Apply(DropCollection{{"", "docs"}, true}).status.code(), absl::StatusCode::kOk);
}

}  // namespace
}  // namespace vectron::placement
