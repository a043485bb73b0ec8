#pragma once

// An etcd of its own for one test: the system's program on free ports in a folder of its own.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/temp_dir.h"
#include "rpc/tls.h"

namespace vectron::auth {

inline constexpr char kEtcdProgram[] = "/usr/bin/etcd";

// A port that was free a moment ago.
inline uint16_t FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  CHECK_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  CHECK_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

class Etcd {
 public:
  // To be asserted before one is made.
  static testing::AssertionResult Installed() {
    if (::access(kEtcdProgram, X_OK) == 0) return testing::AssertionSuccess();
    return testing::AssertionFailure()
           << kEtcdProgram << " is missing: apt-get install etcd-server, or ./dev setup";
  }

  // tls: what it shows its clients and asks them for; none: it speaks plainly.
  explicit Etcd(rpc::TlsFiles tls = {})
      : tls_(std::move(tls)), port_(FreePort()), peer_port_(FreePort()) {
    Start();
  }
  ~Etcd() { Stop(); }
  Etcd(const Etcd&) = delete;
  Etcd& operator=(const Etcd&) = delete;

  // "127.0.0.1:40001"
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }

  // The program, on what is in the folder. Returns at once; clients wait until it answers.
  void Start() {
    const std::string client = (tls_.enabled() ? "https://" : "http://") + endpoint();
    const std::string peer = "http://127.0.0.1:" + std::to_string(peer_port_);
    std::vector<std::string> words = {kEtcdProgram,  "--name",
                                      "t",           "--data-dir",
                                      dir_ / "data", "--listen-client-urls",
                                      client,        "--advertise-client-urls",
                                      client,        "--listen-peer-urls",
                                      peer,          "--initial-advertise-peer-urls",
                                      peer,          "--initial-cluster",
                                      "t=" + peer,   "--logger",
                                      "zap",         "--log-outputs",
                                      dir_ / "log",  "--log-level",
                                      "error"};
    if (tls_.enabled()) {
      words.insert(words.end(), {"--cert-file", tls_.certificate, "--key-file", tls_.key,
                                 "--trusted-ca-file", tls_.ca, "--client-cert-auth"});
    }
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    CHECK(pid_ >= 0);
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // not to outlive a test that crashes
      ::execv(kEtcdProgram, argv.data());
      ::_exit(127);
    }
  }
  void Stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  // It keeps its connections and answers nothing.
  void Freeze() { ::kill(pid_, SIGSTOP); }
  void Thaw() { ::kill(pid_, SIGCONT); }

 private:
  TempDir dir_;
  const rpc::TlsFiles tls_;
  const uint16_t port_;
  const uint16_t peer_port_;
  pid_t pid_ = 0;
};

}  // namespace vectron::auth
