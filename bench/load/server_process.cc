#include "server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "apps/vectronctl/rows/json.h"
#include "base/status.h"

namespace vectron::bench {
namespace {

constexpr int kStopSeconds = 60;

[[noreturn]] void Exec(const ServerOptions& options, int output, int log) {
  ::dup2(output, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execl(options.program.c_str(), options.program.c_str(), "dev", "--data",
          options.data_dir.c_str(), "--grpc", options.grpc_address.c_str(), "--http",
          options.http_address.c_str(), "--auth", "off", static_cast<char*>(nullptr));
  ::_exit(127);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(const ServerOptions& options) {
  if (::access(options.program.c_str(), X_OK) != 0) {
    return NotFound("{}: no such program; build it with: ./dev build", options.program);
  }
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return Internal("pipe: {}", std::strerror(errno));
  const int log = ::open(options.log_path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) return Internal("{}: {}", options.log_path, std::strerror(errno));
  const pid_t pid = ::fork();
  if (pid < 0) return Internal("fork: {}", std::strerror(errno));
  if (pid == 0) Exec(options, pipe[1], log);
  ::close(pipe[1]);
  ::close(log);
  return std::unique_ptr<ServerProcess>(new ServerProcess(pid, pipe[0]));
}

ServerProcess::~ServerProcess() {
  Kill();
  ::close(output_);
}

absl::Status ServerProcess::WaitUntilReady(int timeout_ms) {
  std::string line;
  while (line.find('\n') == std::string::npos) {
    pollfd poll{output_, POLLIN, 0};
    if (::poll(&poll, 1, timeout_ms) <= 0) return Unavailable("the server was not ready in time");
    char buffer[512];
    const ssize_t got = ::read(output_, buffer, sizeof buffer);
    if (got <= 0) return Unavailable("the server ended before it was ready; see its log");
    line.append(buffer, static_cast<size_t>(got));
  }
  ASSIGN_OR_RETURN(const auto ready, rows::ParseObject(line.substr(0, line.find('\n'))));
  grpc_address_ = ready.fields().at("grpc").string_value();
  http_address_ = ready.fields().at("http").string_value();
  return absl::OkStatus();
}

void ServerProcess::Kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

absl::Status ServerProcess::Stop() {
  if (pid_ <= 0) return absl::OkStatus();
  ::kill(pid_, SIGTERM);
  for (int waited = 0; waited < kStopSeconds * 100; ++waited) {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = 0;
      return absl::OkStatus();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  Kill();
  return DeadlineExceeded("the server did not stop within {} s", kStopSeconds);
}

}  // namespace vectron::bench
