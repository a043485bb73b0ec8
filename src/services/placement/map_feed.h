#pragma once

// The map of the cluster as messages, and those who watch it. What changed is found by comparing
// versions and what the leaders report; each watcher is sent what changed since its last message,
// and one that reads too slowly gets it together later.
//
// Thread-safe.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "rpc/rpc_registry.h"
#include "services/placement/cluster_load.h"
#include "services/placement/cluster_state.h"
#include "vectron/placement.pb.h"

namespace vectron::placement {

// One replica as every message shows it.
void DescribeReplica(const ClusterState& state, const ReplicaRecord& replica,
                     placementdriver::v1::ReplicaDescriptor& wire);
placementdriver::v1::WorkerState StateOf(const WorkerRecord& worker);

class MapFeed {
 public:
  using Stream = rpc::ServerStream<placementdriver::v1::ClusterMap>;

  static constexpr size_t kMaxWatchers = 8'192;  // past them RESOURCE_EXHAUSTED

  // Brings the map up to what is known now.
  void Update(const ClusterState& state, const ClusterLoad& load,
              const std::string& leader_address);
  // Everything; of `known_version`, when that is still the last, the version alone.
  placementdriver::v1::ClusterMap Full(uint64_t known_version = 0) const;
  // Adds a watcher and sends it the map (or its version alone); ends it when there are too many.
  void Watch(Stream stream, bool versions_only);
  // Sends what is new to each watcher; forgets those that have gone.
  void Push();
  // Ends all watches.
  void End(const absl::Status& status);
  size_t watchers() const;

 private:
  struct Collection {
    uint64_t fingerprint = 0;
    uint64_t sequence = 0;  // of the last change; rises with every change of anything
    placementdriver::v1::MapCollection wire;
  };
  struct Watcher {
    Stream stream;
    bool versions_only = false;
    uint64_t sequence = 0;  // it has everything up to here
    uint64_t version = 0;
  };
  placementdriver::v1::ClusterMap Since(uint64_t sequence) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  placementdriver::v1::ClusterMap VersionAlone() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  bool Send(Watcher& watcher) ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void UpdateWorkers(const ClusterState& state, const ClusterLoad& load)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Removed(const CollectionKey& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::string cluster_id_ ABSL_GUARDED_BY(mutex_);
  std::string leader_address_ ABSL_GUARDED_BY(mutex_);
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t sequence_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<CollectionKey, Collection> collections_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, CollectionKey> removed_ ABSL_GUARDED_BY(mutex_);  // by sequence; the last ones
  uint64_t removed_from_ ABSL_GUARDED_BY(mutex_) = 0;  // removals before are forgotten
  std::vector<placementdriver::v1::MapWorker> workers_ ABSL_GUARDED_BY(mutex_);
  std::string workers_bytes_ ABSL_GUARDED_BY(mutex_);
  uint64_t workers_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Watcher> watchers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vectron::placement
