#include "rpc/peer_service.h"

#include <grpcpp/support/server_callback.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "rpc/cluster_secret.h"
#include "vectron/peer.grpc.pb.h"

namespace vectron::rpc {
namespace {

using peer::v1::FetchSnapshotRequest;
using peer::v1::PeerFrame;
using peer::v1::SnapshotPart;

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

// Whether a call shows the cluster's credential, where one is asked for.
bool Authenticated(PeerCore& core, const grpc::CallbackServerContext& context) {
  const bool by_certificate = core.options.trust_certificates;
  if (core.options.secret.empty() && !by_certificate) return true;
  if (by_certificate && context.auth_context()->IsPeerAuthenticated()) return true;
  const auto found = context.client_metadata().find(kClusterSecretHeader);
  const bool good = !core.options.secret.empty() && found != context.client_metadata().end() &&
                    SecretsEqual({found->second.data(), found->second.size()}, core.options.secret);
  if (!good) ++core.counters.unauthenticated;
  return good;
}

// Whether a frame or request belongs here; counts when not.
template <typename Message>
bool BelongsHere(PeerCore& core, const Message& message) {
  if (message.cluster_id() != core.options.cluster_id) {
    ++core.counters.wrong_cluster;
    return false;
  }
  if (message.to_node() != core.options.node || message.from_node() == 0) {
    ++core.counters.wrong_node;
    return false;
  }
  return true;
}

const grpc::Status kNoSecret(grpc::StatusCode::UNAUTHENTICATED,
                             "the cluster's credential is missing or wrong");
const grpc::Status kWrongPlace(grpc::StatusCode::FAILED_PRECONDITION,
                               "another cluster, or another node");
const grpc::Status kNotYet(grpc::StatusCode::UNAVAILABLE, "not serving yet");

// Frames of one other node.
class Incoming final : public grpc::ServerBidiReactor<PeerFrame, PeerFrame> {
 public:
  Incoming(std::shared_ptr<PeerCore> core, const grpc::CallbackServerContext& context)
      : core_(std::move(core)) {
    if (!Authenticated(*core_, context)) {
      Finish(kNoSecret);
      return;
    }
    StartRead(&frame_);
  }
  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::OK);
      return;
    }
    const grpc::Status taken = Take();
    if (!taken.ok()) {
      Finish(taken);
      return;
    }
    StartRead(&frame_);
  }
  void OnDone() override { delete this; }

 private:
  grpc::Status Take() {
    if (!BelongsHere(*core_, frame_)) return kWrongPlace;
    if (from_ == 0) from_ = frame_.from_node();
    if (frame_.from_node() != from_) {
      ++core_->counters.wrong_node;
      return kWrongPlace;
    }
    consensus::PeerReceiver* const receiver = core_->receiver;
    if (receiver == nullptr) return kNotYet;
    std::vector<consensus::PeerMessage> messages;
    messages.reserve(static_cast<size_t>(frame_.messages_size()));
    for (peer::v1::PeerMessage& message : *frame_.mutable_messages()) {
      messages.push_back({.group = message.group(),
                          .from = message.from(),
                          .to = message.to(),
                          .type = message.type(),
                          .bytes = std::move(*message.mutable_content()),
                          .snapshot_token = std::move(*message.mutable_snapshot_token()),
                          .snapshot_index = message.snapshot_index()});
    }
    ++core_->counters.frames_received;
    core_->counters.messages_received += messages.size();
    receiver->Receive(from_, std::move(messages));
    return grpc::Status::OK;
  }

  const std::shared_ptr<PeerCore> core_;
  uint64_t from_ = 0;
  PeerFrame frame_;
};

// What all transfers of this node share: how many there are, and how fast they may be.
class Budget {
 public:
  explicit Budget(PeerCore& core) : core_(core) {}
  bool Begin() {
    const absl::MutexLock lock(&mutex_);
    if (transfers_ >= core_.options.max_snapshot_transfers) return false;
    ++transfers_;
    return true;
  }
  void End() {
    const absl::MutexLock lock(&mutex_);
    --transfers_;
  }
  // When so many bytes more may go; 0: now.
  int64_t Reserve(size_t bytes) {
    const absl::MutexLock lock(&mutex_);
    const int64_t now = core_.Now();
    const int64_t start = std::max(now, free_at_nanos_);
    free_at_nanos_ =
        start + static_cast<int64_t>(static_cast<double>(bytes) * 1e9 /
                                     static_cast<double>(core_.options.snapshot_bytes_per_second));
    return start > now ? start : 0;
  }

 private:
  PeerCore& core_;
  absl::Mutex mutex_;
  size_t transfers_ = 0;
  int64_t free_at_nanos_ = 0;
};

