// HTTP/2 as far as a unary gRPC call of one client needs it. Frames: RFC 9113, section 6; gRPC's
// framing: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.

#include <algorithm>

#include "apps/vectronctl/load/wire.h"
#include "base/bytes.h"
#include "base/status.h"

namespace vectron::load {
namespace {

enum FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kRstStream = 3,
  kSettings = 4,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8
};
constexpr uint8_t kEndStream = 1;
constexpr uint8_t kAck = 1;
constexpr uint8_t kEndHeaders = 4;
constexpr uint8_t kPadded = 8;
constexpr size_t kFrameHeadBytes = 9;
constexpr size_t kMaxFrameBytes = 16'384;  // what a peer takes before it says otherwise
constexpr uint32_t kWindowBytes = 0x7fff0000;

void PutBig32(std::string& out, uint32_t value) {
  PutFixed<uint32_t>(out, __builtin_bswap32(value));
}
uint32_t LoadBig32(const char* from) { return __builtin_bswap32(LoadFixed<uint32_t>(from)); }

void PutFrameHead(std::string& out, size_t length, uint8_t type, uint8_t flags, uint32_t stream) {
  out.push_back(static_cast<char>(length >> 16));
  out.push_back(static_cast<char>(length >> 8));
  out.push_back(static_cast<char>(length));
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  PutBig32(out, stream);
}

// A literal header field without indexing; `name` is its HPACK prefix. RFC 7541, 5.1 and 6.2.2.
void PutLiteral(std::string& out, std::string_view name, std::string_view value) {
  constexpr size_t kPrefixMax = 127;
  out += name;
  if (value.size() < kPrefixMax) {
    out.push_back(static_cast<char>(value.size()));
  } else {
    out.push_back(static_cast<char>(kPrefixMax));
    PutVarint(out, value.size() - kPrefixMax);
  }
  out += value;
}

class GrpcWire : public Wire {
 public:
  GrpcWire(const std::string& authority, const std::string& method, const std::string& credential) {
    headers_ = "\x83\x86";                                 // :method POST, :scheme http
    PutLiteral(headers_, "\x04", method);                  // :path
    PutLiteral(headers_, "\x01", authority);               // :authority
    PutLiteral(headers_, "\x0f\x10", "application/grpc");  // content-type
    PutLiteral(headers_, std::string_view("\x00\x02te", 4), "trailers");
    if (!credential.empty())
      PutLiteral(headers_, "\x1f\x08", "Bearer " + credential);  // authorization, never indexed
  }

