#include "apps/vectron/ranking_flags.h"

#include <CLI/CLI.hpp>

namespace vectron {

void AddRankingConfigFlag(CLI::App& command, std::string& config_path) {
  command.add_option("--ranking-config", config_path,
                     "TOML file with the settings of reranking; without it the defaults hold");
}

void AddFeedbackFlags(CLI::App& command, LocalRankingOptions& options) {
  command
      .add_option("--feedback-days", options.feedback_retention_days,
                  "Days that feedback is kept; 0: for ever")
      ->check(CLI::Range(0, 36'500))
      ->capture_default_str();
  command
      .add_option("--feedback-max-bytes", options.feedback_max_bytes,
                  "Bytes of the feedback store (feedback.db); when it is full feedback is "
                  "refused; 0: no limit but the disk")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

}  // namespace vectron
