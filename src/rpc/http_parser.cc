#include "rpc/http_parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "base/status.h"
#include "model/text.h"

namespace vectron::rpc {
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;

std::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

bool EqualsNoCase(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() &&
         std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + ('a' - 'A')) : a) == b;
         });
}

HttpRefusal Malformed(std::string_view what) {
  return {400, InvalidArgument("malformed HTTP request: {}", what)};
}

// "http://host:port/path" is asked of servers, too (RFC 9112, 3.2.2); the path is what counts.
std::string_view OriginForm(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.size() > scheme.size() && EqualsNoCase(target.substr(0, scheme.size()), scheme)) {
      const size_t slash = target.find('/', scheme.size());
      return slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
    }
  }
  return target;
}

// "GET / HTTP/2.0": well-formed, but not of a version served here.
bool IsOtherVersion(std::string_view request_line) {
  const std::string_view version = request_line.substr(request_line.rfind(' ') + 1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return version.size() == 8 && version.starts_with("HTTP/") && is_digit(version[5]) &&
         version[6] == '.' && is_digit(version[7]) && version != "HTTP/1.0" &&
         version != "HTTP/1.1";
}

}  // namespace

size_t HttpHeadScanner::Scan(std::string_view bytes, std::optional<HttpRefusal>& refusal) {
  for (;;) {
    const char* from = bytes.data() + line_begin_;
    const auto* feed =
        static_cast<const char*>(std::memchr(from, '\n', bytes.size() - line_begin_));
    if (feed == nullptr) return 0;
    const auto line_size = static_cast<size_t>(feed - from);  // with the CR
    if (line_size == 0 || feed[-1] != '\r') {
      refusal = Malformed("a line does not end in CR LF");
      return 0;
    }
    if (line_begin_ > 0 && (from[0] == ' ' || from[0] == '\t')) {
      refusal = Malformed("a folded header line");
      return 0;
    }
    line_begin_ += line_size + 1;
    if (line_size == 1) return line_begin_;
  }
}

// Beast's parser calls these as it goes; a refusal of ours ends it by an error of its own.
// `request` and `head` are used until the head is complete, `body` from then on.
class HttpParser::Impl final : public http::basic_parser<true> {
 public:
  Impl(HttpRequest& request, HttpHead& head, size_t max_headers)
      : request_(&request), head_(&head), max_headers_(max_headers) {
    header_limit(std::numeric_limits<uint32_t>::max());
    body_limit(boost::none);
  }

  void StartBody(HttpBody& body, size_t limit) {
    body_ = &body;
    limit_ = limit;
  }
  std::optional<HttpRefusal> refusal;
  size_t host_count = 0;
  size_t length_count = 0;
  size_t coding_count = 0;
  int version = 11;

 private:
  void Refuse(HttpRefusal why, error_code& ec) {
    refusal = std::move(why);
    ec = http::make_error_code(http::error::bad_value);
  }

  void on_request_impl(http::verb, boost::beast::string_view verb, boost::beast::string_view target,
                       int version_number, error_code&) override {
    version = version_number;
    request_->verb = VerbOf(View(verb));
    request_->SetTarget(OriginForm(View(target)));
  }
  void on_field_impl(http::field field, boost::beast::string_view name,
                     boost::beast::string_view value, error_code& ec) override {
    if (body_ != nullptr) return;  // a trailer
    if (request_->header_count() >= max_headers_) {
      return Refuse({431, ResourceExhausted("more than {} header lines", max_headers_)}, ec);
    }
    if (field == http::field::host) ++host_count;
    if (field == http::field::content_length) {
      ++length_count;
      if (!std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; })) {
        return Refuse(Malformed("Content-Length is no number"), ec);
      }
    }
    if (field == http::field::transfer_encoding) {
      ++coding_count;
      if (!EqualsNoCase(View(value), "chunked")) {
        return Refuse({501, Unimplemented("a transfer coding other than chunked")}, ec);
      }
    }
    if (field == http::field::content_encoding && !EqualsNoCase(View(value), "identity")) {
      return Refuse({415, InvalidArgument("Content-Encoding {}: bodies are taken uncompressed only",
                                          Quote(View(value)))},
                    ec);
    }
    if (field == http::field::expect) {
      if (!EqualsNoCase(View(value), "100-continue")) {
        return Refuse({417, FailedPrecondition("an expectation other than 100-continue")}, ec);
      }
      head_->expects_continue = true;
    }
    request_->AddHeader(View(name), View(value));
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}
  size_t on_body_impl(boost::beast::string_view, error_code&) override {
    CheckFailed(__FILE__, __LINE__, "no plain body here");
  }
  void on_chunk_header_impl(uint64_t size, boost::beast::string_view, error_code& ec) override {
    if (size > limit_ - body_->size()) {
      Refuse({413, ResourceExhausted("the body is larger than {} bytes", limit_)}, ec);
    }
  }
  size_t on_chunk_body_impl(uint64_t, boost::beast::string_view bytes, error_code&) override {
    body_->Append(View(bytes));
    return bytes.size();
  }
  void on_finish_impl(error_code&) override {}
  void on_response_impl(int, boost::beast::string_view, int, error_code&) override {}

  HttpRequest* request_;
  HttpHead* head_;
  HttpBody* body_ = nullptr;
  const size_t max_headers_;
  size_t limit_ = 0;
};

HttpParser::HttpParser(size_t max_headers) : max_headers_(max_headers) {}
HttpParser::~HttpParser() = default;

std::optional<HttpRefusal> HttpParser::ParseHead(std::string_view head, HttpRequest& request,
                                                 HttpHead& parsed) {
  // One parser serves one request: Beast's cannot be used again.
  impl_ = std::make_unique<Impl>(request, parsed, max_headers_);
  error_code error;
  const size_t used = impl_->put(boost::asio::const_buffer(head.data(), head.size()), error);
  if (impl_->refusal) return impl_->refusal;
  if (error == http::error::bad_version && IsOtherVersion(head.substr(0, head.find('\r')))) {
    return HttpRefusal{505, Unimplemented("an HTTP version other than 1.0 and 1.1")};
  }
  if (error && error != http::error::need_more) return Malformed(error.message());
  if (error || !impl_->is_header_done() || used != head.size())
    return Malformed("the head is cut short");
  const bool http11 = impl_->version == 11;
  if (impl_->host_count > 1 || (http11 && impl_->host_count == 0))
    return Malformed("one Host header is needed");
  if (impl_->length_count + impl_->coding_count > 1) {
    return Malformed("more than one Content-Length or Transfer-Encoding");
  }
  if (impl_->coding_count > 0 && !http11) return Malformed("Transfer-Encoding in HTTP/1.0");
  request.keep_alive = impl_->keep_alive();
  parsed.chunked = impl_->chunked();
  parsed.content_length = parsed.chunked ? 0 : impl_->content_length().value_or(0);
  return std::nullopt;
}

HttpParser::Chunks HttpParser::PutChunks(std::string_view bytes, size_t body_limit,
                                         HttpBody& body) {
  CHECK(impl_ != nullptr);
  impl_->StartBody(body, body_limit);
  impl_->eager(true);
  Chunks result;
  error_code error;
  while (!impl_->is_done() && result.used < bytes.size() && !error) {
    result.used += impl_->put(
        boost::asio::const_buffer(bytes.data() + result.used, bytes.size() - result.used), error);
  }
  result.done = impl_->is_done();
  if (impl_->refusal) {
    result.refusal = impl_->refusal;
  } else if (error && error != http::error::need_more) {
    result.refusal = Malformed(error.message());
  }
  return result;
}

}  // namespace vectron::rpc
