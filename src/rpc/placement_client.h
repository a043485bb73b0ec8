#pragma once

// Placement on the other side of a network: PlacementApi over vectron.placementdriver.v1, with the
// map of the cluster kept up to date by a watch.
//
// Answers about collections come from the kept map without waiting; it goes on answering while no
// placement node is reached. A change (create, delete) is in the kept map when its `done` is
// called.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/timer.h"
#include "rpc/map_watch.h"
#include "rpc/placement_api.h"
#include "rpc/placement_caller.h"
#include "rpc/worker_directory.h"

namespace vectron::rpc {

// All outlive the client.
struct PlacementClientDeps {
  const Clock* clock = nullptr;
  Timer* timer = nullptr;
  WorkerDirectory* workers = nullptr;  // told of the workers' addresses
};

// Thread-safe.
class PlacementClient : public PlacementApi {
 public:
  // Callers of Refresh and CatchUp that wait for one map; those past them are not made to wait:
  // ResourceExhausted of CatchUp, and of Refresh the map as it is.
  static constexpr size_t kMaxWaiting = 16'384;

  PlacementClient(const std::vector<std::string>& addresses, const ChannelOptions& options,
                  const PlacementClientDeps& deps);
  ~PlacementClient() override;

  // Waits until a first map is there. DeadlineExceeded.
  absl::Status WaitForMap(absl::Duration patience);

  // For further calls of placement.
  PlacementCaller& caller() { return caller_; }

  void CreateCollection(CollectionSchema schema, std::string owner,
                        std::function<void(absl::Status)> done) override;
  void DeleteCollection(std::string owner, std::string name,
                        std::function<void(absl::Status)> done) override;
  std::shared_ptr<const CollectionRecord> FindCollection(const std::string& owner,
                                                         const std::string& name) override;
  std::vector<std::shared_ptr<const CollectionRecord>> ListCollections(
      const std::string& owner) override;
  bool HasMap() override { return WaitForMap(absl::ZeroDuration()).ok(); }
  void Refresh(std::function<void()> done) override;
  void CatchUp(std::function<void(const absl::Status&)> done) override;
  std::vector<std::shared_ptr<const CollectionRecord>> AllCollections() override;

 private:
  using Key = std::pair<std::string, std::string>;  // owner, name
  using Record = std::shared_ptr<const CollectionRecord>;
  // Somebody who waits for placement's map.
  struct Waiting {
    bool whole = false;  // also when nothing but leaders and the like has changed
    std::function<void(const absl::Status&)> done;
  };

  // Takes what a message of placement says into the kept map.
  void Apply(const placementdriver::v1::ClusterMap& map);
  void Ask(Waiting waiting);
  void AskNext();

  const PlacementClientDeps deps_;

  mutable absl::Mutex mutex_;
  bool has_map_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<Key, Record> records_ ABSL_GUARDED_BY(mutex_);
  bool asking_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);  // for the next answer

  PlacementCaller caller_;
  std::unique_ptr<MapWatch> watch_;  // last: its callbacks use everything above
};

}  // namespace vectron::rpc
