#include "services/placement/catalog_state.h"

#include <optional>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"
#include "services/placement/sealed_state.h"
#include "vectron/vectron.pb.h"

namespace vectron::placement {
namespace {

constexpr std::string_view kMagic("VECTCATA", 8);

void PutRecord(std::string& out, const CatalogState::Entry& entry) {
  const rpc::CollectionRecord& record = *entry.record;
  PutLengthPrefixed(out, record.owner);
  v1::CreateCollectionRequest schema;
  SchemaToProto(record.schema, schema);
  PutLengthPrefixed(out, schema.SerializeAsString());
  PutFixed<int64_t>(out, record.created_unix_ms);
  PutFixed<uint8_t>(out, entry.visible ? 1 : 0);
  PutVarint(out, record.shards.size());
  for (const rpc::ShardPlacement& shard : record.shards) {
    PutVarint(out, shard.group.value);
    PutVarint(out, shard.epoch);
    PutVarint(out, shard.leader.value);
    PutVarint(out, shard.replicas.size());
    for (const WorkerId replica : shard.replicas) PutVarint(out, replica.value);
  }
}

absl::Status Damaged(std::string_view what) { return DataLoss("catalog is damaged: {}", what); }

bool ReadShard(ByteReader& reader, uint32_t ordinal, rpc::ShardPlacement& shard) {
  uint64_t replica_count = 0;
  shard.ordinal = ShardOrdinal{ordinal};
  shard.ready = true;
  if (!reader.ReadVarint(shard.group.value) || !reader.ReadVarint(shard.epoch) ||
      !reader.ReadVarint(shard.leader.value) || !reader.ReadVarint(replica_count) ||
      replica_count > kMaxReplicationFactor) {
    return false;
  }
  for (uint64_t i = 0; i < replica_count; ++i) {
    uint64_t replica = 0;
    if (!reader.ReadVarint(replica)) return false;
    shard.replicas.push_back(WorkerId{replica});
  }
  return true;
}

absl::StatusOr<CatalogState::Entry> ReadRecord(ByteReader& reader) {
  std::string_view owner;
  std::string_view schema_bytes;
  uint8_t visible = 0;
  uint64_t shard_count = 0;
  auto record = std::make_shared<rpc::CollectionRecord>();
  if (!reader.ReadLengthPrefixed(owner) || !reader.ReadLengthPrefixed(schema_bytes) ||
      !reader.ReadFixed(record->created_unix_ms) || !reader.ReadFixed(visible) ||
      !reader.ReadVarint(shard_count) || shard_count > kMaxShardsPerCollection) {
    return Damaged("a collection record");
  }
  record->owner = owner;
  v1::CreateCollectionRequest proto;
  if (!proto.ParseFromArray(schema_bytes.data(), static_cast<int>(schema_bytes.size()))) {
    return Damaged("a schema");
  }
  absl::StatusOr<CollectionSchema> schema = SchemaFromProto(proto, 1, 1);
  if (!schema.ok()) return Annotate(Damaged("a schema"), MessageOf(schema.status()));
  record->schema = *std::move(schema);
  for (uint32_t ordinal = 0; ordinal < shard_count; ++ordinal) {
    rpc::ShardPlacement shard;
    if (!ReadShard(reader, ordinal, shard)) return Damaged("a shard record");
    record->shards.push_back(std::move(shard));
  }
  return CatalogState::Entry{.record = std::move(record), .visible = visible != 0};
}

}  // namespace

uint64_t CatalogState::shard_count() const {
  uint64_t count = doomed_.size();
  for (const auto& [key, entry] : entries_) count += entry.record->shards.size();
  return count;
}

absl::StatusOr<RecordPtr> CatalogState::BeginCreate(CollectionSchema schema, std::string owner,
                                                    int64_t now_unix_ms, WorkerId worker) {
  Key key{owner, schema.name};
  if (entries_.contains(key)) return AlreadyExists("collection '{}' exists already", schema.name);
  if (schema.replication_factor > 1) {
    return FailedPrecondition(
        "collection '{}': replication_factor is {}, but there is only 1 worker", schema.name,
        schema.replication_factor);
  }
  const uint64_t shards = shard_count();
  if (shards + schema.shard_count > kMaxCollections) {
    return ResourceExhausted(
        "collection '{}' needs {} shards, {} exist, at most {} are allowed on one node",
        schema.name, schema.shard_count, shards, kMaxCollections);
  }
  auto record = std::make_shared<rpc::CollectionRecord>();
  record->owner = std::move(owner);
  record->created_unix_ms = now_unix_ms;
  for (uint32_t ordinal = 0; ordinal < schema.shard_count; ++ordinal) {
    record->shards.push_back({.group = GroupId{next_group_++},
                              .ordinal = ShardOrdinal{ordinal},
                              .epoch = 1,
                              .replicas = {worker},
                              .leader = worker,
                              .ready = true});
  }
  record->schema = std::move(schema);
  entries_.emplace(std::move(key), Entry{.record = record, .visible = false});
  return RecordPtr(std::move(record));
}

absl::StatusOr<RecordPtr> CatalogState::FinishCreate(const Key& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return NotFound("collection '{}' does not exist", key.second);
  found->second.visible = true;
  return found->second.record;
}

absl::StatusOr<RecordPtr> CatalogState::Remove(const Key& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return NotFound("collection '{}' does not exist", key.second);
  RecordPtr record = std::move(found->second.record);
  entries_.erase(found);
  for (const rpc::ShardPlacement& shard : record->shards) doomed_.insert(shard.group);
  return record;
}

std::string CatalogState::Encode() const {
  std::string body;
  PutVarint(body, next_group_);
  PutVarint(body, entries_.size());
  for (const auto& [key, entry] : entries_) PutRecord(body, entry);
  PutVarint(body, doomed_.size());
  for (const GroupId group : doomed_) PutVarint(body, group.value);
  return Seal(kMagic, body);
}

absl::StatusOr<CatalogState> CatalogState::Decode(std::string_view bytes) {
  ASSIGN_OR_RETURN(const std::string_view body, Unseal(kMagic, "catalog", bytes));
  ByteReader reader(body);
  CatalogState state;
  uint64_t count = 0;
  if (!reader.ReadVarint(state.next_group_) || !reader.ReadVarint(count)) return Damaged("counts");
  for (uint64_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(Entry entry, ReadRecord(reader));
    Key key{entry.record->owner, entry.record->schema.name};
    if (!state.entries_.emplace(std::move(key), std::move(entry)).second) {
      return Damaged("a collection appears twice");
    }
  }
  if (!reader.ReadVarint(count)) return Damaged("counts");
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t group = 0;
    if (!reader.ReadVarint(group)) return Damaged("a group");
    state.doomed_.insert(GroupId{group});
  }
  if (reader.remaining() != 0) return Damaged("bytes behind the end");
  return state;
}

}  // namespace vectron::placement
