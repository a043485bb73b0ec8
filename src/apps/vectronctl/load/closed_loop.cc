#include "apps/vectronctl/load/closed_loop.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/clock.h"
#include "base/status.h"

namespace vectron::load {
namespace {

constexpr int kPollMs = 100;
constexpr size_t kReadBytes = size_t{64} << 10;
// A server that answers nothing for this long is taken for dead.
constexpr int64_t kSilenceNanos = 60'000'000'000;

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { Reset(-1); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  void Reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

struct Client {
  Descriptor socket;
  std::unique_ptr<Wire> wire;
  std::string in;
  std::string out;
  uint64_t request = 0;
  int64_t asked_nanos = 0;
  bool busy = false;
  bool wants_write = false;
};

double ThreadCpuSeconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

class Loop {
 public:
  explicit Loop(const LoopOptions& options) : options_(options), epoll_(::epoll_create1(0)) {}

  absl::StatusOr<LoopResult> Run() {
    clients_ = std::vector<Client>(options_.clients);
    for (size_t i = 0; i < clients_.size(); ++i) RETURN_IF_ERROR(Connect(i));
    const double cpu_start = ThreadCpuSeconds();
    start_nanos_ = last_nanos_ = clock_.MonotonicNanos();
    for (size_t i = 0; i < clients_.size(); ++i) AskNext(i);
    std::vector<epoll_event> events(clients_.size());
    while (busy_ > 0) {
      const int ready =
          ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), kPollMs);
      for (int e = 0; e < ready; ++e) {
        const size_t i = events[static_cast<size_t>(e)].data.u64;
        absl::Status status = Serve(i, events[static_cast<size_t>(e)].events);
        if (!status.ok()) RETURN_IF_ERROR(Restart(i, status));
      }
      if (ready <= 0 && clock_.MonotonicNanos() - last_nanos_ > kSilenceNanos) {
        return Unavailable("{}: no answer for {} s", options_.address,
                           kSilenceNanos / 1'000'000'000);
      }
    }
    result_.seconds = 1e-9 * static_cast<double>(last_nanos_ - start_nanos_);
    result_.client_cpu_seconds = ThreadCpuSeconds() - cpu_start;
    std::sort(result_.latencies_us.begin(), result_.latencies_us.end());
    return std::move(result_);
  }

 private:
  absl::Status Connect(size_t i) {
    Client& client = clients_[i];
    ASSIGN_OR_RETURN(const int fd, ConnectTcp(options_.address));
    client.socket.Reset(fd);
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    client.wire = options_.kind == WireKind::kHttp
                      ? NewHttpWire()
                      : NewGrpcWire(options_.address, options_.method, options_.credential);
    client.in.clear();
    client.out.clear();
    client.wants_write = false;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      return Internal("epoll_ctl: {}", std::strerror(errno));
    }
    client.wire->Open(client.out);
    return Send(i);
  }

  bool Finished() const {
    if (options_.count > 0 && next_ >= options_.count) return true;
    return options_.seconds > 0 &&
           static_cast<double>(last_nanos_ - start_nanos_) > 1e9 * options_.seconds;
  }

  void AskNext(size_t i) {
    if (Finished()) return;
    Client& client = clients_[i];
    client.request = next_++;
    client.busy = true;
    ++busy_;
    client.asked_nanos = clock_.MonotonicNanos();
    client.wire->Ask(options_.request(client.request), client.out);
    // A failed send shows up as a failed read at once.
    Send(i).IgnoreError();
  }

