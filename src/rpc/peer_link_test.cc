#include "rpc/peer_link.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>

#include "absl/time/time.h"
#include "rpc/refusing_address_testing.h"
#include "vectron/peer.grpc.pb.h"

namespace vectron::rpc {
namespace {

constexpr uint64_t kNode = 2;

// Set by one thread, read by others.
class SharedClock : public Clock {
 public:
  int64_t MonotonicNanos() const override { return nanos_; }
  int64_t UnixMillis() const override { return 0; }
  void AdvanceMillis(int64_t millis) { nanos_ += millis * kNanosPerMilli; }

 private:
  std::atomic<int64_t> nanos_{1};
};

// Counts, for those who wait.
class Count {
 public:
  void Add() {
    const absl::MutexLock lock(&mutex_);
    ++value_;
  }
  // False after half a minute.
  bool Reaches(int wanted) {
    const auto reached = [this, wanted] {
      mutex_.AssertReaderHeld();
      return value_ >= wanted;
    };
    const absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(&reached), absl::Seconds(30));
  }

 private:
  absl::Mutex mutex_;
  int value_ ABSL_GUARDED_BY(mutex_) = 0;
};

class Receiver : public consensus::PeerReceiver {
 public:
  void Receive(uint64_t, std::vector<consensus::PeerMessage>) override {}
  void ReportUnreachable(uint64_t node) override {
    EXPECT_EQ(node, kNode);
    unreachable.Add();
  }
  Count unreachable;
};

// Takes calls, and never a frame.
class SilentService final : public peer::v1::PeerService::CallbackService {
 public:
  grpc::ServerBidiReactor<peer::v1::PeerFrame, peer::v1::PeerFrame>* Exchange(
      grpc::CallbackServerContext*) override {
    class Silent final : public grpc::ServerBidiReactor<peer::v1::PeerFrame, peer::v1::PeerFrame> {
     public:
      void OnCancel() override { Finish(grpc::Status::CANCELLED); }
      void OnDone() override { delete this; }
    };
    calls.Add();
    return new Silent;  // deletes itself at its end
  }
  Count calls;
};

class PeerLinkTest : public testing::Test {
 protected:
  PeerLinkTest() { Make({}); }
  ~PeerLinkTest() override { End(); }

  void Make(PeerTransportOptions options) {
    if (link_ != nullptr) End();
    options.cluster_id = "c";
    options.node = 1;
    core_ = std::make_shared<PeerCore>(
        options,
        PeerTransportDeps{.resolve = [this](uint64_t) { return address_; }, .clock = &clock_});
    core_->receiver = &receiver_;
    link_ = std::make_shared<PeerLink>(core_, kNode);
  }
  void End() {
    link_->Stop();
    core_->AwaitNoCalls();
  }
  // More than any peer takes that does not read.
  void SendMuch() {
    link_->Send({{.group = 1,
                  .from = 1,
                  .to = 2,
                  .type = 3,
                  .bytes = std::string(1 << 20, 'x'),
                  .snapshot_token = {}}});
  }

  SilentService service_;
  std::unique_ptr<grpc::Server> server_;  // of the other node
  SharedClock clock_;
  Receiver receiver_;
  std::optional<std::string> address_;
  std::shared_ptr<PeerCore> core_;
  std::shared_ptr<PeerLink> link_;
};

TEST_F(PeerLinkTest, BreaksOffACallWhoseFramesNobodyTakesAndMakesAnother) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);  // its window stays as small as it is
  builder.RegisterService(&service_);
  server_ = builder.BuildAndStart();
  ASSERT_NE(server_, nullptr);
  address_ = "127.0.0.1:" + std::to_string(port);
  PeerTransportOptions options;
  options.min_backoff_ms = options.max_backoff_ms = 30'000;  // and so long it may take to connect
  Make(options);
  const int64_t patience_ms = options.stuck_write_ms;

  SendMuch();
  ASSERT_TRUE(service_.calls.Reaches(1));
  clock_.AdvanceMillis(patience_ms - 1);
  link_->CheckStuck();
  SendMuch();  // waits
  EXPECT_EQ(core_->counters.messages_dropped, 0u);
  EXPECT_EQ(core_->counters.frames_sent, 1u);
  clock_.AdvanceMillis(1);
  link_->CheckStuck();
  ASSERT_TRUE(receiver_.unreachable.Reaches(1));
  EXPECT_EQ(core_->counters.messages_dropped, 1u) << "old news";
  EXPECT_EQ(core_->counters.reconnects, 1u);

  clock_.AdvanceMillis(core_->options.max_backoff_ms);
  SendMuch();
  EXPECT_TRUE(service_.calls.Reaches(2));
}

TEST_F(PeerLinkTest, TellsOfANodeThatTakesConnectionsAndSaysNothing) {
  RefusingAddress listener;
  listener.Listen();
  address_ = listener.text();
  SendMuch();
  EXPECT_TRUE(receiver_.unreachable.Reaches(1));
}

}  // namespace
}  // namespace vectron::rpc
