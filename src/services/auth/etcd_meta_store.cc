#include "services/auth/etcd_meta_store.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/executor.h"
#include "base/log.h"
#include "base/status.h"
#include "rpc/error_table.h"
#include "rpc/tls_grpc.h"
#include "vectron/etcd.grpc.pb.h"

namespace vectron::auth {
namespace {

namespace pb = etcdserverpb;

constexpr uint64_t kLogEvery = 30;   // failures in a row, so that an outage does not fill the log
constexpr int kMaxPageKeys = 1'000;  // of one range, so that an answer stays small
constexpr int kKeepAliveMs = 2'000;  // finds a silent etcd, for the watch as well
constexpr int kConnectTimeoutMs = 2'000;
constexpr int kKeepAliveTimeoutMs = 2'000;

// Whether HOST of HOST:PORT is an address, not a name.
bool IsNumeric(const std::string& endpoint) {
  in_addr address{};
  return endpoint.starts_with('[') ||
         ::inet_pton(AF_INET, endpoint.substr(0, endpoint.rfind(':')).c_str(), &address) == 1;
}

// As gRPC names it.
std::string TargetOf(const std::vector<std::string>& endpoints) {
  if (!IsNumeric(endpoints.front())) return "dns:///" + endpoints.front();
  return fmt::format("{}:{}", endpoints.front().starts_with('[') ? "ipv6" : "ipv4",
                     fmt::join(endpoints, ","));
}

// The end of the range of keys that begin with `prefix`.
std::string EndOf(std::string prefix) {
  while (!prefix.empty()) {
    if (static_cast<uint8_t>(prefix.back()) != 0xff) {
      prefix.back() = static_cast<char>(prefix.back() + 1);
      return prefix;
    }
    prefix.pop_back();
  }
  return std::string(1, '\0');  // all keys
}

absl::Status FromEtcd(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  // Whatever it is, nothing can be said about the records now.
  return Unavailable("etcd: {} ({})", status.error_message(),
                     rpc::CodeName(rpc::FromGrpc(status).code()));
}

// A blocking call is what drives a connection that is being made, so it waits for one instead of
// failing at once; its deadline bounds that.
void SetDeadline(grpc::ClientContext& context, int64_t timeout_ms) {
  context.set_wait_for_ready(true);
  context.set_deadline(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(timeout_ms, GPR_TIMESPAN)));
}

}  // namespace

// Reads everything, then follows the watch from the next revision on; begins again when it breaks.
class EtcdMetaStore::Subscription : public MetaSubscription {
 public:
  Subscription(EtcdMetaStore& store, std::string prefix, MetaListener& listener)
      : store_(store), prefix_(std::move(prefix)), listener_(listener) {
    thread_.Schedule([this] { Run(); });
  }
  ~Subscription() override {
    stop_.Notify();
    const absl::MutexLock lock(&mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }

 private:
  void Run() {
    int64_t wait_ms = store_.options_.retry_ms_min;
    uint64_t failures = 0;  // since it last stood
    while (!stop_.HasBeenNotified()) {
      const absl::Status ended = Follow(wait_ms);
      if (stop_.HasBeenNotified()) return;
      if (wait_ms == store_.options_.retry_ms_min) failures = 0;
      if (failures++ % kLogEvery == 0)
        LogWarning("auth store: {}; trying again until it works", MessageOf(ended));
      stop_.WaitForNotificationWithTimeout(absl::Milliseconds(wait_ms));
      wait_ms = std::min(wait_ms * 2, store_.options_.retry_ms_max);
    }
  }

  // One life of the watch. Sets `wait_ms` back once it stands.
  absl::Status Follow(int64_t& wait_ms) {
    ASSIGN_OR_RETURN(Snapshot snapshot, store_.ReadAll(prefix_));
    const int64_t revision = snapshot.revision;
    listener_.OnSnapshot(std::move(snapshot.entries), revision);
    grpc::ClientContext context;
    {
      const absl::MutexLock lock(&mutex_);
      context_ = &context;
    }
    // Stopped before the context was there to be cancelled.
    if (stop_.HasBeenNotified()) context.TryCancel();
    const absl::Status ended = ReadWatch(context, revision + 1, wait_ms);
    const absl::MutexLock lock(&mutex_);
    context_ = nullptr;
    return ended;
  }

  absl::Status ReadWatch(grpc::ClientContext& context, int64_t start, int64_t& wait_ms) {
    const auto stub = pb::Watch::NewStub(store_.channel_);
    const auto stream = stub->Watch(&context);
    pb::WatchRequest request;
    auto& create = *request.mutable_create_request();
    create.set_key(prefix_);
    create.set_range_end(EndOf(prefix_));
    create.set_start_revision(start);
    stream->Write(request);
    pb::WatchResponse response;
    absl::Status refused;
    while (stream->Read(&response)) {
      if (response.canceled()) {
        refused = Unavailable("etcd ended the watch: {} (compacted at {})",
                              response.cancel_reason(), response.compact_revision());
        break;
      }
      if (response.created()) wait_ms = store_.options_.retry_ms_min;
      Tell(response);
    }
    context.TryCancel();
    const grpc::Status status = stream->Finish();
    return refused.ok() ? Annotate(FromEtcd(status), "the watch broke") : refused;
  }

  void Tell(pb::WatchResponse& response) {
    std::vector<MetaChange> changes;
    for (pb::Event& event : *response.mutable_events()) {
      MetaChange change{std::move(*event.mutable_kv()->mutable_key()), std::nullopt,
                        event.kv().mod_revision()};
      if (event.type() == pb::Event::PUT)
        change.value = std::move(*event.mutable_kv()->mutable_value());
      changes.push_back(std::move(change));
    }
    if (!changes.empty()) {
      const int64_t revision = changes.back().revision;
      listener_.OnChanges(std::move(changes), revision);
    }
  }

  EtcdMetaStore& store_;
  const std::string prefix_;
  MetaListener& listener_;
  absl::Notification stop_;
  absl::Mutex mutex_;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  ThreadPool thread_{"etcd-watch", 1};  // last: it uses everything above
};

EtcdMetaStore::EtcdMetaStore(EtcdOptions options) : options_(std::move(options)) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // etcd bounds its answers by our page size
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepAliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepAliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  // It is also how long a connection may take to be made.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  const auto names =
      options_.endpoints.size() == 1 ? rpc::ServerNames::kChecked : rpc::ServerNames::kAny;
  channel_ = grpc::CreateCustomChannel(TargetOf(options_.endpoints),
                                       rpc::GrpcChannelCredentials(options_.tls, names), arguments);
}

