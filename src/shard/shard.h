#pragma once

// One shard replica: a state machine over a store and an index, fed by a Replicator. The front door
// of this folder.
//
// A write is checked by the gateway, admitted here (tail bound, disk reserve, memory reserved),
// encoded as one Command, ordered by the Replicator, applied (store batch with the applied index,
// payload index, vector index) and acknowledged with its log index. A search reads one snapshot of
// the index; filters become bitmaps of slots.
//
// Thread-safe. All callbacks may run on any thread and must not block.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/timer.h"
#include "model/collection.h"
#include "model/ids.h"
#include "model/point.h"
#include "model/search.h"
#include "shard/replicator.h"
#include "storage/rocks_kv.h"

namespace vectron::shard {

struct ShardOptions {
  CollectionSchema schema;
  GroupId group;
  ShardOrdinal ordinal;
  std::string dir;  // everything of this replica lives below it
};

// What a shard borrows; all outlive it.
struct ShardDeps {
  FileSystem* files = nullptr;
  Clock* clock = nullptr;
  Executor* read_executor = nullptr;             // reads that waited for others go on here
  Executor* background_executor = nullptr;       // building, flushing, checkpoints
  storage::RocksResources* resources = nullptr;  // shared by the stores of a node
  Timer* timer = nullptr;  // null: the shard makes one of its own, with a thread
};

struct UpsertWrite {
  PointBatch points;       // checked; ids unique
  std::string request_id;  // "" for none
  bool insert_only = false;
};
struct DeleteWrite {
  std::string id;
  std::string request_id;
};
// A key beside the points: as long as a point's id may be, its value as a payload. Checked.
struct KeyWrite {
  std::string key;
  std::optional<std::string> value;  // nullopt: the key is deleted
};
struct WriteResult {
  uint64_t version = 0;   // log index; of the first application when the request id was seen before
  bool repeated = false;  // the request id was seen before: nothing was written again
};
using WriteCallback = std::function<void(absl::StatusOr<WriteResult>)>;

struct ShardStats {
  uint64_t points = 0;
  uint64_t indexed = 0;  // linked into the graph, or all when there is no graph
  uint64_t tail_bytes = 0;
  uint64_t applied_index = 0;
  uint64_t digest = 0;  // of ids and versions at applied_index; 0: not known just now, or no points
  uint64_t disk_bytes = 0;
  uint64_t memory_bytes = 0;
  uint64_t searches = 0;
  uint64_t searches_ended = 0;  // of those, with an answer or an error
  uint64_t search_nanos = 0;    // that these took, waiting included
  uint64_t writes = 0;
  bool quarantined = false;  // an entry could not be applied; reads and writes are refused
  std::string problem;       // why, for people
  std::string damage;        // the first damaged data that a read met since the shard was opened
};

class Shard {
 public:
  // Opens or makes the replica in options.dir: opens the store, the newest index checkpoint, and
  // catches both up. After it returns the shard serves everything that was acknowledged before.
  // `attach` is called inside Open with the applier and the index up to which the shard needs no
  // entry; it connects the log, which hands over what follows, and returns the Replicator. It is
  // called a second time, with a higher index, when the first call failed because the log begins
  // later. Before it returns, the log has handed over all entries up to applier.stored_index();
  // what follows may come later, from other threads. The caller owns the log, which outlives the
  // shard; the shard's destructor waits for what it proposed and asked. A log that may not answer
  // on its own (a group without its quorum) lets go of the applier before the shard's end
  // (GroupHost::Detach), which answers everything; LocalLog after it. Errors: DataLoss naming the
  // file, FailedPrecondition (made by a newer version or with another schema), OutOfRange (the log
  // begins after what the store holds), Internal.
  using Attach =
      std::function<absl::StatusOr<Replicator*>(Applier& applier, uint64_t applied_index)>;
  static absl::StatusOr<std::unique_ptr<Shard>> Open(const ShardOptions& options,
                                                     const ShardDeps& deps, const Attach& attach);
  // Stops background work, flushes, writes a checkpoint when that is quick.
  virtual ~Shard() = default;

  // Errors: ResourceExhausted (tail, disk, queue), AlreadyExists (insert_only), Unavailable,
  // DataLoss (quarantined). deadline: on the monotonic clock, 0 for the default of base/limits.h.
  virtual void Upsert(UpsertWrite write, int64_t deadline_nanos, WriteCallback done) = 0;
  virtual void Delete(DeleteWrite write, int64_t deadline_nanos, WriteCallback done) = 0;
  // Errors as above; like Delete it does not wait for room in the index.
  virtual void WriteKey(KeyWrite write, WriteCallback done) = 0;

  // How long a search may go on, and where it runs when it takes longer than about a millisecond.
  struct ReadTerms {
    int64_t deadline_nanos = 0;                  // on the monotonic clock; 0: none
    std::function<bool()> called_off = nullptr;  // true once nobody wants the answer; may be null
    Executor* for_long = nullptr;                // null: in the caller. Outlives the shard
    size_t max_bytes = kMaxAnswerBytes;          // of the answer; past them ResourceExhausted
  };
  // Answers in the caller when no barrier is needed and the search is short. Errors:
  // InvalidArgument, Unavailable, DataLoss, DeadlineExceeded, Cancelled (the terms). A filter that
  // could not be evaluated in time gets its bitmaps in the background, so that one like it has a
  // chance.
  virtual void Search(const SearchQuery& query, const ReadTerms& terms,
                      std::function<void(absl::StatusOr<SearchAnswer>)> done) = 0;
  struct GetOptions {
    Consistency consistency = Consistency::kUnspecified;
    uint32_t max_staleness_ms = 0;  // of kBounded; 0: as kStrong
    bool include_vector = true;
    int64_t deadline_nanos = 0;  // on the monotonic clock; 0: none. DeadlineExceeded
  };
  virtual void Get(const std::string& id, const GetOptions& options,
                   std::function<void(absl::StatusOr<std::optional<PointRecord>>)> done) = 0;

  // The value of a key, nullopt when there is none. Linearizable.
  virtual void GetKey(const std::string& key,
                      std::function<void(absl::StatusOr<std::optional<std::string>>)> done) = 0;

  // Points in id order from `after` (exclusive) on, at most `limit`; for export and checks.
  virtual absl::StatusOr<std::vector<PointRecord>> ScanPoints(const std::string& after,
                                                              size_t limit, bool with_vectors) = 0;

  virtual ShardStats stats() const = 0;
  // Writes a whole copy of this replica into `dir`, an empty folder, by hard links: a Shard opens
  // from it. Calls `done` on the background executor with the log index it stands at. Reads go on;
  // applying waits for a moment. Errors: Unavailable, ResourceExhausted, DataLoss. The shard lives
  // until then.
  virtual void WriteCopy(const std::string& dir,
                         std::function<void(absl::StatusOr<uint64_t>)> done) = 0;
  // Everything acknowledged is in files and the index checkpoint is current when it returns.
  // Blocks.
  virtual absl::Status FlushAll() = 0;
  // About once a second, from any thread: starts what is due (checkpoint after a pause in writes,
  // trim of mapped pages).
  virtual void Tick() = 0;
  // Blocks until the builder has nothing left; for tests and benchmarks.
  virtual void WaitUntilIndexed() = 0;
};

}  // namespace vectron::shard
