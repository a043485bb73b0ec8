// `vectron worker`: the shards of one node of a cluster.

#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "apps/vectron/cluster_port.h"
#include "apps/vectron/consensus_node.h"
#include "apps/vectron/data_folder.h"
#include "apps/vectron/machine_load.h"
#include "apps/vectron/metrics_port.h"
#include "apps/vectron/plain_routes.h"
#include "apps/vectron/role.h"
#include "apps/vectron/ticker.h"
#include "base/cores.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/random.h"
#include "base/status.h"
#include "rpc/cluster_secret.h"
#include "rpc/map_watch.h"
#include "rpc/placement_caller.h"
#include "services/worker/agent.h"
#include "services/worker/service.h"

namespace vectron {
namespace {

namespace pb = placementdriver::v1;

constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kRegisterTryMs = 5'000;
constexpr int64_t kStopGraceMs = kDefaultWriteDeadlineMs;

// Where workers are: what the map says of them, taken as a hint.
class Addresses {
 public:
  void Learn(const worker::Agent& agent, uint64_t node) {
    const std::string address = agent.RaftAddressOf(WorkerId{node});
    const absl::MutexLock lock(&mutex_);
    if (!address.empty()) addresses_[node] = address;
  }
  std::optional<std::string> Find(uint64_t node) const {
    const absl::MutexLock lock(&mutex_);
    const auto found = addresses_.find(node);
    if (found == addresses_.end()) return std::nullopt;
    return found->second;
  }

 private:
  mutable absl::Mutex mutex_;
  std::map<uint64_t, std::string> addresses_ ABSL_GUARDED_BY(mutex_);
};

// Members are made from first to last and go in the opposite order.
class WorkerRole : public Role {
 public:
  explicit WorkerRole(const WorkerRoleOptions& options)
      : options_(options), threads_(ThreadCount(options.threads)) {}
  ~WorkerRole() override { Stop(); }

  absl::Status Open() {
    RETURN_IF_ERROR(metrics_port_.Start(options_.metrics));
    ASSIGN_OR_RETURN(folder_, DataFolder::Open(options_.data_dir, *files_));
    ASSIGN_OR_RETURN(const HostPort grpc, WithFreePort(options_.grpc));
    ASSIGN_OR_RETURN(const HostPort raft, WithFreePort(options_.raft));
    FillProfile(grpc, raft);
    ASSIGN_OR_RETURN(worker::NodeState state,
                     worker::NodeState::Open(*files_, folder_->path(), SeedFromSystem()));
    state_ = std::make_unique<worker::NodeState>(std::move(state));
    placement_ = std::make_unique<rpc::PlacementCaller>(
        options_.placement, rpc::ClusterChannel(options_.cluster), clock_, timer_);
    if (state_->identity().worker_id() == 0) RETURN_IF_ERROR(RegisterFirst());
    RETURN_IF_ERROR(OpenServices(raft));
    RETURN_IF_ERROR(Listen(grpc));
    agent_->Start();
    // Told of every change of the map, a worker asks what it is to do without waiting for its turn.
    watch_ = rpc::MapWatch::Start({.versions_only = true}, *placement_, clock_, timer_,
                                  [this](const pb::ClusterMap&) { agent_->Nudge(); });
    ticker_ = std::make_unique<Ticker>([this] { worker_->Tick(); });
    serving_ = true;
    LogInfo("vectron {} worker {} of cluster {} serves on {}, data in {}", Version(), id(),
            state_->identity().cluster_id(), grpc_->bound_address(), folder_->path());
    return absl::OkStatus();
  }

  std::string ReadyLine() const override {
    return fmt::format(
        R"({{"ready":true,"role":"worker","id":{},"grpc":"{}","raft":"{}"{},"pid":{}}})", id(),
        profile_.grpc_address, profile_.raft_address, metrics_port_.ReadyField(), ::getpid());
  }

  void Reload(const LiveSettings& /*settings*/) override {}  // of these it has none

