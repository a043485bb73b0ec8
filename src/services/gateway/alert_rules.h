#pragma once

// What is wrong, found from one set of measurements: a function without state or I/O.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/gateway/alerts.h"
#include "services/gateway/cluster_view.h"

namespace vectron::gateway {

// A condition ends below this share of the level at which it begins.
inline constexpr double kAlertEndShare = 0.9;

struct AlertThresholds {
  double disk_percent = 85;  // of a worker's file system that is used: warning
  double disk_critical_percent = 95;
  double memory_percent = 85;  // of a worker's machine or container that its process takes
  double memory_critical_percent = 95;
  double error_percent = 5;  // of a minute's calls that failed by a fault of ours
  double error_critical_percent = 20;
  double latency_ms = 1'000;  // p99 of a minute's calls
  double latency_critical_ms = 5'000;
  uint64_t min_calls = 20;  // in the minute; below, its shares and quantiles say nothing
};

// How one service answered its last check.
enum class ServiceState : uint8_t { kUp, kDegraded, kDown };
// "up", "degraded", "down"
std::string_view ServiceStateName(ServiceState state);
struct ServiceCheck {
  std::string name;
  std::string endpoint;
  ServiceState state = ServiceState::kDown;
  std::string error;  // why it is not up
  double response_ms = 0;
  int64_t checked_unix_ms = 0;
  int64_t succeeded_unix_ms = 0;  // when it was last found well; 0: never yet
  bool worker = false;            // workers have a rule of their own
  bool essential = true;          // else the system serves on without it
};

struct Measurements {
  const ClusterView* view = nullptr;
  std::vector<ServiceCheck> services;
  // Of the last minute's data calls:
  uint64_t calls = 0;
  uint64_t faults = 0;
  std::optional<double> p99_ms;
};

// `stands`: whether an alert of that rule and subject stands already, which makes it end later than
// it would begin. `measurements.view` is not null (CHECK).
std::vector<AlertCondition> FindAlertConditions(
    const Measurements& measurements, const AlertThresholds& thresholds,
    const std::function<bool(AlertRule, std::string_view)>& stands);

// "healthy", "degraded" (something is wrong, but the system serves) or "critical".
std::string_view OverallStatus(const std::vector<ServiceCheck>& services,
                               const std::vector<AlertRecord>& active, const ClusterView& view);

}  // namespace vectron::gateway
