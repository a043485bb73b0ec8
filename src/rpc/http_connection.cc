#include "rpc/http_connection.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include "base/check.h"
#include "base/status.h"
#include "rpc/error_table.h"

namespace vectron::rpc {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr int64_t kNanosPerMs = 1'000'000;
constexpr int kMaxReadsPerEvent = 16;  // then the loop's other connections have their turn
constexpr size_t kFirstBodyReserve = size_t{1} << 20;   // a claimed length is believed this far
constexpr size_t kMaxChunkOverhead = size_t{16} << 10;  // of one chunk's line, and of all trailers
constexpr size_t kTlsRecordBytes = size_t{16} << 10;
constexpr int64_t kBusyRetryMs = 1'000;

error_code ErrorOf(TlsStream::Outcome outcome) {
  switch (outcome) {
    case TlsStream::Outcome::kDone:
      return {};
    case TlsStream::Outcome::kWouldBlock:
      return boost::asio::error::would_block;
    case TlsStream::Outcome::kEnd:
      return boost::asio::error::eof;
    default:
      return boost::asio::error::connection_reset;
  }
}

bool WouldBlock(const error_code& error) {
  return error == boost::asio::error::would_block || error == boost::asio::error::try_again;
}

void AppendHead(const HttpResponse& response, bool keep_alive, bool http10, std::string& out) {
  out += "HTTP/1.1 ";
  out += std::to_string(response.status);
  out += ' ';
  out += HttpReason(response.status);
  out += "\r\n";
  if (response.status != 204 && response.status != 304) {
    if (!response.content_type.empty()) {
      out += "Content-Type: ";
      out += response.content_type;
      out += "\r\n";
    }
    out += "Content-Length: ";
    out += std::to_string(response.body.size());
    out += "\r\n";
  }
  for (const auto& [name, value] : response.headers) {
    CHECK(name.find_first_of("\r\n:") == std::string::npos);
    CHECK(value.find_first_of("\r\n") == std::string::npos);
    out.append(name).append(": ").append(value).append("\r\n");
  }
  if (!keep_alive) {
    out += "Connection: close\r\n";
  } else if (http10) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
}

}  // namespace

HttpExchange::~HttpExchange() {
  if (!answered_.load(std::memory_order_acquire)) {
    Send(ErrorResponse(Internal("the request was dropped without an answer")));
  }
}

void HttpExchange::Send(HttpResponse response) {
  CHECK(!answered_.exchange(true, std::memory_order_acq_rel));
  std::move(headers_.begin(), headers_.end(), std::back_inserter(response.headers));
  if (loop_->InThread()) {
    if (const auto connection = connection_.lock()) connection->OnResponse(std::move(response));
    return;
  }
  loop_->Post(
      [connection = connection_, response = std::make_shared<HttpResponse>(std::move(response))] {
        if (const auto alive = connection.lock()) alive->OnResponse(std::move(*response));
      });
}

void HttpResponder::Send(HttpResponse response) const { exchange_->Send(std::move(response)); }

void HttpResponder::AddHeaders(std::vector<std::pair<std::string, std::string>> headers) const {
  exchange_->AddHeaders(std::move(headers));
}

HttpConnection::HttpConnection(HttpLoop& loop, tcp::socket socket, std::string peer)
    : loop_(loop),
      socket_(std::move(socket)),
      peer_(std::make_shared<const std::string>(std::move(peer))) {}

HttpConnection::~HttpConnection() { CHECK(state_ == State::kClosed); }

void HttpConnection::Open() {
  error_code ignored;  // an unset option costs latency, a broken socket shows at the first read
  socket_.non_blocking(true, ignored);
  socket_.set_option(tcp::no_delay(true), ignored);
  opened_nanos_ = loop_.shared().clock.MonotonicNanos();
  if (const auto context = loop_.shared().PresentTls())
    tls_ = std::make_unique<TlsStream>(context, socket_.native_handle());
}

void HttpConnection::Start() {
  Open();
  WaitReadable();
}

void HttpConnection::TurnAway() {
  Open();
  Refuse({503, WithRetryAfter(Unavailable("the server has {} connections, the most it takes",
                                          loop_.shared().options.max_connections),
                              kBusyRetryMs)});
}

// --- Bytes ---

size_t HttpConnection::ReadSome(std::span<char> into, error_code& error) {
  if (tls_ == nullptr)
    return socket_.read_some(boost::asio::buffer(into.data(), into.size()), error);
  const TlsStream::Result result = tls_->Read(into.data(), into.size());
  error = ErrorOf(result.outcome);
  return result.bytes;
}

