#pragma once

// The measurements, one function each. All against a server that runs on this machine.

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data_set.h"
#include "report.h"
#include "server_process.h"

namespace vectron::bench {

struct RunOptions {
  double seconds = 5;   // of each timed run
  uint32_t shards = 0;  // of each collection; 0: the server's choice
  double wanted_recall = 0.99;
};

// Where the server is.
struct Target {
  std::string grpc_address;
  std::string http_address;
  pid_t pid = 0;
};

inline constexpr const char* kPlainCollection = "bench-plain";
inline constexpr const char* kFilterCollection = "bench-filter";
inline constexpr const char* kSingleCollection = "bench-single";

// Fills a fresh collection over gRPC with several batches under way and waits until the graph holds
// it. `with_numbers` gives each point an indexed integer payload field `n`, evenly spread over
// 0..999.
enum class Payload { kNone, kNumbers };
absl::StatusOr<IngestFigures> MeasureIngest(const Target& target, const DataSet& set,
                                            const std::string& collection, Payload payload,
                                            const RunOptions& options);

// Finds the smallest ef that reaches the wanted recall, then measures with 1 and 8 clients over
// both protocols.
absl::StatusOr<std::vector<SearchFigures>> MeasureSearches(const Target& target, const DataSet& set,
                                                           const RunOptions& options);

// The same with a filter on `n` that 0.1, 1, 10 and 50 % of the points pass; 8 clients, gRPC. The
// truth is computed here.
absl::StatusOr<std::vector<SearchFigures>> MeasureFilters(const Target& target, const DataSet& set,
                                                          const RunOptions& options);

// New points, one a request, 8 clients, gRPC, into a fresh collection.
absl::StatusOr<SingleFigures> MeasureSingle(const Target& target, const DataSet& set,
                                            const RunOptions& options);

// Kills the server and starts it again, `rounds` times; `server` and `target` are those of the last
// start afterwards.
absl::StatusOr<RestartFigures> MeasureRestart(std::unique_ptr<ServerProcess>& server,
                                              Target& target, const ServerOptions& start,
                                              const DataSet& set, int rounds);

absl::StatusOr<MemoryFigures> MeasureMemory(const Target& target);

}  // namespace vectron::bench
