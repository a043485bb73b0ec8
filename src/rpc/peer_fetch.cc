#include "rpc/peer_fetch.h"

#include <grpcpp/support/client_callback.h>

#include <optional>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "vectron/peer.grpc.pb.h"

namespace vectron::rpc {
namespace {

absl::Status FromGrpc(const grpc::Status& status) {
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

// Whether asking again may help.
bool CanRetry(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
         absl::IsAborted(status) || absl::IsDeadlineExceeded(status) || absl::IsCancelled(status);
}

}  // namespace

// One call: a part is read, taken on the file executor, and then the next is read.
class PeerFetch::Call final : public grpc::ClientReadReactor<peer::v1::SnapshotPart> {
 public:
  Call(std::shared_ptr<PeerFetch> fetch, const std::string& address)
      : fetch_(std::move(fetch)),
        stub_(peer::v1::PeerService::NewStub(fetch_->core_->ChannelTo(address))) {
    const PeerCore& core = *fetch_->core_;
    core.Authenticate(context_);
    request_.set_cluster_id(core.options.cluster_id);
    request_.set_from_node(core.options.node);
    request_.set_to_node(fetch_->node_);
    request_.set_group(fetch_->snapshot_.group);
    request_.set_token(fetch_->snapshot_.token);
    request_.set_file(fetch_->position_.file);
    request_.set_offset(fetch_->position_.offset);
  }
  void Begin() {
    fetch_->core_->CallBegins();
    stub_->async()->FetchSnapshot(&context_, &request_, this);
    AddHold();  // reads begin on the file executor
    StartRead(&part_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }
  peer::v1::SnapshotPart& part() { return part_; }
  const peer::v1::FetchSnapshotRequest& request() const { return request_; }

  void OnReadDone(bool ok) override {
    if (!ok) {
      RemoveHold();
      return;
    }
    fetch_->core_->deps.file_executor->Schedule([this] {
      local_ = fetch_->Take(*this);
      if (local_.ok()) {
        StartRead(&part_);
      } else {
        context_.TryCancel();
        RemoveHold();
      }
    });
  }
  void OnDone(const grpc::Status& status) override {
    fetch_->OnEnded(local_.ok() ? FromGrpc(status) : local_);
    const std::shared_ptr<PeerCore> core = fetch_->core_;
    delete this;
    core->CallEnds();
  }

 private:
  const std::shared_ptr<PeerFetch> fetch_;
  const std::unique_ptr<peer::v1::PeerService::Stub> stub_;
  grpc::ClientContext context_;
  peer::v1::FetchSnapshotRequest request_;
  peer::v1::SnapshotPart part_;
  absl::Status local_;  // what this side ended the call for
};

void PeerFetch::Start() {
  {
    const absl::MutexLock lock(&mutex_);
    last_progress_nanos_ = core_->Now();
  }
  Connect();
}

void PeerFetch::Connect() {
  const std::optional<std::string> address = core_->deps.resolve(node_);
  if (!address) {
    OnEnded(Unavailable("node {} is nowhere known", node_));
    return;
  }
  {
    const absl::MutexLock lock(&mutex_);
    if (!cancelled_ && !core_->stopping) {
      call_ = new Call(shared_from_this(), *address);  // deletes itself at its end
      last_part_nanos_ = core_->Now();
      call_->Begin();
      return;
    }
  }
  Finish(Cancelled("snapshot '{}' is wanted no more", snapshot_.token));
}

absl::Status PeerFetch::Take(Call& call) {
  const peer::v1::SnapshotPart& part = call.part();
  if (part.has_files()) {
    files_.clear();
    for (const auto& file : part.files().files()) files_.push_back({file.name(), file.bytes()});
    ASSIGN_OR_RETURN(position_, sink_.Begin(files_));
    listed_ = true;
    // The sink goes on elsewhere than this call was asked to: another call then.
    const bool fits =
        position_.file == call.request().file() && position_.offset == call.request().offset();
    if (!fits) return Aborted("to go on at file {}", position_.file);
  } else {
    if (!listed_) return DataLoss("snapshot '{}': a chunk before the list", snapshot_.token);
    consensus::SnapshotChunk chunk;
    chunk.at = {.file = part.chunk().file(), .offset = part.chunk().offset()};
    chunk.crc32c = part.chunk().crc32c();
    chunk.bytes = std::move(*call.part().mutable_chunk()->mutable_content());
    RETURN_IF_ERROR(sink_.Write(chunk));
    core_->counters.snapshot_bytes_received += chunk.bytes.size();
    position_.offset += chunk.bytes.size();
    if (position_.file < files_.size() && position_.offset >= files_[position_.file].bytes) {
      position_ = {.file = position_.file + 1, .offset = 0};
    }
  }
  const absl::MutexLock lock(&mutex_);
  last_part_nanos_ = last_progress_nanos_ = core_->Now();
  return cancelled_ ? absl::CancelledError("wanted no more") : absl::OkStatus();
}

void PeerFetch::OnEnded(const absl::Status& status) {
  bool again = false;
  const bool complete = status.ok() && listed_ && position_.file >= files_.size();
  {
    const absl::MutexLock lock(&mutex_);
    call_ = nullptr;
    const bool patient =
        core_->Now() - last_progress_nanos_ < core_->options.snapshot_patience_ms * kNanosPerMilli;
    again = !complete && (status.ok() || CanRetry(status)) && patient && !cancelled_ &&
            !core_->stopping;
  }
  if (!again) {
    Finish(complete || !status.ok()
               ? status
               : Unavailable("snapshot '{}' came in part only", snapshot_.token));
    return;
  }
  const int64_t pause_ms = absl::IsAborted(status) ? 0 : core_->options.min_backoff_ms * 4;
  core_->deps.timer->At(core_->Now() + pause_ms * kNanosPerMilli, [weak = weak_from_this()] {
    const std::shared_ptr<PeerFetch> fetch = weak.lock();
    if (fetch != nullptr) fetch->core_->deps.file_executor->Schedule([fetch] { fetch->Connect(); });
  });
}

void PeerFetch::Finish(const absl::Status& status) {
  std::function<void(absl::Status)> done;
  {
    const absl::MutexLock lock(&mutex_);
    done = std::exchange(done_, nullptr);
  }
  if (!done) return;
  done(status);
  core_->CallEnds();  // begun when it was asked for
}

void PeerFetch::Cancel() {
  const absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  if (call_ != nullptr) call_->Cancel();
}

void PeerFetch::CheckStuck() {
  const absl::MutexLock lock(&mutex_);
  if (call_ == nullptr ||
      core_->Now() - last_part_nanos_ < core_->options.stuck_write_ms * 2 * kNanosPerMilli)
    return;
  last_part_nanos_ = core_->Now();
  LogWarning("node {}: a snapshot came to a halt; asking again", node_);
  call_->Cancel();
}

bool PeerFetch::finished() const {
  const absl::MutexLock lock(&mutex_);
  return done_ == nullptr;
}

}  // namespace vectron::rpc
