#include "rpc/map_watch.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "vectron/placement.grpc.pb.h"

namespace vectron::rpc {
namespace {

namespace pb = placementdriver::v1;

constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kFirstPauseMs = 20;
constexpr int64_t kMaxPauseMs = 500;
// A call ends by itself after this long, so that one that hangs in spite of the pings is replaced.
constexpr int64_t kCallLifeMs = 600'000;

// What outlives a call: who listens, and whether anybody still does.
class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(const MapWatchOptions& options, PlacementCaller& nodes, const Clock& clock, Timer& timer,
       std::function<void(const pb::ClusterMap&)> on_map)
      : options_(options),
        nodes_(nodes),
        clock_(clock),
        timer_(timer),
        on_map_(std::move(on_map)),
        at_(nodes.leader_index()) {}

  void Connect();
  void OnMap(const pb::ClusterMap& map) {
    pause_ms_ = kFirstPauseMs;
    on_map_(map);
  }
  void OnEnd();
  void Stop();

 private:
  class Reader;

  const MapWatchOptions options_;
  PlacementCaller& nodes_;
  const Clock& clock_;
  Timer& timer_;
  const std::function<void(const pb::ClusterMap&)> on_map_;
  size_t at_;                         // only one of Connect and the reader's callbacks is under way
  int64_t pause_ms_ = kFirstPauseMs;  // likewise

  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  Reader* reader_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

// One call. Deletes itself when it has ended, as gRPC's callback API has it.
class Core::Reader final : public grpc::ClientReadReactor<pb::ClusterMap> {
 public:
  Reader(std::shared_ptr<Core> core, ChannelPool& channels, bool versions_only, int64_t deadline)
      : core_(std::move(core)), channels_(channels) {
    request_.set_versions_only(versions_only);
    channels_.Begin(context_, deadline);
    stub_ = pb::PlacementService::NewStub(channels_.Next());
    stub_->async()->WatchMap(&context_, &request_, this);
  }
  void Run() {
    StartRead(&map_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    core_->OnMap(map_);
    map_.Clear();
    StartRead(&map_);
  }
  void OnDone(const grpc::Status&) override {
    std::unique_ptr<Reader> self(this);
    core_->OnEnd();
    ChannelPool& channels = channels_;
    channels.Ending(context_);
    self.reset();
    channels.End();
  }

 private:
  const std::shared_ptr<Core> core_;  // shared with the watch, which may go first
  ChannelPool& channels_;
  grpc::ClientContext context_;
  pb::WatchMapRequest request_;
  std::unique_ptr<pb::PlacementService::Stub> stub_;
  pb::ClusterMap map_;
};

void Core::Connect() {
  Reader* reader = nullptr;
  {
    const absl::MutexLock lock(&mutex_);
    if (stopped_) return;
    CHECK(reader_ == nullptr);
    reader = new Reader(shared_from_this(), nodes_.node(at_), options_.versions_only,
                        clock_.MonotonicNanos() + kCallLifeMs * kNanosPerMilli);
    reader_ = reader;
  }
  reader->Run();
}

void Core::OnEnd() {
  ++at_;  // often the next one leads by now
  const int64_t at_nanos = clock_.MonotonicNanos() + pause_ms_ * kNanosPerMilli;
  pause_ms_ = std::min(2 * pause_ms_, kMaxPauseMs);
  const absl::MutexLock lock(&mutex_);
  reader_ = nullptr;
  if (stopped_) return;
  timer_.At(at_nanos, [self = shared_from_this()] { self->Connect(); });
}

void Core::Stop() {
  const absl::MutexLock lock(&mutex_);
  stopped_ = true;
  if (reader_ != nullptr) reader_->Cancel();
  mutex_.Await(absl::Condition(
      +[](Reader** reader) { return *reader == nullptr; }, &reader_));
}

class MapWatchImpl final : public MapWatch {
 public:
  explicit MapWatchImpl(std::shared_ptr<Core> core) : core_(std::move(core)) { core_->Connect(); }
  ~MapWatchImpl() override { core_->Stop(); }

 private:
  const std::shared_ptr<Core> core_;  // shared with the call under way and the timer
};

}  // namespace

std::unique_ptr<MapWatch> MapWatch::Start(
    const MapWatchOptions& options, PlacementCaller& nodes, const Clock& clock, Timer& timer,
    std::function<void(const placementdriver::v1::ClusterMap&)> on_map) {
  return std::make_unique<MapWatchImpl>(
      std::make_shared<Core>(options, nodes, clock, timer, std::move(on_map)));
}

}  // namespace vectron::rpc
