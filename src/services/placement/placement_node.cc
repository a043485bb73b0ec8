#include "services/placement/placement_node.h"

#include <algorithm>
#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "services/placement/group_growth.h"
#include "services/placement/replicated_state.h"
#include "services/placement/service.h"
#include "shard/file_snapshots.h"

namespace vectron::placement {
namespace {

constexpr int64_t kTickMs = 50;
constexpr int64_t kGiveWayMs = 2'000;  // between two tries
// Each placement node holds one replica, its first and only.
constexpr uint64_t kReplicaSerial = 1;

ReplicaId ReplicaOf(WorkerId node) { return ReplicaId::Make(node, kReplicaSerial); }

absl::Status CheckOptions(const PlacementNodeOptions& options) {
  std::set<WorkerId> nodes;
  for (const PlacementPeer& peer : options.peers) nodes.insert(peer.node);
  const size_t count = options.peers.size();
  if (count != 1 && count != 3 && count != 5) {
    return InvalidArgument("placement runs on 1, 3 or 5 nodes, not {}", count);
  }
  if (nodes.size() != count || nodes.begin()->value == 0) {
    return InvalidArgument("placement nodes have different numbers, from 1");
  }
  if (!nodes.contains(options.node)) {
    return InvalidArgument("node {} is not among the placement nodes", options.node.value);
  }
  if (options.join && count == 1) {
    return InvalidArgument("placement node {} is to join others, but none is named",
                           options.node.value);
  }
  return absl::OkStatus();
}

// The state as a group host sees it.
class Machine : public shard::Applier, public shard::SnapshotState {
 public:
  explicit Machine(ReplicatedState& state) : state_(state) {}
  void Apply(std::vector<shard::Entry> entries) override { state_.Apply(std::move(entries)); }
  uint64_t stored_index() const override { return state_.saved_index(); }
  void WriteFiles(const std::string& dir,
                  std::function<void(absl::StatusOr<uint64_t>)> done) override {
    done(state_.WriteFiles(dir));
  }
  absl::Status InstallFiles(const std::string& dir, uint64_t index) override {
    return state_.InstallFiles(dir, index);
  }

 private:
  ReplicatedState& state_;
};

class Node : public PlacementNode {
 public:
  Node(const PlacementNodeOptions& options, const PlacementNodeDeps& deps)
      : options_(options), deps_(deps), ticks_(*deps.executor) {}
  ~Node() override { Stop(); }

  absl::Status Open() {
    RETURN_IF_ERROR(deps_.files->MakeDirs(options_.data_dir));
    ASSIGN_OR_RETURN(state_,
                     ReplicatedState::Open(*deps_.files, options_.data_dir + kPlacementStateFile,
                                           options_.seed));
    const std::string known =
        state_->With([](const ClusterState& state) { return state.cluster_id(); });
    if (!options_.cluster_id.empty() && !known.empty() && known != options_.cluster_id) {
      return FailedPrecondition("{} is of cluster {}, not {}", options_.data_dir, known,
                                options_.cluster_id);
    }
    service_ = std::make_unique<PlacementService>(
        options_.placement, ServiceDeps{.state = state_.get(),
                                        .clock = deps_.clock,
                                        .leadership = [this] { return Leads(); },
                                        .cluster_id = options_.cluster_id,
                                        .seed = options_.seed});
    machine_ = std::make_unique<Machine>(*state_);
    RETURN_IF_ERROR(Join());
    NextTick();
    return absl::OkStatus();
  }

  absl::Status Register(rpc::RpcRegistry& registry) override {
    return service_->Register(registry);
  }

  void Stop() override {
    {
      const absl::MutexLock lock(&life_->mutex);
      if (std::exchange(life_->stopped, true)) return;
      deps_.timer->Cancel(life_->timer);
    }
    ticks_.Drain();
    if (joined_) {
      deps_.host->Detach(kPlacementGroup);
      snapshots_.reset();
      state_->Unbind();
      const absl::Status saved = state_->Save();
      if (!saved.ok()) {  // the log has it all
        LogWarning("placement state is not written at the end: {}", MessageOf(saved));
      }
    }
    if (service_ != nullptr) service_->Stop();
  }

  View view() const override {
    const Leadership leadership = Leads();
    const PlacementService::Differences differences = service_->differences();
    const consensus::Membership members = deps_.host->View(kPlacementGroup).membership;
    const auto is_in = [self = ReplicaOf(options_.node).value](const std::vector<uint64_t>& ids) {
      return std::find(ids.begin(), ids.end(), self) != ids.end();
    };
    const bool is_member = is_in(members.voters) || is_in(members.learners);
    return state_->With([&](const ClusterState& state) {
      return View{.is_leader = leadership.is_leader,
                  .leader_address = leadership.address,
                  .cluster_id = state.cluster_id(),
                  .applied_index = state.applied_index(),
                  .is_member = is_member,
                  .voters = members.voters.size(),
                  .workers = state.workers().size(),
                  .collections = state.collections().size(),
                  .differences_found = differences.found,
                  .differing_groups = differences.standing};
    });
  }

 private:
  struct Life {
    absl::Mutex mutex;
    bool stopped ABSL_GUARDED_BY(mutex) = false;
    bool changing ABSL_GUARDED_BY(mutex) = false;  // the group's membership
    Timer::Id timer ABSL_GUARDED_BY(mutex) = 0;
  };

