#include <strings.h>

#include <charconv>
#include <cstring>

#include "apps/vectronctl/load/wire.h"
#include "base/status.h"

namespace vectron::load {
namespace {

constexpr size_t kMaxHeadBytes = size_t{64} << 10;

// The value of a header of `head`, without blanks around; empty when there is none.
std::string_view HeaderValue(std::string_view head, std::string_view name) {
  size_t at = head.find("\r\n");
  while (at != std::string_view::npos && at + 2 < head.size()) {
    const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    if (line.size() > name.size() && line[name.size()] == ':' &&
        ::strncasecmp(line.data(), name.data(), name.size()) == 0) {
      std::string_view value = line.substr(name.size() + 1);
      while (value.starts_with(' ')) value.remove_prefix(1);
      return value;
    }
    at = head.find("\r\n", at + 2);
  }
  return {};
}

class HttpWire : public Wire {
 public:
  void Open(std::string& /*out*/) override {}
  void Ask(std::string_view request, std::string& out) override { out += request; }
  bool wants_close() const override { return wants_close_; }

  absl::StatusOr<std::optional<Answer>> Feed(std::string& in, std::string& /*out*/) override {
    const size_t head_end = in.find("\r\n\r\n");
    if (head_end == std::string::npos) {
      if (in.size() > kMaxHeadBytes) return Unavailable("an HTTP head without an end");
      return std::nullopt;
    }
    const std::string_view head = std::string_view(in).substr(0, head_end + 2);
    if (!head.starts_with("HTTP/1.1 ") || head.size() < 12) {
      return Unavailable("no HTTP/1.1 answer; is this the HTTP port?");
    }
    const std::string_view length_text = HeaderValue(head, "content-length");
    size_t length = 0;
    const auto parsed =
        std::from_chars(length_text.data(), length_text.data() + length_text.size(), length);
    if (parsed.ec != std::errc()) return Unavailable("an HTTP answer without Content-Length");
    if (in.size() < head_end + 4 + length) return std::nullopt;
    const std::string_view code = head.substr(9, 3);
    wants_close_ = HeaderValue(head, "connection") == "close";
    Answer answer;
    answer.body = in.substr(head_end + 4, length);
    if (code != "200") answer.status = Unknown(code, answer.body);
    in.erase(0, head_end + 4 + length);
    return answer;
  }

 private:
  static absl::Status Unknown(std::string_view code, std::string_view body) {
    return absl::UnknownError(fmt::format("HTTP {}: {}", code, body.substr(0, 300)));
  }

  bool wants_close_ = false;
};

}  // namespace

std::unique_ptr<Wire> NewHttpWire() { return std::make_unique<HttpWire>(); }

std::string HttpPost(const std::string& host, const std::string& path, std::string_view body) {
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: "
      "{}\r\n\r\n{}",
      path, host, body.size(), body);
}

std::string WithCredential(std::string request, const std::string& credential) {
  if (!credential.empty())
    request.insert(request.find("\r\n") + 2, "Authorization: Bearer " + credential + "\r\n");
  return request;
}

}  // namespace vectron::load
