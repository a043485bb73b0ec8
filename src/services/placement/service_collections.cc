// Collections: made, found, shown, deleted; and the map of where they are.

#include <algorithm>
#include <set>

#include "base/status.h"
#include "model/collection.h"
#include "services/placement/describe.h"
#include "services/placement/service.h"
#include "vectron/vectron.pb.h"

namespace vectron::placement {
namespace {

namespace pb = placementdriver::v1;

// What a caller waits for when a new leader has not heard from its workers: heartbeats come every
// few seconds, and those of a worker that looks for the leader sooner.
constexpr int64_t kHearingRetryMs = 500;

absl::Status NoSuchCollection(const std::string& name) {
  return NotFound("collection '{}' does not exist", name.substr(0, 200));
}

// The visible collection of this owner and name.
const CollectionRecord* FindVisible(const ClusterState& state, const std::string& owner,
                                    const std::string& name) {
  const CollectionRecord* record = state.FindCollection({owner, name});
  return record != nullptr && record->visible ? record : nullptr;
}

}  // namespace

void PlacementService::CreateCollection(const pb::CreateCollectionRequest& request,
                                        Done<pb::CreateCollectionResponse> done) {
  LeadLong<pb::CreateCollectionResponse>(  // the shards are made meanwhile
      options_.create_timeout_ms, std::move(done),
      [this, request](Done<pb::CreateCollectionResponse> patient) {
        BeginCreation(request, std::move(patient));
      });
}

void PlacementService::BeginCreation(const pb::CreateCollectionRequest& request,
                                     Done<pb::CreateCollectionResponse> done) {
  v1::CreateCollectionRequest wire = request.schema();
  if (!request.has_schema()) {
    wire.set_name(request.name());
    wire.set_dimension(request.dimension());
    wire.set_distance(request.distance());
  }
  const CollectionKey key{request.owner(), wire.name()};
  placement::BeginCreate command{.key = key, .now_unix_ms = deps_.clock->UnixMillis()};
  absl::Status status;
  bool same_under_way = false;
  {
    const absl::MutexLock lock(&mutex_);
    deps_.state->With([&](const ClusterState& state) {
      mutex_.AssertHeld();
      const ClusterLoad load = LoadNow(state);
      ScheduleInput input = Input(state, load);
      input.seed = ++seed_;
      const int64_t now = deps_.clock->MonotonicNanos();
      size_t eligible = 0;
      size_t unheard = 0;
      for (const auto& [id, worker] : state.workers()) {
        if (!worker.eligible() || worker.profile.search_only) continue;
        eligible += load.IsAlive(id) ? 1 : 0;
        unheard += tracker_.MayStillBeHeard(id, now) ? 1 : 0;
      }
      const auto usual = static_cast<uint32_t>(
          std::clamp<size_t>(eligible, 1, options_.default_replication_factor));
      const absl::StatusOr<CollectionSchema> schema =
          SchemaFromProto(wire, options_.default_shard_count, usual);
      if (!schema.ok()) {
        status = schema.status();
        return;
      }
      v1::CreateCollectionRequest whole;
      SchemaToProto(*schema, whole);
      command.schema_bytes = whole.SerializeAsString();
      command.replication_factor = schema->replication_factor;
      const CollectionRecord* existing = state.FindCollection(key);
      if (existing != nullptr) {
        same_under_way = !existing->visible && existing->schema_bytes == command.schema_bytes;
        status = AlreadyExists("collection '{}' {}", key.name,
                               existing->visible ? "exists already" : "is being created");
        return;
      }
      const uint32_t wanted = wire.replication_factor() == 0 ? options_.default_replication_factor
                                                             : schema->replication_factor;
      if (eligible < wanted && unheard > 0) {
        status = rpc::WithNothingDone(rpc::WithRetryAfter(
            Unavailable("collection '{}': this leader of placement is new and has yet to hear from "
                        "{} workers",
                        key.name, unheard),
            kHearingRetryMs));
        return;
      }
      auto placed = PlaceNewShards(input, schema->shard_count, schema->replication_factor);
      if (!placed.ok()) {
        status = Annotate(placed.status(), fmt::format("collection '{}'", key.name));
        return;
      }
      command.shards = *std::move(placed);
    });
  }
  if (same_under_way) return AwaitCreation(key, std::move(done));  // a retry
  if (!status.ok()) return done(status);
  deps_.state->Propose(std::move(command),
                       [this, key, done = std::move(done)](const absl::StatusOr<uint64_t>& begun) {
                         if (!begun.ok()) return done(begun.status());
                         AwaitCreation(key, done);
                       });
}

void PlacementService::AwaitCreation(const CollectionKey& key,
                                     Done<pb::CreateCollectionResponse> done) {
  {
    const absl::MutexLock lock(&mutex_);
    const auto [creation, first] =
        creations_.try_emplace(key, Creation{.seen_nanos = deps_.clock->MonotonicNanos()});
    news_ = true;
    auto& waiters = creation->second.waiters;
    if (waiters.size() < kMaxWaitersOfCreation) {
      waiters.push_back([done = std::move(done)](absl::Status status) {
        if (!status.ok()) return done(std::move(status));
        pb::CreateCollectionResponse response;
        response.set_success(true);
        done(std::move(response));
      });
      return;
    }
  }
  done(
      rpc::WithRetryAfter(ResourceExhausted("{} callers wait for collection '{}', the most allowed",
                                            kMaxWaitersOfCreation, key.name),
                          kHearingRetryMs));
}

void PlacementService::DeleteCollection(const pb::DeleteCollectionRequest& request,
                                        Done<pb::DeleteCollectionResponse> done) {
  LeadLong<pb::DeleteCollectionResponse>(
      kDestroyWaitMs, std::move(done),
      [this, key = CollectionKey{request.owner(), request.name()}](
          const Done<pb::DeleteCollectionResponse>& patient) {
        std::vector<GroupId> groups = deps_.state->With([&key](const ClusterState& state) {
          const CollectionRecord* record = FindVisible(state, key.owner, key.name);
          return record == nullptr ? std::vector<GroupId>() : record->groups;
        });
        if (groups.empty()) {
          return AwaitDestruction(key, JustDropped(key), NoSuchCollection(key.name), patient);
        }
        {
          const absl::MutexLock lock(&mutex_);
          if (deletions_.size() >= kMaxDeletions) {
            return patient(ResourceExhausted("{} collections are being deleted, the most allowed",
                                             kMaxDeletions));
          }
        }
        deps_.state->Propose(DropCollection{.key = key},
                             [this, key, patient,
                              groups = std::move(groups)](const absl::StatusOr<uint64_t>& dropped) {
                               if (!dropped.ok()) return patient(dropped.status());
                               AwaitDestruction(key, groups, absl::OkStatus(), patient);
                             });
      });
}

std::vector<GroupId> PlacementService::JustDropped(const CollectionKey& key) {
  const absl::MutexLock lock(&mutex_);
  for (const Deletion& deletion : deletions_) {
    if (deletion.key == key) return deletion.groups;
  }
  const int64_t led_nanos = deps_.clock->MonotonicNanos() - tracker_.began_nanos();
  if (led_nanos > kYoungMs * 1'000'000) return {};
  std::set<GroupId> groups;
  deps_.state->With([&groups](const ClusterState& state) {
    for (const auto& [doomed, worker] : state.doomed()) {
      if (state.FindShard(doomed.group) == nullptr) groups.insert(doomed.group);
    }
  });
  return {groups.begin(), groups.end()};
}

void PlacementService::AwaitDestruction(const CollectionKey& key, std::vector<GroupId> groups,
                                        absl::Status answer,
                                        Done<pb::DeleteCollectionResponse> done) {
  std::function<void(absl::Status)> finish = [done = std::move(done)](absl::Status status) {
    if (!status.ok()) return done(std::move(status));
    pb::DeleteCollectionResponse response;
    response.set_success(true);
    done(std::move(response));
  };
  {
    const absl::MutexLock lock(&mutex_);
    if (!groups.empty() && deletions_.size() < kMaxDeletions) {
      deletions_.push_back(
          {.key = key,
           .groups = std::move(groups),
           .until_nanos = deps_.clock->MonotonicNanos() + kDestroyWaitMs * 1'000'000,
           .answer = std::move(answer),
           .done = std::move(finish)});
      news_ = true;
      return;
    }
  }
  finish(std::move(answer));
}

// Deletions end whose replicas are gone from all workers that could still serve them.
void PlacementService::TendDeletions() {
  const int64_t now = deps_.clock->MonotonicNanos();
  std::vector<Deletion> ended;
  {
    const absl::MutexLock lock(&mutex_);
    if (deletions_.empty()) return;
    std::set<GroupId> held;
    deps_.state->With([&](const ClusterState& state) {
      mutex_.AssertHeld();
      for (const auto& [doomed, worker] : state.doomed()) {
        if (tracker_.IsHealthy(worker, now) || tracker_.MayStillBeHeard(worker, now)) {
          held.insert(doomed.group);
        }
      }
    });
    std::erase_if(deletions_, [&](Deletion& deletion) {
      const bool waits = now < deletion.until_nanos &&
                         std::any_of(deletion.groups.begin(), deletion.groups.end(),
                                     [&held](GroupId group) { return held.contains(group); });
      if (!waits) ended.push_back(std::move(deletion));
      return !waits;
    });
  }
  for (const Deletion& deletion : ended) deletion.done(deletion.answer);
}

void PlacementService::ListCollections(const pb::ListCollectionsRequest& request,
                                       Done<pb::ListCollectionsResponse> done) {
  Lead<pb::ListCollectionsResponse>(std::move(done),
                                    [this, owner = request.owner(), all = request.all_owners()](
                                        const Done<pb::ListCollectionsResponse>& tracked) {
                                      pb::ListCollectionsResponse response;
                                      deps_.state->With([&](const ClusterState& state) {
                                        for (const auto& [key, record] : state.collections()) {
                                          if (record.visible && (all || key.owner == owner))
                                            response.add_collections(key.name);
                                        }
                                      });
                                      tracked(std::move(response));
                                    });
}

void PlacementService::GetCollectionStatus(const pb::GetCollectionStatusRequest& request,
                                           Done<pb::GetCollectionStatusResponse> done) {
  Lead<pb::GetCollectionStatusResponse>(
      std::move(done), [this, key = CollectionKey{request.owner(), request.name()}](
                           const Done<pb::GetCollectionStatusResponse>& tracked) {
        absl::StatusOr<pb::GetCollectionStatusResponse> response = NoSuchCollection(key.name);
        {
          const absl::MutexLock lock(&mutex_);
          deps_.state->With([&](const ClusterState& state) {
            mutex_.AssertHeld();
            const CollectionRecord* record = state.FindCollection(key);
            if (record == nullptr) return;
            response.emplace();
            response->mutable_schema()->ParseFromString(record->schema_bytes);
            response->set_name(key.name);
            response->set_dimension(response->schema().dimension());
            response->set_distance(response->schema().distance());
            response->set_created_unix_ms(record->created_unix_ms);
            response->set_visible(record->visible);
            const ClusterLoad load = LoadNow(state);
            for (const GroupId group : record->groups) {
              DescribeShard(*state.FindShard(group), static_cast<uint32_t>(record->groups.size()),
                            state, load, *response->add_shards());
            }
          });
        }
        tracked(std::move(response));
      });
}

void PlacementService::GetWorker(const pb::GetWorkerRequest& request,
                                 Done<pb::GetWorkerResponse> done) {
  Lead<pb::GetWorkerResponse>(
      std::move(done), [this, key = CollectionKey{request.owner(), request.collection()},
                        point = request.vector_id()](const Done<pb::GetWorkerResponse>& tracked) {
        absl::StatusOr<pb::GetWorkerResponse> response = NoSuchCollection(key.name);
        {
          const absl::MutexLock lock(&mutex_);
          deps_.state->With([&](const ClusterState& state) {
            mutex_.AssertHeld();
            const CollectionRecord* record = FindVisible(state, key.owner, key.name);
            if (record == nullptr) return;
            const auto count = static_cast<uint32_t>(record->groups.size());
            const ShardRecord& shard =
                *state.FindShard(record->groups[ShardOf(point, count).value]);
            const ClusterLoad load = LoadNow(state);
            const ShardLoad* measured = load.Find(shard.group);
            const WorkerRecord* leader =
                measured == nullptr ? nullptr : state.FindWorker(measured->leader.node());
            if (leader == nullptr) {
              response = Unavailable("shard {} of collection '{}' has no leader now",
                                     shard.ordinal.value, key.name);
              return;
            }
            response.emplace();
            response->set_grpc_address(leader->profile.grpc_address);
            response->set_shard_id(static_cast<uint32_t>(shard.group.value));
            response->set_shard_epoch(shard.epoch);
            response->set_lease_expiry_unix_ms(deps_.clock->UnixMillis() +
                                               3 * options_.heartbeat_interval_ms);
          });
        }
        tracked(std::move(response));
      });
}

void PlacementService::ListWorkersForCollection(const pb::ListWorkersForCollectionRequest& request,
                                                Done<pb::ListWorkersForCollectionResponse> done) {
  Lead<pb::ListWorkersForCollectionResponse>(
      std::move(done), [this, key = CollectionKey{request.owner(), request.collection()}](
                           const Done<pb::ListWorkersForCollectionResponse>& tracked) {
        absl::StatusOr<pb::ListWorkersForCollectionResponse> response = NoSuchCollection(key.name);
        deps_.state->With([&](const ClusterState& state) {
          const CollectionRecord* record = FindVisible(state, key.owner, key.name);
          if (record == nullptr) return;
          std::set<std::string> addresses;
          for (const GroupId group : record->groups) {
            for (const ReplicaRecord& replica : state.FindShard(group)->replicas) {
              addresses.insert(state.FindWorker(replica.worker)->profile.grpc_address);
            }
          }
          response.emplace();
          for (const std::string& address : addresses) response->add_grpc_addresses(address);
        });
        tracked(std::move(response));
      });
}

void PlacementService::GetMap(const pb::GetMapRequest& request, Done<pb::ClusterMap> done) {
  Lead<pb::ClusterMap>(std::move(done),
                       [this, cluster = request.cluster_id(),
                        known = request.known_version()](const Done<pb::ClusterMap>& tracked) {
                         const absl::Status same = CheckCluster(cluster);
                         if (!same.ok()) return tracked(same);
                         const std::string address = deps_.leadership().address;
                         {
                           const absl::MutexLock lock(&mutex_);
                           deps_.state->With([&](const ClusterState& state) {
                             mutex_.AssertHeld();
                             feed_.Update(state, LoadNow(state), address);
                           });
                         }
                         tracked(feed_.Full(known));
                       });
}

void PlacementService::WatchMap(const pb::WatchMapRequest& request,
                                rpc::ServerStream<pb::ClusterMap> stream) {
  Lead<pb::ClusterMap>(
      [stream](const absl::StatusOr<pb::ClusterMap>& refused) mutable {
        if (!refused.ok()) stream.Finish(refused.status());
      },
      [this, cluster = request.cluster_id(), only = request.versions_only(),
       stream](const Done<pb::ClusterMap>& tracked) {
        const absl::Status same = CheckCluster(cluster);
        if (!same.ok()) return tracked(same);
        tracked(pb::ClusterMap());  // from here on the feed ends the stream
        const std::string address = deps_.leadership().address;
        const absl::MutexLock lock(&mutex_);
        if (stopped_) {
          rpc::ServerStream<pb::ClusterMap>(stream).Finish(Unavailable("placement stops"));
          return;
        }
        deps_.state->With([&](const ClusterState& state) {
          mutex_.AssertHeld();
          feed_.Update(state, LoadNow(state), address);
        });
        feed_.Watch(stream, only);
      });
}

}  // namespace vectron::placement