  absl::Status Join() {
    shard::RaftGroupStart start;
    start.group = kPlacementGroup;
    start.replica = ReplicaOf(options_.node);
    // What one that joins believes until it has the group's own word must not let it found another.
    // Its own name is left out, so it never campaigns; and as the group first takes in all that it
    // lacks without a vote, entries from the beginning of a log lead from here to what is true, but
    // for one that is still to leave.
    for (const PlacementPeer& peer : options_.peers) {
      if (options_.join && peer.node == options_.node) continue;
      start.members.voters.push_back(ReplicaOf(peer.node).value);
    }
    std::sort(start.members.voters.begin(), start.members.voters.end());
    start.applied_index = state_->applied_index();
    start.applier = machine_.get();
    if (deps_.snapshot_transport != nullptr) {
      ASSIGN_OR_RETURN(
          snapshots_,
          shard::MakeFileSnapshots(kPlacementGroup, options_.data_dir + kPlacementSnapshotFolder,
                                   {.files = deps_.files,
                                    .background_executor = deps_.executor,
                                    .transport = deps_.snapshot_transport,
                                    .registry = deps_.snapshot_registry,
                                    .life = deps_.host->life()},
                                   *machine_));
      start.snapshots = snapshots_.get();
    }
    ASSIGN_OR_RETURN(shard::Replicator * replicator, deps_.host->Attach(start));
    joined_ = true;
    state_->Bind(*replicator, [this] { service_->OnStateChanged(); });
    return absl::OkStatus();
  }

  Leadership Leads() const {
    const shard::GroupView view = deps_.host->View(kPlacementGroup);
    Leadership leadership{.is_leader = view.is_leader && !view.quarantined,
                          .term = view.term,
                          .node = view.leader.node(),
                          .address = {}};
    for (const PlacementPeer& peer : options_.peers) {
      if (peer.node == leadership.node) leadership.address = peer.grpc_address;
    }
    return leadership;
  }

  // Makes the peers the members.
  void Grow() {
    std::vector<ReplicaId> wanted;
    for (const PlacementPeer& peer : options_.peers) wanted.push_back(ReplicaOf(peer.node));
    const auto change = NextMemberChange(deps_.host->View(kPlacementGroup), wanted);
    if (!change.has_value()) return;
    {
      const absl::MutexLock lock(&life_->mutex);
      if (std::exchange(life_->changing, true)) return;
    }
    LogInfo("placement node {} {}", change->replica.node().value,
            change->kind == consensus::ChangeKind::kAddVoter ? "gets a vote"
            : change->kind == consensus::ChangeKind::kRemove ? "is put out"
                                                             : "is taken in");
    deps_.host->ChangeMembership(kPlacementGroup, change->replica, change->kind,
                                 [life = life_](const absl::Status&) {  // else it is tried again
                                   const absl::MutexLock lock(&life->mutex);
                                   life->changing = false;
                                 });
  }

  // One that cannot apply what was committed answers nothing: another has to lead. In turn, for
  // some of them may be no better off.
  void GiveWay() {
    if (state_->problem().ok()) return;
    const shard::GroupView view = deps_.host->View(kPlacementGroup);
    const int64_t now = deps_.clock->MonotonicNanos();
    if (!view.is_leader || now < next_give_way_nanos_) return;
    const std::vector<uint64_t>& voters = view.membership.voters;
    std::vector<ReplicaId> others;
    for (const consensus::PeerProgress& peer : view.progress) {
      const ReplicaId replica{peer.id};
      const bool votes = std::find(voters.begin(), voters.end(), peer.id) != voters.end();
      if (replica != view.replica && votes && peer.recent_active) others.push_back(replica);
    }
    if (others.empty()) return;
    next_give_way_nanos_ = now + kGiveWayMs * 1'000'000;
    deps_.host->TransferLeadership(kPlacementGroup, others[view.term % others.size()]);
  }

  void NextTick() {
    const absl::MutexLock lock(&life_->mutex);
    if (life_->stopped) return;
    const int64_t at = deps_.clock->MonotonicNanos() + kTickMs * 1'000'000;
    life_->timer = deps_.timer->At(at, [this, life = life_] {
      const absl::MutexLock tick_lock(&life->mutex);
      if (life->stopped) return;
      ticks_.Schedule([this] {
        service_->Tick();
        Grow();
        GiveWay();
        NextTick();
      });
    });
  }

  const PlacementNodeOptions options_;
  const PlacementNodeDeps deps_;
  std::unique_ptr<ReplicatedState> state_;
  std::unique_ptr<PlacementService> service_;
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<shard::SnapshotHandler> snapshots_;
  bool joined_ = false;
  int64_t next_give_way_nanos_ = 0;                              // the ticks'
  const std::shared_ptr<Life> life_ = std::make_shared<Life>();  // shared with the timer's task,
                                                                 // which may run late
  SerialExecutor ticks_;  // last: its tasks use everything above
};

}  // namespace

absl::StatusOr<std::unique_ptr<PlacementNode>> PlacementNode::Open(
    const PlacementNodeOptions& options, const PlacementNodeDeps& deps) {
  CHECK(deps.files != nullptr && deps.clock != nullptr && deps.timer != nullptr);
  CHECK(deps.host != nullptr && deps.executor != nullptr);
  RETURN_IF_ERROR(CheckOptions(options));
  auto node = std::make_unique<Node>(options, deps);
  RETURN_IF_ERROR(node->Open());
  return std::unique_ptr<PlacementNode>(std::move(node));
}

}  // namespace vectron::placement
