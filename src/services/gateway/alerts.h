#pragma once

// Alerts: raised when a condition holds for some samples in a row, resolved when it has been gone
// for some, or by an operator. The book of them is kept on disk (docs/formats/alerts.md).
//
// What keeps a storm bounded: at most kMaxTracked conditions are followed one by one, the rest of a
// rule's becomes one alert that tells their number; of resolved alerts the newest kMaxHistory are
// kept.
//
// Ids begin with a number that a book draws when it is new: another gateway's alert is not found
// here, and never taken for one of this book's.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/file.h"

namespace vectron::gateway {

// The numbers are part of the format.
enum class AlertRule : uint8_t {
  kWorkerDown = 1,
  kShardUnderReplicated = 2,
  kShardNoLeader = 3,
  kShardFailed = 4,
  kDiskFull = 5,
  kMemory = 6,
  kErrorRate = 7,
  kLatency = 8,
  kServiceDown = 9,
  kReplicasDiffer = 10,
};
inline constexpr size_t kAlertRules = 10;
// "worker_down"
std::string_view AlertRuleName(AlertRule rule);

enum class AlertLevel : uint8_t { kInfo = 1, kWarning = 2, kCritical = 3 };
// "info", "warning", "critical"
std::string_view AlertLevelName(AlertLevel level);

// Samples in a row in which a condition must hold before it raises an alert, and be absent before
// that is resolved: what passes by itself (an election, an opening shard, a burst) raises none, and
// what flutters raises one.
struct AlertPatience {
  uint32_t raise = 1;
  uint32_t clear = 1;
};
AlertPatience PatienceOf(AlertRule rule);

// What a rule found just now.
struct AlertCondition {
  AlertRule rule = AlertRule::kWorkerDown;
  std::string subject;  // what it is about; one alert per rule and subject
  AlertLevel level = AlertLevel::kWarning;
  std::string title;
  std::string message;
};

struct AlertRecord {
  uint64_t id = 0;
  AlertRule rule = AlertRule::kWorkerDown;
  AlertLevel level = AlertLevel::kWarning;
  std::string subject;
  std::string title;
  std::string message;
  int64_t raised_unix_ms = 0;
  int64_t resolved_unix_ms = 0;  // 0: active
  std::string resolved_by;       // "system", or who
};

// Thread-safe; Update and Resolve write to disk and so block, one after the other.
class AlertBook {
 public:
  static constexpr size_t kMaxTracked = 1'000;
  static constexpr size_t kMaxHistory = 1'000;

  // Reads the book, or begins an empty one when there is none or it is damaged (which is logged).
  // seed: of the ids of a new one.
  static absl::StatusOr<std::unique_ptr<AlertBook>> Open(const std::string& path, FileSystem& files,
                                                         uint64_t seed);

  // Whether an alert of this rule and subject stands: active, or resolved by hand while its
  // condition lasts. Rules ask it in order to end later than they begin.
  bool Stands(AlertRule rule, std::string_view subject) const;
  // Takes everything that holds at one sample. The book changes in any case; the error says why it
  // is not on disk.
  absl::Status Update(int64_t unix_ms, const std::vector<AlertCondition>& conditions);
  // Takes an alert off the active ones; what it is about raises none until it has gone and come
  // back. The alert as it is then. NotFound. Resolving a resolved one changes nothing.
  absl::StatusOr<AlertRecord> Resolve(uint64_t id, const std::string& by, int64_t unix_ms);

  // Active ones, the gravest first, then the newest.
  std::vector<AlertRecord> Active() const;
  // Resolved ones, the last resolved first.
  std::vector<AlertRecord> Resolved() const;
  size_t active_count() const;

 private:
  using Key = std::pair<AlertRule, std::string>;
  enum class Phase : uint8_t { kPending, kActive, kMuted };
  struct Entry {
    Phase phase = Phase::kPending;
    uint32_t streak = 0;  // samples in a row: held while pending, absent otherwise
    AlertRecord alert;    // of a muted entry: the one that was resolved
  };
  using Conditions = std::map<Key, const AlertCondition*>;

  AlertBook(std::string path, FileSystem& files, uint64_t first_id)
      : path_(std::move(path)), files_(files), next_id_(first_id) {}
  absl::Status Load(std::string_view bytes);
  std::string Encode() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Those that are followed; what is too much is counted per rule in `surplus`, whose conditions
  // are made in `made`.
  Conditions Select(const std::vector<AlertCondition>& conditions,
                    std::deque<AlertCondition>& made) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Each returns whether something changed that is to be stored.
  bool Note(const AlertCondition& condition, const Key& key, int64_t unix_ms)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool NoteAbsent(const Conditions& present, int64_t unix_ms) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remember(AlertRecord alert) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Store();

  const std::string path_;
  FileSystem& files_;
  absl::Mutex store_mutex_;  // held while the file is written; before mutex_
  mutable absl::Mutex mutex_;
  std::map<Key, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::deque<AlertRecord> history_ ABSL_GUARDED_BY(mutex_);  // the last resolved first
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vectron::gateway