size_t HttpConnection::WriteSome(std::string_view head, std::string_view body, error_code& error) {
  if (tls_ == nullptr) {
    const std::array<boost::asio::const_buffer, 2> both = {
        boost::asio::buffer(head.data(), head.size()),
        boost::asio::buffer(body.data(), body.size())};
    return socket_.write_some(both, error);
  }
  const TlsStream::Result result = tls_->Write(head.empty() ? body : head);
  error = ErrorOf(result.outcome);
  return result.bytes;
}

tcp::socket::wait_type HttpConnection::WaitFor(tcp::socket::wait_type plain) const {
  if (tls_ == nullptr) return plain;
  // Also a write may have to read first, and the other way round.
  if (plain == tcp::socket::wait_write && tls_->established()) return plain;
  return tls_->wants_write() ? tcp::socket::wait_write : tcp::socket::wait_read;
}

// --- Reading ---

void HttpConnection::WaitReadable() {
  if (state_ == State::kClosed) return;
  const HttpServerOptions& options = loop_.shared().options;
  const int64_t now = loop_.shared().clock.MonotonicNanos();
  switch (state_) {
    case State::kHead:
      if (pending_.empty()) {
        head_deadline_nanos_ = 0;
        const bool greeting = tls_ != nullptr && !tls_->established();
        deadline_nanos_ =
            (greeting ? opened_nanos_ : now) +
            (served_ ? options.keep_alive_timeout_ms : options.head_timeout_ms) * kNanosPerMs;
      } else {
        if (head_deadline_nanos_ == 0)
          head_deadline_nanos_ = now + options.head_timeout_ms * kNanosPerMs;
        deadline_nanos_ = head_deadline_nanos_;
      }
      break;
    case State::kBody:
    case State::kChunks:
      deadline_nanos_ = std::min(now + options.body_idle_timeout_ms * kNanosPerMs,
                                 request_.start_nanos + options.body_timeout_ms * kNanosPerMs);
      break;
    default:
      break;  // draining has one deadline for all of it
  }
  const auto on_readable = [self = shared_from_this()](const error_code& error) {
    if (self->state_ == State::kClosed) return;
    if (error) return self->Close();
    if (self->state_ == State::kDraining) return self->Drain();
    self->OnReadable();
  };
  if (tls_ != nullptr && tls_->pending()) {  // the socket may have no more to say of these
    loop_.Post([on_readable] { on_readable(error_code()); });
  } else {
    socket_.async_wait(WaitFor(tcp::socket::wait_read), on_readable);
  }
}

void HttpConnection::OnReadable() {
  const std::span<char> scratch = loop_.scratch();
  for (int i = 0; i < kMaxReadsPerEvent; ++i) {
    error_code error;
    const size_t size = ReadSome(scratch, error);
    if (WouldBlock(error)) break;
    if (error == boost::asio::error::eof) return OnEof();
    if (error) return Close();
    loop_.shared().bytes_in.Increment(size);
    Feed({scratch.data(), size});
    if (!reading()) return;
    if (size < scratch.size()) break;
  }
  WaitReadable();
}

void HttpConnection::OnEof() {
  if (state_ == State::kHead && pending_.empty()) return Close();
  Refuse({400, InvalidArgument("malformed HTTP request: the connection ended within it")});
}

void HttpConnection::Feed(std::string_view bytes) {
  if (pending_.empty()) {
    const size_t used = Process(bytes);
    if (state_ != State::kClosed && state_ != State::kDraining) pending_.append(bytes.substr(used));
  } else {
    pending_.append(bytes);
    const size_t used = Process(pending_);
    pending_.erase(0, used);
  }
  if (pending_.empty() && pending_.capacity() > loop_.shared().options.max_head_bytes)
    pending_.shrink_to_fit();
}

size_t HttpConnection::Process(std::string_view bytes) {
  size_t used = 0;
  while (used < bytes.size() && reading()) {
    const std::string_view rest = bytes.substr(used);
    const State before = state_;
    const size_t step = state_ == State::kHead   ? ProcessHead(rest)
                        : state_ == State::kBody ? ProcessBody(rest)
                                                 : ProcessChunks(rest);
    used += step;
    if (step == 0 && state_ == before) break;
  }
  return used;
}

