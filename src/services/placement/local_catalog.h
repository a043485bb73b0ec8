#pragma once

// Placement of a single process: one worker, the catalog in one file that is replaced as a whole at
// every change.
//
// Order of a creation: the catalog names the collection and its groups (on disk) -> the worker
// makes the shards -> the catalog says it is visible (on disk) -> the caller hears so. Of a
// deletion: the catalog drops the collection and dooms its groups -> the worker removes the shards
// -> the catalog forgets the groups. A crash in between leaves an invisible collection or doomed
// groups, which Reconcile clears at the next start; nothing half is ever seen.
//
// Thread-safe.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/file.h"
#include "rpc/placement_api.h"
#include "rpc/shard_host_api.h"
#include "services/placement/catalog_state.h"

namespace vectron::placement {

// What a catalog borrows; all outlive it.
struct CatalogDeps {
  FileSystem* files = nullptr;
  Clock* clock = nullptr;
  rpc::ShardHostApi* host = nullptr;
  Executor* executor = nullptr;  // changes run here, one at a time; they block on the disk
};

class LocalCatalog : public rpc::PlacementApi {
 public:
  // Reads the catalog file, or begins an empty one when neither it nor any shard exists. DataLoss
  // naming the file when it is damaged, or missing although shards exist; FailedPrecondition
  // (written by a newer version).
  static absl::StatusOr<std::unique_ptr<LocalCatalog>> Open(const std::string& path,
                                                            const CatalogDeps& deps);
  ~LocalCatalog() override;  // waits for changes under way

  // The shards of visible collections: what the worker has to open before it serves.
  std::vector<rpc::ShardAssignment> Assignments() const;
  // Clears what a crash left: creations that did not finish, doomed groups. Once, after Open,
  // before any change.
  absl::Status Reconcile();

  void CreateCollection(CollectionSchema schema, std::string owner,
                        std::function<void(absl::Status)> done) override;
  void DeleteCollection(std::string owner, std::string name,
                        std::function<void(absl::Status)> done) override;
  RecordPtr FindCollection(const std::string& owner, const std::string& name) override;
  std::vector<RecordPtr> ListCollections(const std::string& owner) override;
  std::vector<RecordPtr> AllCollections() override;

 private:
  LocalCatalog(std::string path, const CatalogDeps& deps, CatalogState state);

  absl::Status Create(CollectionSchema schema, std::string owner);
  absl::Status Delete(const CatalogState::Key& key);
  // Takes a collection out, on disk, and removes its shards. NotFound.
  absl::Status Remove(const CatalogState::Key& key);
  absl::Status DestroyDoomed();
  // Makes `next` the state once it is on disk. After an error the state is as before.
  absl::Status Commit(CatalogState next);

  const std::string path_;
  const CatalogDeps deps_;

  CatalogState state_;  // of the change under way; changes are serial, so it needs no lock

  mutable absl::Mutex mutex_;
  std::map<CatalogState::Key, RecordPtr> visible_ ABSL_GUARDED_BY(mutex_);

  SerialExecutor changes_;  // last: its tasks use everything above
};

}  // namespace vectron::placement
