#include "rpc/http_server.h"

#include <pthread.h>

#include <algorithm>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/cores.h"
#include "base/log.h"
#include "base/status.h"
#include "rpc/http_connection.h"

namespace vectron::rpc {

using boost::asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr int64_t kTlsCheckNanos = 1'000'000'000;  // between two looks at the certificate's files
constexpr int64_t kAcceptRetryMs = 50;             // after the process ran out of file descriptors

std::string AddressText(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", host, endpoint.port())
                                    : fmt::format("{}:{}", host, endpoint.port());
}

}  // namespace

// --- HttpShared, HttpLoop ---

HttpShared::HttpShared(HttpServerOptions server_options, HttpHandler server_handler,
                       const Clock& server_clock, Metrics& server_metrics)
    : options(std::move(server_options)),
      handler(std::move(server_handler)),
      clock(server_clock),
      metrics(server_metrics),
      connections_gauge(metrics.AddGauge("vectron_http_connections", "Open HTTP connections.")),
      connections_total(
          metrics.AddCounter("vectron_http_connections_total", "HTTP connections accepted.")),
      bytes_in(
          metrics.AddCounter("vectron_http_received_bytes_total", "Bytes received over HTTP.")),
      bytes_out(metrics.AddCounter("vectron_http_sent_bytes_total", "Bytes sent over HTTP.")) {}

std::shared_ptr<ssl_ctx_st> HttpShared::PresentTls() {
  if (tls == nullptr) return nullptr;
  const int64_t now = clock.MonotonicNanos();
  int64_t checked = tls_checked_nanos.load(std::memory_order_relaxed);
  if (now - checked >= kTlsCheckNanos &&
      tls_checked_nanos.compare_exchange_strong(checked, now, std::memory_order_relaxed)) {
    const absl::Status status = tls->ReloadIfChanged();
    if (!status.ok()) LogError("TLS goes on with what it had: {}", MessageOf(status));
  }
  return tls->Current();
}

HttpLoop::HttpLoop(std::shared_ptr<HttpShared> shared)
    : shared_(std::move(shared)),
      guard_(context_.get_executor()),
      tick_(context_),
      scratch_(new char[kScratchBytes]) {}

HttpLoop::~HttpLoop() { CHECK(connections_.empty()); }

void HttpLoop::StartThread(size_t index) {
  thread_ = std::thread([this, index] {
    thread_id_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    pthread_setname_np(pthread_self(), fmt::format("http-{}", index).c_str());
    context_.run();
    thread_id_.store(std::thread::id(), std::memory_order_relaxed);
  });
}

void HttpLoop::Post(std::function<void()> task) { boost::asio::post(context_, std::move(task)); }

void HttpLoop::Adopt(tcp::socket socket) {
  error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error || stopping_) return;  // gone before it began
  auto connection = std::make_shared<HttpConnection>(*this, std::move(socket), AddressText(peer));
  size_t open = 0;
  {
    const absl::MutexLock lock(&shared_->mutex);
    open = ++shared_->connections;
    shared_->connections_gauge.Set(static_cast<double>(open));
  }
  shared_->connections_total.Increment();
  connections_.insert(connection);
  ArmTick();
  if (open > shared_->options.max_connections) {
    connection->TurnAway();
  } else {
    connection->Start();
  }
}

void HttpLoop::Forget(const std::shared_ptr<HttpConnection>& connection) {
  CHECK_EQ(connections_.erase(connection), 1u);
  const absl::MutexLock lock(&shared_->mutex);
  --shared_->connections;
  shared_->connections_gauge.Set(static_cast<double>(shared_->connections));
}

void HttpLoop::CountResponse(int status) {
  const size_t row =
      static_cast<size_t>(status) < responses_.size() ? static_cast<size_t>(status) : 0;
  if (responses_[row] == nullptr) {
    responses_[row] = &shared_->metrics.AddCounter(
        "vectron_http_responses_total", "HTTP responses.", {{"status", std::to_string(row)}});
  }
  responses_[row]->Increment();
}

