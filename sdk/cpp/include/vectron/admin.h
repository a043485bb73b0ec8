#pragma once

// What operators see and do.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "vectron/types.h"
#include "vectron/value.h"

namespace vectron {

namespace internal {
class Connection;
}  // namespace internal

enum class RankingAction { kPromote = 1, kRollback, kResume, kRestore, kReset };

// Management calls, answered by the JSON of the gateway's HTTP interface: docs/api-reference.md
// names the fields. All but Health need an administrator's credential. Made by Client::admin(),
// which it may outlive; thread-safe.
class Admin {
 public:
  // "overall_status", "services", "alerts" and "metrics"; a user who is no administrator sees the
  // overall status only.
  Payload Health();
  Payload Stats();        // "stats" of the gateway, "endpoints"
  Payload Workers();      // "workers"
  Payload Collections();  // "collections" of everyone
  // "alerts", active ones first, then the newest. status: "active", "resolved" or empty for all.
  // level: "info", "warning", "critical" or empty for all. limit: 0 for all that are kept.
  Payload Alerts(const std::string& status = "", const std::string& level = "", uint32_t limit = 0);
  Payload ResolveAlert(const std::string& id);  // NotFoundError

  // Moves all shards off a worker ("shardsLeft"), stops that, and forgets a worker without shards.
  Payload DrainWorker(const std::string& worker_id);
  Payload CancelDrain(const std::string& worker_id);
  Payload RemoveWorker(const std::string& worker_id);
  // Spreads shards evenly, or only says how: the "moves".
  Payload Rebalance();
  Payload PlanRebalance();

  // "points" of a stretch of time, oldest first, "stepSeconds" apart. window: how far back, at most
  // 7 days. until: its end; unset: now. max_points: 1-2,200; 0: 360.
  Payload TimeSeries(std::chrono::seconds window = std::chrono::hours(1),
                     std::optional<std::chrono::system_clock::time_point> until = {},
                     uint32_t max_points = 0);
  // "queries" that took longer than "thresholdMs", newest first. collection empty: of all. limit: 0
  // for 100.
  Payload SlowQueries(const std::string& collection = "", uint32_t limit = 0);

  // What feedback has taught of a collection: "state", evidence, saved "versions".
  Payload Ranking(const std::string& collection);
  // Answers with what holds then. version: of kRestore.
  Payload ControlRanking(const std::string& collection, RankingAction action, uint64_t version = 0);

 private:
  friend class Client;
  Admin(std::shared_ptr<internal::Connection> connection, Timeout timeout)
      : connection_(std::move(connection)), timeout_(timeout) {}

  std::shared_ptr<internal::Connection> connection_;
  Timeout timeout_;  // of each call
};

}  // namespace vectron
