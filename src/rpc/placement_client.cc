#include "rpc/placement_client.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "rpc/shard_moves.h"
#include "vectron/vectron.pb.h"

namespace vectron::rpc {
namespace {

namespace pb = placementdriver::v1;

constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kRefreshMs = 2'000;  // a map that takes longer is not waited for

bool Contains(const google::protobuf::RepeatedField<uint64_t>& ids, uint64_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

ShardPlacement ShardOf(const pb::MapShard& wire) {
  ShardPlacement shard;
  shard.group = GroupId{wire.group_id()};
  shard.ordinal = ShardOrdinal{wire.ordinal()};
  shard.epoch = wire.epoch();
  shard.ready = wire.ready();
  shard.differs = wire.differs();
  for (const pb::ReplicaDescriptor& replica : wire.replicas()) {
    const WorkerId worker{replica.worker_id()};
    if (replica.replica_id() == wire.leader_replica_id()) shard.leader = worker;
    const bool reads = Contains(wire.in_sync(), replica.replica_id());
    if (reads && !replica.leaving()) shard.readers.push_back(worker);
    if (Contains(wire.outvoted(), replica.replica_id())) shard.outvoted.push_back(worker);
    if (replica.role() == pb::REPLICA_ROLE_VOTER) shard.replicas.push_back(worker);
  }
  if (shard.readers.empty()) {
    // Nobody leads and so nobody tells who is in sync: whoever is left may be asked.
    for (const pb::ReplicaDescriptor& replica : wire.replicas()) {
      if (!replica.leaving()) shard.readers.push_back(WorkerId{replica.worker_id()});
    }
  }
  shard.moves = MovesOf(wire);
  return shard;
}

absl::StatusOr<std::shared_ptr<const CollectionRecord>> RecordOf(const pb::MapCollection& wire) {
  auto record = std::make_shared<CollectionRecord>();
  ASSIGN_OR_RETURN(record->schema, SchemaFromProto(wire.schema(), 1, 1));
  record->owner = wire.owner();
  record->created_unix_ms = wire.created_unix_ms();
  for (const pb::MapShard& shard : wire.shards()) record->shards.push_back(ShardOf(shard));
  if (record->shards.size() != record->schema.shard_count) {
    return Internal("the map has {} of {} shards of collection '{}'", record->shards.size(),
                    record->schema.shard_count, record->schema.name);
  }
  return std::shared_ptr<const CollectionRecord>(std::move(record));
}

// Whether a collection is what a request would have made: so a repeated request made it.
bool IsWhatWasAskedFor(const CollectionRecord& record, const CollectionSchema& schema) {
  return record.schema.dimension == schema.dimension && record.schema.metric == schema.metric &&
         (schema.shard_count == 0 || record.schema.shard_count == schema.shard_count);
}

}  // namespace

PlacementClient::PlacementClient(const std::vector<std::string>& addresses,
                                 const ChannelOptions& options, const PlacementClientDeps& deps)
    : deps_(deps), caller_(addresses, options, *deps.clock, *deps.timer) {
  CHECK(deps.workers != nullptr);
  watch_ = MapWatch::Start({}, caller_, *deps_.clock, *deps_.timer,
                           [this](const pb::ClusterMap& map) { Apply(map); });
}

PlacementClient::~PlacementClient() = default;

absl::Status PlacementClient::WaitForMap(absl::Duration patience) {
  const absl::MutexLock lock(&mutex_);
  if (mutex_.AwaitWithTimeout(absl::Condition(&has_map_), patience)) return absl::OkStatus();
  return DeadlineExceeded("no placement node has given its map");
}

void PlacementClient::Apply(const pb::ClusterMap& map) {
  std::vector<std::pair<Key, Record>> changed;
  for (const pb::MapCollection& wire : map.collections()) {
    absl::StatusOr<Record> record = RecordOf(wire);
    if (!record.ok()) {  // of a newer version's placement: the rest is of use
      LogError("collection '{}' of the map is left out: {}", wire.schema().name(),
               MessageOf(record.status()));
      continue;
    }
    changed.emplace_back(Key{wire.owner(), wire.schema().name()}, *std::move(record));
  }
  const absl::MutexLock lock(&mutex_);
  if (map.version() < version_) return;  // a refresh has brought more
  version_ = map.version();
  if (map.full()) {
    records_.clear();
    has_map_ = true;
  }
  for (const pb::CollectionKey& key : map.removed()) records_.erase({key.owner(), key.name()});
  for (auto& [key, record] : changed) records_[std::move(key)] = std::move(record);
  if (!map.full() && map.workers().empty()) return;
  std::vector<WorkerDirectory::Address> workers;
  for (const pb::MapWorker& worker : map.workers()) {
    workers.push_back({.worker = WorkerId{worker.worker_id()}, .address = worker.grpc_address()});
  }
  deps_.workers->Update(workers);  // under the lock, so that older news cannot overtake newer ones
}

void PlacementClient::Refresh(std::function<void()> done) {
  Ask({.whole = true, .done = [done = std::move(done)](const absl::Status&) { done(); }});
}

void PlacementClient::CatchUp(std::function<void(const absl::Status&)> done) {
  Ask({.whole = false, .done = std::move(done)});
}

void PlacementClient::Ask(Waiting waiting) {
  bool room = false;
  {
    const absl::MutexLock lock(&mutex_);
    room = waiting_.size() < kMaxWaiting;
    if (room) {
      waiting_.push_back(std::move(waiting));
      if (std::exchange(asking_, true)) return;  // who came while one is under way wants the next
    }
  }
  if (!room) {
    return waiting.done(
        ResourceExhausted("{} requests wait for placement, the most allowed", kMaxWaiting));
  }
  AskNext();
}

void PlacementClient::AskNext() {
  std::vector<Waiting> served;
  uint64_t known_version = 0;
  {
    const absl::MutexLock lock(&mutex_);
    if (waiting_.empty()) {
      asking_ = false;
      return;
    }
    served.swap(waiting_);
    const bool whole = std::any_of(served.begin(), served.end(),
                                   [](const Waiting& waiting) { return waiting.whole; });
    if (!whole && has_map_) known_version = version_;
  }
  caller_.GetMap(
      known_version, deps_.clock->MonotonicNanos() + kRefreshMs * kNanosPerMilli,
      [this, served = std::move(served)](const PlacementCaller::Answer<pb::ClusterMap>& answer) {
        if (answer.response.ok()) Apply(*answer.response);
        const absl::Status status =
            answer.response.ok()
                ? absl::OkStatus()
                : Unavailable("placement cannot be asked: {}", MessageOf(answer.response.status()));
        for (const Waiting& waiting : served) waiting.done(status);
        AskNext();
      });
}

void PlacementClient::CreateCollection(CollectionSchema schema, std::string owner,
                                       std::function<void(absl::Status)> done) {
  pb::CreateCollectionRequest request;
  request.set_owner(owner);
  SchemaToProto(schema, *request.mutable_schema());
  caller_.CreateCollection(
      std::move(request), 0,
      [this, schema = std::move(schema), owner = std::move(owner), done = std::move(done)](
          const PlacementCaller::Answer<pb::CreateCollectionResponse>& answer) {
        const absl::Status status = answer.response.status();
        const bool maybe_made = absl::IsAlreadyExists(status) && answer.sent_before;
        if (!status.ok() && !maybe_made) return done(status);
        Refresh([this, maybe_made, status, schema, owner, done] {
          if (!maybe_made) return done(absl::OkStatus());
          const Record record = FindCollection(owner, schema.name);
          done(record != nullptr && IsWhatWasAskedFor(*record, schema) ? absl::OkStatus() : status);
        });
      });
}

void PlacementClient::DeleteCollection(std::string owner, std::string name,
                                       std::function<void(absl::Status)> done) {
  pb::DeleteCollectionRequest request;
  request.set_owner(std::move(owner));
  request.set_name(std::move(name));
  caller_.DeleteCollection(
      std::move(request), 0,
      [this, done = std::move(done)](
          const PlacementCaller::Answer<pb::DeleteCollectionResponse>& answer) {
        absl::Status status = answer.response.status();
        if (absl::IsNotFound(status) && answer.sent_before) status = absl::OkStatus();
        if (!status.ok()) return done(status);
        Refresh([done] { done(absl::OkStatus()); });
      });
}

std::shared_ptr<const CollectionRecord> PlacementClient::FindCollection(const std::string& owner,
                                                                        const std::string& name) {
  const absl::ReaderMutexLock lock(&mutex_);
  const auto found = records_.find({owner, name});
  return found == records_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<const CollectionRecord>> PlacementClient::ListCollections(
    const std::string& owner) {
  std::vector<Record> records;
  const absl::ReaderMutexLock lock(&mutex_);
  for (auto at = records_.lower_bound({owner, ""});
       at != records_.end() && at->first.first == owner; ++at) {
    records.push_back(at->second);
  }
  return records;
}

std::vector<std::shared_ptr<const CollectionRecord>> PlacementClient::AllCollections() {
  std::vector<Record> records;
  const absl::ReaderMutexLock lock(&mutex_);
  for (const auto& [key, record] : records_) records.push_back(record);
  return records;
}

}  // namespace vectron::rpc
