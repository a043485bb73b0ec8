#pragma once

// Clients that each send the next request when the last is answered, all in the caller's thread.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/vectronctl/load/wire.h"

namespace vectron::load {

struct LoopOptions {
  WireKind kind = WireKind::kGrpc;
  std::string address;          // HOST:PORT
  std::string method;           // of gRPC
  std::string credential = {};  // of gRPC; HTTP requests hold theirs
  size_t clients = 1;           // connections, one request in flight on each
  double seconds = 0;           // > 0: stop after this long
  uint64_t count = 0;  // > 0: stop after this many requests; with both, whichever comes first
  // Bytes of request i (see Wire::Ask), valid until it is answered.
  std::function<std::string_view(uint64_t)> request;
  // Called with each answer; may be empty.
  std::function<void(uint64_t, const Answer&)> on_answer;
};

struct LoopResult {
  uint64_t answers = 0;  // without error
  uint64_t errors = 0;
  std::string first_error;
  double seconds = 0;  // from the first request to the last answer
  double client_cpu_seconds = 0;
  std::vector<float> latencies_us;  // of good answers, ascending

  double qps() const { return seconds > 0 ? static_cast<double>(answers) / seconds : 0; }
  // q in [0, 1]; 0 when there is none.
  float latency_us(double q) const;
};

// Errors: Unavailable when no connection can be made. A connection that breaks on the way is made
// again; its request counts as an error.
absl::StatusOr<LoopResult> RunClosedLoop(const LoopOptions& options);

// Connects to HOST:PORT over TCP without delay. Unavailable, InvalidArgument (no port).
absl::StatusOr<int> ConnectTcp(const std::string& address);

}  // namespace vectron::load
