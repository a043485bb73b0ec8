#pragma once

// What a run measured, as JSON and as a table beside the bars.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace vectron::bench {

struct SearchFigures {
  std::string protocol;  // "grpc", "http"
  size_t clients = 0;
  uint32_t ef = 0;
  double recall = 0;  // at 10
  double qps = 0;
  double p50_us = 0;
  double p99_us = 0;
  double server_cpu_us = 0;  // per query
  double client_cpu_us = 0;  // per query, of the load generator on the same machine
  double share = 1;          // of the points that pass the filter
};
struct IngestFigures {
  size_t points = 0;
  double acknowledged_seconds = 0;  // until the last write was acknowledged
  double indexed_seconds = 0;       // until the graph held them
  double server_cpu_us = 0;         // per point, until then
};
struct SingleFigures {
  double per_second = 0;
  double p50_us = 0;
  double p99_us = 0;
  double server_cpu_us = 0;
};
struct RestartFigures {
  std::vector<double> seconds;  // from exec to the first right answer, ascending
  size_t collections = 0;
  size_t points = 0;
  double median() const { return seconds.empty() ? 0 : seconds[seconds.size() / 2]; }
};
struct MemoryFigures {
  uint64_t pss_bytes = 0;
  uint64_t anonymous_bytes = 0;
};

struct Report {
  std::string commit;
  std::string cpu_model;
  unsigned cpus = 0;
  std::string load_before;  // load averages
  std::string load_after;
  std::string data_set;
  size_t base_rows = 0;
  size_t query_rows = 0;
  size_t dimension = 0;
  double seconds_each = 0;  // of each timed run
  uint32_t shards = 0;      // 0: chosen by the server
  std::optional<IngestFigures> ingest;
  std::vector<SearchFigures> searches;
  std::optional<MemoryFigures> memory;
  std::optional<SingleFigures> single;
  std::vector<SearchFigures> filters;
  std::vector<RestartFigures> restarts;
};

std::string ReportJson(const Report& report);
// The section "system" of docs/benchmarks.md: the machine, then one row per bar with what was
// measured.
std::string ReportMarkdown(const Report& report);
// Puts the text between the lines `<!-- system:begin -->` and `<!-- system:end -->` of the file;
// appends all of it, with the lines, when they are missing.
absl::Status WriteSection(const std::string& path, const std::string& text);

}  // namespace vectron::bench
