#include "rpc/http_message.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "rpc/error_table.h"

namespace vectron::rpc {
namespace {

static_assert(HttpBody::kPadding >= simdjson::SIMDJSON_PADDING);

constexpr std::array<std::string_view, 7> kVerbNames = {"GET",    "HEAD",  "POST",   "PUT",
                                                        "DELETE", "PATCH", "OPTIONS"};

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

}  // namespace

std::string_view VerbName(HttpVerb verb) {
  const auto i = static_cast<size_t>(verb);
  return i < kVerbNames.size() ? kVerbNames[i] : std::string_view();
}

HttpVerb VerbOf(std::string_view name) {
  const auto* found = std::find(kVerbNames.begin(), kVerbNames.end(), name);
  return static_cast<HttpVerb>(found - kVerbNames.begin());
}

PaddedJson HttpBody::padded() {
  if (data_ == nullptr) Reserve(1);
  return {data_.get(), size_, capacity_ + kPadding};
}

void HttpBody::Reserve(size_t size) {
  if (size <= capacity_ && data_ != nullptr) return;
  char* grown = static_cast<char*>(std::realloc(data_.get(), size + kPadding));
  CHECK(grown != nullptr);
  (void)data_.release();
  data_.reset(grown);
  std::memset(grown + size, 0, kPadding);
  capacity_ = size;
}

void HttpBody::Append(std::string_view bytes) {
  if (bytes.empty()) return;
  if (size_ + bytes.size() > capacity_) Reserve(std::max(size_ + bytes.size(), capacity_ * 2));
  std::memcpy(data_.get() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
}

std::optional<std::string_view> HttpRequest::Header(std::string_view name) const {
  for (auto line = headers_.rbegin(); line != headers_.rend(); ++line) {
    const HeaderRange& header = *line;
    if (header.name_size == name.size() &&
        std::memcmp(text_.data() + header.name_begin, name.data(), name.size()) == 0) {
      return std::string_view(text_.data() + header.value_begin, header.value_size);
    }
  }
  return std::nullopt;
}

std::string_view HttpRequest::Param(std::string_view name) const {
  for (const auto& [key, value] : params) {
    if (key == name) return value;
  }
  return {};
}

void HttpRequest::SetTarget(std::string_view target) {
  CHECK(headers_.empty());
  text_.reserve(target.size() + 256);
  text_.assign(target);
  target_size_ = target.size();
}

void HttpRequest::AddHeader(std::string_view name, std::string_view value) {
  HeaderRange range{};
  range.name_begin = static_cast<uint32_t>(text_.size());
  range.name_size = static_cast<uint32_t>(name.size());
  for (const char c : name) text_.push_back(Lower(c));
  range.value_begin = static_cast<uint32_t>(text_.size());
  range.value_size = static_cast<uint32_t>(value.size());
  text_.append(value);
  headers_.push_back(range);
}

HttpResponse ErrorResponse(const absl::Status& status, int http_status) {
  HttpResponse response;
  response.status = http_status;
  response.body = ErrorBody(status);
  if (const auto millis = RetryAfterMillis(status)) {
    response.headers.emplace_back("Retry-After", std::to_string((*millis + 999) / 1000));
  }
  // RFC 9110, 15.5.2: which kind of credential is wanted.
  if (http_status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

HttpResponse ErrorResponse(const absl::Status& status) {
  return ErrorResponse(status, HttpStatusOf(status.code()));
}

}  // namespace vectron::rpc
