/* Narrow C ABI over a Raft engine (raft-rs; docs/adr/0008-consensus-engine.md). One handle = one
 * replica of one group; not thread safe, movable between threads. Every function catches Rust
 * panics: the group is then poisoned and every later call (except rg_destroy and rg_last_panic)
 * returns RG_POISONED. A panic in rg_sink_* fails the read that called back. C callbacks must not
 * throw. Guards added here because the engine lacks them:
 *  - from a Ready with a snapshot until rg_advance_apply_to(its index): ticks do nothing,
 * TimeoutNow is dropped, campaign is BUSY (the engine would look for entries the log no longer has,
 * and panic);
 *  - rg_apply_conf_change makes a leader that is no longer a voter step down (else: panic on its
 * missing progress);
 *  - commit is raised to applied at rg_create; messages for another replica id are refused;
 * proposals only on a leader, by rg_propose_*: those in messages of peers are dropped (the engine
 * would panic on an empty one, and never tell of the others' fate). */
#pragma once
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

enum {
  RG_OK = 0,
  RG_POISONED = -1,
  RG_EINVAL = -2,
  RG_BUSY = -3, /* BUSY: a Ready is out, call rg_advance_append_async first */
  RG_DROPPED = -4,
  RG_NOT_LEADER = -5,
  RG_DECODE = -6,
  RG_NO_PEER = -7,
  RG_ERR = -8
};
enum {
  RG_ST_OK = 0,
  RG_ST_COMPACTED = 1,
  RG_ST_UNAVAILABLE = 2,
  RG_ST_SNAP_LATER = 3,
  RG_ST_FAILED = 4
};
enum { RG_FOLLOWER = 0, RG_CANDIDATE = 1, RG_LEADER = 2, RG_PRE_CANDIDATE = 3 };
enum { RG_ENTRY_NORMAL = 0, RG_ENTRY_CONF = 1, RG_ENTRY_CONF_V2 = 2 };
enum { RG_ADD_NODE = 0, RG_REMOVE_NODE = 1, RG_ADD_LEARNER = 2 };
enum { RG_CC_SIMPLE = -1, RG_CC_AUTO = 0, RG_CC_JOINT_AUTO_LEAVE = 1, RG_CC_JOINT_EXPLICIT = 2 };

typedef struct {
  const uint8_t* ptr;
  size_t len;
} RgSlice;
typedef struct {
  const uint64_t* ptr;
  size_t len;
} RgIds;
typedef struct {
  uint64_t term, vote, commit;
} RgHardState;
typedef struct {
  RgIds voters, learners, voters_outgoing, learners_next;
  uint8_t auto_leave;
} RgConfState;
typedef struct {
  uint64_t term, index;
  uint32_t type;
  RgSlice data, context;
} RgEntry;
typedef struct {
  uint64_t to;
  uint32_t type;
  RgSlice bytes;
} RgMessage; /* bytes = protobuf eraftpb.Message */
typedef struct {
  uint64_t index;
  RgSlice context;
} RgReadState;
typedef struct {
  uint64_t index, term;
  RgConfState conf;
  RgSlice data;
} RgSnapshot;
typedef struct {
  uint64_t id;
  uint32_t type;
} RgChange;
typedef struct {
  uint64_t id, match, next, pending_snapshot, inflight;
  uint32_t state;
  uint8_t paused, recent_active;
} RgProgress;
typedef struct RgSink RgSink;

/* Storage seen by the engine: everything handed out by rg_ready must be readable here before
 * rg_advance_append_async. */
typedef struct {
  void* user;
  int (*initial_state)(void*, RgHardState*,
                       RgConfState*); /* conf = membership as of config.applied */
  int (*entries)(void*, uint64_t lo, uint64_t hi, uint64_t max_bytes,
                 RgSink*);                            /* [lo,hi), at least one */
  int (*term)(void*, uint64_t index, uint64_t* term); /* first_index-1 .. last_index */
  int (*first_index)(void*, uint64_t*);
  int (*last_index)(void*, uint64_t*);
  int (*snapshot)(void*, uint64_t min_index, uint64_t to, RgSink*);
} RgStorage;
void rg_sink_entry(RgSink*, const RgEntry*);
void rg_sink_snapshot(RgSink*, const RgSnapshot*);

