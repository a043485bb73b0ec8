// Workers and rerankers: who there is, what they report, what they are told.

#include <algorithm>
#include <charconv>

#include "base/limits.h"
#include "base/log.h"
#include "base/status.h"
#include "services/placement/describe.h"
#include "services/placement/service.h"

namespace vectron::placement {
namespace {

namespace pb = placementdriver::v1;

constexpr size_t kMaxTextBytes = 256;  // of an address or a name of a place
constexpr size_t kMaxCapabilities = 32;
constexpr int64_t kEagerMs = 600'000;  // how long an operator's wish to rebalance lasts at most

absl::Status CheckText(std::string_view field, const std::string& text) {
  if (text.size() <= kMaxTextBytes) return absl::OkStatus();
  return InvalidArgument("{} is {} bytes long, at most {} are allowed", field, text.size(),
                         kMaxTextBytes);
}

template <typename Request>
absl::Status CheckProfile(const Request& request) {
  if (request.grpc_address().empty()) return InvalidArgument("grpc_address is missing");
  RETURN_IF_ERROR(CheckText("grpc_address", request.grpc_address()));
  RETURN_IF_ERROR(CheckText("region", request.region()));
  RETURN_IF_ERROR(CheckText("zone", request.zone()));
  RETURN_IF_ERROR(CheckText("rack", request.rack()));
  if (request.capabilities_size() > static_cast<int>(kMaxCapabilities)) {
    return InvalidArgument("{} capabilities, at most {} are allowed", request.capabilities_size(),
                           kMaxCapabilities);
  }
  for (const std::string& capability : request.capabilities()) {
    RETURN_IF_ERROR(CheckText("a capability", capability));
  }
  return absl::OkStatus();
}

WorkerProfile ProfileOf(const pb::RegisterWorkerRequest& request) {
  return {
      // A worker of the original protocol has no uid; its address stands for it.
      .node_uid = request.node_uid().empty() ? "at " + request.grpc_address() : request.node_uid(),
      .grpc_address = request.grpc_address(),
      .raft_address = request.raft_address(),
      .capabilities = {request.capabilities().begin(), request.capabilities().end()},
      .cpu_cores = static_cast<uint32_t>(std::max(0, request.cpu_cores())),
      .memory_bytes = static_cast<uint64_t>(std::max<int64_t>(0, request.memory_bytes())),
      .disk_bytes = static_cast<uint64_t>(std::max<int64_t>(0, request.disk_bytes())),
      .region = request.region(),
      .zone = request.zone(),
      .rack = request.rack(),
      .search_only = request.search_only()};
}

void DescribeAssignment(const ClusterState& state, const ShardRecord& shard, ReplicaId own,
                        pb::ReplicaAssignment& wire) {
  const CollectionRecord& collection = *state.FindCollection(shard.collection);
  wire.set_group_id(shard.group.value);
  wire.set_replica_id(own.value);
  wire.set_shard_epoch(shard.epoch);
  wire.set_ordinal(shard.ordinal.value);
  wire.set_owner(shard.collection.owner);
  wire.mutable_schema()->ParseFromString(collection.schema_bytes);
  for (const ReplicaRecord& replica : shard.replicas) {
    DescribeReplica(state, replica, *wire.add_replicas());
  }
  for (const ReplicaId founder : shard.founders) wire.add_founders(founder.value);
  wire.set_preferred_leader(shard.preferred_leader.value);
}

}  // namespace

void PlacementService::GetLeader(const pb::GetLeaderRequest& request,
                                 Done<pb::GetLeaderResponse> done) {
  (void)request;
  const Leadership leadership = deps_.leadership();
  if (leadership.address.empty()) return done(Unavailable("placement has no leader now"));
  pb::GetLeaderResponse response;
  response.set_leader_address(leadership.address);
  done(std::move(response));
}

void PlacementService::RegisterWorker(const pb::RegisterWorkerRequest& request,
                                      Done<pb::RegisterWorkerResponse> done) {
  absl::Status valid = CheckProfile(request);
  if (valid.ok()) valid = CheckText("raft_address", request.raft_address());
  if (valid.ok()) valid = CheckText("node_uid", request.node_uid());
  if (!valid.ok()) return done(valid);
  placement::RegisterWorker command{.known = WorkerId{request.worker_id()},
                                    .profile = ProfileOf(request),
                                    .now_unix_ms = deps_.clock->UnixMillis()};
  Lead<pb::RegisterWorkerResponse>(
      std::move(done), [this, cluster = request.cluster_id(),
                        command = std::move(command)](Done<pb::RegisterWorkerResponse> tracked) {
        const absl::Status same = CheckCluster(cluster);
        if (!same.ok()) return tracked(same);
        deps_.state->Propose(command, [this, tracked](absl::StatusOr<uint64_t> id) {
          if (!id.ok()) return tracked(id.status());
          pb::RegisterWorkerResponse response;
          response.set_worker_id(std::to_string(*id));
          response.set_success(true);
          response.set_cluster_id(
              deps_.state->With([](const ClusterState& state) { return state.cluster_id(); }));
          response.set_heartbeat_interval_ms(static_cast<uint32_t>(options_.heartbeat_interval_ms));
          tracked(std::move(response));
        });
      });
}

void PlacementService::Heartbeat(const pb::HeartbeatRequest& request,
                                 Done<pb::HeartbeatResponse> done) {
  auto heartbeat = std::make_shared<pb::HeartbeatRequest>(request);  // shared: callbacks are copied
  Lead<pb::HeartbeatResponse>(
      std::move(done), [this, heartbeat](const Done<pb::HeartbeatResponse>& tracked) {
        const absl::Status same = CheckCluster(heartbeat->cluster_id());
        if (!same.ok()) return tracked(same);
        const absl::StatusOr<WorkerId> worker = KnownWorker(heartbeat->worker_id());
        if (!worker.ok()) return tracked(worker.status());
        ProposeFromHeartbeat(*heartbeat, *worker);
        absl::StatusOr<pb::HeartbeatResponse> response{pb::HeartbeatResponse()};
        {
          const absl::MutexLock lock(&mutex_);
          deps_.state->With([&](const ClusterState& state) {
            mutex_.AssertHeld();
            const WorkerRecord* record = state.FindWorker(*worker);
            if (record == nullptr) {
              response = NotFound("worker {} was removed", worker->value);
              return;
            }
            const std::vector<std::string> faults =
                tracker_.Take(*worker, *heartbeat, state, deps_.clock->MonotonicNanos(),
                              deps_.clock->UnixMillis());
            for (const std::string& found : tracker_.TakeDifferences()) {
              LogError("{}", found);
              ++differences_found_;
            }
            AnswerHeartbeat(*heartbeat, *record, state, faults, *response);
            news_ = true;
          });
        }
        tracked(std::move(response));
      });
}

// What a heartbeat changes of the state.
void PlacementService::ProposeFromHeartbeat(const pb::HeartbeatRequest& request, WorkerId id) {
  std::vector<CommandBody> commands;
  deps_.state->With([&](const ClusterState& state) {
    const WorkerRecord* worker = state.FindWorker(id);
    if (worker == nullptr) return;
    if (!worker->joined) commands.push_back(ChangeWorker{id, WorkerChange::kJoined});
    if (worker->dead) commands.push_back(ChangeWorker{id, WorkerChange::kAlive});
    ConfirmDestroyed confirm;
    for (const pb::ReplicaRef& ref : request.destroyed()) {
      const DoomedReplica doomed{GroupId{ref.group_id()}, ReplicaId{ref.replica_id()}};
      const auto found = state.doomed().find(doomed);
      if (found != state.doomed().end() && found->second == id) confirm.replicas.push_back(doomed);
    }
    if (!confirm.replicas.empty()) commands.push_back(std::move(confirm));
  });
  for (CommandBody& command : commands) ProposeQuietly(std::move(command));
}

void PlacementService::AnswerHeartbeat(const pb::HeartbeatRequest& request,
                                       const WorkerRecord& worker, const ClusterState& state,
                                       const std::vector<std::string>& faults,
                                       pb::HeartbeatResponse& response) {
  response.set_ok(true);
  response.set_state(StateOf(worker));
  response.set_map_version(state.version());
  response.set_assignments_epoch(worker.assignments_version);
  bool busy = !worker.joined || worker.dead || busy_.contains(worker.id);
  if (request.assignments_epoch() != worker.assignments_version) {
    pb::AssignmentList& list = *response.mutable_assignments();
    for (const auto& [group, shard] : state.shards()) {
      const ReplicaRecord* own = shard.On(worker.id);
      if (own != nullptr) DescribeAssignment(state, shard, own->id, *list.add_replicas());
    }
    busy = true;
  }
  const auto destroy = [&response, &busy](GroupId group, ReplicaId replica) {
    pb::ReplicaRef& ref = *response.add_destroy();
    ref.set_group_id(group.value);
    ref.set_replica_id(replica.value);
    busy = true;
  };
  for (const auto& [doomed, holder] : state.doomed()) {
    if (holder == worker.id) destroy(doomed.group, doomed.replica);
  }
  // Replicas that once were and are of nothing any more, not even to be destroyed: the worker
  // confirmed that already, or came back from an old copy of its folder.
  for (const pb::ReplicaReport& report : request.replicas()) {
    const DoomedReplica ref{GroupId{report.group_id()}, ReplicaId{report.replica_id()}};
    const ShardRecord* shard = state.FindShard(ref.group);
    const bool known =
        (shard != nullptr && shard->Find(ref.replica) != nullptr) || state.doomed().contains(ref);
    if (!known && state.WasGivenOut(ref.replica) && ref.replica.node() == worker.id) {
      destroy(ref.group, ref.replica);
    }
  }
  for (const LeaderWish& wish : wishes_) {
    if (wish.from.node() != worker.id) continue;
    pb::LeaderTransfer& transfer = *response.add_transfer_leaders();
    transfer.set_group_id(wish.group.value);
    transfer.set_to_replica_id(wish.to.value);
  }
  busy = busy || response.transfer_leaders_size() > 0;
  response.set_next_heartbeat_ms(static_cast<uint32_t>(
      busy ? std::min(options_.busy_heartbeat_ms, options_.heartbeat_interval_ms)
           : options_.heartbeat_interval_ms));
  response.set_message(
      faults.empty() ? std::string("OK")
                     : fmt::format("{}{}", faults.front(), faults.size() > 1 ? ", and more" : ""));
}

void PlacementService::ListWorkers(const pb::ListWorkersRequest& request,
                                   Done<pb::ListWorkersResponse> done) {
  (void)request;
  Lead<pb::ListWorkersResponse>(
      std::move(done), [this](const Done<pb::ListWorkersResponse>& tracked) {
        pb::ListWorkersResponse response;
        {
          const absl::MutexLock lock(&mutex_);
          const int64_t now = deps_.clock->MonotonicNanos();
          deps_.state->With([&](const ClusterState& state) {
            mutex_.AssertHeld();
            for (const auto& [id, worker] : state.workers()) {
              DescribeWorker(worker, state, tracker_, now, *response.add_workers());
            }
          });
        }
        tracked(std::move(response));
      });
}

void PlacementService::DrainWorker(const pb::DrainWorkerRequest& request,
                                   Done<pb::DrainWorkerResponse> done) {
  Lead<pb::DrainWorkerResponse>(
      std::move(done), [this, name = request.worker_id(),
                        cancel = request.cancel()](const Done<pb::DrainWorkerResponse>& tracked) {
        const absl::StatusOr<WorkerId> worker = KnownWorker(name);
        if (!worker.ok()) return tracked(worker.status());
        const WorkerChange change = cancel ? WorkerChange::kCancelDrain : WorkerChange::kDrain;
        deps_.state->Propose(
            ChangeWorker{*worker, change},
            [this, tracked, id = *worker](const absl::StatusOr<uint64_t>& changed) {
              if (!changed.ok()) return tracked(changed.status());
              pb::DrainWorkerResponse response;
              response.set_success(true);
              response.set_shards_left(static_cast<uint32_t>(
                  deps_.state->With([id](const ClusterState& s) { return s.ReplicasOn(id); })));
              tracked(std::move(response));
            });
      });
}

void PlacementService::RemoveWorker(const pb::RemoveWorkerRequest& request,
                                    Done<pb::RemoveWorkerResponse> done) {
  Lead<pb::RemoveWorkerResponse>(
      std::move(done),
      [this, name = request.worker_id()](const Done<pb::RemoveWorkerResponse>& tracked) {
        const absl::StatusOr<WorkerId> worker = KnownWorker(name);
        if (!worker.ok()) return tracked(worker.status());
        deps_.state->Propose(placement::RemoveWorker{*worker},
                             [tracked](const absl::StatusOr<uint64_t>& removed) {
                               if (!removed.ok()) return tracked(removed.status());
                               pb::RemoveWorkerResponse response;
                               response.set_success(true);
                               tracked(std::move(response));
                             });
      });
}

// Of copies: what plans must not hold up those who lead and report.
std::vector<pb::PlannedMove> PlacementService::PlannedMoves() {
  ClusterState state;
  ClusterLoad load;
  uint64_t seed = 0;
  {
    const absl::MutexLock lock(&mutex_);
    deps_.state->With([&](const ClusterState& current) {
      mutex_.AssertHeld();
      state = current;
      load = LoadNow(current);
    });
    seed = seed_;
  }
  ScheduleInput input = Input(state, load);
  input.seed = seed;
  input.eager = true;
  std::vector<pb::PlannedMove> moves;
  for (const AddReplica& move : PlanMoves(input)) {
    const ShardRecord& shard = *state.FindShard(move.group);
    const ShardLoad* measured = load.Find(move.group);
    pb::PlannedMove& wire = moves.emplace_back();
    wire.set_group_id(move.group.value);
    wire.set_owner(shard.collection.owner);
    wire.set_collection(shard.collection.name);
    wire.set_ordinal(shard.ordinal.value);
    wire.set_from_worker_id(move.replaces.node().value);
    wire.set_to_worker_id(move.worker.value);
    wire.set_reason(std::string(MoveReasonName(move.reason)));
    wire.set_size_bytes(measured == nullptr ? 0 : measured->disk_bytes);
  }
  return moves;
}

void PlacementService::Rebalance(const pb::RebalanceRequest& request,
                                 Done<pb::RebalanceResponse> done) {
  Lead<pb::RebalanceResponse>(std::move(done), [this, dry_run = request.dry_run()](
                                                   const Done<pb::RebalanceResponse>& tracked) {
    {
      const absl::MutexLock lock(&mutex_);
      if (plans_.size() < kMaxPlans) {
        plans_.push_back({.dry_run = dry_run, .done = tracked});
        return;
      }
    }
    tracked(ResourceExhausted("{} calls wait for a plan, the most allowed", kMaxPlans));
  });
}

// One plan answers all who wait for one.
void PlacementService::TendPlans() {
  std::vector<Plan> plans;
  {
    const absl::MutexLock lock(&mutex_);
    plans.swap(plans_);
  }
  if (plans.empty()) return;
  const std::vector<pb::PlannedMove> moves = PlannedMoves();
  const bool begin = !moves.empty() && !std::all_of(plans.begin(), plans.end(),
                                                    [](const Plan& plan) { return plan.dry_run; });
  if (begin) {
    const absl::MutexLock lock(&mutex_);
    eager_until_nanos_ = deps_.clock->MonotonicNanos() + kEagerMs * 1'000'000;
    news_ = true;
  }
  for (const Plan& plan : plans) {
    pb::RebalanceResponse response;
    response.set_started(!moves.empty() && !plan.dry_run);
    response.mutable_moves()->Add(moves.begin(), moves.end());
    plan.done(std::move(response));
  }
}

void PlacementService::RegisterReranker(const pb::RegisterRerankerRequest& request,
                                        Done<pb::RegisterRerankerResponse> done) {
  const absl::Status valid = CheckProfile(request);
  if (!valid.ok()) return done(valid);
  RerankerRecord record{
      .grpc_address = request.grpc_address(),
      .capabilities = {request.capabilities().begin(), request.capabilities().end()},
      .region = request.region(),
      .zone = request.zone(),
      .rack = request.rack(),
      .registered_unix_ms = deps_.clock->UnixMillis()};
  Lead<pb::RegisterRerankerResponse>(
      std::move(done),
      [this, record = std::move(record)](const Done<pb::RegisterRerankerResponse>& tracked) {
        deps_.state->Propose(placement::RegisterReranker{record},
                             [this, tracked](const absl::StatusOr<uint64_t>& id) {
                               if (!id.ok()) return tracked(id.status());
                               {
                                 const absl::MutexLock lock(&mutex_);
                                 tracker_.TakeReranker(RerankerId{*id},
                                                       deps_.clock->MonotonicNanos(),
                                                       deps_.clock->UnixMillis());
                               }
                               pb::RegisterRerankerResponse response;
                               response.set_reranker_id(std::to_string(*id));
                               response.set_success(true);
                               tracked(std::move(response));
                             });
      });
}

void PlacementService::RerankerHeartbeat(const pb::RerankerHeartbeatRequest& request,
                                         Done<pb::RerankerHeartbeatResponse> done) {
  Lead<pb::RerankerHeartbeatResponse>(
      std::move(done),
      [this, name = request.reranker_id()](const Done<pb::RerankerHeartbeatResponse>& tracked) {
        RerankerId id;
        std::from_chars(name.data(), name.data() + name.size(), id.value);
        const bool known = deps_.state->With(
            [id](const ClusterState& state) { return state.rerankers().contains(id); });
        if (!known) return tracked(NotFound("reranker '{}' is unknown; it has to register", name));
        {
          const absl::MutexLock lock(&mutex_);
          tracker_.TakeReranker(id, deps_.clock->MonotonicNanos(), deps_.clock->UnixMillis());
        }
        pb::RerankerHeartbeatResponse response;
        response.set_ok(true);
        response.set_message("OK");
        tracked(std::move(response));
      });
}

void PlacementService::ListRerankers(const pb::ListRerankersRequest& request,
                                     Done<pb::ListRerankersResponse> done) {
  (void)request;
  Lead<pb::ListRerankersResponse>(
      std::move(done), [this](const Done<pb::ListRerankersResponse>& tracked) {
        pb::ListRerankersResponse response;
        {
          const absl::MutexLock lock(&mutex_);
          const int64_t now = deps_.clock->MonotonicNanos();
          deps_.state->With([&](const ClusterState& state) {
            mutex_.AssertHeld();
            for (const auto& [id, record] : state.rerankers()) {
              pb::RerankerInfo& wire = *response.add_rerankers();
              wire.set_reranker_id(std::to_string(id.value));
              wire.set_grpc_address(record.grpc_address);
              wire.set_last_heartbeat(tracker_.LastUnixMillis(id) / 1'000);
              wire.set_healthy(tracker_.IsHealthy(id, now));
            }
          });
        }
        tracked(std::move(response));
      });
}

void PlacementService::GetReranker(const pb::GetRerankerRequest& request,
                                   Done<pb::GetRerankerResponse> done) {
  (void)request;
  Lead<pb::GetRerankerResponse>(
      std::move(done), [this](const Done<pb::GetRerankerResponse>& tracked) {
        absl::StatusOr<pb::GetRerankerResponse> response = Unavailable("no reranker is healthy");
        {
          const absl::MutexLock lock(&mutex_);
          const int64_t now = deps_.clock->MonotonicNanos();
          deps_.state->With([&](const ClusterState& state) {
            mutex_.AssertHeld();
            std::vector<const RerankerRecord*> healthy;
            for (const auto& [id, record] : state.rerankers()) {
              if (tracker_.IsHealthy(id, now)) healthy.push_back(&record);
            }
            if (healthy.empty()) return;
            const RerankerRecord& chosen = *healthy[Mix64(++seed_) % healthy.size()];
            response.emplace();
            response->set_reranker_id(std::to_string(chosen.id.value));
            response->set_grpc_address(chosen.grpc_address);
          });
        }
        tracked(std::move(response));
      });
}

}  // namespace vectron::placement
