#pragma once

// A client for tests that sends exactly the bytes it is given.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/check.h"

namespace vectron::rpc {

struct RawResponse {
  int status = 0;  // 0: the connection ended, or 20 s passed, before a whole response
  std::map<std::string, std::string> headers;
  std::string body;
};

class RawClient {
 public:
  explicit RawClient(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }

  // False when the other side has gone, or takes nothing for 20 s.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  void ShutdownSend() { shutdown(fd_, SHUT_WR); }

  // `head_only`: the response to a HEAD, or an interim one.
  RawResponse Receive(bool head_only = false) {
    RawResponse response;
    size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!More()) return response;
    }
    std::string head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    const int status = std::stoi(head.substr(9, 3));
    for (size_t at = head.find("\r\n") + 2; at < head.size();) {
      const size_t line_end = head.find("\r\n", at);
      const std::string line = head.substr(at, line_end - at);
      const size_t colon = line.find(": ");
      CHECK(colon != std::string::npos);
      response.headers[line.substr(0, colon)] = line.substr(colon + 2);
      at = line_end + 2;
    }
    const auto length = response.headers.find("Content-Length");
    const size_t size =
        head_only || length == response.headers.end() ? 0 : std::stoul(length->second);
    while (buffer_.size() < size) {
      if (!More()) return RawResponse();
    }
    response.body = buffer_.substr(0, size);
    buffer_.erase(0, size);
    response.status = status;
    return response;
  }

  // True when the server has closed and nothing more came.
  bool AtEnd() { return buffer_.empty() && !More() && ended_; }

 private:
  bool More() {
    char chunk[65536];
    const ssize_t size = recv(fd_, chunk, sizeof chunk, 0);
    if (size <= 0) {
      ended_ = size == 0 || errno == ECONNRESET;
      return false;
    }
    buffer_.append(chunk, static_cast<size_t>(size));
    return true;
  }

  int fd_;
  bool connected_ = false;
  bool ended_ = false;
  std::string buffer_;
};

}  // namespace vectron::rpc