size_t HttpConnection::ProcessHead(std::string_view bytes) {
  // Empty lines before a request are a habit of old clients (RFC 9112, 2.2).
  if (bytes.substr(0, 2) == "\r\n") return 2;
  if (bytes == "\r") return 0;
  const HttpServerOptions& options = loop_.shared().options;
  std::optional<HttpRefusal> refusal;
  const size_t size = scanner_.Scan(bytes, refusal);
  if (refusal) {
    Refuse(std::move(*refusal));
    return 0;
  }
  if (size > options.max_head_bytes || (size == 0 && bytes.size() >= options.max_head_bytes)) {
    Refuse({431, ResourceExhausted("the head of the request is larger than {} bytes",
                                   options.max_head_bytes)});
    return 0;
  }
  if (size == 0) return 0;
  scanner_.Reset();
  head_deadline_nanos_ = 0;
  request_ = HttpRequest();
  request_.peer = peer_;
  request_.start_nanos = loop_.shared().clock.MonotonicNanos();
  head_ = HttpHead();
  parser_.emplace(options.max_headers);
  if (auto refused = parser_->ParseHead(bytes.substr(0, size), request_, head_)) {
    Refuse(std::move(*refused));
    return 0;
  }
  http10_keep_alive_ = request_.keep_alive && bytes.substr(0, bytes.find('\r')).ends_with("1.0");
  StartBody(bytes.substr(size));
  return size;
}

void HttpConnection::StartBody(std::string_view behind_head) {
  const HttpServerOptions& options = loop_.shared().options;
  if (head_.content_length == 0 && !head_.chunked) return Dispatch();
  body_limit_ = options.body_limit ? options.body_limit(request_) : kMaxHttpBodyBytes;
  if (head_.content_length > body_limit_) {
    return Refuse({413, ResourceExhausted("the body has {} bytes, at most {} are taken here",
                                          head_.content_length, body_limit_)});
  }
  body_left_ = head_.content_length;
  state_ = head_.chunked ? State::kChunks : State::kBody;
  request_.body.Reserve(std::min<size_t>(std::max<size_t>(body_left_, 512), kFirstBodyReserve));
  if (!ChargeBody()) return;
  if (head_.expects_continue && behind_head.empty()) {
    // If the socket is full this early the client is not waiting for it; it sends the body after a
    // while anyway.
    error_code ignored;
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    WriteSome(kContinue, {}, ignored);
  }
}

bool HttpConnection::ChargeBody() {
  auto& total = loop_.shared().buffered_bytes;
  const size_t holds = request_.body.capacity();
  if (holds <= charged_bytes_) return true;
  const size_t more = holds - charged_bytes_;
  if (total.fetch_add(more, std::memory_order_relaxed) + more > kMaxHttpBufferedBytes) {
    total.fetch_sub(more, std::memory_order_relaxed);
    Refuse({503, WithRetryAfter(Unavailable("the bodies under way take {} bytes, the most allowed",
                                            kMaxHttpBufferedBytes),
                                kBusyRetryMs)});
    return false;
  }
  charged_bytes_ = holds;
  return true;
}

size_t HttpConnection::ProcessBody(std::string_view bytes) {
  const size_t take = std::min(bytes.size(), body_left_);
  HttpBody& body = request_.body;
  if (body.size() + take > body.capacity()) {
    body.Reserve(
        std::min(std::max(body.capacity() * 2, body.size() + take), body.size() + body_left_));
    if (!ChargeBody()) return 0;
  }
  body.Append(bytes.substr(0, take));
  body_left_ -= take;
  if (body_left_ == 0) Dispatch();
  return take;
}

size_t HttpConnection::ProcessChunks(std::string_view bytes) {
  HttpParser::Chunks chunks = parser_->PutChunks(bytes, body_limit_, request_.body);
  if (chunks.refusal) {
    Refuse(std::move(*chunks.refusal));
  } else if (chunks.done) {
    if (ChargeBody()) Dispatch();
  } else if (bytes.size() - chunks.used > kMaxChunkOverhead) {
    Refuse({400, InvalidArgument(
                     "malformed HTTP request: a chunk's line or the trailers are too long")});
  } else {
    ChargeBody();
  }
  return chunks.used;
}

// --- Handling ---

void HttpConnection::Dispatch() {
  state_ = State::kHandling;
  deadline_nanos_ = 0;
  head_verb_ = request_.verb == HttpVerb::kHead;
  keep_alive_ = request_.keep_alive;
  in_handler_ = true;
  {
    HttpResponder responder(
        std::make_shared<HttpExchange>(loop_.shared_from_this(), weak_from_this()));
    loop_.shared().handler(std::move(request_), std::move(responder));
  }
  in_handler_ = false;
  if (!response_) return;
  HttpResponse response = std::move(*response_);
  response_.reset();
  StartWrite(std::move(response), keep_alive_);
}

void HttpConnection::OnResponse(HttpResponse response) {
  if (state_ != State::kHandling) return;  // closed meanwhile
  if (in_handler_) {
    response_ = std::move(response);
    return;
  }
  StartWrite(std::move(response), keep_alive_);
  if (state_ == State::kHead) Resume();
}

