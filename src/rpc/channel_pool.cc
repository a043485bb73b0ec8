#include "rpc/channel_pool.h"

#include <grpc/support/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/status.h"
#include "rpc/error_table.h"
#include "rpc/hold_grpc.h"

namespace vectron::rpc {
namespace {

// A connection may take so long to come up; with TLS both ends compute for it.
constexpr int kConnectMs = 500;
constexpr int kTlsConnectMs = 2'000;

grpc::ChannelArguments Arguments(int connect_ms) {
  grpc::ChannelArguments arguments;
  // Without this all channels to one address would share one connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetMaxReceiveMessageSize(-1);  // answers of our own workers; they bound them
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kPeerPingMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPeerPingTimeoutMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, connect_ms);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 4 << 20);
  return arguments;
}

// A fault that goes on is told again after this.
constexpr int64_t kFaultLogNanos = 5'000'000'000;

// How users know the part of a cluster that has this service.
std::string_view PartWith(std::string_view service) {
  if (service.find(".auth.") != std::string_view::npos) return "the Auth service";
  if (service.find(".worker.") != std::string_view::npos) return "a worker";
  if (service.find(".placementdriver.") != std::string_view::npos) return "placement";
  if (service.find(".reranker.") != std::string_view::npos) return "the reranker";
  return "another part of the cluster";
}

}  // namespace

ChannelPool::ChannelPool(std::string address, ChannelOptions options, const Clock& clock)
    : address_(std::move(address)), options_(std::move(options)), clock_(clock) {
  CHECK_GT(options_.connections, size_t{0});
  HoldGrpc();
  const bool tls = options_.credentials != nullptr;
  const auto credentials = tls ? options_.credentials : grpc::InsecureChannelCredentials();
  for (size_t i = 0; i < options_.connections; ++i) {
    channels_.push_back(grpc::CreateCustomChannel(address_, credentials,
                                                  Arguments(tls ? kTlsConnectMs : kConnectMs)));
  }
}

ChannelPool::~ChannelPool() { Close(); }

void ChannelPool::Close() {
  const absl::MutexLock lock(&mutex_);
  closed_ = true;
  for (grpc::ClientContext* const context : calls_) context->TryCancel();
  mutex_.Await(absl::Condition(this, &ChannelPool::Quiet));
}

std::shared_ptr<grpc::Channel> ChannelPool::Next() {
  const size_t turn = turn_.fetch_add(1, std::memory_order_relaxed);
  for (size_t i = 0; i < channels_.size(); ++i) {
    const std::shared_ptr<grpc::Channel>& channel = channels_[(turn + i) % channels_.size()];
    if (channel->GetState(/*try_to_connect=*/false) != GRPC_CHANNEL_TRANSIENT_FAILURE)
      return channel;
  }
  return channels_[turn % channels_.size()];
}

void ChannelPool::Begin(grpc::ClientContext& context, int64_t deadline_nanos) {
  const int64_t left_nanos =
      deadline_nanos == 0 ? kMaxCallMs * 1'000'000 : deadline_nanos - clock_.MonotonicNanos();
  context.set_deadline(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(left_nanos, GPR_TIMESPAN)));
  for (const auto& [name, value] : options_.metadata) context.AddMetadata(name, value);
  in_flight_.fetch_add(1, std::memory_order_relaxed);
  const absl::MutexLock lock(&mutex_);
  calls_.insert(&context);
  if (closed_) context.TryCancel();
}

void ChannelPool::Ending(grpc::ClientContext& context) {
  in_flight_.fetch_sub(1, std::memory_order_relaxed);
  const absl::MutexLock lock(&mutex_);
  CHECK_EQ(calls_.erase(&context), size_t{1});
  ending_ += 1;
}

// Of a call that failed as Unavailable. A call's peer is what the channel was made for until the
// head of the call is handed to a connection, whose address ("ipv4:...") it is from then on. So
// gRPC 1.51 has it, and channel_pool_test holds it to that: where it is otherwise, calls that
// arrived would be taken for such that did not. A call that ran out of time has failed in one
// thread while another may just hand it over: of that nothing is certain.
bool ChannelPool::NeverSent(const grpc::ClientContext& context) const {
  const std::string peer = context.peer();
  for (const char* const scheme : {"ipv4:", "ipv6:", "unix:"}) {
    if (peer.starts_with(scheme)) return false;
  }
  return peer == address_ || peer == "dns:///" + address_;
}

absl::Status ChannelPool::ResultOf(const grpc::Status& status, const grpc::ClientContext& context,
                                   std::string_view service) {
  absl::Status result = FromGrpc(status);
  if (absl::IsCancelled(result)) {
    return Unavailable("{} ended the call before its answer", PartWith(service));
  }
  const bool fault = absl::IsUnavailable(result) || absl::IsDeadlineExceeded(result);
  if (!fault || SaidByServer(status)) return result;
  const int64_t now = clock_.MonotonicNanos();
  int64_t logged = fault_logged_nanos_.load(std::memory_order_relaxed);
  if ((logged == 0 || now - logged >= kFaultLogNanos) &&
      fault_logged_nanos_.compare_exchange_strong(logged, now)) {
    LogWarning("{} at {}: {}", PartWith(service), address_, MessageOf(result));
  }
  if (absl::IsDeadlineExceeded(result)) {
    return DeadlineExceeded("{} did not answer in time", PartWith(service));
  }
  result = Unavailable("{} cannot be reached", PartWith(service));
  return NeverSent(context) ? WithNothingDone(std::move(result)) : result;
}

void ChannelPool::End() {
  const absl::MutexLock lock(&mutex_);
  ending_ -= 1;
}

}  // namespace vectron::rpc
