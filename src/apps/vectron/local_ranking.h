#pragma once

// What a gateway needs for ranking: feedback on disk, and a reranker, in this process or elsewhere.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/metrics.h"
#include "base/timer.h"
#include "rpc/placement_api.h"
#include "rpc/reranker_api.h"
#include "rpc/rpc_registry.h"

namespace vectron {

namespace gateway {
class Ranking;
}
class LocalReranker;

inline constexpr uint64_t kDefaultFeedbackBytes = uint64_t{4} << 30;

struct LocalRankingOptions {
  std::string data_dir;     // models go to <data_dir>/ranking, feedback to <data_dir>/feedback.db
  std::string config_path;  // a TOML file (services/reranker/config.h); "": the defaults
  int64_t feedback_retention_days = 90;                 // 0: for ever
  uint64_t feedback_max_bytes = kDefaultFeedbackBytes;  // of feedback.db; 0: the disk's size
};

class LocalRanking {
 public:
  struct Deps {
    FileSystem* files = nullptr;
    const Clock* clock = nullptr;
    Timer* timer = nullptr;
    Metrics* metrics = nullptr;
    rpc::PlacementApi* placement = nullptr;
    rpc::RerankerApi* reranker = nullptr;  // null: one of its own, called directly
    uint64_t seed = 0;
  };
  // What is borrowed outlives it. InvalidArgument (configuration), and what the disk says.
  static absl::StatusOr<std::unique_ptr<LocalRanking>> Open(const LocalRankingOptions& options,
                                                            const Deps& deps);
  ~LocalRanking();

  // Adds the handlers of feedback and ranking to a registry that knows VectronService.
  void Install(rpc::RpcRegistry& registry);
  void Start();
  // After the servers: no more feedback goes to the reranker. What it learned is saved at the end.
  void Stop();
  gateway::Ranking* ranking() { return ranking_.get(); }

 private:
  LocalRanking();

  std::unique_ptr<ThreadPool> feedback_thread_;
  std::unique_ptr<LocalReranker> reranker_;  // null when it is elsewhere
  std::unique_ptr<gateway::Ranking> ranking_;
};

}  // namespace vectron
