#include "rpc/peer_transport_grpc.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/limits.h"
#include "base/status.h"
#include "rpc/cluster_secret.h"
#include "rpc/hold_grpc.h"
#include "rpc/peer_core.h"
#include "rpc/peer_fetch.h"
#include "rpc/peer_link.h"
#include "rpc/peer_service.h"

namespace vectron::rpc {
namespace {

// How long a connection may take to come up, at least; with TLS both ends compute for it.
constexpr int kConnectMs = 500;
constexpr int kTlsConnectMs = 2'000;

void AddTotal(std::vector<MetricSample>& samples, const char* name, const char* help,
              uint64_t value) {
  samples.push_back({.name = name,
                     .help = help,
                     .labels = {},
                     .value = static_cast<double>(value),
                     .counter = true});
}

void AddTotals(const GrpcPeerTransport::Stats& stats, std::vector<MetricSample>& samples) {
  AddTotal(samples, "vectron_peer_wrong_cluster_total",
           "Frames and requests of nodes of another cluster, refused.", stats.wrong_cluster);
  AddTotal(samples, "vectron_peer_wrong_node_total",
           "Frames and requests for another node, or from one that is none, refused.",
           stats.wrong_node);
  AddTotal(samples, "vectron_peer_unauthenticated_total",
           "Calls of peers without the cluster's credential, refused.", stats.unauthenticated);
  AddTotal(samples, "vectron_peer_unsent_messages_total",
           "Messages dropped for want of room or of a connection.", stats.messages_dropped);
  AddTotal(samples, "vectron_peer_reconnects_total", "Calls to peers that were made again.",
           stats.reconnects);
  AddTotal(samples, "vectron_peer_sent_bytes_total", "Messages sent to peers.", stats.bytes_sent);
  AddTotal(samples, "vectron_peer_snapshot_sent_bytes_total", "Snapshots given to peers.",
           stats.snapshot_bytes_sent);
  AddTotal(samples, "vectron_peer_snapshot_received_bytes_total", "Snapshots brought from peers.",
           stats.snapshot_bytes_received);
}

}  // namespace

std::shared_ptr<grpc::Channel> PeerCore::ChannelTo(const std::string& address) const {
  HoldGrpc();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const bool tls = options.credentials != nullptr;
  arguments.SetInt(
      GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
      std::max(tls ? kTlsConnectMs : kConnectMs, static_cast<int>(options.min_backoff_ms)));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, static_cast<int>(options.min_backoff_ms));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, static_cast<int>(options.max_backoff_ms));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  arguments.SetMaxReceiveMessageSize(static_cast<int>(kMaxGrpcMessageBytes));
  arguments.SetMaxSendMessageSize(-1);
  return grpc::CreateCustomChannel(
      address, tls ? options.credentials : grpc::InsecureChannelCredentials(), arguments);
}

void PeerCore::Authenticate(grpc::ClientContext& context) const {
  if (!options.secret.empty()) context.AddMetadata(kClusterSecretHeader, options.secret);
}

void PeerCore::CallBegins() {
  const absl::MutexLock lock(&mutex_);
  ++calls_;
}

void PeerCore::CallEnds() {
  const absl::MutexLock lock(&mutex_);
  --calls_;
}

void PeerCore::AwaitNoCalls() {
  const absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &PeerCore::NoCalls));
}

namespace {

// How often calls are looked at that may hang.
constexpr int64_t kCheckMs = 1'000;

// Links and fetches: shared with the timer's task.
struct Connections {
  absl::Mutex mutex;
  std::map<uint64_t, std::shared_ptr<PeerLink>> links ABSL_GUARDED_BY(mutex);
  std::vector<std::shared_ptr<PeerFetch>> fetches ABSL_GUARDED_BY(mutex);

