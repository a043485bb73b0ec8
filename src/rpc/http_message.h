#pragma once

// An HTTP request as the server hands it over, and the response it takes.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "model/convert.h"
#include "rpc/identity.h"

namespace vectron::rpc {

enum class HttpVerb : uint8_t { kGet, kHead, kPost, kPut, kDelete, kPatch, kOptions, kOther };
// "GET"; "" for kOther.
std::string_view VerbName(HttpVerb verb);
HttpVerb VerbOf(std::string_view name);

// Bytes of a body with room behind them that simdjson may read. Move-only.
class HttpBody {
 public:
  static constexpr size_t kPadding = 64;  // >= simdjson::SIMDJSON_PADDING

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_.get(), size_}; }
  // For simdjson; valid as long as the body. An empty body is an empty text, too.
  PaddedJson padded();

  // Makes room for `size` bytes in all without changing the content.
  void Reserve(size_t size);
  void Append(std::string_view bytes);
  size_t capacity() const { return capacity_; }

 private:
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  std::unique_ptr<char, Free> data_;
  size_t size_ = 0;
  size_t capacity_ = 0;  // without the padding
};

// Values of the path's parameters, by the name in the route; decoded.
using PathParams = absl::InlinedVector<std::pair<std::string_view, std::string>, 2>;

// Owned by whoever handles it; nothing in it refers to the connection.
class HttpRequest {
 public:
  HttpVerb verb = HttpVerb::kOther;
  bool keep_alive = true;
  HttpBody body;
  PathParams params;  // set by the dispatcher
  std::shared_ptr<const std::string>
      peer;                 // "127.0.0.1:52100", shared by all requests of the connection
  int64_t start_nanos = 0;  // when its head was complete, monotonic
  IdentityPtr identity;  // of a plain route that needs one: who asks; null when credentials are off

  // As sent: "/v1/collections/a%2Fb?x=1". Valid as long as the request.
  std::string_view target() const { return {text_.data(), target_size_}; }
  // Before and after the '?'.
  std::string_view path() const { return target().substr(0, target().find('?')); }
  std::string_view query() const {
    const size_t mark = target().find('?');
    return mark == std::string_view::npos ? std::string_view() : target().substr(mark + 1);
  }
  // Last value of a header; `name` in lower case. Valid as long as the request.
  std::optional<std::string_view> Header(std::string_view name) const;
  // A path parameter; empty when the route has none of that name.
  std::string_view Param(std::string_view name) const;

  // For the parser and for tests.
  void SetTarget(std::string_view target);
  // The name is stored in lower case. After SetTarget.
  void AddHeader(std::string_view name, std::string_view value);
  size_t header_count() const { return headers_.size(); }

 private:
  struct HeaderRange {
    uint32_t name_begin, name_size, value_begin, value_size;
  };
  std::string text_;  // target, then names and values
  size_t target_size_ = 0;
  absl::InlinedVector<HeaderRange, 12> headers_;
};

struct HttpResponse {
  int status = 200;
  std::string_view content_type = "application/json";  // of static storage; empty: no such header
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // further ones
};

// A response with the error body of the contract, and Retry-After where the status has the hint.
HttpResponse ErrorResponse(const absl::Status& status);
// The same with an HTTP status of its own (405, 413, 415, 431, 408).
HttpResponse ErrorResponse(const absl::Status& status, int http_status);

}  // namespace vectron::rpc
