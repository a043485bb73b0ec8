#include "services/placement/placement_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/crash_testing.h"
#include "base/metrics.h"
#include "base/status.h"
#include "rpc/rpc_registry.h"
#include "services/placement/recovery.h"
#include "shard/peer_testing.h"
#include "shard/raft_log_view.h"
#include "vectron/placement.pb.h"

namespace vectron::placement {
namespace {

namespace pb = placementdriver::v1;
using shard::Eventually;
using ::testing::HasSubstr;

// Placement nodes 1, 2, 3 in one process, over real logs and files.
class PlacementNodes : public ::testing::Test {
 protected:
  struct Member {
    std::unique_ptr<shard::HostNode> host;
    std::unique_ptr<ThreadPool> executor;
    std::unique_ptr<PlacementNode> node;
    std::unique_ptr<rpc::RpcRegistry> registry;
  };

  void SetUp() override { StartIn(CrashTestDir() != nullptr ? CrashTestDir() : own_dir_.path()); }
  void TearDown() override {
    for (auto& [id, member] : members_) Kill(id);
  }
  void StartIn(const std::string& dir) {
    for (auto& [id, member] : members_) Kill(id);
    dir_ = dir;
    for (uint64_t id = 1; id <= 3; ++id) {
      members_[id].host =
          std::make_unique<shard::HostNode>(network_, id, dir + "/" + std::to_string(id));
      members_[id].host->group_log_bytes = 1 << 14;  // nobody is waited for with more log than that
      if (id <= peers_) Start(id);
    }
  }
  PlacementNodeOptions Options(uint64_t id) {
    PlacementNodeOptions options;
    options.data_dir = dir_ + "/" + std::to_string(id) + "/data";
    options.node = WorkerId{id};
    options.join = joining_.contains(id);
    for (const uint64_t peer : {uint64_t{1}, uint64_t{2}, third_}) {
      if (options.peers.size() == peers_) break;
      options.peers.push_back(
          {.node = WorkerId{peer}, .grpc_address = fmt::format("node-{}:6001", peer)});
    }
    options.seed = ++starts_;
    return options;
  }
  absl::Status TryStart(uint64_t id, const PlacementNodeOptions& options) {
    Member& member = members_.at(id);
    if (member.host->host == nullptr) member.host->Start();
    member.executor = std::make_unique<ThreadPool>("control", 2);
    auto node = PlacementNode::Open(options, {.files = member.host->files.get(),
                                              .clock = &member.host->clock,
                                              .timer = &member.host->timer,
                                              .host = member.host->host.get(),
                                              .executor = member.executor.get(),
                                              .snapshot_transport = &member.host->endpoint,
                                              .snapshot_registry = &member.host->registry});
    if (!node.ok()) return node.status();
    member.node = *std::move(node);
    member.registry =
        std::make_unique<rpc::RpcRegistry>(metrics_, clock_, rpc::RpcRegistryOptions{});
    return member.node->Register(*member.registry);
  }
  void Start(uint64_t id) {
    const absl::Status started = TryStart(id, Options(id));
    ASSERT_TRUE(started.ok()) << started;
  }
  void Kill(uint64_t id) {
    Member& member = members_.at(id);
    if (member.node != nullptr) member.node->Stop();
    member.registry.reset();
    member.node.reset();
    member.executor.reset();
    member.host->Stop();
  }
  uint64_t AwaitLeader() {
    uint64_t leader = 0;
    EXPECT_TRUE(Eventually([&] {
      for (auto& [id, member] : members_) {
        if (member.node == nullptr || cut_ == id) continue;
        const PlacementNode::View view = member.node->view();
        if (view.is_leader && !view.cluster_id.empty()) leader = id;
      }
      return leader != 0;
    }));
    return leader;
  }
  template <typename Request, typename Response>
  absl::StatusOr<Response> CallOn(uint64_t id, const std::string& name, Request request) {
    const rpc::RpcMethod* method =
        members_.at(id).registry->Find("vectron.placementdriver.v1.PlacementService." + name);
    rpc::CallContext context;
    Response response;
    const auto status = shard::Answer<absl::Status>([&](std::function<void(absl::Status)> done) {
      method->unary(context, request, response, std::move(done));
    });
    if (!status.ok()) return status;
    return response;
  }
  // At whoever leads, until it is answered.
  template <typename Response, typename Request>
  Response Call(const std::string& name, const Request& request) {
    absl::StatusOr<Response> answer = absl::UnknownError("never asked");
    EXPECT_TRUE(Eventually([&] {
      answer = CallOn<Request, Response>(AwaitLeader(), name, request);
      return answer.status().code() != absl::StatusCode::kUnavailable;
    }));
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? *std::move(answer) : Response();
  }
  std::string Register(const std::string& uid) {
    pb::RegisterWorkerRequest request;
    request.set_node_uid(uid);
    request.set_grpc_address(uid + ":9090");
    return Call<pb::RegisterWorkerResponse>("RegisterWorker", request).worker_id();
  }
  int Workers() {
    return Call<pb::ListWorkersResponse>("ListWorkers", pb::ListWorkersRequest()).workers_size();
  }

