// Streams: vectors in, a shard's points and writes out.

#include <algorithm>
#include <deque>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "services/worker/service.h"
#include "services/worker/wire.h"
#include "shard/command.h"

namespace vectron::worker {
namespace {

using rpc::CallContext;
using rpc::RpcDone;

constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kSlowReaderPauseMs = 5;  // before a full stream is tried again
constexpr int64_t kNoNewsPauseMs = 100;    // before the log is looked at again
constexpr size_t kChunkBytes = size_t{1} << 20;
constexpr uint64_t kMaxUpdateEntries = 256;  // of the log, looked at for one message

// Batches one after the other; the answer counts what was stored.
class BatchStore final
    : public rpc::RequestStream<v1::BatchStoreVectorRequest, v1::BatchStoreVectorResponse> {
 public:
  BatchStore(Worker& worker, int64_t deadline_nanos)
      : worker_(worker), deadline_nanos_(deadline_nanos) {}

  void OnMessage(v1::BatchStoreVectorRequest& request, RpcDone next) override {
    const int count = request.vectors_size();
    absl::StatusOr<PointBatch> points = PointsOf(*request.mutable_vectors());
    if (!points.ok()) return next(Failed(points.status()));
    CheckedUpsert(worker_,
                  {.target = TargetOf(request.shard_id(), request.shard_epoch()),
                   .points = *std::move(points),
                   .request_id = request.request_id()},
                  deadline_nanos_,
                  [this, count, next = std::move(next)](const absl::StatusOr<rpc::WriteAck>& ack) {
                    if (!ack.ok()) return next(Failed(ack.status()));
                    stored_ += count;
                    next(absl::OkStatus());
                  });
  }
  void OnEnd(v1::BatchStoreVectorResponse& response, RpcDone done) override {
    response.set_stored(stored_);
    done(absl::OkStatus());
  }

 private:
  // What came before stays stored; the caller has to know how much.
  absl::Status Failed(const absl::Status& error) const {
    return Annotate(error, fmt::format("after {} stored vectors", stored_));
  }

  Worker& worker_;
  const int64_t deadline_nanos_;
  int32_t stored_ = 0;
};

v1::HNSWUpdate UpdateOf(std::string_view id, std::span<const float> vector,
                        std::string_view payload, uint64_t version) {
  v1::Vector value;
  value.set_id(std::string(id));
  value.mutable_vector()->Add(vector.begin(), vector.end());
  value.set_metadata(std::string(payload));
  v1::HNSWUpdate update;
  update.set_id(std::string(id));
  update.set_value(value.SerializeAsString());
  update.set_ts_unix_nano(static_cast<int64_t>(version));
  return update;
}

// Sends messages in order at the reader's pace; subclasses make them. Kept alive by the task or the
// timer that runs it next.
template <typename Message>
class PacedStream : public std::enable_shared_from_this<PacedStream<Message>> {
 public:
  PacedStream(const WorkerServiceDeps& deps, rpc::ServerStream<Message> stream)
      : deps_(deps), stream_(std::move(stream)) {}
  virtual ~PacedStream() = default;

  // One step: makes and sends what is next, and sees to it that there is another step.
  void Run() {
    if (stream_.cancelled()) return stream_.Finish(Cancelled("the caller has gone"));
    if (!waiting_.has_value()) {
      absl::StatusOr<std::optional<Message>> made = Make();
      if (!made.ok()) return stream_.Finish(made.status());
      waiting_ = *std::move(made);
      if (!waiting_.has_value()) return Pause(kNoNewsPauseMs);
    }
    if (!stream_.Write(*waiting_)) return Pause(kSlowReaderPauseMs);
    const bool last = IsLast(*waiting_);
    waiting_.reset();
    if (last) return stream_.Finish(absl::OkStatus());
    deps_.background_executor->Schedule([self = this->shared_from_this()] { self->Run(); });
  }

 protected:
  // Nullopt: there is nothing new. May block on the disk.
  virtual absl::StatusOr<std::optional<Message>> Make() = 0;
  virtual bool IsLast(const Message& message) const = 0;
  const WorkerServiceDeps& deps() const { return deps_; }

 private:
  void Pause(int64_t millis) {
    deps_.timer->At(deps_.clock->MonotonicNanos() + millis * kNanosPerMilli,
                    [self = this->shared_from_this()] {
                      self->deps_.background_executor->Schedule([self] { self->Run(); });
                    });
  }

  const WorkerServiceDeps& deps_;
  rpc::ServerStream<Message> stream_;
  std::optional<Message> waiting_;  // made and not yet taken
};

class SnapshotStream final : public PacedStream<v1::HNSWSnapshotChunk> {
 public:
  SnapshotStream(const WorkerServiceDeps& deps, uint64_t shard_id, uint64_t from_index,
                 rpc::ServerStream<v1::HNSWSnapshotChunk> stream)
      : PacedStream(deps, std::move(stream)), shard_id_(shard_id), from_index_(from_index) {}

 private:
  absl::StatusOr<std::optional<v1::HNSWSnapshotChunk>> Make() override {
    ASSIGN_OR_RETURN(rpc::ScanPage page, deps().worker->ScanNow({.target = TargetOf(shard_id_, 0),
                                                                 .after_id = after_id_,
                                                                 .limit = kMaxScrollLimit,
                                                                 .max_bytes = kChunkBytes,
                                                                 .filter = nullptr,
                                                                 .include_vectors = true}));
    v1::HNSWUpdateBatch batch;
    for (const PointRecord& point : page.points) {
      *batch.add_updates() = UpdateOf(point.id, point.vector, point.payload, point.version);
    }
    after_id_ = page.scanned_to;
    v1::HNSWSnapshotChunk chunk;
    chunk.set_shard_id(shard_id_);
    chunk.set_snapshot_ts_unix_nano(static_cast<int64_t>(from_index_));
    chunk.set_data(batch.SerializeAsString());
    chunk.set_done(page.end);
    return std::optional(std::move(chunk));
  }
  bool IsLast(const v1::HNSWSnapshotChunk& chunk) const override { return chunk.done(); }

