#include "apps/vectron/operator_flags.h"

#include <CLI/CLI.hpp>

namespace vectron {

void AddOperatorFlags(CLI::App& command, OperatorOptions& options) {
  command.add_option(
      "--console", options.console_dir,
      "Folder of the console's files; by default where it is installed or was built");
  command.add_option("--console-prefix", options.console_prefix,
                     "Path under which a proxy shows the console, such as /vectron");
  command
      .add_option("--slow-query-ms", options.slow_query_ms,
                  "Searches that take longer are logged with their plan; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--sample-interval-ms", options.sample_interval_ms,
                  "How often figures are taken for charts and alerts")
      ->check(CLI::Range(100, 60'000))
      ->capture_default_str();
  gateway::AlertThresholds& alerts = options.thresholds;
  command.add_option("--alert-disk-percent", alerts.disk_percent, "Alert when a disk is so full")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  command
      .add_option("--alert-memory-percent", alerts.memory_percent,
                  "Alert when a worker takes so much of its memory")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  command
      .add_option("--alert-error-percent", alerts.error_percent,
                  "Alert when so many of a minute's calls fail by a fault of the system")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  command
      .add_option("--alert-latency-ms", alerts.latency_ms,
                  "Alert when one in a hundred of a minute's calls takes longer")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

}  // namespace vectron
