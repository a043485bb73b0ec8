#pragma once

// Inside of the HTTP server: its event loops and connections. Only http_server.cc and
// http_connection.cc include this.
//
// One connection reads one request at a time: while a handler has it, nothing more is read, so what
// a client may pipeline is bounded by one read. States: kHead -> (kBody | kChunks) -> kHandling ->
// kWriting -> kHead ...; a refusal or a last answer goes kWriting -> kDraining.

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "rpc/http_parser.h"
#include "rpc/http_server.h"
#include "rpc/tls.h"

namespace vectron::rpc {

class HttpConnection;
class HttpLoop;

// What all loops of a server share. Thread-safe.
struct HttpShared {
  HttpShared(HttpServerOptions server_options, HttpHandler server_handler,
             const Clock& server_clock, Metrics& server_metrics);

  const HttpServerOptions options;
  const HttpHandler handler;
  const Clock& clock;
  Metrics& metrics;
  Gauge& connections_gauge;
  Counter& connections_total;
  Counter& bytes_in;
  Counter& bytes_out;

  // What a new connection is made with, read again when its files have changed; null: plain.
  std::shared_ptr<ssl_ctx_st> PresentTls();
  std::unique_ptr<TlsContext> tls;  // set before the first connection
  std::atomic<int64_t> tls_checked_nanos{0};

  std::atomic<size_t> buffered_bytes{0};  // of bodies
  absl::Mutex mutex;
  size_t connections ABSL_GUARDED_BY(mutex) = 0;
};

// One thread and the connections it serves. Everything but Post and Join is confined to that
// thread.
class HttpLoop : public std::enable_shared_from_this<HttpLoop> {
 public:
  explicit HttpLoop(std::shared_ptr<HttpShared> shared);
  ~HttpLoop();

  HttpShared& shared() { return *shared_; }
  boost::asio::io_context& context() { return context_; }
  void StartThread(size_t index);
  // Runs `task` in the loop's thread; after the thread has ended it never runs. Thread-safe.
  void Post(std::function<void()> task);
  bool InThread() const {
    return std::this_thread::get_id() == thread_id_.load(std::memory_order_relaxed);
  }

  void Adopt(boost::asio::ip::tcp::socket socket);
  void Forget(const std::shared_ptr<HttpConnection>& connection);
  // Bytes a read may use; free again when the read has been worked off.
  std::span<char> scratch() { return {scratch_.get(), kScratchBytes}; }
  void CountResponse(int status);
  bool stopping() const { return stopping_; }

  void BeginStop();
  void CloseAll();
  // Ends the thread. Thread-safe.
  void Join();

 private:
  static constexpr size_t kScratchBytes = size_t{256} << 10;
  void ArmTick();
  void Tick();

  std::shared_ptr<HttpShared> shared_;  // shared: a responder may outlive the server
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  boost::asio::steady_timer tick_;
  bool tick_armed_ = false;
  bool stopping_ = false;
  std::unique_ptr<char[]> scratch_;
  absl::flat_hash_set<std::shared_ptr<HttpConnection>> connections_;
  std::array<Counter*, 600> responses_{};  // by status, made on first use
  std::thread thread_;
  std::atomic<std::thread::id> thread_id_{};
};

// Confined to its loop's thread.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(HttpLoop& loop, boost::asio::ip::tcp::socket socket, std::string peer);
  ~HttpConnection();

  void Start();
  // The answer to the request under way; from the handler itself or later.
  void OnResponse(HttpResponse response);
  void Tick(int64_t now_nanos);
  void BeginStop();
  void Close();
  // Refuses the whole connection: too many.
  void TurnAway();

 private:
  enum class State { kHead, kBody, kChunks, kHandling, kWriting, kDraining, kClosed };

  bool reading() const {
    return state_ == State::kHead || state_ == State::kBody || state_ == State::kChunks;
  }
  void Open();
  // As the socket's own, with TLS between where it is on. WriteSome writes from the front of
  // `head`, then of `body`.
  size_t ReadSome(std::span<char> into, boost::system::error_code& error);
  size_t WriteSome(std::string_view head, std::string_view body, boost::system::error_code& error);
  // What to wait for after one of them would have blocked.
  boost::asio::ip::tcp::socket::wait_type WaitFor(
      boost::asio::ip::tcp::socket::wait_type plain) const;
  void WaitReadable();
  void OnReadable();
  void OnEof();
  void Feed(std::string_view bytes);
  size_t Process(std::string_view bytes);
  size_t ProcessHead(std::string_view bytes);
  size_t ProcessBody(std::string_view bytes);
  size_t ProcessChunks(std::string_view bytes);
  void StartBody(std::string_view behind_head);
  // False, and refused, when the bodies of all connections take too much memory.
  bool ChargeBody();
  void Dispatch();
  void Refuse(HttpRefusal refusal);
  void StartWrite(HttpResponse response, bool keep_alive);
  void ContinueWrite();
  void AfterWrite();
  // Works off what was pipelined, then reads on.
  void Resume();
  void StartDraining();
  void Drain();

  HttpLoop& loop_;
  boost::asio::ip::tcp::socket socket_;
  std::shared_ptr<const std::string> peer_;
  std::unique_ptr<TlsStream> tls_;
  State state_ = State::kHead;
  int64_t deadline_nanos_ = 0;  // of the present wait; 0: none
  int64_t head_deadline_nanos_ = 0;
  int64_t opened_nanos_ = 0;
  bool served_ = false;  // a request has been answered on this connection

  std::string pending_;  // received, not yet worked off
  HttpHeadScanner scanner_;
  std::optional<HttpParser> parser_;
  HttpRequest request_;
  HttpHead head_;
  size_t body_limit_ = 0;
  size_t body_left_ = 0;
  size_t charged_bytes_ = 0;

  bool in_handler_ = false;
  bool head_verb_ = false;
  bool http10_keep_alive_ = false;
  bool keep_alive_ = true;
  bool refused_ = false;
  std::optional<HttpResponse> response_;  // given from within the handler

  std::string out_head_;
  std::string out_body_;
  size_t out_done_ = 0;
  size_t drained_bytes_ = 0;
};

// What a responder holds.
class HttpExchange {
 public:
  HttpExchange(std::shared_ptr<HttpLoop> loop, std::weak_ptr<HttpConnection> connection)
      : loop_(std::move(loop)), connection_(std::move(connection)) {}
  ~HttpExchange();
  void Send(HttpResponse response);
  void AddHeaders(std::vector<std::pair<std::string, std::string>> headers) {
    std::move(headers.begin(), headers.end(), std::back_inserter(headers_));
  }

 private:
  std::shared_ptr<HttpLoop> loop_;  // shared: a responder may outlive the server
  std::weak_ptr<HttpConnection> connection_;
  std::vector<std::pair<std::string, std::string>> headers_;  // of whatever the answer is
  std::atomic<bool> answered_{false};
};

}  // namespace vectron::rpc