  // Of a node that is stopped, as `vectron recover` does it.
  absl::Status GoOnAlone(uint64_t id) {
    Member& member = members_.at(id);
    auto logs = shard::LogStore::Open(member.host->dir() + "/log", member.host->resources, 0);
    if (!logs.ok()) return logs.status();
    return RecoverAlone(*member.host->files, **logs, Options(id).data_dir);
  }
  // All three know that all three vote.
  bool AwaitThreeVoters() {
    return Eventually([&] {
      return std::all_of(members_.begin(), members_.end(),
                         [](const auto& member) { return member.second.node->view().voters == 3; });
    });
  }

  // One node is away while two save their states and cut their logs; it comes back.
  void LeaveOneBehind() {
    const uint64_t away = AwaitLeader() % 3 + 1;
    Kill(away);
    std::atomic<int> answered{0};
    const uint64_t leader = AwaitLeader();
    const rpc::RpcMethod* method = members_.at(leader).registry->Find(
        "vectron.placementdriver.v1.PlacementService.RegisterReranker");
    constexpr int kCalls = 2'500;  // more than two saves: the log is cut behind them
    std::vector<pb::RegisterRerankerRequest> requests(kCalls);
    std::vector<pb::RegisterRerankerResponse> responses(kCalls);
    std::vector<rpc::CallContext> contexts(kCalls);
    for (int i = 0; i < kCalls; ++i) {
      requests[i].set_grpc_address(fmt::format("r:{}", i % 50));
      method->unary(contexts[i], requests[i], responses[i],
                    [&answered](const absl::Status&) { ++answered; });
    }
    EXPECT_TRUE(Eventually([&] { return answered == kCalls; }));
    const uint64_t applied = members_.at(leader).node->view().applied_index;
    Start(away);
    EXPECT_TRUE(
        Eventually([&] { return members_.at(away).node->view().applied_index >= applied; }));
    EXPECT_EQ(members_.at(away).node->view().workers, 1u);
  }