typedef struct {
  uint64_t id, applied, max_size_per_msg, max_uncommitted_size, max_committed_size_per_ready;
  uint64_t election_seed; /* 0: engine's own randomness; else deterministic timeouts in [min,max) */
  int64_t priority;
  uint32_t election_tick, heartbeat_tick, min_election_tick, max_election_tick, max_inflight_msgs;
  uint8_t check_quorum, pre_vote, lease_reads, skip_bcast_commit;
  uint8_t batch_append; /* keep 0: the engine can then emit appends whose entries do not follow
                           their prev index */
  uint8_t test_no_snapshot_guard; /* keep 0 */
} RgConfig;

typedef struct {
  uint64_t term, vote, commit, applied, persisted, last_index, leader, transferee,
      pending_conf_index;
  uint32_t role;
  uint8_t promotable;
} RgStatus;

/* Views stay valid until the next rg_ready / rg_apply_conf_change that uses the same scratch. */
typedef struct {
  uint64_t number;
  const RgEntry* entries;
  size_t n_entries; /* append, in order */
  const RgEntry* committed;
  size_t n_committed;
  const RgMessage* messages;
  size_t n_messages; /* send now */
  const RgMessage* persisted;
  size_t n_persisted; /* send only after this Ready is durable */
  const RgReadState* reads;
  size_t n_reads;
  RgHardState hs;
  RgSnapshot snapshot;
  uint64_t leader;
  uint32_t role;
  uint8_t has_hs, has_snapshot, has_soft, must_sync;
} RgReady;

typedef struct RgGroup RgGroup;
typedef struct RgScratch RgScratch; /* output buffers; one per raft thread, shared by its groups */

RgScratch* rg_scratch_new(void); /* NULL: it panicked */
void rg_scratch_free(RgScratch*);
RgGroup* rg_create(const RgConfig*, const RgStorage*, int* err);
void rg_destroy(RgGroup*);
int rg_tick(RgGroup*); /* 1: something may be ready */
int rg_step(RgGroup*, const uint8_t*, size_t);
int rg_campaign(RgGroup*);
int rg_propose_batch(RgGroup*, const RgSlice*, size_t n); /* all or nothing; n > 0 */
int rg_propose_conf_change(RgGroup*, const RgChange*, size_t n, int transition, const uint8_t* ctx,
                           size_t ctx_len);
int rg_apply_conf_change(RgGroup*, uint32_t entry_type, const uint8_t*, size_t, RgScratch*,
                         RgConfState* out);
int rg_transfer_leader(RgGroup*, uint64_t to);
int rg_read_index(RgGroup*, const uint8_t* ctx, size_t); /* ctx must never repeat */
int rg_has_ready(const RgGroup*);
int rg_ready(RgGroup*, RgScratch*, RgReady*);
int rg_advance_append_async(RgGroup*); /* Ready is readable through RgStorage, not yet durable */
int rg_on_persist_ready(RgGroup*, uint64_t number); /* Readies up to number are durable */
int rg_advance_apply_to(RgGroup*, uint64_t applied);
int rg_report_unreachable(RgGroup*, uint64_t id);
int rg_report_snapshot(RgGroup*, uint64_t id, int ok);
int rg_request_snapshot(RgGroup*);
int rg_status(const RgGroup*, RgStatus*);
int rg_progress(const RgGroup*, RgProgress*, size_t cap, size_t* n);
int rg_free_idle_memory(RgGroup*);
size_t rg_last_panic(char* buf, size_t cap); /* of this thread */
int rg_test_panic(RgGroup*);
#ifdef __cplusplus
}
#endif
