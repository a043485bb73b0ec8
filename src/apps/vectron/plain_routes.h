#pragma once

// What the HTTP port serves beside the RPCs: /, /healthz, /readyz, /metrics, /openapi.json.

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/metrics.h"
#include "rpc/http_dispatcher.h"
#include "rpc/rpc_registry.h"
#include "services/gateway/static_files.h"
#include "services/worker/worker.h"
#include "storage/rocks_kv.h"

namespace vectron {

// The version of this program, "0.1.0".
std::string_view Version();

// All arguments outlive the dispatcher's use; `registry` is complete. `console` may be null; else a
// browser that asks for / gets it, and everyone else what this server is.
// `problems` tells why the process is not ready, and nothing when it is.
absl::Status AddPlainRoutes(std::function<std::vector<std::string>()> problems,
                            const Metrics& metrics, const rpc::RpcRegistry& registry,
                            const gateway::StaticFiles* console, rpc::HttpDispatcher& dispatcher);

// /healthz, /readyz and /metrics alone. metrics_scope: what a caller needs to read the last.
absl::Status AddHealthRoutes(std::function<std::vector<std::string>()> problems,
                             const Metrics& metrics, options::Scope metrics_scope,
                             rpc::HttpDispatcher& dispatcher);

// Why a node is not ready, one line per shard that does not serve; empty when it is.
std::vector<std::string> Problems(const std::vector<worker::ShardReport>& reports);

// What every collection holds and costs, for /metrics.
std::vector<MetricSample> ShardSamples(const std::vector<worker::ShardReport>& reports);
// What all stores of the process take of its memory.
void AddStoreFigures(const storage::RocksResources& resources, std::vector<MetricSample>& samples);

}  // namespace vectron
