#pragma once

// The flags about reranking and feedback, the same for every command that has them.

#include <string>

#include "apps/vectron/local_ranking.h"

namespace CLI {
class App;
}  // namespace CLI

namespace vectron {

// Adds --ranking-config.
void AddRankingConfigFlag(CLI::App& command, std::string& config_path);
// Adds --feedback-days, --feedback-max-bytes.
void AddFeedbackFlags(CLI::App& command, LocalRankingOptions& options);

}  // namespace vectron
