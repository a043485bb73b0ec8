#pragma once

// The port for those who watch a process: /metrics, /healthz and /readyz over HTTP, or HTTPS when
// it has a certificate, without credentials. It is meant for an address that nobody else reaches;
// at a loopback one it answers to names of this machine only (rpc/web_guard.h). Every role has one
// when it is told where.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "apps/vectron/host_port.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "rpc/http_dispatcher.h"
#include "rpc/http_server.h"
#include "rpc/rpc_registry.h"
#include "rpc/tls.h"

namespace CLI {
class App;
}  // namespace CLI

namespace vectron {

struct MetricsOptions {
  std::optional<HostPort> address = std::nullopt;  // none: no such port
  rpc::TlsFiles tls = {};                          // none: plain
};
// As they are given.
struct MetricsFlags {
  std::string address;  // "": none
  rpc::TlsFiles tls;
};
// Adds --metrics, --metrics-tls-cert, --metrics-tls-key, --metrics-tls-client-ca.
void AddMetricsFlags(CLI::App& command, MetricsFlags& flags);
// InvalidArgument.
absl::StatusOr<MetricsOptions> ToMetricsOptions(const MetricsFlags& flags);

// Adds a figure without labels to what a Metrics::Source collects; a counter if its name says so.
void AddFigure(std::vector<MetricSample>& samples, std::string_view name, std::string_view help,
               double value);

// From Start on it is alive and not ready; Serve says how ready it is. Thread-safe, but for Start.
class MetricsPort {
 public:
  // Why the process is not ready; nothing when it is.
  using Problems = std::function<std::vector<std::string>()>;

  // Both outlive it.
  MetricsPort(const Metrics& metrics, const Clock& clock);
  ~MetricsPort();
  MetricsPort(const MetricsPort&) = delete;
  MetricsPort& operator=(const MetricsPort&) = delete;

  // Without an address it does nothing, and no port is there. Unavailable: the address is taken.
  absl::Status Start(const MetricsOptions& options);
  // From now on the process is as ready as `problems` says, which is asked in an I/O thread.
  void Serve(Problems problems);
  // From now on it is not ready; `problems` is not running and never runs again.
  void Leave();

  // As bound; "" without a port.
  std::string address() const;
  // The same as a member of a JSON object, ",\"metrics\":\"127.0.0.1:9640\"", or "".
  std::string ReadyField() const;

 private:
  std::vector<std::string> Ask() const;

  const Metrics& metrics_;
  const Clock& clock_;
  mutable absl::Mutex mutex_;
  // Null: not ready. Called with the lock held, so that Leave can promise its end.
  Problems problems_ ABSL_GUARDED_BY(mutex_);
  Metrics of_this_port_;  // apart: who watches is not counted as who is served
  rpc::RpcRegistry no_rpcs_;
  rpc::HttpDispatcher dispatcher_{no_rpcs_};
  std::unique_ptr<rpc::HttpServer> server_;  // last: it uses the above
};

}  // namespace vectron
