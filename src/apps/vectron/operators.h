#pragma once

// What a process with a gateway has for its operators: management, the log of slow queries, the
// console. Made from flags and what the process serves; used by every command that runs a gateway.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/vectron/access.h"
#include "apps/vectron/client_ports.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "base/timer.h"
#include "rpc/http_dispatcher.h"
#include "rpc/rpc_registry.h"
#include "services/gateway/management.h"
#include "services/gateway/slow_queries.h"
#include "services/gateway/static_files.h"

namespace vectron {

struct OperatorOptions {
  std::string console_dir;     // empty: where an installation or a build has it, if there is one
  std::string console_prefix;  // path under which a proxy shows us, "/vectron"
  double slow_query_ms = 500;
  int64_t sample_interval_ms = gateway::TimeSeries::kFineStepMs;
  gateway::AlertThresholds thresholds;
};

// Whether they do: InvalidArgument for the prefix, and what Operators::Make says of the folder.
absl::Status CheckOperatorOptions(const OperatorOptions& options, FileSystem& files);

// What it borrows; all outlive it.
struct OperatorDeps {
  gateway::ClusterSources sources;
  FileSystem* files = nullptr;
  Timer* timer = nullptr;
  Metrics* metrics = nullptr;
  std::string dir;                                       // of its own, made when missing
  std::function<gateway::RateLimitState()> rate_limits;  // null: there are none
  std::vector<gateway::ServiceProbe> probes;
};

// What operators see of credentials: the limits of rate, and whether the Auth service is well.
// `access` is called later; it may be opened after this.
void AddAccess(std::function<Access&()> access, std::string auth_endpoint, OperatorDeps& deps);

class Operators {
 public:
  // Errors: what the disk says, and of the console what StaticFiles::Load says when a folder was
  // named.
  static absl::StatusOr<std::unique_ptr<Operators>> Make(const OperatorOptions& options,
                                                         OperatorDeps deps);
  // Waits for what is under way. The servers have stopped, and the gateway that logs slow queries
  // is gone.
  ~Operators();
  Operators(const Operators&) = delete;
  Operators& operator=(const Operators&) = delete;

  gateway::SlowQueryLog* slow_queries() { return slow_queries_.get(); }
  // Null when there is no console.
  const gateway::StaticFiles* console() const { return console_.get(); }

  // Adds ManagementService, and counts the calls of all services of the registry.
  absl::Status Register(rpc::RpcRegistry& registry);
  // Lets the console answer what no route knows.
  void AddConsole(rpc::HttpDispatcher& dispatcher) const;
  // From now on samples are taken. `ports` are asked for their connections until Stop.
  void Start(const ClientPorts& ports);
  void SetThresholds(double slow_query_ms, const gateway::AlertThresholds& alerts);
  // Takes no further sample; returns when none is under way. Before `ports` go.
  void Stop();

 private:
  Operators() = default;

  ThreadPool executor_{"manage", 1};                // what blocks on the disk
  std::atomic<const ClientPorts*> ports_{nullptr};  // set by Start; calls may come before it
  std::unique_ptr<gateway::SlowQueryLog> slow_queries_;
  std::unique_ptr<gateway::StaticFiles> console_;
  std::unique_ptr<gateway::Management> management_;
};

}  // namespace vectron
