#pragma once

// A reranker in this process, with its settings and the threads it needs: that of a gateway which
// has its own, and that of `vectron reranker`.

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/metrics.h"
#include "services/reranker/service.h"

namespace vectron {

struct LocalRerankerOptions {
  std::string config_path;  // a TOML file (services/reranker/config.h); "": the defaults
  std::string model_dir;    // of what it learns
};

class LocalReranker {
 public:
  struct Deps {
    FileSystem* files = nullptr;
    const Clock* clock = nullptr;
    Metrics* metrics = nullptr;
  };
  // What is borrowed outlives it. InvalidArgument (configuration), and what the disk says.
  static absl::StatusOr<std::unique_ptr<LocalReranker>> Open(const LocalRerankerOptions& options,
                                                             const Deps& deps);
  // Stops, then saves what was learned.
  ~LocalReranker();

  reranker::Reranker& reranker() { return *reranker_; }
  // Nobody calls it any more. What is under way ends, and answers through what its callers still
  // have. The second call does nothing.
  void Stop();

 private:
  LocalReranker() = default;

  std::unique_ptr<ThreadPool> llm_threads_;  // null: no language model is configured
  std::unique_ptr<ThreadPool> learn_thread_;
  std::unique_ptr<reranker::Reranker> reranker_;
};

}  // namespace vectron