  void Stop() override {
    if (stopped_.exchange(true)) return;
    metrics_port_.Leave();
    shard_metrics_ = {};
    if (ticker_ != nullptr) LogInfo("stopping: leaderships are passed on, requests may finish");
    watch_.reset();
    if (agent_ != nullptr) agent_->Stop();
    if (ticker_ != nullptr) {
      const absl::Status handed = consensus_->host().HandOverAll();
      if (!handed.ok()) LogWarning("still leading: {}", MessageOf(handed));
    }
    if (grpc_ != nullptr) grpc_->Stop(kStopGraceMs);
    read_.Drain();
    search_.Drain();  // what callers that are gone have left
    ticker_.reset();
    service_.reset();
    {
      const absl::MutexLock lock(&agent_mutex_);
      known_agent_ = nullptr;
    }
    agent_.reset();
    worker_.reset();  // detaches, flushes and closes every shard
    shards_.reset();
    consensus_.reset();
    placement_.reset();
    LogInfo("stopped");
  }

 private:
  uint64_t id() const { return state_->identity().worker_id(); }

  void FillProfile(const HostPort& grpc, const HostPort& raft) {
    profile_.grpc_address =
        options_.advertise_grpc.empty() ? Printable(grpc) : options_.advertise_grpc;
    profile_.raft_address =
        options_.advertise_raft.empty() ? Printable(raft) : options_.advertise_raft;
    profile_.rack = options_.rack;
    profile_.zone = options_.zone;
    profile_.region = options_.region;
    profile_.search_only = options_.search_only;
    profile_.cpu_cores = static_cast<int32_t>(UsableCores());
    profile_.memory_bytes = static_cast<int64_t>(MachineMeter::TotalMemoryBytes());
    const absl::StatusOr<FileSystem::Space> space = files_->FreeSpace(folder_->path());
    if (space.ok()) profile_.disk_bytes = static_cast<int64_t>(space->total_bytes);
  }

  // A node without an id waits until placement has given it one.
  absl::Status RegisterFirst() {
    LogInfo("waiting for placement to give this node an id");
    while (true) {
      absl::Notification answered;
      absl::StatusOr<pb::RegisterWorkerResponse> response = Internal("no answer");
      placement_->RegisterWorker(
          worker::Registration(profile_, state_->identity(), clock_.UnixMillis()),
          clock_.MonotonicNanos() + kRegisterTryMs * kNanosPerMilli,
          [&](rpc::PlacementCaller::Answer<pb::RegisterWorkerResponse> answer) {
            response = std::move(answer.response);
            answered.Notify();
          });
      answered.WaitForNotification();
      if (response.ok()) {
        uint64_t id = 0;
        if (!absl::SimpleAtoi(response->worker_id(), &id)) {
          return Internal("placement gave this node the id '{}', wanted a number",
                          response->worker_id());
        }
        return state_->SetIds(id, response->cluster_id());
      }
      if (!absl::IsUnavailable(response.status()) && !absl::IsDeadlineExceeded(response.status())) {
        return Annotate(response.status(), "placement");
      }
    }
  }

  absl::Status OpenServices(const HostPort& raft) {
    ASSIGN_OR_RETURN(consensus_, ConsensusNode::Start(
                                     {.log_dir = folder_->path() + "/log",
                                      .node = id(),
                                      .cluster_id = state_->identity().cluster_id(),
                                      .cluster = options_.cluster,
                                      .listen = raft,
                                      .seed = SeedFromSystem()},
                                     {.files = files_.get(),
                                      .clock = &clock_,
                                      .timer = &timer_,
                                      .metrics = &metrics_,
                                      .resources = &resources_,
                                      .apply_executor = &apply_,
                                      .resolve = [this](uint64_t node) { return Resolve(node); }}));
    shards_ = worker::MakeGroupShards({.shard = {.files = files_.get(),
                                                 .clock = &clock_,
                                                 .read_executor = &read_,
                                                 .background_executor = &background_,
                                                 .resources = &resources_,
                                                 .timer = &timer_},
                                       .host = &consensus_->host(),
                                       .snapshots = &consensus_->snapshots(),
                                       .registry = &consensus_->registry()});
    ASSIGN_OR_RETURN(worker_, worker::Worker::Make(folder_->path(),
                                                   {.files = files_.get(),
                                                    .clock = &clock_,
                                                    .shards = shards_.get(),
                                                    .search_executor = &search_,
                                                    .max_open_files = options_.max_open_files}));
    agent_ = std::make_unique<worker::Agent>(
        profile_, worker::AgentDeps{.clock = &clock_,
                                    .timer = &timer_,
                                    .executor = &control_,
                                    .worker = worker_.get(),
                                    .host = &consensus_->host(),
                                    .state = state_.get(),
                                    .placement = Calls(),
                                    .load = [this] { return meter_.Measure(); },
                                    .on_expelled =
                                        [](const absl::Status& why) {
                                          LogError("this node must not serve: {}", MessageOf(why));
                                          ::_exit(kExitExpelled);
                                        }});
    {
      const absl::MutexLock lock(&agent_mutex_);
      known_agent_ = agent_.get();
    }
    ShowShards();
    worker_->OpenShards(agent_->StoredAssignments(), search_);
    service_ = std::make_unique<worker::WorkerService>(
        worker::WorkerServiceDeps{.worker = worker_.get(),
                                  .clock = &clock_,
                                  .timer = &timer_,
                                  .background_executor = &background_});
    return service_->Register(registry_);
  }

