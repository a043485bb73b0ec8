#pragma once

// What a worker tells placement of itself and its replicas: measured, never assumed.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/worker/worker.h"
#include "vectron/placement.pb.h"

namespace vectron::worker {

// The machine and this process on it.
struct MachineLoad {
  double cpu_percent = 0;  // of this process, of all processors together
  uint64_t memory_bytes = 0;
  uint64_t memory_total_bytes = 0;
  uint64_t disk_free_bytes = 0;
  uint64_t disk_total_bytes = 0;
};

// Turns counters into rates and means from one report to the next. Thread-compatible.
class Reporter {
 public:
  // Fills what is measured: the machine's load, totals, and a report for every replica.
  void Fill(const std::vector<ShardReport>& shards, const MachineLoad& load, int64_t now_nanos,
            placementdriver::v1::HeartbeatRequest& request);

 private:
  struct Before {
    uint64_t searches = 0;
    uint64_t searches_ended = 0;
    uint64_t search_nanos = 0;
    uint64_t writes = 0;
    int64_t at_nanos = 0;
  };
  void FillReplica(const ShardReport& shard, int64_t now_nanos,
                   placementdriver::v1::HeartbeatRequest& request);

  std::map<uint64_t, Before> before_;  // by group
};

}  // namespace vectron::worker
