#pragma once

// The API gateway: what VectronService's RPCs do, free of any protocol. The front door of this
// folder.
//
// A request is checked as a whole against the collection's schema, cut by shard, sent to the
// shards' workers, and the answers are put together again. The gateway keeps nothing of its own;
// the map of collections comes from placement.
//
// Thread-safe. `done` callbacks are called once, on any thread, maybe before the call returns. The
// servers that call in stop before the gateway goes.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/timer.h"
#include "model/convert.h"
#include "rpc/call_context.h"
#include "rpc/placement_api.h"
#include "rpc/rpc_registry.h"
#include "rpc/worker_api.h"
#include "services/gateway/routing.h"
#include "vectron/vectron.pb.h"

namespace vectron::gateway {

class Ranking;
class SlowQueryLog;

// What the gateway borrows; all outlive it.
struct GatewayDeps {
  rpc::PlacementApi* placement = nullptr;
  std::function<rpc::WorkerApi*(WorkerId)> worker_of;  // null when there is none of that id
  const Clock* clock = nullptr;
  Timer* timer = nullptr;
  uint64_t seed = 0;        // of query ids: random, so that two processes do not give out the same
  int64_t patience_ms = 0;  // see RouterDeps; 0 in a single process
  // Of collections whose maker does not say; 0: placement chooses.
  uint32_t default_shard_count = 1;
  uint32_t default_replication_factor = 1;
  HedgeOptions hedge = {};                    // of reads; see hedging.h
  SlowQueryLog* slow_queries = nullptr;       // null: none is kept
  Ranking* ranking = nullptr;                 // null: searches keep the vector order
  size_t max_answer_bytes = kMaxAnswerBytes;  // of one search, all its shards together
};

struct UpsertReply {
  // Points of the request, those replaced by a later one of the same id included.
  uint32_t upserted = 0;
  std::vector<uint64_t> versions;  // per point of the request, when asked for
};

struct ScrollReply {
  std::vector<PointRecord> points;
  std::string next_after_id;
};

using UpsertDone = std::function<void(absl::StatusOr<UpsertReply>)>;
using SearchDone = std::function<void(absl::StatusOr<SearchReply>)>;
using GetDone = std::function<void(absl::StatusOr<PointRecord>)>;
using ScrollDone = std::function<void(absl::StatusOr<ScrollReply>)>;

class Gateway {
 public:
  explicit Gateway(const GatewayDeps& deps);

  // Adds VectronService and its handlers, JSON forms of the vector-bearing ones included.
  absl::Status Register(rpc::RpcRegistry& registry);

  // Errors of all below: NotFound (collection, and of Get the point), InvalidArgument, and what the
  // shards say, with the collection and the shard named: ResourceExhausted, Unavailable, DataLoss,
  // DeadlineExceeded.

  // AlreadyExists, FailedPrecondition (more replicas than workers).
  void CreateCollection(const rpc::CallContext& context, const v1::CreateCollectionRequest& request,
                        rpc::RpcDone done);
  void DeleteCollection(const rpc::CallContext& context, const std::string& name,
                        rpc::RpcDone done);
  // All that had been made when it was called, by whatever gateway; while placement cannot be
  // reached, those it was last heard to have.
  void ListCollections(const rpc::CallContext& context,
                       std::function<void(std::vector<std::string> names)> done);
  void GetCollectionStatus(
      const rpc::CallContext& context, const std::string& name,
      std::function<void(absl::StatusOr<v1::GetCollectionStatusResponse>)> done);

  // Of points with one id the last is written. Atomic per shard: when some shards fail the error
  // names them and those that were written. AlreadyExists (insert_only).
  void Upsert(const rpc::CallContext& context, UpsertCall call, UpsertDone done);
  // Answers with the version of the delete.
  void Delete(const rpc::CallContext& context, const v1::DeleteRequest& request,
              std::function<void(absl::StatusOr<uint64_t>)> done);

  void Get(const rpc::CallContext& context, const v1::GetRequest& request, GetDone done);
  void Scroll(const rpc::CallContext& context, ScrollCall call, ScrollDone done);

  // Asks every shard. A shard that fails or is late is an error, unless the call has a timeout and
  // another one answered: then the reply is partial. Unimplemented (target_recall).
  void Search(const rpc::CallContext& context, SearchCall call, SearchDone done);
  // The same with the best so far after each shard but the last. `progress` returns false when the
  // caller has gone.
  void SearchStream(const rpc::CallContext& context, SearchCall call,
                    std::function<bool(SearchReply)> progress, SearchDone done);

 private:
  friend class SearchGather;

  absl::StatusOr<RecordPtr> Find(const std::string& tenant, const std::string& name) const;
  // What a failure of a shard means to the caller: NotFound when the collection has been deleted
  // meanwhile, Unavailable with a hint to try again when another one has its name by now, else the
  // shard's error with collection and shard named and, for overload, a hint when to try again.
  absl::Status ShardError(const rpc::CollectionRecord& record, ShardOrdinal ordinal,
                          const absl::Status& error) const;
  absl::Status WriteError(const rpc::CollectionRecord& record,
                          const std::vector<std::pair<ShardOrdinal, absl::Status>>& parts) const;
  // A UUID (version 4 in form) that no other answer has.
  std::string NextQueryId();
  // The caller's request id; one of ours when there is none and the write may be sent twice.
  std::string RequestIdFor(std::string wanted);

  const GatewayDeps deps_;
  Router router_;
  std::atomic<uint64_t> next_query_{0};
};

}  // namespace vectron::gateway
