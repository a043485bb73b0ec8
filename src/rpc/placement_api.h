#pragma once

// What the gateway asks of placement: collections and where their shards are. Two implementations:
// the local catalog of a single process, and a client of vectron.placementdriver.v1.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/collection.h"
#include "model/ids.h"

namespace vectron::rpc {

// A replica that is copied to a worker, or taken off one, or both.
struct ReplicaMove {
  enum class Stage : uint8_t {
    kCopying,   // the new one is not part of the shard yet
    kRemoving,  // the old one leaves
  };
  WorkerId from = {};  // 0: one is added
  WorkerId to = {};    // 0: one is taken away
  std::string reason = {};
  Stage stage = Stage::kCopying;
  int64_t since_unix_ms = 0;
};

struct ShardPlacement {
  GroupId group;
  ShardOrdinal ordinal;
  uint64_t epoch = 1;
  std::vector<WorkerId> replicas;
  WorkerId leader;
  bool ready = false;
  // Replicas that had everything when last heard of, learners among them: whom reads that need not
  // be fresh may ask. Empty: any of `replicas`.
  std::vector<WorkerId> readers = {};
  std::vector<ReplicaMove> moves = {};  // under way
  // Replicas hold different points at one log entry: a defect. `outvoted` hold others than most
  // voters, and are replaced; empty though it differs: who is right is not known.
  bool differs = false;
  std::vector<WorkerId> outvoted = {};
};

// Immutable once handed out; a change makes a new one.
struct CollectionRecord {
  CollectionSchema schema;
  std::string owner;  // tenant; "" when credentials are off
  int64_t created_unix_ms = 0;
  std::vector<ShardPlacement> shards;  // by ordinal
};

// Thread-safe. Callbacks are called once, on any thread, maybe before the call returns.
class PlacementApi {
 public:
  virtual ~PlacementApi() = default;
  // OK once the collection can be used. AlreadyExists, FailedPrecondition (no eligible worker),
  // ResourceExhausted.
  virtual void CreateCollection(CollectionSchema schema, std::string owner,
                                std::function<void(absl::Status)> done) = 0;
  // NotFound.
  virtual void DeleteCollection(std::string owner, std::string name,
                                std::function<void(absl::Status)> done) = 0;
  // From the cached map, without waiting; null when there is none. Shared: a search may still read
  // a map that has since been replaced.
  virtual std::shared_ptr<const CollectionRecord> FindCollection(const std::string& owner,
                                                                 const std::string& name) = 0;
  // Those of one owner, by name.
  virtual std::vector<std::shared_ptr<const CollectionRecord>> ListCollections(
      const std::string& owner) = 0;
  // Whether there is a map: without one no collection is found, which does not mean that there are
  // none.
  virtual bool HasMap() { return true; }
  // Calls `done` when the cached map is what placement knows by now, or it cannot be reached. At
  // once where nothing is cached.
  virtual void Refresh(std::function<void()> done) { done(); }
  // As Refresh, but of collections only: OK when the cached map has all that had been made when
  // this was called. Cheap where there are none. Unavailable: placement cannot be reached.
  virtual void CatchUp(std::function<void(const absl::Status&)> done) { done(absl::OkStatus()); }
  // Those of all owners, by owner and name; what operators see.
  virtual std::vector<std::shared_ptr<const CollectionRecord>> AllCollections() = 0;
};

}  // namespace vectron::rpc