  absl::Status Send(size_t i) {
    Client& client = clients_[i];
    size_t sent = 0;
    while (sent < client.out.size()) {
      const ssize_t got = ::send(client.socket.get(), client.out.data() + sent,
                                 client.out.size() - sent, MSG_NOSIGNAL);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
      if (got < 0) return Unavailable("send: {}", std::strerror(errno));
      sent += static_cast<size_t>(got);
    }
    client.out.erase(0, sent);
    if (const bool wants = !client.out.empty(); wants != client.wants_write) {
      client.wants_write = wants;
      epoll_event event{};
      event.events = wants ? EPOLLIN | EPOLLOUT : EPOLLIN;
      event.data.u64 = i;
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, client.socket.get(), &event);
    }
    return absl::OkStatus();
  }

  absl::Status Serve(size_t i, uint32_t events) {
    Client& client = clients_[i];
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
      const ssize_t got = ::recv(client.socket.get(), buffer_.data(), buffer_.size(), 0);
      if (got == 0) return Unavailable("the server closed the connection");
      if (got < 0 && errno != EAGAIN && errno != EINTR) {
        return Unavailable("recv: {}", std::strerror(errno));
      }
      if (got > 0) client.in.append(buffer_.data(), static_cast<size_t>(got));
      ASSIGN_OR_RETURN(auto answer, client.wire->Feed(client.in, client.out));
      if (answer.has_value()) {
        Take(client, *answer);
        if (client.wire->wants_close()) RETURN_IF_ERROR(Connect(i));
        AskNext(i);
        return absl::OkStatus();
      }
    }
    if (!client.out.empty()) return Send(i);
    return absl::OkStatus();
  }

  void Take(Client& client, const Answer& answer) {
    last_nanos_ = clock_.MonotonicNanos();
    client.busy = false;
    --busy_;
    if (answer.status.ok()) {
      ++result_.answers;
      result_.latencies_us.push_back(1e-3F * static_cast<float>(last_nanos_ - client.asked_nanos));
    } else {
      CountError(MessageOf(answer.status));
    }
    if (options_.on_answer) options_.on_answer(client.request, answer);
  }

  void CountError(std::string_view what) {
    if (result_.errors++ == 0) result_.first_error = what;
  }

  // After a broken connection: its request is lost, the client goes on with the next over a new
  // one.
  absl::Status Restart(size_t i, const absl::Status& why) {
    Client& client = clients_[i];
    last_nanos_ = clock_.MonotonicNanos();
    if (client.busy) {
      client.busy = false;
      --busy_;
      CountError(MessageOf(why));
    }
    RETURN_IF_ERROR(Annotate(Connect(i), MessageOf(why)));
    AskNext(i);
    return absl::OkStatus();
  }

  const LoopOptions& options_;
  SystemClock clock_;
  Descriptor epoll_;
  std::vector<Client> clients_;
  std::string buffer_ = std::string(kReadBytes, '\0');
  LoopResult result_;
  uint64_t next_ = 0;
  size_t busy_ = 0;
  int64_t start_nanos_ = 0;
  int64_t last_nanos_ = 0;
};

}  // namespace

float LoopResult::latency_us(double q) const {
  if (latencies_us.empty()) return 0;
  const auto at = static_cast<size_t>(q * static_cast<double>(latencies_us.size()));
  return latencies_us[std::min(at, latencies_us.size() - 1)];
}

absl::StatusOr<LoopResult> RunClosedLoop(const LoopOptions& options) { return Loop(options).Run(); }

absl::StatusOr<int> ConnectTcp(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return InvalidArgument("{}: wanted HOST:PORT", address);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(address.substr(0, colon).c_str(),
                                  address.substr(colon + 1).c_str(), &hints, &found);
  if (error != 0) return Unavailable("{}: {}", address, ::gai_strerror(error));
  int fd = -1;
  int problem = 0;
  for (const addrinfo* at = found; at != nullptr && fd < 0; at = at->ai_next) {
    fd = ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
    if (fd >= 0 && ::connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
      problem = errno;
      ::close(fd);
      fd = -1;
    }
  }
  ::freeaddrinfo(found);
  if (fd < 0) return Unavailable("{}: {}", address, std::strerror(problem));
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

}  // namespace vectron::load
