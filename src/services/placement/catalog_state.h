#pragma once

// What placement knows, as a pure state machine: collections, their shards, and shards that still
// have to be removed. Time arrives inside the calls; equal calls in equal order give equal states.
// Thread-compatible; a copy is cheap (records are shared).
//
// Life of a collection: BeginCreate (recorded, groups given out, not visible) -> FinishCreate
// (visible) -> Remove (gone; its groups are doomed) -> Forget (their shards are gone too). A
// creation that fails or is cut short goes from the first step straight to Remove.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/collection.h"
#include "model/ids.h"
#include "rpc/placement_api.h"

namespace vectron::placement {

// Shared with searches that still read an older map.
using RecordPtr = std::shared_ptr<const rpc::CollectionRecord>;

class CatalogState {
 public:
  using Key = std::pair<std::string, std::string>;  // owner, name
  struct Entry {
    RecordPtr record;
    bool visible = false;
  };

  // Gives out one new group per shard, all led by `worker`. AlreadyExists, FailedPrecondition (more
  // replicas than workers), ResourceExhausted (kMaxCollections; shards count as collections do).
  absl::StatusOr<RecordPtr> BeginCreate(CollectionSchema schema, std::string owner,
                                        int64_t now_unix_ms, WorkerId worker);
  // Shards are ready: the collection becomes visible. NotFound.
  absl::StatusOr<RecordPtr> FinishCreate(const Key& key);
  // Takes the collection out and dooms its groups. NotFound.
  absl::StatusOr<RecordPtr> Remove(const Key& key);
  // The shard of a doomed group is gone.
  void Forget(GroupId group) { doomed_.erase(group); }

  const std::map<Key, Entry>& entries() const { return entries_; }
  const std::set<GroupId>& doomed() const { return doomed_; }
  uint64_t next_group() const { return next_group_; }
  uint64_t shard_count() const;

  // The bytes of docs/formats/catalog.md. Decode: DataLoss (damaged), FailedPrecondition (a newer
  // version wrote it).
  std::string Encode() const;
  static absl::StatusOr<CatalogState> Decode(std::string_view bytes);

 private:
  std::map<Key, Entry> entries_;
  std::set<GroupId> doomed_;
  uint64_t next_group_ = 1;  // never falls, so a group id is never given out twice
};

}  // namespace vectron::placement