  std::vector<std::shared_ptr<PeerLink>> Links() {
    const absl::MutexLock lock(&mutex);
    std::vector<std::shared_ptr<PeerLink>> all;
    for (const auto& [node, link] : links) all.push_back(link);
    return all;
  }
  std::vector<std::shared_ptr<PeerFetch>> Fetches() {
    const absl::MutexLock lock(&mutex);
    std::erase_if(fetches,
                  [](const std::shared_ptr<PeerFetch>& fetch) { return fetch->finished(); });
    return fetches;
  }
};

void CheckAgain(const std::shared_ptr<PeerCore>& core,
                const std::shared_ptr<Connections>& connections) {
  core->deps.timer->At(core->Now() + kCheckMs * kNanosPerMilli,
                       [core, weak = std::weak_ptr<Connections>(connections)] {
                         const std::shared_ptr<Connections> held = weak.lock();
                         if (held == nullptr || core->stopping) return;
                         for (const auto& link : held->Links()) link->CheckStuck();
                         for (const auto& fetch : held->Fetches()) fetch->CheckStuck();
                         CheckAgain(core, held);
                       });
}

class Transport : public GrpcPeerTransport {
 public:
  Transport(const PeerTransportOptions& options, const PeerTransportDeps& deps)
      : core_(std::make_shared<PeerCore>(options, deps)), service_(MakePeerService(core_)) {
    CheckAgain(core_, connections_);
    if (deps.metrics == nullptr) return;
    figures_ = deps.metrics->AddSource(
        [this](std::vector<MetricSample>& samples) { AddTotals(stats(), samples); });
  }
  ~Transport() override { Stop(); }

  void Send(uint64_t node, std::vector<consensus::PeerMessage> messages) override {
    std::shared_ptr<PeerLink> link;
    {
      const absl::MutexLock lock(&connections_->mutex);
      if (core_->stopping) return;
      std::shared_ptr<PeerLink>& known = connections_->links[node];
      if (known == nullptr) known = std::make_shared<PeerLink>(core_, node);
      link = known;
    }
    link->Send(std::move(messages));
  }

  void Fetch(uint64_t node, const consensus::SnapshotId& snapshot, consensus::SnapshotSink& sink,
             std::function<void(absl::Status)> done) override {
    auto fetch = std::make_shared<PeerFetch>(core_, node, snapshot, sink, std::move(done));
    {
      const absl::MutexLock lock(&connections_->mutex);
      connections_->fetches.push_back(fetch);
    }
    core_->CallBegins();  // until `done` was called
    // Also when stopping, so that `done` is called there.
    core_->deps.file_executor->Schedule([fetch] { fetch->Start(); });
  }

  void CancelFetches(const consensus::SnapshotId& snapshot) override {
    for (const auto& fetch : connections_->Fetches()) {
      if (fetch->snapshot().group == snapshot.group && fetch->snapshot().token == snapshot.token) {
        fetch->Cancel();
      }
    }
  }

  void SetReceiver(consensus::PeerReceiver* receiver) override { core_->receiver = receiver; }
  void SetSnapshotSource(consensus::SnapshotSource* source) override { core_->source = source; }
  grpc::Service* service() override { return service_.get(); }

  void Stop() override {
    {
      const absl::MutexLock lock(&connections_->mutex);
      core_->stopping = true;
    }
    for (const auto& link : connections_->Links()) link->Stop();
    for (const auto& fetch : connections_->Fetches()) fetch->Cancel();
    core_->AwaitNoCalls();
  }

  Stats stats() const override {
    const PeerCounters& c = core_->counters;
    return {.frames_sent = c.frames_sent,
            .messages_sent = c.messages_sent,
            .bytes_sent = c.bytes_sent,
            .frames_received = c.frames_received,
            .messages_received = c.messages_received,
            .messages_dropped = c.messages_dropped,
            .wrong_cluster = c.wrong_cluster,
            .wrong_node = c.wrong_node,
            .unauthenticated = c.unauthenticated,
            .reconnects = c.reconnects,
            .snapshot_bytes_sent = c.snapshot_bytes_sent,
            .snapshot_bytes_received = c.snapshot_bytes_received};
  }

 private:
  const std::shared_ptr<PeerCore> core_;  // shared with links, fetches and the service's calls
  const std::shared_ptr<Connections> connections_ = std::make_shared<Connections>();
  const std::unique_ptr<grpc::Service> service_;
  Metrics::Source figures_;  // ends first
};

}  // namespace

std::unique_ptr<GrpcPeerTransport> GrpcPeerTransport::Create(const PeerTransportOptions& options,
                                                             const PeerTransportDeps& deps) {
  CHECK(deps.resolve != nullptr && deps.clock != nullptr && deps.timer != nullptr);
  CHECK(deps.file_executor != nullptr);
  CHECK_NE(options.node, uint64_t{0});
  return std::make_unique<Transport>(options, deps);
}

}  // namespace vectron::rpc