  const uint64_t shard_id_;
  const uint64_t from_index_;  // of the log: later writes may be in the snapshot, earlier ones are
  std::string after_id_;
};

// A large entry takes several messages: what is in memory is one entry and one message.
class UpdateStream final : public PacedStream<v1::HNSWUpdateBatch> {
 public:
  UpdateStream(const WorkerServiceDeps& deps, uint64_t shard_id, uint64_t from_index,
               rpc::ServerStream<v1::HNSWUpdateBatch> stream)
      : PacedStream(deps, std::move(stream)), shard_id_(shard_id) {
    entry_.index = from_index;
  }

 private:
  absl::StatusOr<std::optional<v1::HNSWUpdateBatch>> Make() override {
    v1::HNSWUpdateBatch batch;
    size_t bytes = 0;
    uint64_t entries = 0;
    while (bytes < kChunkBytes) {
      if (next_id_ < command_.ids.size()) {
        ASSIGN_OR_RETURN(v1::HNSWUpdate update, Look(command_.ids[next_id_++]));
        bytes += update.ByteSizeLong();
        *batch.add_updates() = std::move(update);
        continue;
      }
      // Entries of the engine itself tell nothing: after them it goes on.
      if (entries >= kMaxUpdateEntries && batch.updates_size() > 0) break;
      ASSIGN_OR_RETURN(const bool more, NextEntry());
      if (!more) break;
      ++entries;
    }
    if (batch.updates_size() == 0) return std::optional<v1::HNSWUpdateBatch>();
    return std::optional(std::move(batch));
  }
  bool IsLast(const v1::HNSWUpdateBatch&) const override { return false; }

  absl::StatusOr<bool> NextEntry() {
    ASSIGN_OR_RETURN(std::vector<shard::Entry> entries,
                     deps().worker->ReadLog(TargetOf(shard_id_, 0), entry_.index, 1));
    if (entries.empty()) return false;
    command_ = {};
    next_id_ = 0;
    entry_ = std::move(entries.front());
    if (!entry_.command.empty()) {
      ASSIGN_OR_RETURN(command_, shard::DecodeCommand(entry_.command));
    }
    return true;
  }
  // A point that the entry speaks of, as it is by now: an entry that changed nothing (a repeated
  // request, an insert of what existed) does no harm then, and a later one is merely told twice.
  absl::StatusOr<v1::HNSWUpdate> Look(std::string_view id) {
    ASSIGN_OR_RETURN(const std::optional<PointRecord> point,
                     deps().worker->GetNow(TargetOf(shard_id_, 0), std::string(id)));
    if (point.has_value()) return UpdateOf(id, point->vector, point->payload, point->version);
    v1::HNSWUpdate update;
    update.set_id(std::string(id));
    update.set_delete_(true);
    update.set_ts_unix_nano(static_cast<int64_t>(entry_.index));
    return update;
  }

  const uint64_t shard_id_;
  shard::Entry entry_;      // at it; at first, where the caller is
  shard::Command command_;  // of the entry, and pointing into it
  size_t next_id_ = 0;      // of the command's
};

}  // namespace

void WorkerService::RegisterStreams(rpc::RpcRegistry& registry) {
  registry.ClientStream<v1::BatchStoreVectorRequest, v1::BatchStoreVectorResponse>(
      RpcName("StreamBatchStoreVector"), [this](CallContext& context) {
        return std::make_unique<BatchStore>(*deps_.worker, context.deadline_nanos);
      });
  registry.Stream<v1::HNSWSnapshotRequest, v1::HNSWSnapshotChunk>(
      RpcName("StreamHNSWSnapshot"), [this](CallContext&, v1::HNSWSnapshotRequest& request,
                                            rpc::ServerStream<v1::HNSWSnapshotChunk> stream) {
        const absl::StatusOr<shard::ShardStats> stats =
            deps_.worker->Stats(TargetOf(request.shard_id(), 0));
        if (!stats.ok()) return stream.Finish(stats.status());
        const auto sender = std::make_shared<SnapshotStream>(
            deps_, request.shard_id(), stats->applied_index, std::move(stream));
        deps_.background_executor->Schedule([sender] { sender->Run(); });
      });
  registry.Stream<v1::HNSWUpdatesRequest, v1::HNSWUpdateBatch>(
      RpcName("StreamHNSWUpdates"), [this](CallContext&, v1::HNSWUpdatesRequest& request,
                                           rpc::ServerStream<v1::HNSWUpdateBatch> stream) {
        if (request.from_ts_unix_nano() < 0) {
          return stream.Finish(InvalidArgument("from_ts_unix_nano: got {}, a log index is wanted",
                                               request.from_ts_unix_nano()));
        }
        const auto sender = std::make_shared<UpdateStream>(
            deps_, request.shard_id(), static_cast<uint64_t>(request.from_ts_unix_nano()),
            std::move(stream));
        deps_.background_executor->Schedule([sender] { sender->Run(); });
      });
}

}  // namespace vectron::worker