  const TempDir own_dir_;
  std::string dir_;
  shard::LocalNetwork network_;
  Metrics metrics_;
  SystemClock clock_;
  uint64_t starts_ = 0;
  uint64_t cut_ = 0;
  size_t peers_ = 3;
  uint64_t third_ = 3;  // of the peers
  std::set<uint64_t> joining_;
  std::map<uint64_t, Member> members_;
};

TEST_F(PlacementNodes, GoOnWithoutTheirLeaderAndForgetNothing) {
  const std::string first = Register("a");
  const uint64_t killed = AwaitLeader();
  const std::string cluster = members_.at(killed).node->view().cluster_id;
  EXPECT_FALSE(cluster.empty());
  Kill(killed);
  EXPECT_NE(Register("b"), first);
  EXPECT_EQ(Register("a"), first) << "it has its id already";
  EXPECT_EQ(Workers(), 2);
  Start(killed);
  EXPECT_TRUE(Eventually([&] { return members_.at(killed).node->view().workers == 2; }));
  EXPECT_EQ(members_.at(killed).node->view().cluster_id, cluster);
  for (const uint64_t id : {1, 2, 3}) Kill(id);
  for (const uint64_t id : {1, 2, 3}) Start(id);
  EXPECT_EQ(Workers(), 2);
  EXPECT_EQ(members_.at(1).node->view().cluster_id, cluster);
}

TEST_F(PlacementNodes, FollowersNameTheLeader) {
  const uint64_t leader = AwaitLeader();
  const uint64_t follower = leader % 3 + 1;
  const std::string address = fmt::format("node-{}:6001", leader);
  const auto refused =
      CallOn<pb::ListWorkersRequest, pb::ListWorkersResponse>(follower, "ListWorkers", {});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(MessageOf(refused.status())),
              HasSubstr(fmt::format("node {} at {}", leader, address)));
  const auto named = CallOn<pb::GetLeaderRequest, pb::GetLeaderResponse>(follower, "GetLeader", {});
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_EQ(named->leader_address(), address);
}

TEST_F(PlacementNodes, AreUnavailableWithoutAQuorum) {
  Register("a");
  const uint64_t leader = AwaitLeader();
  Kill(leader % 3 + 1);
  Kill((leader + 1) % 3 + 1);
  const auto refused =
      CallOn<pb::ListWorkersRequest, pb::ListWorkersResponse>(leader, "ListWorkers", {});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(PlacementNodes, ACutOffLeaderAnswersNothingOld) {
  Register("a");
  cut_ = AwaitLeader();
  network_.CutOff(cut_);
  Register("b");
  const auto old = CallOn<pb::ListWorkersRequest, pb::ListWorkersResponse>(cut_, "ListWorkers", {});
  EXPECT_EQ(old.status().code(), absl::StatusCode::kUnavailable);
  network_.Heal();
  cut_ = 0;
  EXPECT_EQ(Workers(), 2);
}

TEST_F(PlacementNodes, BringANodeThatWasAwayForLongUpToDateByASnapshot) {
  Register("a");
  LeaveOneBehind();
}

TEST_F(PlacementNodes, ChildOfTheCrashTest) {
  if (CrashTestDir() == nullptr) GTEST_SKIP() << "runs as the child of another test";
  const std::string id = Register("a");
  CHECK_OK(members_.at(1).host->files->WriteAtomically(
      dir_ + "/known", id + " " + members_.at(AwaitLeader()).node->view().cluster_id));
  LeaveOneBehind();
}

TEST_F(PlacementNodes, ForgetNothingWhenTheyEndAtAnyStep) {
  for (const char* point : {"placement.saved", "placement.installed"}) {
    SCOPED_TRACE(point);
    const TempDir dir;
    ASSERT_EQ(RunToCrashPoint("PlacementNodes.ChildOfTheCrashTest", dir.path(), point), kCrashed);
    StartIn(dir.path());
    const std::string known = *members_.at(1).host->files->ReadAll(dir / "known");
    const std::string again = Register("a");
    EXPECT_EQ(known, again + " " + members_.at(AwaitLeader()).node->view().cluster_id);
    EXPECT_EQ(Workers(), 1);
    const uint64_t applied = members_.at(AwaitLeader()).node->view().applied_index;
    for (const uint64_t id : {1, 2, 3}) {
      EXPECT_TRUE(
          Eventually([&] { return members_.at(id).node->view().applied_index >= applied; }));
      EXPECT_EQ(members_.at(id).node->view().workers, 1u);
    }
    for (auto& [id, member] : members_) Kill(id);  // before the folder goes
  }
}

// Node 3 is lost with its disk; node 2, which was called lost, comes back with its own.
TEST_F(PlacementNodes, OneOfThreeGoesOnAloneAndTakesOthersIn) {
  const std::string first = Register("a");
  ASSERT_TRUE(Eventually([&] { return members_.at(1).node->view().workers == 1; }));
  const PlacementNode::View before = members_.at(1).node->view();
  for (const uint64_t id : {1, 2, 3}) Kill(id);
  ASSERT_TRUE(members_.at(3).host->files->RemoveTree(members_.at(3).host->dir()).ok());
  const absl::Status recovered = GoOnAlone(1);
  ASSERT_TRUE(recovered.ok()) << recovered;
  EXPECT_EQ(GoOnAlone(1).code(), absl::StatusCode::kFailedPrecondition) << "it is done";

  Start(1);
  ASSERT_EQ(AwaitLeader(), 1u);
  const PlacementNode::View alone = members_.at(1).node->view();
  EXPECT_EQ(alone.cluster_id, before.cluster_id);
  EXPECT_EQ(alone.voters, 1u);
  EXPECT_GE(alone.applied_index, before.applied_index + 1'000'000);
  EXPECT_EQ(Register("a"), first);
  EXPECT_NE(Register("b"), first);

  Start(2);
  joining_ = {3};
  Start(3);
  ASSERT_TRUE(AwaitThreeVoters());
  Kill(1);
  EXPECT_EQ(Workers(), 2);
  EXPECT_EQ(members_.at(AwaitLeader()).node->view().cluster_id, before.cluster_id);
}

TEST_F(PlacementNodes, ChildThatGoesOnAlone) {
  if (CrashTestDir() == nullptr) GTEST_SKIP() << "runs as the child of another test";
  Register("a");
  ASSERT_TRUE(Eventually([&] { return members_.at(1).node->view().workers == 1; }));
  for (const uint64_t id : {1, 2, 3}) Kill(id);
  GoOnAlone(1).IgnoreError();  // ends at the crash point
}

TEST_F(PlacementNodes, GoOnTogetherAfterARecoveryThatACrashCutShort) {
  const TempDir dir;
  ASSERT_EQ(RunToCrashPoint("PlacementNodes.ChildThatGoesOnAlone", dir.path(),
                            "placement.recovery_announced"),
            kCrashed);
  StartIn(dir.path());
  Register("b");
  EXPECT_EQ(Workers(), 2);
  EXPECT_TRUE(AwaitThreeVoters());
  for (const uint64_t id : {1, 2, 3}) Kill(id);
  EXPECT_EQ(GoOnAlone(1).code(), absl::StatusCode::kOk) << "another try";
}

// Node 3 is lost with its disk; another one comes in its stead, under a number of its own.
TEST_F(PlacementNodes, ReplaceOneThatIsLost) {
  const std::string first = Register("a");
  for (const uint64_t id : {1, 2, 3}) Kill(id);
  members_.erase(3);
  members_[4].host = std::make_unique<shard::HostNode>(network_, 4, dir_ + "/4");
  third_ = 4;
  joining_ = {4};
  Start(4);
  EXPECT_FALSE(members_.at(4).node->view().is_member) << "it waits";
  for (const uint64_t id : {1, 2}) Start(id);
  ASSERT_TRUE(Eventually([&] { return members_.at(4).node->view().is_member; }));
  ASSERT_TRUE(AwaitThreeVoters());
  Kill(1);
  EXPECT_EQ(Register("a"), first);
  EXPECT_EQ(Workers(), 1);
}

TEST_F(PlacementNodes, GrowFromOneToThree) {
  const TempDir dir;
  peers_ = 1;
  StartIn(dir.path());
  const std::string first = Register("a");
  Kill(1);
  EXPECT_EQ(GoOnAlone(1).code(), absl::StatusCode::kFailedPrecondition) << "it is alone";
  peers_ = 3;
  joining_ = {2, 3};
  for (const uint64_t id : {1, 2, 3}) Start(id);
  ASSERT_TRUE(AwaitThreeVoters());
  Kill(1);
  EXPECT_EQ(Register("a"), first);
  EXPECT_EQ(Workers(), 1);
  for (auto& [id, member] : members_) Kill(id);  // before the folder goes
}

TEST_F(PlacementNodes, OneThatCannotApplyAnEntryDoesNotStayTheLeader) {
  Register("a");
  ASSERT_TRUE(Eventually([&] { return members_.at(1).node->view().workers == 1; }));
  Kill(1);
  shard::HostNode& damaged = *members_.at(1).host;
  ASSERT_TRUE(damaged.files->Remove(Options(1).data_dir + kPlacementStateFile).ok());
  {
    const auto logs = shard::LogStore::Open(damaged.dir() + "/log", damaged.resources, 0);
    ASSERT_TRUE(logs.ok()) << logs.status();
    const uint64_t last = (*logs)->Extent(kPlacementGroup).next_index - 1;
    auto entries = (*logs)->Read(kPlacementGroup, {.first = 1, .last = last});
    ASSERT_TRUE(entries.ok()) << entries.status();
    const auto command = std::find_if(
        entries->rbegin(), entries->rend(),
        [](const shard::Entry& entry) { return !shard::WithoutKind(entry.command).empty(); });
    ASSERT_NE(command, entries->rend());
    command->command = shard::WithKind(consensus::EntryKind::kNormal, "no command");
    ASSERT_TRUE(
        (*logs)
            ->Append({{.group = kPlacementGroup, .entries = &*entries, .hard_state = std::nullopt}})
            .ok());
  }
  const uint64_t leader = AwaitLeader();  // one of the others
  Start(1);
  const uint64_t term = members_.at(leader).host->host->View(kPlacementGroup).term;
  EXPECT_TRUE(Eventually([&] {
    const shard::GroupView view = damaged.host->View(kPlacementGroup);
    if (view.term <= term) {  // until it leads, for once
      members_.at(leader).host->host->TransferLeadership(kPlacementGroup, damaged.replica());
    }
    return view.term >= term + 2 && !view.is_leader && view.leader.value != 0;
  }));
  EXPECT_EQ(Workers(), 1);
}

TEST_F(PlacementNodes, RefuseAnotherClustersFolderAndWrongOptions) {
  Register("a");
  ASSERT_TRUE(Eventually([&] { return members_.at(1).node->view().workers == 1; }));
  Kill(1);  // saves its state, which names the cluster
  PlacementNodeOptions options = Options(1);
  options.cluster_id = "another";
  EXPECT_EQ(TryStart(1, options).code(), absl::StatusCode::kFailedPrecondition);
  options = Options(1);
  options.peers.pop_back();
  EXPECT_EQ(TryStart(1, options).code(), absl::StatusCode::kInvalidArgument);
  options = Options(1);
  options.node = WorkerId{9};
  EXPECT_EQ(TryStart(1, options).code(), absl::StatusCode::kInvalidArgument);
  peers_ = 1;
  joining_ = {1};
  EXPECT_EQ(TryStart(1, Options(1)).code(), absl::StatusCode::kInvalidArgument) << "whom?";
}

}  // namespace
}  // namespace vectron::placement
