#pragma once

// The server under test, as a child process.

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vectron::bench {

struct ServerOptions {
  std::string program;  // path of `vectron`
  std::string data_dir;
  std::string grpc_address = "127.0.0.1:0";
  std::string http_address = "127.0.0.1:0";
  std::string log_path;  // standard error goes there
};

// Thread-compatible. The destructor ends the child.
class ServerProcess {
 public:
  // Starts `vectron dev --auth off` and returns at once.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(const ServerOptions& options);
  ~ServerProcess();

  // Reads the ready line; the addresses are known afterwards. Unavailable when the server ended or
  // said nothing in time.
  absl::Status WaitUntilReady(int timeout_ms);
  // Ends it by SIGKILL, as a power cut would, and waits for its end.
  void Kill();
  // Ends it by SIGTERM and waits; DeadlineExceeded after 60 s (it is killed then).
  absl::Status Stop();

  pid_t pid() const { return pid_; }
  const std::string& grpc_address() const { return grpc_address_; }
  const std::string& http_address() const { return http_address_; }

 private:
  ServerProcess(pid_t pid, int output) : pid_(pid), output_(output) {}

  pid_t pid_;
  int output_;
  std::string grpc_address_;
  std::string http_address_;
};

}  // namespace vectron::bench
