#pragma once

// The fields of placement's records in the order of their bytes (codec.h). A change here is a new
// version of docs/formats/placement-state.md or placement-command.md.

#include "services/placement/cluster_state.h"
#include "services/placement/codec.h"

namespace vectron::placement {

template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, CollectionKey>& r) {
  archive(r.owner, r.name);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, WorkerProfile>& r) {
  archive(r.node_uid, r.grpc_address, r.raft_address, r.capabilities, r.cpu_cores, r.memory_bytes,
          r.disk_bytes, r.region, r.zone, r.rack, r.search_only);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, WorkerRecord>& r) {
  archive(r.id, r.profile, r.joined, r.draining, r.dead, r.registered_unix_ms,
          r.assignments_version);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, ReplicaRecord>& r) {
  archive(r.id, r.worker, r.role, r.leaving, r.replaces, r.reason, r.since_unix_ms);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, ShardRecord>& r) {
  archive(r.group, r.collection, r.ordinal, r.epoch, r.replicas, r.founders, r.preferred_leader,
          r.last_move_unix_ms, r.version);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, CollectionRecord>& r) {
  archive(r.key, r.schema_bytes, r.replication_factor, r.created_unix_ms, r.visible, r.groups,
          r.version);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, DoomedReplica>& r) {
  archive(r.group, r.replica);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, RerankerRecord>& r) {
  archive(r.id, r.grpc_address, r.capabilities, r.region, r.zone, r.rack, r.registered_unix_ms);
}

}  // namespace vectron::placement
