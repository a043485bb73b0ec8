// What goes over the wire: compressed when asked for, no larger than allowed, and over another
// connection when one has died without a word. VECTRON_BINARY names the server.

#include <poll.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "process_testing.h"

namespace vectron {
namespace {

// Passes connections on to an address of 127.0.0.1, counting them and the bytes that go there.
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
  size_t connections() const { return connections_; }
  // Swallows what is said from now on over the connections there are, either way, and closes none.
  void FallSilent() { deaf_ = connections_.load(); }

 private:
  // Until the listener is shut down.
  void Run() {
    // The listener, then the client's and the server's end of each connection; -1 where it is over.
    std::vector<pollfd> ends = {{listener_.socket(), POLLIN, 0}};
    while (::poll(ends.data(), ends.size(), -1) > 0) {
      if (ends[0].revents != 0 && !Accept(&ends)) break;
      for (size_t at = 1; at < ends.size(); ++at) {
        pollfd& from = ends[at];
        pollfd& to = ends[at % 2 == 1 ? at + 1 : at - 1];
        if (from.revents == 0 || PassSome((at - 1) / 2, from.fd, to.fd, at % 2 == 1)) continue;
        for (pollfd* end : {&from, &to}) {
          ::close(end->fd);
          *end = {-1, 0, 0};
        }
      }
    }
    for (size_t at = 1; at < ends.size(); ++at) {
      if (ends[at].fd >= 0) ::close(ends[at].fd);
    }
  }
  bool Accept(std::vector<pollfd>* ends) {
    const int here = ::accept(listener_.socket(), nullptr, nullptr);
    if (here < 0) return false;
    const int there = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port_));
    EXPECT_EQ(::connect(there, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ends->push_back({here, POLLIN, 0});
    ends->push_back({there, POLLIN, 0});
    ++connections_;
    return true;
  }
  bool PassSome(size_t connection, int from, int to, bool counted) {
    std::array<char, 1 << 16> buffer{};
    const ssize_t got = ::recv(from, buffer.data(), buffer.size(), 0);
    if (got <= 0) return false;
    if (connection < deaf_) return true;
    const auto size = static_cast<size_t>(got);
    if (counted) sent_ += size;
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
  std::atomic<size_t> connections_ = 0;
  std::atomic<size_t> deaf_ = 0;  // of the first so many connections nothing arrives any more
  std::thread thread_;            // of Run; after what it uses
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

TEST_F(MessagesTest, GoOverANewConnectionWhenTheOldOneIsSilent) {
  client_.Upsert("c", long_);
  Relay relay(server_.address());
  ClientOptions options;
  // An attempt may take all of the call's time: what ends it earlier is the ping without an answer.
  // On a busy machine that may end good connections too, whence the many attempts.
  options.retry.max_attempts = 100;
  options.timeout = options.attempt_timeout = std::chrono::minutes(1);
  options.keepalive_time = std::chrono::milliseconds(100);
  options.keepalive_timeout = std::chrono::milliseconds(500);
  Client pinging(relay.address(), options);
  const std::vector<std::function<size_t()>> asks = {
      [&] { return pinging.Search("c", vector_).results.size(); },
      [&] { return pinging.SearchAsync("c", vector_).get().results.size(); },
      [&] {
        size_t found = 0;
        pinging.SearchStream("c", vector_, {}, [&found](const SearchResults& better) {
          found = better.results.size();
          return true;
        });
        return found;
      },
  };
  for (const std::function<size_t()>& ask : asks) {
    EXPECT_EQ(ask(), 1U);
    const size_t before = relay.connections();
    relay.FallSilent();
    EXPECT_EQ(ask(), 1U);
    EXPECT_GT(relay.connections(), before);
  }
}

}  // namespace
}  // namespace vectron
