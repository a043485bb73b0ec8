#pragma once

// What administrators did and what was refused, one JSON line per event, in files that rotate.
//
//   {"time":"2026-01-31T12:00:00.123Z","what":"vectron.auth.v1.AuthService.DeleteAPIKey","code":"OK",
//    "user":"user-...","credential":"login","target":"vkey-abc...","client":"10.0.0.7","protocol":"http"}
//
// `what` is an RPC or "VERB /path" of a plain route; `user`, `credential`, `key`, `target` and
// `tenant` are left out when unknown. Never a secret: no token, key, password or body. When events
// come faster than they can be written some are dropped, and a line {"time":...,"dropped":N} says
// how many.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/metrics.h"
#include "rpc/call_context.h"
#include "rpc/rpc_registry.h"

namespace vectron::rpc {

struct AuditLogOptions {
  std::string dir;  // made when missing; holds audit.log, audit.log.1, ...
  size_t max_file_bytes = size_t{16} << 20;
  size_t max_files = 8;  // with the present one; the oldest is removed
};

// True for what belongs into the log: refusals (no or a wrong credential, no right, too often), and
// whatever changes accounts, keys, rights or collections or is done with an administrator's right.
bool IsAudited(const CallContext& context, absl::StatusCode code);
// The line of an event, without line break.
std::string AuditLine(const CallContext& context, absl::StatusCode code, int64_t unix_millis);

// Thread-safe.
class AuditLog {
 public:
  static constexpr size_t kMaxQueuedLines = 8'192;

  // Goes on behind what audit.log holds. `files`, `clock` and `metrics` outlive it.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(AuditLogOptions options, FileSystem& files,
                                                        const Clock& clock, Metrics& metrics);
  // Writes what is queued.
  ~AuditLog();

  // Queues a line; never blocks.
  void Add(std::string line);
  CallObserver AsObserver();
  // Blocks until what was added before is in the file.
  void Flush();

 private:
  AuditLog(AuditLogOptions options, FileSystem& files, const Clock& clock, Metrics& metrics);

  void WriteQueued();
  absl::Status Append(std::string_view bytes);
  absl::Status Rotate();
  absl::Status OpenFile();
  std::string PathOf(size_t number) const;

  const AuditLogOptions options_;
  FileSystem& files_;
  const Clock& clock_;
  Counter& lines_;
  Counter& dropped_total_;
  Counter& failures_;

  absl::Mutex mutex_;
  std::string queued_ ABSL_GUARDED_BY(mutex_);
  size_t queued_lines_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
  bool scheduled_ ABSL_GUARDED_BY(mutex_) = false;

  // Of the writer's thread.
  std::unique_ptr<File> file_;
  uint64_t size_bytes_ = 0;

  std::unique_ptr<ThreadPool> writer_;  // last: its task uses everything above
};

}  // namespace vectron::rpc
