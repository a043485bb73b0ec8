// What goes over the wire: compressed when asked for, and no larger than allowed. VECTRON_BINARY
// names the server.

#include <poll.h>

#include <array>
#include <atomic>
#include <thread>

#include "process_testing.h"

namespace vectron {
namespace {

// Passes one connection on to an address of 127.0.0.1, counting the bytes that go there.
class Relay {
 public:
  explicit Relay(const std::string& to)
      : port_(std::stoi(to.substr(to.rfind(':') + 1))), thread_([this] { Run(); }) {}
  ~Relay() {
    ::shutdown(listener_.socket(), SHUT_RDWR);  // wakes the thread
    thread_.join();
  }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  std::string address() const { return listener_.address(); }
  size_t sent() const { return sent_; }

 private:
  void Run() {
    const int here = ::accept(listener_.socket(), nullptr, nullptr);
    const int there = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port_));
    if (here >= 0 && ::connect(there, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0)
      Pass(here, there);
    ::close(there);
    if (here >= 0) ::close(here);
  }
  // Until one of them ends, or the listener is shut down.
  void Pass(int here, int there) {
    std::array<pollfd, 3> ends = {
        {{here, POLLIN, 0}, {there, POLLIN, 0}, {listener_.socket(), 0, 0}}};
    while (::poll(ends.data(), ends.size(), -1) > 0 && ends[2].revents == 0) {
      if (ends[0].revents != 0 && !PassSome(here, there, &sent_)) return;
      if (ends[1].revents != 0 && !PassSome(there, here, nullptr)) return;
    }
  }
  static bool PassSome(int from, int to, std::atomic<size_t>* count) {
    std::array<char, 1 << 16> buffer{};
    const ssize_t got = ::recv(from, buffer.data(), buffer.size(), 0);
    if (got <= 0) return false;
    const auto size = static_cast<size_t>(got);
    if (count != nullptr) *count += size;
    for (size_t at = 0; at < size;) {
      const ssize_t put = ::send(to, buffer.data() + at, size - at, MSG_NOSIGNAL);
      if (put <= 0) return false;
      at += static_cast<size_t>(put);
    }
    return true;
  }

  int port_;
  Listener listener_;
  std::atomic<size_t> sent_ = 0;
  std::thread thread_;  // of Run; after what it uses
};

class MessagesTest : public testing::Test {
 protected:
  MessagesTest() { client_.CreateCollection("c", 1); }

  TempFolder folder_;
  Server server_{folder_.At("data")};
  Client client_{server_.address()};
  const std::vector<float> vector_ = {1};
  const std::vector<Point> long_ = {{"a", vector_, {{"text", std::string(100'000, 'x')}}}};
};

TEST_F(MessagesTest, AreCompressedWhenAskedFor) {
  const Relay relay(server_.address());
  ClientOptions options;
  options.gzip = true;
  Client small(relay.address(), options);
  EXPECT_EQ(small.Upsert("c", long_), 1U);
  EXPECT_EQ(small.Search("c", vector_).results.at(0).payload, long_[0].payload);
  EXPECT_GT(relay.sent(), 0U);
  EXPECT_LT(relay.sent(), 20'000U);
}

TEST_F(MessagesTest, SayWhatToDoWhenTheyAreTooLarge) {
  ClientOptions options;
  options.max_message_bytes = 10'000;
  options.retry.max_attempts = 1;
  Client tiny(server_.address(), options);
  const std::vector<std::string> words = {"larger than", "smaller batches", "max_message_bytes"};
  ExpectSays(Caught<ResourceExhaustedError>([&] { tiny.Upsert("c", long_); }), words);
  client_.Upsert("c", long_);
  ExpectSays(Caught<ResourceExhaustedError>([&] { tiny.Get("c", "a"); }), words);
}

}  // namespace
}  // namespace vectron