// One coarse timer per loop instead of one per connection: a time-out is late by at most a quarter.
void HttpLoop::ArmTick() {
  if (tick_armed_) return;
  tick_armed_ = true;
  const HttpServerOptions& options = shared_->options;
  const int64_t shortest =
      std::min({options.head_timeout_ms, options.body_idle_timeout_ms, options.body_timeout_ms,
                options.keep_alive_timeout_ms, options.write_idle_timeout_ms});
  tick_.expires_after(std::chrono::milliseconds(std::clamp<int64_t>(shortest / 4, 5, 1'000)));
  tick_.async_wait([this](const error_code& error) {
    tick_armed_ = false;
    if (!error) Tick();
  });
}

void HttpLoop::Tick() {
  const int64_t now = shared_->clock.MonotonicNanos();
  const std::vector<std::shared_ptr<HttpConnection>> all(connections_.begin(), connections_.end());
  for (const auto& connection : all) connection->Tick(now);
  if (!connections_.empty()) ArmTick();
}

void HttpLoop::BeginStop() {
  stopping_ = true;
  const std::vector<std::shared_ptr<HttpConnection>> all(connections_.begin(), connections_.end());
  for (const auto& connection : all) connection->BeginStop();
}

void HttpLoop::CloseAll() {
  stopping_ = true;
  const std::vector<std::shared_ptr<HttpConnection>> all(connections_.begin(), connections_.end());
  for (const auto& connection : all) connection->Close();
  tick_.cancel();
  guard_.reset();
}

void HttpLoop::Join() {
  if (thread_.joinable()) thread_.join();
}

// --- HttpServer ---

struct HttpServer::Impl {
  std::shared_ptr<HttpShared> shared;
  std::vector<std::shared_ptr<HttpLoop>> loops;
  // The acceptor lives in the first loop's thread.
  std::unique_ptr<tcp::acceptor> acceptor;
  std::unique_ptr<boost::asio::steady_timer> accept_retry;
  size_t next_loop = 0;
  std::string bound_address;
  uint16_t port = 0;
  absl::Mutex stop_mutex;
  bool stopped ABSL_GUARDED_BY(stop_mutex) = false;

  absl::Status Bind();
  void Accept();
  void Stop(int64_t grace_ms);
};

absl::Status HttpServer::Impl::Bind() {
  const HttpServerOptions& options = shared->options;
  error_code error;
  const auto address = boost::asio::ip::make_address(options.address, error);
  if (error) return InvalidArgument("\"{}\" is no numeric address", options.address);
  const tcp::endpoint endpoint(address, options.port);
  acceptor = std::make_unique<tcp::acceptor>(loops[0]->context());
  accept_retry = std::make_unique<boost::asio::steady_timer>(loops[0]->context());
  acceptor->open(endpoint.protocol(), error);
  if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && address.is_v6()) acceptor->set_option(boost::asio::ip::v6_only(false), error);
  if (!error) acceptor->bind(endpoint, error);
  if (!error) acceptor->listen(boost::asio::socket_base::max_listen_connections, error);
  if (error) return Unavailable("cannot listen on {}: {}", AddressText(endpoint), error.message());
  const tcp::endpoint bound = acceptor->local_endpoint(error);
  if (error) return Unavailable("cannot listen on {}: {}", AddressText(endpoint), error.message());
  bound_address = AddressText(bound);
  port = bound.port();
  return absl::OkStatus();
}

void HttpServer::Impl::Accept() {
  const std::shared_ptr<HttpLoop> loop = loops[next_loop++ % loops.size()];
  acceptor->async_accept(
      loop->context(), [this, loop](const error_code& error, tcp::socket socket) {
        if (error == boost::asio::error::operation_aborted) return;
        if (!error) {
          if (loop->InThread()) {
            loop->Adopt(std::move(socket));
          } else {
            auto shared_socket = std::make_shared<tcp::socket>(std::move(socket));
            loop->Post([loop, shared_socket] { loop->Adopt(std::move(*shared_socket)); });
          }
          return Accept();
        }
        accept_retry->expires_after(std::chrono::milliseconds(kAcceptRetryMs));
        accept_retry->async_wait([this](const error_code& cancelled) {
          if (!cancelled) Accept();
        });
      });
}

void HttpServer::Impl::Stop(int64_t grace_ms) {
  {
    const absl::MutexLock lock(&stop_mutex);
    if (stopped) return;
    stopped = true;
  }
  // Waited for, so that no socket is handed to a loop that has ended.
  absl::Notification closed;
  loops[0]->Post([this, &closed] {
    error_code ignored;
    acceptor->close(ignored);
    accept_retry->cancel();
    closed.Notify();
  });
  closed.WaitForNotification();
  for (const auto& loop : loops) loop->Post([loop] { loop->BeginStop(); });
  {
    const auto none = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(shared->mutex) {
      return shared->connections == 0;
    };
    const absl::MutexLock lock(&shared->mutex);
    shared->mutex.AwaitWithTimeout(absl::Condition(&none), absl::Milliseconds(grace_ms));
  }
  for (const auto& loop : loops) loop->Post([loop] { loop->CloseAll(); });
  for (const auto& loop : loops) loop->Join();
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() { Stop(0); }

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options,
                                                              HttpHandler handler,
                                                              const Clock& clock,
                                                              Metrics& metrics) {
  CHECK(handler != nullptr);
  if (options.io_threads == 0) options.io_threads = UsableCores();
  auto impl = std::make_unique<Impl>();
  std::unique_ptr<TlsContext> tls;
  if (options.tls.enabled()) {
    ASSIGN_OR_RETURN(tls, TlsContext::Load(options.tls));
  }
  impl->shared =
      std::make_shared<HttpShared>(std::move(options), std::move(handler), clock, metrics);
  impl->shared->tls = std::move(tls);
  for (size_t i = 0; i < impl->shared->options.io_threads; ++i) {
    impl->loops.push_back(std::make_shared<HttpLoop>(impl->shared));
  }
  RETURN_IF_ERROR(impl->Bind());
  impl->loops[0]->Post([raw = impl.get()] { raw->Accept(); });
  for (size_t i = 0; i < impl->loops.size(); ++i) impl->loops[i]->StartThread(i);
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

const std::string& HttpServer::bound_address() const { return impl_->bound_address; }
uint16_t HttpServer::port() const { return impl_->port; }
size_t HttpServer::connection_count() const {
  const absl::MutexLock lock(&impl_->shared->mutex);
  return impl_->shared->connections;
}
void HttpServer::Stop(int64_t grace_ms) { impl_->Stop(grace_ms); }

}  // namespace vectron::rpc
