#pragma once

// Reads the bytes of one HTTP/1.1 request: finds the end of its head, parses it, decodes a chunked
// body. No I/O, no clock.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "rpc/http_message.h"

namespace vectron::rpc {

// Why a request is refused before any handler sees it.
struct HttpRefusal {
  int http_status = 400;
  absl::Status status;
};

// Finds the end of a head that arrives in pieces. Thread-compatible.
class HttpHeadScanner {
 public:
  // `bytes`: everything received of this head so far, each call with at least what the last one
  // had. The size of the head with its empty line, 0 while it is incomplete; `refusal` is set for
  // lines that do not end in CRLF or are folded.
  size_t Scan(std::string_view bytes, std::optional<HttpRefusal>& refusal);
  void Reset() { line_begin_ = 0; }

 private:
  size_t line_begin_ = 0;  // of the first line not yet looked at
};

struct HttpHead {
  uint64_t content_length = 0;
  bool chunked = false;
  bool expects_continue = false;
};

// Parser of one request. Thread-compatible.
class HttpParser {
 public:
  explicit HttpParser(size_t max_headers);
  ~HttpParser();

  // `head`: complete, as the scanner found it. Fills verb, target, headers and keep_alive. Refuses
  // by RFC 9112 what could be understood in two ways.
  std::optional<HttpRefusal> ParseHead(std::string_view head, HttpRequest& request,
                                       HttpHead& parsed);

  // After a head with `chunked`: appends what `bytes` holds of the body. Bytes not used must come
  // again, with more behind them.
  struct Chunks {
    size_t used = 0;
    bool done = false;
    std::optional<HttpRefusal> refusal;  // malformed 400, more than body_limit 413
  };
  Chunks PutChunks(std::string_view bytes, size_t body_limit, HttpBody& body);

 private:
  class Impl;
  const size_t max_headers_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vectron::rpc
