#pragma once

// What was done and what was refused, one JSON line per event, in files that rotate: audit.log has
// what administrators and the cluster did, users.log what everybody else did, refused.log refusals,
// so that nobody can push the one out by making the other.
//
//   {"time":"2026-01-31T12:00:00.123Z","what":"vectron.auth.v1.AuthService.UpdateUser","code":"OK",
//    "user":"user-...","credential":"login","target":"user-...","detail":"role=ROLE_ADMIN",
//    "client":"10.0.0.7","protocol":"http"}
//
// `what` is an RPC or "VERB /path" of a plain route; `credential` is login, sdk, api_key or
// cluster; `user`, `credential`, `key`, `target`, `detail` and `tenant` are left out when unknown.
// Never a secret: no token, key, password or body.
//
// Refusals beyond so many of an address and in all (rpc/refusal_limit.h) are counted:
// {"time":...,"more_refused":N,"client":"10.0.0.7"} follows once their minute is over. So is what a
// user does beyond kLinesPerUser a minute: {"time":...,"more_done":N,"user":"user-..."}, with
// "client" for logins and registrations, which no user makes yet. When events come faster than they
// can be written some are dropped, and a line {"time":...,"dropped":N} says how many.

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/metrics.h"
#include "rpc/call_context.h"
#include "rpc/refusal_limit.h"
#include "rpc/rotating_file.h"
#include "rpc/rpc_registry.h"

namespace vectron::rpc {

struct AuditLogOptions {
  std::string dir;  // made when missing; holds audit.log, audit.log.1, ..., refused.log, ...
  size_t max_file_bytes = size_t{16} << 20;
  size_t max_files = 8;  // of each of the three, with the present one; the oldest is removed
};

// Which of the logs an event belongs into.
enum class AuditKind : uint8_t {
  kNone,
  // Of an administrator or the cluster: whatever changes accounts, keys, rights or collections, or
  // is done with an administrator's or, on an operator's behalf, with the cluster's right; what an
  // administrator reads of accounts and whatever is done for another tenant included.
  kAction,
  // The same of those who are no administrators, each with what is its own.
  kUserAction,
  // No or a wrong credential, no right, too often; what somebody without a credential got wrong.
  kRefusal,
};
AuditKind AuditKindOf(const CallContext& context, absl::StatusCode code);
// Whether calls of this RPC of SCOPE_INTERNAL are actions; the others carry data or tell that
// somebody lives.
bool IsInternalAction(std::string_view rpc);
// The line of an event, without line break.
std::string AuditLine(const CallContext& context, absl::StatusCode code, int64_t unix_millis);

// Thread-safe.
class AuditLog {
 public:
  static constexpr size_t kMaxQueuedLines = 8'192;  // of each kind
  static constexpr size_t kLinesPerUser = 60;       // in a minute

  // Goes on behind what the files hold. `files`, `clock` and `metrics` outlive it.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(AuditLogOptions options, FileSystem& files,
                                                        const Clock& clock, Metrics& metrics);
  // Writes what is queued, and the counts of events without a line.
  ~AuditLog();

  // Queues a line; never blocks. kind: not kNone.
  void Add(AuditKind kind, std::string line);
  // Adds the line of a call's end if it belongs here and, unless it is an administrator's or the
  // cluster's, there is room.
  void Observe(const CallContext& context, absl::StatusCode code);
  CallObserver AsObserver();
  // Blocks until what was added before is in the file.
  void Flush();

 private:
  struct Journal {
    explicit Journal(RotatingFile rotating) : file(std::move(rotating)) {}
    std::string queued;
    size_t queued_lines = 0;
    uint64_t dropped = 0;
    RotatingFile file;  // of the writer's thread
  };

  AuditLog(const AuditLogOptions& options, FileSystem& files, const Clock& clock, Metrics& metrics);

  bool Admit(AuditKind kind, const CallContext& context, int64_t now_ms);
  // The counts of minutes that are over; with `all`, of the present ones, too.
  void AddMore(int64_t now_ms, bool all = false);
  void WriteQueued();
  void Write(size_t journal);

  const Clock& clock_;
  Counter& lines_;
  Counter& dropped_total_;
  Counter& failures_;
  RefusalLimit refusals_;
  RefusalLimit user_actions_{kLinesPerUser, std::numeric_limits<size_t>::max()};

  absl::Mutex mutex_;  // over all of the journals but their files
  std::array<Journal, 3> journals_;
  bool scheduled_ ABSL_GUARDED_BY(mutex_) = false;

  std::unique_ptr<ThreadPool> writer_;  // last: its task uses everything above
};

}  // namespace vectron::rpc