  // To those who watch, from the opening of the shards on.
  void ShowShards() {
    shard_metrics_ = metrics_.AddSource([this](std::vector<MetricSample>& samples) {
      std::vector<MetricSample> own = ShardSamples(worker_->Report());
      std::move(own.begin(), own.end(), std::back_inserter(samples));
    });
    metrics_port_.Serve([this] {
      std::vector<std::string> problems = Problems(worker_->Report());
      if (!serving_) problems.emplace_back("it is starting");
      return problems;
    });
  }

  absl::Status Listen(const HostPort& address) {
    ASSIGN_OR_RETURN(grpc_, ClusterPort::Start({.address = address,
                                                .cluster = options_.cluster,
                                                .audit_dir = folder_->path() + "/audit"},
                                               {.registry = &registry_,
                                                .files = files_.get(),
                                                .clock = &clock_,
                                                .metrics = &metrics_}));
    return absl::OkStatus();
  }

  worker::PlacementCalls Calls() {
    return {.register_worker =
                [this](pb::RegisterWorkerRequest request, int64_t deadline_nanos, auto done) {
                  placement_->RegisterWorker(
                      std::move(request), deadline_nanos,
                      [done](rpc::PlacementCaller::Answer<pb::RegisterWorkerResponse> answer) {
                        done(std::move(answer.response));
                      });
                },
            .heartbeat =
                [this](pb::HeartbeatRequest request, int64_t deadline_nanos, auto done) {
                  placement_->Heartbeat(
                      std::move(request), deadline_nanos,
                      [done](rpc::PlacementCaller::Answer<pb::HeartbeatResponse> answer) {
                        done(std::move(answer.response));
                      });
                }};
  }

  // Called by the transport, which is there before the agent and after it.
  std::optional<std::string> Resolve(uint64_t node) {
    const absl::MutexLock lock(&agent_mutex_);
    if (known_agent_ != nullptr) addresses_.Learn(*known_agent_, node);
    return addresses_.Find(node);
  }

  const WorkerRoleOptions options_;
  const size_t threads_;
  std::atomic<bool> stopped_{false};
  std::atomic<bool> serving_{false};

  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  SystemClock clock_;
  Metrics metrics_;
  MetricsPort metrics_port_{metrics_, clock_};
  std::unique_ptr<DataFolder> folder_;
  storage::RocksResources resources_;
  ThreadPool apply_{"apply", threads_};
  ThreadPool background_{"build", threads_};
  ThreadPool search_{"search", threads_};
  ThreadPool read_{"read", threads_};  // hands long searches to search_
  ThreadPool control_{"control", 2};   // opening and destroying replicas, talk with placement
  ThreadTimer timer_{clock_};
  MachineMeter meter_{*files_, clock_, options_.data_dir};
  worker::NodeProfile profile_;
  std::unique_ptr<worker::NodeState> state_;
  std::unique_ptr<rpc::PlacementCaller> placement_;
  Addresses addresses_;
  absl::Mutex agent_mutex_;
  worker::Agent* known_agent_ ABSL_GUARDED_BY(agent_mutex_) = nullptr;
  std::unique_ptr<ConsensusNode> consensus_;
  std::unique_ptr<worker::ShardSource> shards_;
  std::unique_ptr<worker::Worker> worker_;
  std::unique_ptr<worker::Agent> agent_;
  std::unique_ptr<worker::WorkerService> service_;
  rpc::RpcRegistry registry_{metrics_, clock_, {}};
  Metrics::Source shard_metrics_;
  std::unique_ptr<ClusterPort> grpc_;
  std::unique_ptr<rpc::MapWatch> watch_;
  std::unique_ptr<Ticker> ticker_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Role>> StartWorker(const WorkerRoleOptions& options) {
  return OpenRole<WorkerRole>(options);
}

}  // namespace vectron
