#pragma once

// `vectron dev`: every role in one process.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "apps/vectron/access.h"
#include "apps/vectron/host_port.h"
#include "apps/vectron/local_ranking.h"
#include "apps/vectron/metrics_port.h"
#include "apps/vectron/operators.h"
#include "apps/vectron/role.h"
#include "rpc/tls.h"
#include "rpc/web_guard.h"

namespace vectron {

struct DevOptions {
  std::string data_dir;
  HostPort http;
  HostPort grpc;
  OperatorOptions operators;
  LocalRankingOptions ranking;  // its data_dir is set by the server
  bool auth = true;             // callers show credentials; else everyone may do everything
  AccessOptions access;         // with auth; its data_dir is set by the server
  rpc::TlsFiles tls;            // of both ports; none: plain
  rpc::WebRules web;
  MetricsOptions metrics;
  size_t threads = 0;  // for requests and for building each; 0: one per processor
  uint64_t max_open_files = ~uint64_t{0};  // that this process may have
};

// Opens the data folder and starts serving; returns when every shard serves or has been found
// damaged (which /readyz and the log tell; the others are served). Errors: FailedPrecondition
// (folder in use, newer format), DataLoss (catalog or log damaged), Unavailable (address taken),
// ResourceExhausted, Internal.
absl::StatusOr<std::unique_ptr<Role>> StartDev(const DevOptions& options);

}  // namespace vectron