void HttpConnection::Refuse(HttpRefusal refusal) {
  refused_ = true;
  head_verb_ = false;
  StartWrite(ErrorResponse(refusal.status, refusal.http_status), false);
}

// --- Writing ---

void HttpConnection::StartWrite(HttpResponse response, bool keep_alive) {
  keep_alive_ = keep_alive && !loop_.stopping();
  loop_.shared().buffered_bytes.fetch_sub(charged_bytes_, std::memory_order_relaxed);
  charged_bytes_ = 0;
  loop_.CountResponse(response.status);
  out_head_.clear();
  AppendHead(response, keep_alive_, http10_keep_alive_, out_head_);
  const bool no_body = head_verb_ || response.status == 204 || response.status == 304;
  out_body_ = no_body ? std::string() : std::move(response.body);
  if (tls_ != nullptr && out_body_.size() < kTlsRecordBytes) {  // one record instead of two
    out_head_ += out_body_;
    out_body_.clear();
  }
  out_done_ = 0;
  state_ = State::kWriting;
  ContinueWrite();
}

void HttpConnection::ContinueWrite() {
  const size_t total = out_head_.size() + out_body_.size();
  while (out_done_ < total) {
    const size_t head_done = std::min(out_done_, out_head_.size());
    error_code error;
    out_done_ += WriteSome(std::string_view(out_head_).substr(head_done),
                           std::string_view(out_body_).substr(out_done_ - head_done), error);
    if (WouldBlock(error)) {
      deadline_nanos_ = loop_.shared().clock.MonotonicNanos() +
                        loop_.shared().options.write_idle_timeout_ms * kNanosPerMs;
      socket_.async_wait(WaitFor(tcp::socket::wait_write),
                         [self = shared_from_this()](const error_code& failed) {
                           if (self->state_ != State::kWriting) return;
                           if (failed) return self->Close();
                           self->ContinueWrite();
                           if (self->state_ == State::kHead) self->Resume();
                         });
      return;
    }
    if (error) return Close();
  }
  loop_.shared().bytes_out.Increment(total);
  AfterWrite();
}

void HttpConnection::AfterWrite() {
  out_body_ = std::string();
  deadline_nanos_ = 0;
  served_ = true;
  if (keep_alive_) {
    state_ = State::kHead;
  } else if (refused_ || !pending_.empty()) {
    StartDraining();
  } else {
    Close();
  }
}

void HttpConnection::Resume() {
  if (!pending_.empty()) {
    const std::string bytes = std::move(pending_);
    pending_.clear();
    Feed(bytes);
  }
  if (reading()) WaitReadable();
}

// --- Ending ---

void HttpConnection::StartDraining() {
  if (loop_.stopping()) return Close();
  error_code ignored;
  if (tls_ != nullptr) tls_->Close();
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  state_ = State::kDraining;
  pending_ = std::string();
  request_ = HttpRequest();
  deadline_nanos_ = loop_.shared().clock.MonotonicNanos() + kHttpDrainTimeoutMs * kNanosPerMs;
  WaitReadable();
}

void HttpConnection::Drain() {
  const std::span<char> scratch = loop_.scratch();
  for (int i = 0; i < kMaxReadsPerEvent; ++i) {
    error_code error;
    drained_bytes_ += ReadSome(scratch, error);
    if (WouldBlock(error)) break;
    if (error || drained_bytes_ > kHttpDrainBytes) return Close();
  }
  WaitReadable();
}

void HttpConnection::Tick(int64_t now_nanos) {
  if (deadline_nanos_ == 0 || now_nanos < deadline_nanos_) return;
  const bool head_begun = state_ == State::kHead && !pending_.empty();
  if (head_begun)
    return Refuse({408, DeadlineExceeded("the head of the request did not come in time")});
  if (state_ == State::kBody || state_ == State::kChunks) {
    const HttpServerOptions& options = loop_.shared().options;
    return Refuse({408, DeadlineExceeded("the body did not come in time: at most {} ms between two "
                                         "bytes and {} ms for all of it",
                                         options.body_idle_timeout_ms, options.body_timeout_ms)});
  }
  Close();
}

void HttpConnection::BeginStop() {
  if ((state_ == State::kHead && pending_.empty()) || state_ == State::kDraining) Close();
}

void HttpConnection::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  loop_.shared().buffered_bytes.fetch_sub(charged_bytes_, std::memory_order_relaxed);
  charged_bytes_ = 0;
  error_code ignored;
  if (tls_ != nullptr) tls_->Close();
  socket_.close(ignored);
  loop_.Forget(shared_from_this());
}

}  // namespace vectron::rpc