// One snapshot on its way to another node. At any time one step is under way, which ends in a write
// or in Finish.
class Outgoing final : public grpc::ServerWriteReactor<SnapshotPart> {
 public:
  Outgoing(std::shared_ptr<PeerCore> core, std::shared_ptr<Budget> budget,
           const grpc::CallbackServerContext& context, const FetchSnapshotRequest& request)
      : core_(std::move(core)),
        budget_(std::move(budget)),
        snapshot_{request.group(), request.token()} {
    at_ = {.file = request.file(), .offset = request.offset()};
    source_ = core_->source;
    grpc::Status refused;
    if (!Authenticated(*core_, context)) {
      refused = kNoSecret;
    } else if (!BelongsHere(*core_, request)) {
      refused = kWrongPlace;
    } else if (source_ == nullptr) {
      refused = kNotYet;
    } else if (!budget_->Begin()) {
      refused = {grpc::StatusCode::RESOURCE_EXHAUSTED, "enough snapshots are on their way"};
    } else {
      begun_ = true;
      core_->deps.file_executor->Schedule([this] { SendList(); });
      return;
    }
    Finish(refused);
  }
  void OnWriteDone(bool ok) override {
    if (!ok || cancelled_) {
      Finish(grpc::Status::CANCELLED);
      return;
    }
    Pace();
  }
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override {
    if (begun_) budget_->End();
    delete this;
  }

 private:
  void SendList() {
    auto files = source_->List(snapshot_);
    if (!files.ok()) {
      Finish(ToGrpc(files.status()));
      return;
    }
    files_ = *std::move(files);
    for (const consensus::SnapshotFile& file : files_) {
      SnapshotPart::File& listed = *part_.mutable_files()->add_files();
      listed.set_name(file.name);
      listed.set_bytes(file.bytes);
    }
    part_.mutable_files();  // also when it is empty
    StartWrite(&part_);
  }
  // Waits for the rate, without a thread.
  void Pace() {
    const int64_t at = budget_->Reserve(core_->options.snapshot_chunk_bytes);
    const auto next = [this] { core_->deps.file_executor->Schedule([this] { SendChunk(); }); };
    if (at == 0) {
      next();
    } else {
      core_->deps.timer->At(at, next);
    }
  }
  void SendChunk() {
    if (cancelled_ || at_.file >= files_.size()) {
      Finish(cancelled_ ? grpc::Status::CANCELLED : grpc::Status::OK);
      return;
    }
    auto chunk = source_->Read(snapshot_, at_, core_->options.snapshot_chunk_bytes);
    if (!chunk.ok()) {
      Finish(ToGrpc(chunk.status()));
      return;
    }
    SnapshotPart::Chunk& sent = *part_.mutable_chunk();
    sent.set_file(at_.file);
    sent.set_offset(at_.offset);
    sent.set_crc32c(chunk->crc32c);
    at_.offset += chunk->bytes.size();
    core_->counters.snapshot_bytes_sent += chunk->bytes.size();
    sent.set_content(std::move(chunk->bytes));
    if (at_.offset >= files_[at_.file].bytes) at_ = {.file = at_.file + 1, .offset = 0};
    StartWrite(&part_);
  }

  const std::shared_ptr<PeerCore> core_;
  const std::shared_ptr<Budget>
      budget_;  // shared by all transfers, one of which may be the last user
  const consensus::SnapshotId snapshot_;
  consensus::SnapshotSource* source_ = nullptr;
  consensus::SnapshotPosition at_;
  std::vector<consensus::SnapshotFile> files_;
  SnapshotPart part_;
  bool begun_ = false;
  std::atomic<bool> cancelled_{false};
};

class PeerServiceImpl final : public peer::v1::PeerService::CallbackService {
 public:
  explicit PeerServiceImpl(std::shared_ptr<PeerCore> core)
      : core_(std::move(core)), budget_(std::make_shared<Budget>(*core_)) {}
  grpc::ServerBidiReactor<PeerFrame, PeerFrame>* Exchange(
      grpc::CallbackServerContext* context) override {
    return new Incoming(core_, *context);  // deletes itself at its end
  }
  grpc::ServerWriteReactor<SnapshotPart>* FetchSnapshot(
      grpc::CallbackServerContext* context, const FetchSnapshotRequest* request) override {
    return new Outgoing(core_, budget_, *context, *request);  // deletes itself at its end
  }

 private:
  const std::shared_ptr<PeerCore> core_;
  const std::shared_ptr<Budget> budget_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakePeerService(std::shared_ptr<PeerCore> core) {
  return std::make_unique<PeerServiceImpl>(std::move(core));
}

}  // namespace vectron::rpc