  void Open(std::string& out) override {
    out += "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    PutFrameHead(out, 18, kSettings, 0, 0);
    PutSetting(out, 1, 0);             // no dynamic header table
    PutSetting(out, 2, 0);             // no server push
    PutSetting(out, 4, kWindowBytes);  // window of each stream
    PutFrameHead(out, 4, kWindowUpdate, 0, 0);
    PutBig32(out, kWindowBytes - 65'535);
  }

  void Ask(std::string_view request, std::string& out) override {
    stream_ += stream_ == 0 ? 1 : 2;
    message_.clear();
    stream_window_ = initial_window_;
    PutFrameHead(out, headers_.size(), kHeaders, kEndHeaders, stream_);
    out += headers_;
    prefix_.clear();
    prefix_.push_back('\0');
    PutBig32(prefix_, static_cast<uint32_t>(request.size()));
    unsent_ = request;
    asked_ = true;
    SendBody(out);
  }

  absl::StatusOr<std::optional<Answer>> Feed(std::string& in, std::string& out) override {
    size_t used = 0;
    std::optional<Answer> answer;
    while (!answer.has_value() && in.size() - used >= kFrameHeadBytes) {
      const auto* head = reinterpret_cast<const unsigned char*>(in.data() + used);
      const size_t length =
          static_cast<size_t>(head[0]) << 16 | static_cast<size_t>(head[1]) << 8 | head[2];
      if (in.size() - used < kFrameHeadBytes + length) break;
      const Frame frame{head[3], head[4], LoadBig32(in.data() + used + 5) & 0x7fffffffU,
                        std::string_view(in).substr(used + kFrameHeadBytes, length)};
      auto result = Take(frame, out);
      RETURN_IF_ERROR(result);
      answer = std::move(*result);
      used += kFrameHeadBytes + length;
    }
    in.erase(0, used);
    return answer;
  }
  bool wants_close() const override { return wants_close_ || stream_ > 0x7ffffff0U; }

 private:
  struct Frame {
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
    std::string_view payload;
  };

  static void PutSetting(std::string& out, uint16_t id, uint32_t value) {
    out.push_back(static_cast<char>(id >> 8));
    out.push_back(static_cast<char>(id));
    PutBig32(out, value);
  }

  // Sends as much of the request as the peer's windows let through.
  void SendBody(std::string& out) {
    while (asked_) {
      const size_t left = prefix_.size() + unsent_.size();
      const int64_t window = std::min(stream_window_, connection_window_);
      if (window <= 0) return;
      const size_t size = std::min({left, kMaxFrameBytes, static_cast<size_t>(window)});
      const bool last = size == left;
      PutFrameHead(out, size, kData, last ? kEndStream : 0, stream_);
      const size_t from_prefix = std::min(size, prefix_.size());
      out.append(prefix_, 0, from_prefix);
      prefix_.erase(0, from_prefix);
      out += unsent_.substr(0, size - from_prefix);
      unsent_.remove_prefix(size - from_prefix);
      stream_window_ -= static_cast<int64_t>(size);
      connection_window_ -= static_cast<int64_t>(size);
      asked_ = !last;
    }
  }

  absl::StatusOr<std::optional<Answer>> Take(const Frame& frame, std::string& out) {
    switch (frame.type) {
      case kData:
        return TakeData(frame, out);
      case kHeaders:
        if (frame.stream == stream_ && (frame.flags & kEndStream) != 0)
          return Finish(frame.payload);
        return std::nullopt;
      case kRstStream:
        if (frame.stream != stream_) return std::nullopt;
        asked_ = false;
        return Answer{absl::UnknownError("the server reset the call"), ""};
      case kSettings:
        if ((frame.flags & kAck) == 0) TakeSettings(frame.payload, out);
        return std::nullopt;
      case kPing:
        if ((frame.flags & kAck) == 0) {
          PutFrameHead(out, frame.payload.size(), kPing, kAck, 0);
          out += frame.payload;
        }
        return std::nullopt;
      case kGoaway:
        wants_close_ = true;
        return std::nullopt;
      case kWindowUpdate:
        if (frame.payload.size() != 4) return Unavailable("a WINDOW_UPDATE of the wrong size");
        (frame.stream == 0 ? connection_window_ : stream_window_) +=
            LoadBig32(frame.payload.data()) & 0x7fffffffU;
        SendBody(out);
        return std::nullopt;
      default:
        return std::nullopt;
    }
  }

  absl::StatusOr<std::optional<Answer>> TakeData(const Frame& frame, std::string& out) {
    received_ += frame.payload.size();
    if (received_ > kWindowBytes / 2) {  // give the connection's window back
      PutFrameHead(out, 4, kWindowUpdate, 0, 0);
      PutBig32(out, static_cast<uint32_t>(received_));
      received_ = 0;
    }
    std::string_view data = frame.payload;
    if ((frame.flags & kPadded) != 0) {
      const size_t padding = data.empty() ? 0 : static_cast<unsigned char>(data.front());
      if (data.size() < padding + 1) return Unavailable("a DATA frame with too much padding");
      data = data.substr(1, data.size() - 1 - padding);
    }
    if (frame.stream == stream_) message_ += data;
    return std::nullopt;
  }

  void TakeSettings(std::string_view payload, std::string& out) {
    for (; payload.size() >= 6; payload.remove_prefix(6)) {
      const uint32_t value = LoadBig32(payload.data() + 2);
      if (payload[0] == 0 && payload[1] == 4) {
        stream_window_ += static_cast<int64_t>(value) - initial_window_;
        initial_window_ = value;
      }
    }
    PutFrameHead(out, 0, kSettings, kAck, 0);
    SendBody(out);
  }

  // Judges the call by its message; a call without one failed. The trailers are read only for the
  // words.
  Answer Finish(std::string_view trailers) {
    asked_ = false;
    if (message_.size() >= 5 && message_[0] == '\0' &&
        LoadBig32(message_.data() + 1) == message_.size() - 5) {
      return Answer{absl::OkStatus(), message_.substr(5)};
    }
    constexpr std::string_view kMessage = "grpc-message";
    std::string_view words = "no message";
    if (const size_t at = trailers.find(kMessage); at != std::string_view::npos) {
      words = trailers.substr(at + kMessage.size());
      if (!words.empty()) words = words.substr(1, static_cast<unsigned char>(words.front()) & 0x7f);
    }
    return Answer{absl::UnknownError(fmt::format("the call failed: {}", words)), ""};
  }

  std::string headers_;
  std::string prefix_;       // of the request, what is not sent: length prefix
  std::string_view unsent_;  //   and message
  bool asked_ = false;       // there is something unsent
  std::string message_;
  uint32_t stream_ = 0;
  int64_t initial_window_ = 65'535;
  int64_t stream_window_ = 65'535;
  int64_t connection_window_ = 65'535;
  uint64_t received_ = 0;
  bool wants_close_ = false;
};

}  // namespace

std::unique_ptr<Wire> NewGrpcWire(const std::string& authority, const std::string& method,
                                  const std::string& credential) {
  return std::make_unique<GrpcWire>(authority, method, credential);
}

}  // namespace vectron::load
