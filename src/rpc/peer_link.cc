#include "rpc/peer_link.h"

#include <grpcpp/support/client_callback.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"
#include "vectron/peer.grpc.pb.h"

namespace vectron::rpc {
namespace {

// A call that lived so long was no failure: the next one follows soon.
constexpr int64_t kSettledMs = 5'000;

}  // namespace

// One call. Reads are only there to learn that it broke: the other side sends nothing.
class PeerLink::Call final
    : public grpc::ClientBidiReactor<peer::v1::PeerFrame, peer::v1::PeerFrame> {
 public:
  Call(std::shared_ptr<PeerLink> link, const std::shared_ptr<grpc::Channel>& channel)
      : link_(std::move(link)), stub_(peer::v1::PeerService::NewStub(channel)) {
    link_->core_->Authenticate(context_);
    link_->core_->CallBegins();
    stub_->async()->Exchange(&context_, this);
    AddHold();  // writes begin outside of reactions
    StartRead(&nothing_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }
  peer::v1::PeerFrame& frame() { return frame_; }
  void Write() { StartWrite(&frame_); }

  void OnReadDone(bool ok) override {
    if (ok) {
      StartRead(&nothing_);
      return;
    }
    link_->OnBroken();
    RemoveHold();
  }
  void OnWriteDone(bool ok) override { link_->OnWritten(ok); }
  void OnDone(const grpc::Status& status) override {
    if (!status.ok() && !link_->core_->stopping) {
      LogInfo("node {}: the call ended: {}", link_->node_, status.error_message());
    }
    link_->OnEnded(status.ok());
    const std::shared_ptr<PeerCore> core = link_->core_;
    delete this;
    core->CallEnds();
  }

 private:
  const std::shared_ptr<PeerLink> link_;
  const std::unique_ptr<peer::v1::PeerService::Stub> stub_;
  grpc::ClientContext context_;
  peer::v1::PeerFrame frame_;
  peer::v1::PeerFrame nothing_;
};

bool PeerLink::Waits() const {
  return stopped_ || (call_ == nullptr && (ending_ || core_->Now() < retry_at_nanos_));
}

void PeerLink::Send(std::vector<consensus::PeerMessage> messages) {
  bool connects = false;
  {
    const absl::MutexLock lock(&mutex_);
    if (Waits()) {
      core_->counters.messages_dropped += messages.size();
      return;
    }
    connects = call_ == nullptr;
  }
  const std::optional<std::string> address = connects ? core_->deps.resolve(node_) : std::nullopt;
  {
    const absl::MutexLock lock(&mutex_);
    if (Waits()) {
      core_->counters.messages_dropped += messages.size();
      return;
    }
    if (call_ != nullptr || address) {
      Queue(std::move(messages));
      if (call_ == nullptr) Connect(*address);
      if (!writing_) WriteNext();
      return;
    }
    core_->counters.messages_dropped += messages.size();
    BackOff();
  }
  ReportUnreachable();
}

void PeerLink::Queue(std::vector<consensus::PeerMessage> messages) {
  for (consensus::PeerMessage& message : messages) {
    const size_t bytes = message.bytes.size();
    if (queue_bytes_ + bytes > core_->options.max_queue_bytes && !queue_.empty()) {
      ++core_->counters.messages_dropped;
      continue;
    }
    queue_bytes_ += bytes;
    queue_.push_back(std::move(message));
  }
}

void PeerLink::Connect(const std::string& address) {
  if (channel_ == nullptr || address != address_) {
    channel_ = core_->ChannelTo(address);
    address_ = address;
  }
  call_began_nanos_ = core_->Now();
  call_ = new Call(shared_from_this(), channel_);  // deletes itself at its end
}

void PeerLink::WriteNext() {
  if (queue_.empty()) return;
  peer::v1::PeerFrame& frame = call_->frame();
  frame.Clear();
  frame.set_cluster_id(core_->options.cluster_id);
  frame.set_from_node(core_->options.node);
  frame.set_to_node(node_);
  size_t bytes = 0;
  while (!queue_.empty() &&
         (bytes == 0 || bytes + queue_.front().bytes.size() <= core_->options.max_frame_bytes)) {
    consensus::PeerMessage& message = queue_.front();
    const size_t size = message.bytes.size();
    bytes += size + 1;
    queue_bytes_ -= size;
    peer::v1::PeerMessage& sent = *frame.add_messages();
    sent.set_group(message.group);
    sent.set_from(message.from);
    sent.set_to(message.to);
    sent.set_type(message.type);
    sent.set_content(std::move(message.bytes));
    sent.set_snapshot_token(std::move(message.snapshot_token));
    sent.set_snapshot_index(message.snapshot_index);
    core_->counters.bytes_sent += size;
    queue_.pop_front();
  }
  ++core_->counters.frames_sent;
  core_->counters.messages_sent += static_cast<uint64_t>(frame.messages_size());
  writing_ = true;
  write_began_nanos_ = core_->Now();
  call_->Write();
}

void PeerLink::DropQueue() {
  core_->counters.messages_dropped += queue_.size();
  queue_.clear();
  queue_bytes_ = 0;
}

void PeerLink::BackOff() {
  const PeerTransportOptions& options = core_->options;
  backoff_ms_ = std::clamp(backoff_ms_ * 2, options.min_backoff_ms, options.max_backoff_ms);
  retry_at_nanos_ = core_->Now() + backoff_ms_ * kNanosPerMilli;
}

void PeerLink::OnWritten(bool ok) {
  const absl::MutexLock lock(&mutex_);
  writing_ = false;
  if (ok && call_ != nullptr) WriteNext();
}

void PeerLink::OnBroken() {
  const absl::MutexLock lock(&mutex_);
  call_ = nullptr;
  ending_ = true;
}

void PeerLink::OnEnded(bool reached) {
  {
    const absl::MutexLock lock(&mutex_);
    ending_ = false;
    writing_ = false;
    DropQueue();  // old news; what matters is said again
    const bool settled = core_->Now() - call_began_nanos_ > kSettledMs * kNanosPerMilli;
    if (settled || reached) backoff_ms_ = 0;
    BackOff();
    ++core_->counters.reconnects;
    if (stopped_) return;
  }
  ReportUnreachable();
}

void PeerLink::ReportUnreachable() const {
  consensus::PeerReceiver* const receiver = core_->receiver;
  if (receiver != nullptr && !core_->stopping) receiver->ReportUnreachable(node_);
}

void PeerLink::CheckStuck() {
  const absl::MutexLock lock(&mutex_);
  if (call_ == nullptr || !writing_) return;
  if (core_->Now() - write_began_nanos_ < core_->options.stuck_write_ms * kNanosPerMilli) return;
  LogWarning("node {}: takes no frames; the call is broken off", node_);
  call_->Cancel();
}

void PeerLink::Stop() {
  const absl::MutexLock lock(&mutex_);
  stopped_ = true;
  if (call_ != nullptr) call_->Cancel();
}

}  // namespace vectron::rpc