EtcdMetaStore::~EtcdMetaStore() = default;

absl::StatusOr<std::unique_ptr<EtcdMetaStore>> EtcdMetaStore::Make(EtcdOptions options) {
  if (options.endpoints.empty()) return InvalidArgument("etcd: no endpoint is named");
  for (const std::string& endpoint : options.endpoints) {
    if (options.endpoints.size() == 1 || IsNumeric(endpoint)) continue;
    return InvalidArgument(
        "etcd: {} is a name, which has to stand alone; of several endpoints "
        "each is a numeric address",
        endpoint);
  }
  return std::unique_ptr<EtcdMetaStore>(new EtcdMetaStore(std::move(options)));
}

absl::StatusOr<EtcdMetaStore::Snapshot> EtcdMetaStore::ReadAll(const std::string& prefix) {
  const auto stub = pb::KV::NewStub(channel_);
  Snapshot snapshot;
  pb::RangeRequest request;
  request.set_key(prefix);
  request.set_range_end(EndOf(prefix));
  request.set_limit(kMaxPageKeys);
  for (;;) {
    grpc::ClientContext context;
    SetDeadline(context, options_.call_timeout_ms);
    pb::RangeResponse response;
    RETURN_IF_ERROR(FromEtcd(stub->Range(&context, request, &response)));
    // Later pages are of the first one's revision, so that all is one moment.
    if (snapshot.revision == 0) {
      snapshot.revision = response.header().revision();
      request.set_revision(snapshot.revision);
    }
    for (pb::KeyValue& kv : *response.mutable_kvs()) {
      snapshot.entries.push_back(
          {std::move(*kv.mutable_key()), std::move(*kv.mutable_value()), kv.mod_revision()});
    }
    if (!response.more() || response.kvs().empty()) return snapshot;
    request.set_key(snapshot.entries.back().key + '\0');
  }
}

absl::StatusOr<std::vector<MetaEntry>> EtcdMetaStore::Read(const std::string& prefix) {
  ASSIGN_OR_RETURN(Snapshot snapshot, ReadAll(prefix));
  return std::move(snapshot.entries);
}

absl::StatusOr<int64_t> EtcdMetaStore::Grant(int64_t ttl_seconds) {
  grpc::ClientContext context;
  SetDeadline(context, options_.call_timeout_ms);
  pb::LeaseGrantRequest request;
  request.set_ttl(ttl_seconds);
  pb::LeaseGrantResponse response;
  RETURN_IF_ERROR(FromEtcd(pb::Lease::NewStub(channel_)->LeaseGrant(&context, request, &response)));
  return response.id();
}

absl::StatusOr<int64_t> EtcdMetaStore::Commit(const MetaTxn& txn) {
  CHECK(txn.writes.size() <= kMaxTxnWrites);
  pb::TxnRequest request;
  for (const MetaTxn::Compare& expected : txn.compares) {
    pb::Compare& compare = *request.add_compare();
    compare.set_result(pb::Compare::EQUAL);
    compare.set_target(pb::Compare::MOD);
    compare.set_key(expected.key);
    compare.set_mod_revision(expected.revision);
  }
  for (const MetaTxn::Write& write : txn.writes) {
    if (!write.value) {
      request.add_success()->mutable_request_delete_range()->set_key(write.key);
      continue;
    }
    pb::PutRequest& put = *request.add_success()->mutable_request_put();
    put.set_key(write.key);
    put.set_value(*write.value);
    if (write.ttl_seconds > 0) {
      ASSIGN_OR_RETURN(const int64_t lease, Grant(write.ttl_seconds));
      put.set_lease(lease);
    }
  }
  grpc::ClientContext context;
  SetDeadline(context, options_.call_timeout_ms);
  pb::TxnResponse response;
  RETURN_IF_ERROR(FromEtcd(pb::KV::NewStub(channel_)->Txn(&context, request, &response)));
  if (!response.succeeded()) return Aborted("a record has changed meanwhile");
  return response.header().revision();
}

std::unique_ptr<MetaSubscription> EtcdMetaStore::Subscribe(const std::string& prefix,
                                                           MetaListener& listener) {
  return std::make_unique<Subscription>(*this, prefix, listener);
}

}  // namespace vectron::auth
