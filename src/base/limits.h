#pragma once

// Every bound of the system, with its reason. Past a bound a request is refused with a code, never
// cut short.

#include <cstddef>
#include <cstdint>

namespace vectron {

// --- Input (the wire contract, section 1) ---
inline constexpr size_t kMaxCollectionNameBytes = 128;
inline constexpr size_t kMaxPointIdBytes = 256;
inline constexpr uint32_t kMaxDimension = 65'535;
inline constexpr uint32_t kMaxTopK = 16'384;
inline constexpr uint32_t kDefaultTopK = 10;
inline constexpr size_t kMaxUpsertBytes = size_t{64} << 20;
inline constexpr size_t kMaxUpsertPoints = 100'000;
inline constexpr size_t kMaxPayloadBytes = size_t{1} << 20;
inline constexpr uint32_t kMaxJsonDepth = 32;
// A request id is a UUID or the like.
inline constexpr size_t kMaxRequestIdBytes = 128;
// Filters: deep enough for any query builder, small enough that evaluation cannot be abused.
inline constexpr uint32_t kMaxFilterDepth = 16;
inline constexpr size_t kMaxFilterConditions = 1'024;
inline constexpr size_t kMaxFilterValues =
    65'536;  // values of any-of lists and has_id lists together
inline constexpr size_t kMaxFilterPathBytes = 512;
inline constexpr size_t kMaxKeywordBytes =
    1'024;  // longer texts are not in a keyword index's dictionary: checked one by one
inline constexpr size_t kMaxPayloadIndexes =
    64;  // per collection; each costs a bitmap update per write
inline constexpr size_t kMaxPayloadFields = 256;  // names in SearchRequest.payload_fields
inline constexpr size_t kMaxCollections =
    10'000;  // per node: each shard holds open files and memory
inline constexpr uint64_t kOpenFilesPerShard =
    12;  // of an idle shard, as measured; busy ones hold more for a while
inline constexpr uint64_t kOpenFilesReserved = 2'048;  // for connections and busy shards
inline constexpr size_t kMaxClusterShards =
    20'000;  // placement's whole state is copied to a joining node, and scanned by its scheduler
inline constexpr size_t kMaxWorkers = 1'000;
inline constexpr size_t kMaxRerankers = 100;
inline constexpr uint32_t kMaxShardsPerCollection = 1'024;
inline constexpr uint32_t kMaxReplicationFactor = 7;
inline constexpr uint32_t kMaxEf = 65'536;  // more than this is an exact search
inline constexpr uint32_t kMinM = 4;
inline constexpr uint32_t kMaxM = 64;
inline constexpr uint32_t kMinEfConstruct = 8;
inline constexpr uint32_t kMaxEfConstruct = 4'096;

// --- Searching ---
inline constexpr size_t kMaxAnswerBytes =
    size_t{256}
    << 20;  // ids, payloads and vectors of a search's hits; 16,384 vectors of 4,000 components fit

// --- Scrolling: one page is one bounded piece of work and one bounded answer ---
inline constexpr uint32_t kMaxScrollLimit = 10'000;
inline constexpr uint32_t kDefaultScrollLimit = 100;
inline constexpr size_t kMaxScanBytes =
    size_t{16} << 20;  // ids, vectors and payloads of a page; one point may pass it
inline constexpr size_t kMaxScanExamined = 100'000;  // points looked at for a page

// --- HTTP and gRPC ---
inline constexpr size_t kMaxHttpHeadBytes = size_t{64} << 10;
inline constexpr size_t kMaxHttpHeaders = 128;
inline constexpr size_t kMaxHttpBodyBytes =
    size_t{256} << 20;  // JSON of a 64 MiB upsert takes up to 4x its binary form
inline constexpr size_t kMaxGrpcMessageBytes = size_t{80} << 20;  // a 64 MiB upsert and its framing
inline constexpr int64_t kHttpHeadTimeoutMs = 10'000;      // a slow head frees its connection
inline constexpr int64_t kHttpBodyIdleTimeoutMs = 30'000;  // no byte of a body for this long
inline constexpr int64_t kHttpKeepAliveTimeoutMs = 120'000;
inline constexpr size_t kMaxHttpConnections = 10'000;
// After a refusal the rest of the request is read and dropped, this much of it for this long, so
// that the client sees the answer.
inline constexpr size_t kHttpDrainBytes = size_t{4} << 20;
inline constexpr int64_t kHttpDrainTimeoutMs = 2'000;
inline constexpr size_t kMaxHttpBufferedBytes = size_t{1}
                                                << 30;  // bodies held by all connections together
inline constexpr size_t kMaxConcurrentStreams = 1'024;  // per HTTP/2 connection

// --- Between the processes of a cluster ---
inline constexpr int kPeerPingMs =
    1'000;  // a peer silent for this long is pinged while calls wait for it
inline constexpr int kPeerPingTimeoutMs =
    1'000;  // and given up after this: its calls are sent elsewhere
inline constexpr int64_t kMaxCallMs = 30'000;  // of one call without a deadline
inline constexpr int64_t kRouteFirstPauseMs =
    10;  // before a shard that nobody leads is asked again; doubles
inline constexpr int64_t kRouteMaxPauseMs = 200;
inline constexpr int kMaxMapRefreshes = 3;  // for one part of a request
inline constexpr int64_t kMaxRetriesPerSecond =
    1'000;  // of one gateway: what a few hundred waiting clients need
inline constexpr size_t kMaxLearnedLeaders = 65'536;  // one gateway's; past it the map's are used

// --- Write path (DESIGN section 3) ---
inline constexpr uint64_t kTailFreeBytes = uint64_t{256} << 10;  // tail below this delays nothing
inline constexpr uint64_t kTailMaxBytes =
    uint64_t{8} << 20;  // past this, writes wait; also the flat-scan limit
inline constexpr int64_t kTailMaxDelayMs = 50;
inline constexpr int64_t kDefaultWriteDeadlineMs = 10'000;
inline constexpr size_t kMaxQueuedWritesPerShard = 4'096;  // waiting for admission
inline constexpr size_t kMaxQueuedWriteBytesPerShard = size_t{256} << 20;
inline constexpr size_t kRequestIdWindow = 16'384;  // remembered request ids per shard
inline constexpr uint64_t kDiskReserveBytes = uint64_t{1}
                                              << 30;  // or 5 % of the disk, whichever is less
// Proposed to the log and not yet applied: two of the largest commands per node, and per group what
// a few thousand clients of one point per request have under way.
inline constexpr uint64_t kMaxLogPendingBytes = uint64_t{256} << 20;
inline constexpr size_t kMaxLogPendingEntriesPerGroup = 16'384;
inline constexpr uint64_t kMaxLogTurnBytes =
    uint64_t{16} << 20;  // of one synced write, so that small ones do not wait long
inline constexpr uint64_t kMaxGroupLogBytes =
    uint64_t{256} << 20;  // kept for index checkpoints beyond what the store needs
inline constexpr uint64_t kMaxUnappliedBytes =
    uint64_t{64} << 20;  // committed and waiting for a group's applier
inline constexpr size_t kLogReplayChunkBytes = size_t{8} << 20;  // memory of a replay

// --- Snapshots between replicas: what another node may claim ---
inline constexpr size_t kMaxSnapshotFiles = 65'536;  // a store of terabytes has fewer
inline constexpr size_t kMaxSnapshotNameBytes = 512;

// --- Ranking and feedback ---
inline constexpr uint32_t kMaxRerankCandidates =
    1'000;  // per request: a bounded piece of work, about 3 ms
inline constexpr uint32_t kDefaultRerankCandidates = 100;
inline constexpr uint32_t kMaxRerankBudgetMs = 60'000;  // no search waits longer for a better order
inline constexpr uint32_t kDefaultRerankBudgetMs = 75;
inline constexpr size_t kMaxRerankModels =
    1'024;  // collections whose clicks are learned from; past it the least used rests on disk
inline constexpr size_t kMaxRerankModelBytes =
    size_t{8} << 20;                             // of one saved model: 2,000 events and 65,536 ids
inline constexpr size_t kMaxLearnBatch = 1'000;  // records of one LearnFeedback
inline constexpr size_t kMaxImpressionBytes = size_t{16} << 10;  // ten results as they were shown
inline constexpr size_t kImpressionRingBytes =
    size_t{64} << 20;  // answers that feedback may still name, per gateway
inline constexpr int64_t kImpressionLifeMs = int64_t{24} * 3'600 * 1'000;
inline constexpr int64_t kImpressionUnnamedLifeMs =
    int64_t{3'600} * 1'000;                         // when feedback does not name its query id
inline constexpr size_t kMaxFeedbackItems = 1'000;  // per request
inline constexpr size_t kMaxFeedbackBytes = size_t{256} << 10;  // of one request
inline constexpr size_t kMaxQueuedFeedback = 4'096;  // waiting for the writer of the store
inline constexpr uint32_t kMaxFeedbackPage = 1'000;
inline constexpr uint32_t kDefaultFeedbackPage = 100;

}  // namespace vectron
