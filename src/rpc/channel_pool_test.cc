#include "rpc/channel_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "rpc/error_table.h"
#include "rpc/refusing_address_testing.h"
#include "rpc/worker_client.h"

namespace vectron::rpc {
namespace {

absl::Status Describe(WorkerClient& client) {
  absl::Status result;
  absl::Notification done;
  client.Describe({}, 0, [&](const absl::StatusOr<std::vector<ShardInfo>>& infos) {
    result = infos.status();
    done.Notify();
  });
  done.WaitForNotification();
  return result;
}

// Takes connections as an HTTP/2 server does, and hangs up once the head of a call has come.
class HangsUp {
 public:
  HangsUp() {
    listener_.Listen();
    thread_ = std::thread([this] {
      for (int fd = listener_.Accept(); fd >= 0; fd = listener_.Accept()) {
        Serve(fd);
        ::close(fd);
      }
    });
  }
  ~HangsUp() {
    listener_.Close();
    thread_.join();
  }
  const std::string& address() const { return listener_.text(); }
  int heads() const { return heads_; }

 private:
  static bool ReadAll(int fd, uint8_t* bytes, size_t size) {
    for (size_t have = 0; have < size;) {
      const ssize_t got = ::read(fd, bytes + have, size - have);
      if (got <= 0) return false;
      have += static_cast<size_t>(got);
    }
    return true;
  }
  void Serve(int fd) {
    constexpr uint8_t kSettings[9] = {0, 0, 0, 4, 0, 0, 0, 0, 0};  // none
    constexpr uint8_t kHeaders = 1;
    uint8_t preface[24];
    if (::send(fd, kSettings, sizeof kSettings, MSG_NOSIGNAL) != sizeof kSettings) return;
    if (!ReadAll(fd, preface, sizeof preface)) return;
    for (;;) {
      uint8_t frame[9];  // three bytes of length, type, flags, stream
      if (!ReadAll(fd, frame, sizeof frame)) return;
      std::vector<uint8_t> body(static_cast<size_t>(frame[0] << 16 | frame[1] << 8 | frame[2]));
      if (!ReadAll(fd, body.data(), body.size())) return;
      if (frame[3] != kHeaders) continue;
      ++heads_;
      return;
    }
  }

  RefusingAddress listener_;
  std::atomic<int> heads_{0};
  std::thread thread_;
};

TEST(ChannelPool, TellsThatACallNeverLeftWhereConnectionsAreRefused) {
  const RefusingAddress nobody;
  SystemClock clock;
  WorkerClient client(nobody.text(), {}, clock);
  for (int i = 0; i < 3; ++i) {  // while it connects, and while it waits to try again
    const absl::Status status = Describe(client);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_TRUE(NothingWasDone(status)) << status;
  }
}

TEST(ChannelPool, ClaimsNothingOfACallThatArrived) {
  HangsUp server;
  SystemClock clock;
  WorkerClient client(server.address(), {.connections = 1}, clock);
  absl::Status status;
  while (server.heads() == 0) status = Describe(client);  // a busy machine may connect too slowly
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_FALSE(NothingWasDone(status)) << status;
}

}  // namespace
}  // namespace vectron::rpc
