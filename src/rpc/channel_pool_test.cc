#include "rpc/channel_pool.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/metrics.h"
#include "base/status.h"
#include "rpc/error_table.h"
#include "rpc/grpc_server.h"
#include "rpc/refusing_address_testing.h"
#include "rpc/rpc_registry.h"
#include "rpc/worker_client.h"
#include "vectron/worker.pb.h"

namespace vectron::rpc {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;

// deadline_ms: from now; 0: none of its own.
absl::Status Describe(WorkerClient& client, const Clock& clock, int64_t deadline_ms) {
  absl::Status result;
  absl::Notification done;
  const int64_t deadline =
      deadline_ms == 0 ? 0 : clock.MonotonicNanos() + deadline_ms * kNanosPerMilli;
  client.Describe({}, deadline, [&](const absl::StatusOr<std::vector<ShardInfo>>& infos) {
    result = infos.status();
    done.Notify();
  });
  done.WaitForNotification();
  return result;
}

// A worker that takes calls and does not answer while it lives.
class SilentWorker {
 public:
  SilentWorker() {
    EXPECT_TRUE(registry_.AddService("vectron.worker.v1.WorkerService").ok());
    registry_.Unary<worker::v1::DescribeShardsRequest, worker::v1::DescribeShardsResponse>(
        "vectron.worker.v1.WorkerService.DescribeShards",
        [this](CallContext&, worker::v1::DescribeShardsRequest&,
               worker::v1::DescribeShardsResponse&, RpcDone done) {
          const absl::MutexLock lock(&mutex_);
          asked_.push_back(std::move(done));
        });
    server_ = *GrpcServer::Start({}, registry_);
  }
  ~SilentWorker() {
    for (const RpcDone& done : asked()) done(Unavailable("it goes"));
  }
  std::vector<RpcDone> asked() {
    const absl::MutexLock lock(&mutex_);
    return asked_;
  }
  const std::string& address() const { return server_->bound_address(); }

 private:
  Metrics metrics_;
  SystemClock clock_;
  RpcRegistry registry_{metrics_, clock_, {}};
  absl::Mutex mutex_;
  std::vector<RpcDone> asked_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<GrpcServer> server_;
};

TEST(ChannelPool, TellsThatACallNeverLeftWhereConnectionsAreRefused) {
  const RefusingAddress nobody;
  SystemClock clock;
  WorkerClient client(nobody.text(), {}, clock);
  for (int i = 0; i < 3; ++i) {  // while it connects, and while it waits to try again
    const absl::Status status = Describe(client, clock, 0);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_TRUE(NothingWasDone(status)) << status;
  }
}

TEST(ChannelPool, ClaimsNothingOfACallThatArrived) {
  SilentWorker silent;
  SystemClock clock;
  WorkerClient client(silent.address(), {}, clock);
  absl::Status status;
  for (int64_t patience_ms = 100; silent.asked().empty(); patience_ms *= 2) {
    ASSERT_LT(patience_ms, 60'000);
    status = Describe(client, clock, patience_ms);
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_FALSE(NothingWasDone(status)) << status;
}

}  // namespace
}  // namespace vectron::rpc
