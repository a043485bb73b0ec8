#pragma once

// An address at which connections are refused as long as it lives: the port is taken and nobody
// listens. For tests.

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "base/check.h"

namespace vectron::rpc {

class RefusingAddress {
 public:
  RefusingAddress() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    CHECK(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    CHECK(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    text_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ~RefusingAddress() { ::close(fd_); }
  RefusingAddress(const RefusingAddress&) = delete;
  RefusingAddress& operator=(const RefusingAddress&) = delete;

  // Takes connections from now on, and says nothing.
  void Listen() { CHECK(::listen(fd_, 16) == 0); }
  // The next one, which is the caller's; below 0 once it is closed.
  int Accept() { return ::accept(fd_, nullptr, nullptr); }
  // Takes no more.
  void Close() { ::shutdown(fd_, SHUT_RDWR); }
  const std::string& text() const { return text_; }

 private:
  const int fd_;
  std::string text_;
};

}  // namespace vectron::rpc
